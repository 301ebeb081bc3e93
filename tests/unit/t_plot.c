/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plots as text: what is drawn is compared with what a reader should see. */
#include "plot/plot.h"

#include <locale.h>
#include <stdlib.h>
#include "../tap.h"

static const double hill[] = {1, 2, 3, 5, 8, 12, 16, 16, 12, 8, 5, 3, 2, 1, 0, 1};

static char *drawn(const qs_plot *p, qs_charset cs, int h, int w)
{
    qs_cells g;
    qs_cells_init(&g, h, w);
    qs_plot_draw(p, cs, &g, (qs_rect){0, 0, h, w}, NULL);
    char *s = qs_cells_string(&g);
    qs_cells_free(&g);
    return s;
}

static void shows(const qs_plot *p, qs_charset cs, int h, int w, const char *want, const char *what)
{
    char *got = drawn(p, cs, h, w);
    if (!ok(!strcmp(got, want), "%s", what)) printf("# got:\n%s# want:\n%s", got, want);
    free(got);
}

static void grid_tests(void)
{
    qs_cells g;
    char *s;
    qs_cells_init(&g, 3, 12);
    ok(qs_cells_text(&g, 0, 0, 12, "überlang und mehr", 0, 0) == 12, "a text that is too long fills its room");
    qs_cells_right(&g, 1, 2, 6, "1.5", 0, 0);
    qs_cells_name(&g, 2, 0, 9, "depthwise_12", 0, 0);
    s = qs_cells_string(&g);
    same(s, "überlang un…\n     1.5\ndept…e_12\n", "text, right, name");
    free(s);
    qs_cells_clear(&g);
    qs_cells_text(&g, 0, 0, 12, "日本語", 0, 0);
    qs_cells_put(&g, 0, 1, L'x', 0, 0);
    qs_cells_text(&g, 1, 9, 12, "日本", 0, 0);
    qs_cells_text(&g, 2, 0, 12, "a\tb\033[1m\xff", 0, 0);
    s = qs_cells_string(&g);
    same(s, " x本語\n         日\na?b?[1m?\n", "wide characters are never halved; control characters and broken bytes show as ?");
    free(s);
    qs_cells_clear(&g);
    qs_cells_frame(&g, (qs_rect){0, 0, 3, 5}, 0, 0);
    qs_cells_put(&g, -1, 0, L'x', 0, 0);
    qs_cells_put(&g, 0, 99, L'x', 0, 0);
    qs_cells_ascii(&g);
    s = qs_cells_string(&g);
    same(s, "+---+\n|   |\n+---+\n", "frame in ASCII; outside is no place");
    free(s);
    qs_cells_free(&g);
    ok(qs_text_width("é日a") == 4, "columns");
    const char *p = "\xe2\x82";
    ok(qs_utf8_next(&p) == 0xFFFD && qs_utf8_next(&p) == 0xFFFD && qs_utf8_next(&p) == 0, "cut UTF-8");
    p = "\xc0\x80";
    ok(qs_utf8_next(&p) == 0xFFFD, "overlong UTF-8");
}

static void tick(const qs_axis *a, size_t max, const char *want, const char *what)
{
    double t[32];
    char out[400] = "", b[24];
    size_t n = qs_axis_ticks(a, max, t);
    for (size_t i = 0; i < n; i++) {
        qs_axis_label(a, t, n, t[i], b, sizeof b);
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i ? " " : "", b);
    }
    same(out, want, "%s", what);
}

static void axis_tests(void)
{
    tick(&(qs_axis){-1, 1, false}, 5, "-1.0 -0.5 0 0.5 1.0", "ticks: linear");
    tick(&(qs_axis){-0.037, 0.041, false}, 5, "-0.02 0 0.02 0.04", "ticks: small");
    tick(&(qs_axis){0, 123456, false}, 4, "0 5e4 1e5", "ticks: large");
    tick(&(qs_axis){1e-5, 0.2, true}, 3, "1e-5 1e-3 1e-1", "ticks: decades");
    tick(&(qs_axis){0.004, 0.6, true}, 4, "0.01 0.1", "ticks: log, decimal");
    tick(&(qs_axis){0.01, 0.9, true}, 9, "0.01 0.02 0.05 0.1 0.2 0.5", "ticks: between the decades");
    tick(&(qs_axis){0.11, 0.16, true}, 4, "0.12 0.14 0.16", "ticks: less than a decade");
    tick(&(qs_axis){1, 1, false}, 4, "", "ticks: an axis without length has none");
    tick(&(qs_axis){NAN, 1, false}, 4, "", "ticks: NaN");
    qs_axis l = {0.01, 100, true};
    near(qs_axis_at(&l, 1), 0.5, 1e-12, "the middle of a log axis");
    near(qs_axis_value(&l, 0.75), 10, 1e-12, "and back");
    ok(qs_axis_at(&l, 0) < 0 && qs_axis_at(&l, -1) < 0, "zero is below a log axis");
}

/* Worked out by hand: columns of 1 2, 3 5, 8 12, 16 16, ... dots, four a cell. */
static void bar_tests(void)
{
    qs_series s = {.kind = QS_PLOT_BARS, .y = hill, .n = 16, .role = QS_ROLE_BARS};
    qs_plot p = {.x = {-1, 1, false}, .y = {0, 16, false}, .series = &s, .nseries = 1};
    shows(&p, QS_BRAILLE, 4, 8,
          "   ⣿\n"
          "  ⢸⣿⡇\n"
          " ⢀⣿⣿⣿⡀\n"
          "⣠⣾⣿⣿⣿⣷⣄⢀\n", "bars in braille: two a cell");
    shows(&p, QS_BLOCK, 2, 16,
          "     ▄██▄\n"
          "▁▂▃▅██████▅▃▂▁ ▁\n", "bars in blocks: eighths");
    shows(&p, QS_ASCII, 2, 16,
          "     :##:\n"
          "...:######:... .\n", "bars in ASCII: thirds");
    p.y.lo = 0.5;
    p.y.log = true;
    shows(&p, QS_BLOCK, 2, 16,
          "   ▃▅▇██▇▅▃\n"
          "▃▆██████████▆▃ ▃\n", "log y: a count of one is seen, none is not");
    double few[] = {4, 1};
    qs_series wide = {.kind = QS_PLOT_BARS, .y = few, .n = 2, .role = QS_ROLE_BARS};
    qs_plot q = {.x = {0, 2, false}, .y = {0, 4, false}, .series = &wide, .nseries = 1};
    shows(&q, QS_BRAILLE, 1, 4, "⣿⣿⣀⣀\n", "fewer bins than dots");
}

static void line_tests(void)
{
    double x[] = {1, 10, 100}, y[] = {1, 0.01, 1}, gap[] = {1, NAN, 1};
    qs_series s = {.kind = QS_PLOT_LINE, .x = x, .y = y, .n = 3, .role = QS_ROLE_ERROR};
    qs_marker m[] = {{3, "lsq", 21, false}, {10, "mse", 20, true}, {4, "octav", 22, false}, {95, "minmax", 23, false}};
    qs_plot p = {.x = {1, 100, true}, .y = {0.005, 2, true}, .series = &s, .nseries = 1, .marker = m, .nmarker = 4, .y_width = 6,
                 .x_line = true, .marker_rows = 2};
    shows(&p, QS_BRAILLE, 8, 40,
          "    1┤⢄⣀                              ⣀⡠\n"
          "     │  ⠉⠒⠤⢄⡀                    ⢀⡠⠤⠒⠉\n"
          "     │      ⠈⠑⠢⠤⣀            ⣀⠤⠔⠊⠁\n"
          "     │           ⠉⠒⠢⢄⡀  ⢀⡠⠔⠒⠉\n"
          " 0.01┤               ⠈⠉⠋⠁\n"
          "      1───────────────10─────────────100\n"
          "              ▲lsq     ●mse      minmax▲\n"
          "                ▲octav\n", "a log-log line with markers");
    shows(&p, QS_ASCII, 8, 40,
          "    1+..                              ..\n"
          "     |  '--..                    ..--'\n"
          "     |       '--.            .--'\n"
          "     |           ''--.  .--''\n"
          " 0.01+                ''\n"
          "      1---------------10-------------100\n"
          "              ^lsq     *mse      minmax^\n"
          "                ^octav\n", "the line in ASCII");
    s.y = gap;
    p.nmarker = 0;
    p.marker_rows = 0;
    shows(&p, QS_BLOCK, 4, 20,
          "    1┤\n"
          "     │\n"
          " 0.01┤\n"
          "      ──────────────\n", "NaN is a gap");
    p.x.hi = NAN;
    shows(&p, QS_BLOCK, 2, 20, "\n\n", "an axis that is none draws nothing");
}

static void ruler_tests(void)
{
    double level[] = {-0.8, -0.4, 0, 0.4}, cut[] = {-0.6, -0.2, 0.2}, many[64];
    qs_ruler r = {level, cut, 4, -0.8, 0.4, QS_ROLE_LEVEL};
    qs_limit l = {.x = 0.4, .ch = L'┊', .role = QS_ROLE_CLIP};
    qs_series s = {.kind = QS_PLOT_BARS, .y = hill, .n = 16, .role = QS_ROLE_BARS};
    qs_plot p = {.x = {-1, 1, false}, .y = {0, 16, false}, .series = &s, .nseries = 1, .ruler = &r, .nruler = 1, .limit = &l, .nlimit = 1,
                 .x_labels = true};
    shows(&p, QS_BRAILLE, 5, 40,
          "            ⢀⣀⣀⣿⣿⣿⣿⣿⣀⣀⡀     ┊\n"
          "          ⣤⣤⣼⣿⣿⣿⣿⣿⣿⣿⣿⣿⣧⣤⣤   ┊\n"
          "⣀⣀⣠⣤⣤⣤⣤⣼⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣧⣤⣤⣤⣤⣄⣀⣀  ⢀⣀⣀\n"
          "╌╌╌┿━━━━┷━━━┿━━━┷━━━┿━━━┷━━━┿╌╌╌╌╌╌╌╌╌╌╌\n"
          "-1.0    -0.5        0        0.5     1.0\n", "levels, thresholds and clip range under the bars");
    shows(&p, QS_ASCII, 5, 40,
          "             ..#####...     :\n"
          "          :::##########::   :\n"
          ".....:::####################::.....   ..\n"
          "...+===='===+==='===+==='===+...........\n"
          "-1.0    -0.5        0        0.5     1.0\n", "the ruler in ASCII");
    for (int i = 0; i < 64; i++) many[i] = -0.8 + i * 0.02;
    r = (qs_ruler){many, NULL, 64, many[0], many[63], QS_ROLE_LEVEL};
    p.x_labels = false;
    shows(&p, QS_BLOCK, 2, 20,
          "▁▁▁▂▃▄▄▆██▆▆▄▃▂▁▁▁ ▁\n"
          "╌╌━━━━━━━━━━━━━╌╌╌╌╌\n", "too many levels to tell apart: only the range");
}

int main(void)
{
    setlocale(LC_ALL, "C.UTF-8");
    grid_tests();
    axis_tests();
    bar_tests();
    line_tests();
    ruler_tests();
    return done();
}
