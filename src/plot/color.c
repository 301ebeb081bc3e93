/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Roles and their colours. Knows no terminal and no paper, only numbers. */
#include "plot/color.h"

#include <math.h>
#include <string.h>

/* Okabe and Ito's eight. */
enum {
    BLACK = 0x000000, ORANGE = 0xE69F00, SKY = 0x56B4E9, GREEN = 0x009E73, YELLOW = 0xF0E442, BLUE = 0x0072B2,
    VERMILLION = 0xD55E00, PURPLE = 0xCC79A7, GRAY = 0x777777, LIGHT = 0xBBBBBB
};

static const qs_color plain[QS_ROLE_INIT0] = {
    [QS_ROLE_TEXT]    = {-1, -1, 0x222222},   [QS_ROLE_DIM]    = {244, -1, 0x555555},
    [QS_ROLE_FRAME]   = {239, -1, 0x888888},  [QS_ROLE_FOCUS]  = {75, -1, BLUE},
    [QS_ROLE_TITLE]   = {252, -1, BLACK},     [QS_ROLE_BARS]   = {67, -1, SKY},
    [QS_ROLE_DENSITY] = {180, -1, ORANGE},    [QS_ROLE_LEVEL]  = {114, -1, GREEN},
    [QS_ROLE_CUT]     = {241, -1, LIGHT},     [QS_ROLE_CLIP]   = {174, -1, VERMILLION},
    [QS_ROLE_ERROR]   = {252, -1, BLACK},     [QS_ROLE_ROUND]  = {73, -1, BLUE},
    [QS_ROLE_A]       = {252, -1, BLACK},     [QS_ROLE_B]      = {139, -1, PURPLE},
    [QS_ROLE_CURSOR]  = {229, -1, GRAY},      [QS_ROLE_GOOD]   = {114, -1, GREEN},
    [QS_ROLE_WARN]    = {179, -1, ORANGE},    [QS_ROLE_BAD]    = {174, -1, VERMILLION},
    [QS_ROLE_ECHO]    = {110, -1, BLUE},      [QS_ROLE_KEY]    = {252, -1, BLACK},
};

/* Sixteen initializations share seven hues on paper, where each has its name beside it. Yellow is lost on white. */
static const short init_screen[16] = {114, 214, 81, 75, 176, 170, 203, 222, 150, 108, 209, 141, 185, 117, 180, 246};
static const uint32_t init_paper[16] = {
    GREEN, ORANGE, SKY, BLUE, PURPLE, PURPLE, VERMILLION, ORANGE, GREEN, GREEN, VERMILLION, PURPLE, ORANGE, SKY, ORANGE, GRAY,
};

/* Runs: apart from each other, and brighter than what they lie on. */
static const short run_screen[8] = {81, 215, 120, 213, 228, 203, 147, 180};
static const uint32_t run_paper[8] = {BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, BLACK, GRAY};

/* Red to blue by way of sand: read by everyone, also without seeing red and green apart. */
static const short heat_bg[10] = {124, 167, 173, 180, 187, 152, 116, 74, 32, 25};
static const short heat_fg[10] = {231, 16, 16, 16, 16, 16, 16, 16, 16, 231};

uint32_t qs_color_xterm(int i)
{
    static const uint32_t low[16] = {
        0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
        0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
    };
    static const uint32_t level[6] = {0, 95, 135, 175, 215, 255};
    if (i < 16) return low[i < 0 ? 0 : i];
    if (i >= 232) return (uint32_t)(8 + 10 * (i - 232)) * 0x010101;
    i -= 16;
    return level[i / 36] << 16 | level[i / 6 % 6] << 8 | level[i % 6];
}

qs_color qs_color_of(int role)
{
    if (role >= QS_ROLE_RUN0) return (qs_color){run_screen[role - QS_ROLE_RUN0], -1, run_paper[role - QS_ROLE_RUN0]};
    if (role >= QS_ROLE_HEAT0) {
        int i = role - QS_ROLE_HEAT0;
        return (qs_color){heat_fg[i], heat_bg[i], qs_color_xterm(heat_bg[i])};
    }
    if (role >= QS_ROLE_INIT0) return (qs_color){init_screen[role - QS_ROLE_INIT0], -1, init_paper[role - QS_ROLE_INIT0]};
    return plain[role];
}

qs_color qs_color_selected(qs_color c)
{
    return (qs_color){c.fg == 244 || c.fg == 239 ? 250 : c.fg, c.bg < 0 ? 237 : c.bg, c.paper};
}

uint32_t qs_color_heat(double t)
{
    double at = fmin(fmax(t, 0), 1) * 9;
    int i = at >= 9 ? 8 : (int)at;
    uint32_t a = qs_color_xterm(heat_bg[i]), b = qs_color_xterm(heat_bg[i + 1]), out = 0;
    for (int shift = 0; shift < 24; shift += 8) {
        double x = a >> shift & 255, y = b >> shift & 255;
        out |= (uint32_t)lround(x + (y - x) * (at - i)) << shift;
    }
    return out;
}

/* ---- initializations ---------------------------------------------------------------------- */

static const char *const known[] = {
    "mse", "lsq", "octav", "lsq+", "aciq-laplace", "aciq-gauss", "minmax", "percentile", "sawb", "kl", "aciq", "lloyd",
    "apot", "adaptive",
};
enum { KNOWN = sizeof known / sizeof *known };

int qs_init_role(const char *init)
{
    for (int i = 0; i < KNOWN; i++)
        if (!strcmp(known[i], init)) return QS_ROLE_INIT0 + i;
    if (!strcmp(init, "by hand")) return QS_ROLE_CURSOR;
    unsigned h = 5381;
    for (const char *p = init; *p; p++) h = h * 33 + (unsigned char)*p;
    return QS_ROLE_INIT0 + KNOWN + (int)(h % (16 - KNOWN));
}

bool qs_less_is_better(const char *metric)
{
    static const char *const words[] = {"loss", "error", "err", "mse", "steps", "seconds", "time", "ms", "perplexity", "divergence",
                                        "distance", "bytes", "bits", "cost"};
    bool less = false;
    for (const char *w = metric; *w;) {
        size_t n = strcspn(w, "_-. /");
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) less = less || (strlen(words[i]) == n && !strncmp(w, words[i], n));
        w += n + (w[n] != 0);
    }
    return less;
}
