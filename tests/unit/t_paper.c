/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pictures: ranges, colours, what is written on a page, and what a failed write leaves. What others see in them: tests/cli/plot.t. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "plot/color.h"
#include "plot/paper.h"
#include "../tap.h"

static char *path_of(const char *name)
{
    const char *dir = getenv("top_builddir");
    return qs_xasprintf("%s/tests/unit/t_paper-%ld%s", dir ? dir : ".", (long)getpid(), name);
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    qs_str b = {0};
    char buf[4096];
    for (size_t n; f && (n = fread(buf, 1, sizeof buf, f)) > 0;) qs_str_addn(&b, buf, n);
    if (f) fclose(f);
    return b.s;
}

static void files(void)
{
    qs_err err;
    char *p = path_of(".txt"), *s, *none = path_of("/no/a.txt");
    ok(qs_file_write(p, "one", 3, true, &err) == 0, "a new file");
    ok(qs_file_write(p, "two", 3, true, &err) == -QS_ESTATE && strstr(err.msg, "is there already"), "fresh: not over one that is there");
    s = read_file(p);
    ok(s && !strcmp(s, "one"), "which stays");
    free(s);
    ok(qs_file_write(p, "three", 5, false, &err) == 0, "else over it");
    s = read_file(p);
    ok(s && !strcmp(s, "three"), "wholly");
    free(s);
    ok(qs_file_write(none, "x", 1, false, &err) == -QS_EIO && strstr(err.msg, none), "no folder: the path is named");
    ok(qs_ends_in("A.SVG", ".svg") && !qs_ends_in(".svg", ".svg") && !qs_ends_in("svg", ".svg"), "endings");
    unlink(p);
    free(p);
    free(none);
}

static void ranges(void)
{
    qs_err err;
    double x[] = {1, 2, 3}, y[] = {0, NAN, 10}, huge[] = {-1e308, INFINITY, 1e308}, flat[] = {5, 5, 5};
    qs_series s = {.kind = QS_PLOT_LINE, .x = x, .y = y, .n = 3};
    qs_plot p = {.x = {NAN, NAN, false}, .y = {NAN, NAN, false}, .series = &s, .nseries = 1};
    ok(qs_plot_fit(&p, &err) == 0 && p.x.lo < 1 && p.x.lo > 0.9 && p.y.hi > 10 && p.y.hi < 11, "all values are in sight, with air");
    p.y = (qs_axis){NAN, NAN, true};
    ok(qs_plot_fit(&p, &err) == 0 && p.y.lo > 0 && p.y.hi > 10, "a log axis leaves the 0 out");
    s.y = huge;
    p.y = (qs_axis){NAN, NAN, false};
    ok(qs_plot_fit(&p, &err) == 0 && isfinite(p.y.hi - p.y.lo), "a range whose width is finite");
    s.y = flat;
    p.y = (qs_axis){NAN, NAN, false};
    ok(qs_plot_fit(&p, &err) == 0 && p.y.lo < 5 && p.y.hi > 5, "a constant stands in the middle");
    p.y = (qs_axis){0, NAN, true};
    ok(qs_plot_fit(&p, &err) == -QS_ERANGE && strstr(err.msg, "both ends above 0"), "a log axis from 0 is none");
    p.nseries = 0;
    p.x = p.y = (qs_axis){NAN, NAN, false};
    ok(qs_plot_fit(&p, &err) == 0 && qs_axis_ok(&p.x), "no series: axes all the same");
    qs_axis wide = {1e-300, 1e300, true};
    near(qs_axis_at(&wide, 1), 0.5, 1e-9, "600 decades: the middle");
}

static void colors(void)
{
    bool apart = true;
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < i; k++) apart &= qs_color_of(QS_ROLE_RUN0 + i).paper != qs_color_of(QS_ROLE_RUN0 + k).paper;
    ok(apart, "eight runs, eight colours");
    ok(qs_color_of(qs_init_role("lsq")).paper == 0xE69F00 && qs_color_of(qs_init_role("lsq")).fg == 214, "lsq is orange on paper and screen");
    ok(qs_color_heat(0) == qs_color_of(QS_ROLE_HEAT0).paper && qs_color_heat(1) == qs_color_of(QS_ROLE_HEAT0 + 9).paper, "the ends of heat");
    ok(qs_color_heat(NAN) == qs_color_heat(0) && qs_color_xterm(16) == 0 && qs_color_xterm(231) == 0xFFFFFF && qs_color_xterm(244) == 0x808080,
       "xterm's cube and grays");
}

static void pages(void)
{
    qs_err err;
    double bars[] = {1, 3, 2};
    qs_series s = {.kind = QS_PLOT_BARS, .y = bars, .n = 3, .role = QS_ROLE_BARS, .label = "a & b"};
    qs_plot p = {.x = {0, 3, false}, .y = {0, 4, false}, .series = &s, .nseries = 1, .title = "left"}, q = p;
    char *path = path_of(".svg");
    q.title = "right";
    ok(qs_paper_new("a.gif", NULL, &err) == NULL && err.code == QS_EARG && strstr(err.msg, qs_paper_endings), "an ending that is none");
    ok(qs_paper_new("a.svg", &(qs_paper_opts){.width = NAN}, &err) == NULL && err.code == QS_EARG, "a width that is no number");
    qs_paper *pp = qs_paper_new(path, NULL, &err);
    qs_paper_plot(pp, &p, 0, 0, 0.5, 1);
    qs_paper_plot(pp, &q, 0.5, 0, 0.5, 1);
    ok(qs_paper_close(pp, &err) == 0, "two plots on a page");
    char *svg = read_file(path);
    ok(svg && strstr(svg, "<title>left</title>") && strstr(svg, "\nright") && strstr(svg, "a &amp; b"), "their words are there as text");
    free(svg);
    qs_cells g;
    qs_cells_init(&g, 3, 10);
    qs_cells_text(&g, 0, 0, 10, "⣿▃日x", QS_ROLE_TITLE, QS_BOLD);
    qs_cells_mark(&g, (qs_rect){0, 0, 1, 10}, QS_SELECTED | QS_REVERSE | QS_UNDER);
    pp = qs_paper_new(path, &(qs_paper_opts){.fresh = false}, &err);
    qs_paper_cells(pp, &g, (qs_rect){0, 0, 30, 100});
    ok(qs_paper_close(pp, &err) == 0, "cells, also beyond the grid");
    qs_cells_free(&g);
    unlink(path);
    free(path);
}

/* Names at the ends of lines: in places of their own, the bold one first; what has no place is left out. */
static void ends(void)
{
    enum { N = 40 };
    qs_err err;
    double x[] = {1, 2}, y[] = {5, 5};
    char name[N][16];
    qs_series s[N];
    for (int i = 0; i < N; i++) {
        snprintf(name[i], sizeof name[i], "line %d", i);
        s[i] = (qs_series){.kind = QS_PLOT_LINE, .x = x, .y = y, .n = 2, .role = QS_ROLE_RUN0, .end = name[i]};
    }
    s[N - 1].attr = QS_BOLD;
    qs_plot p = {.x = {1, 2, false}, .y = {0, 10, false}, .series = s, .nseries = N};
    char *path = path_of("-ends.svg");
    ok(qs_plot_save(&p, path, NULL, &err) == 0, "lines that end in one place");
    char *svg = read_file(path), *words = svg ? strstr(svg, "<desc>") : NULL;
    int seen = 0;
    for (const char *w = words; w && (w = strstr(w, "line ")); w++) seen++;
    ok(words && strstr(words, "line 39") && strstr(words, "line 0") && seen >= 5 && seen < N, "have their names beside it, as far as these fit");
    free(svg);
    unlink(path);
    free(path);
}

static void ticks(void)
{
    double x[] = {2, 3, 4}, v[32];
    qs_series s = {.kind = QS_PLOT_LINE, .x = x, .y = x, .n = 3};
    qs_plot p = {.x = {1.96, 4.04, false}, .y = {0, 1, false}, .series = &s, .nseries = 1};
    ok(qs_plot_x_ticks(&p, 8, v) == 3 && v[0] == 2 && v[2] == 4, "whole numbers: no ticks between them");
    ok(qs_plot_x_ticks(&p, 2, v) < 3, "fewer where there is less room");
    x[1] = 2.5;
    ok(qs_plot_x_ticks(&p, 8, v) == 5 && v[1] == 2.5, "others: as the axis has them");
}

static void cells(void)
{
    qs_cells g;
    qs_cells_init(&g, 3, 12);
    qs_cells_text(&g, 0, 0, 12, "plain", QS_ROLE_TEXT, 0);
    qs_cells_text(&g, 1, 1, 12, "日<&>", QS_ROLE_INIT0, QS_BOLD);
    qs_cells_put(&g, 2, 11, L' ', QS_ROLE_HEAT0, 0);
    char *t = qs_cells_text_of(&g, (qs_rect){0, 0, 3, 12}), *a = qs_cells_ansi(&g, (qs_rect){0, 0, 3, 12});
    char *s = qs_cells_svg(&g, (qs_rect){1, 0, 9, 99}), *none = qs_cells_ansi(&g, (qs_rect){5, 5, 2, 2});
    ok(!strcmp(t, "plain\n 日<&>\n\n"), "cells as text");
    ok(!strcmp(a, "plain\n \033[0;1;38;5;114m日<&>\033[0m\n           \033[0;38;5;231;48;5;124m \033[0m\n"), "with a terminal's colours");
    ok(strstr(s, "font-weight=\"bold\" x=\"9 27 36 45\">日&lt;&amp;&gt;</text>") && strstr(s, "fill=\"#87d787\""), "as SVG, each letter at its place");
    ok(strstr(s, "<rect x=\"99\" y=\"18\" width=\"9\" height=\"18\" fill=\"#af0000\"/>") && !strstr(s, "plain"), "its ground; only the part");
    ok(!*none, "nothing outside the grid");
    free(t);
    free(a);
    free(s);
    free(none);
    qs_cells_free(&g);
}

int main(void)
{
    setlocale(LC_ALL, "C.UTF-8");
    cells();
    files();
    ranges();
    colors();
    pages();
    ends();
    ticks();
    return done();
}
