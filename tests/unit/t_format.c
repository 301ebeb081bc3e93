/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "quant/book.h"
#include "../tap.h"

static const char *const bases[] = {
    "int2", "int3", "int4", "int5", "int6", "int7", "int8", "int16",
    "uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7", "uint8", "uint16",
    "pot2", "pot3", "pot4", "pot5", "pot6", "pot7", "pot8", "apot2", "apot3", "apot4", "apot5", "apot6", "apot7",
    "uapot2", "uapot3", "uapot4", "uapot5", "uapot6", "nf4", "fp4", "fp8e4m3", "fp8e5m2",
    "codebook(-1;0;1)", "codebook(0.25)", "codebook(-0.3;1e-20;3.4e+38)", "codebook(1;2;3)",
};
static const char *const flags[] = {"", ":narrow", ":away", ":flip", ":narrow:away", ":narrow:flip", ":away:flip",
                                    ":narrow:away:flip"};
static const char *const scales[] = {"", ":scale=f16", ":scale=e8m0", ":scale=e4m3"};
static const char *const offsets[] = {"", "+offset", "+zp"};
static const char *const grans[] = {"", "@channel", "@channel0", "@channel3", "@group1", "@group32"};

static bool ascending(const qs_format *f)
{
    for (size_t k = 0; k + 1 < f->n; k++)
        if (!(f->c[k] < f->c[k + 1]) || f->t[k] < f->c[k] || f->t[k] > f->c[k + 1]) return false;
    return true;
}

/* Every combination prints back as itself and reads back as the same levels. */
static void round_trips(void)
{
    int tried = 0, bad = 0;
    char text[200];
    for (size_t b = 0; b < sizeof bases / sizeof *bases; b++)
        for (size_t i = 0; i < 8; i++)
            for (size_t o = 0; o < 3; o++)
                for (size_t g = 0; g < 6 * 4; g++) {
                    size_t scale = g / 6;
                    bool kept = !scale || (g % 6 >= 4 && (o != 1 || scale == 1));
                    bool narrow = strstr(flags[i], "narrow"), integer = !strncmp(bases[b], "int", 3);
                    if (!strcmp(bases[b] + (integer ? 3 : 0), "16") && i + o + g > 2) continue;   /* large and alike */
                    if (scale > 1 && i % 3) continue;
                    if (strstr(bases[b], "16") && (i > 1 || o > 0 || g > 1)) continue;
                    snprintf(text, sizeof text, "%s%s%s%s%s", bases[b], flags[i], scales[scale], offsets[o], grans[g % 6]);
                    qs_err e = {0};
                    qs_format *f = qs_format_parse(text, &e);
                    tried++;
                    if ((narrow && !integer) || !kept) {
                        bad += f != NULL || e.code != QS_EFORMAT;
                        qs_format_free(f);
                        continue;
                    }
                    char *back = f ? qs_format_print(f) : NULL;
                    qs_format *h = back ? qs_format_parse(back, &e) : NULL;
                    bool good = h && !strcmp(back, text) && ascending(f) && f->n == h->n && f->bits == h->bits &&
                                !memcmp(f->c, h->c, f->n * sizeof *f->c) && f->narrow == h->narrow &&
                                    f->away == h->away &&
                                f->flip == h->flip && f->scale == h->scale && f->scale == (qs_scale)scale && f->offset == h->offset && f->gran == h->gran &&
                                    f->axis == h->axis &&
                                f->group == h->group && !strcmp(f->text, h->text);
                    if (!good) printf("# %s -> %s (%s)\n", text, back ? back : "-", e.msg);
                    bad += !good;
                    free(back);
                    qs_format_free(f);
                    qs_format_free(h);
                }
    ok(tried > 3000 && bad == 0, "parse(print(f)) is f for %d formats", tried);
}

static void canonical(void)
{
    static const struct { const char *in, *out; } t[] = {
        {"int4@tensor", "int4"},
        {"int4:flip:away:narrow+zp@group32", "int4:narrow:away:flip+zp@group32"},
        {"codebook(1;-1;0;-0;1)", "codebook(-1;0;1)"},
        {"int4:scale=f16:flip@group32", "int4:flip:scale=f16@group32"},
        {"q4_0", "int4:flip:scale=f16@group32"}, {"q4_1", "uint4:scale=f16+offset@group32"},
        {"q5_0", "int5:flip:scale=f16@group32"}, {"q5_1", "uint5:scale=f16+offset@group32"},
        {"q8_0", "int8:scale=f16@group32"}, {"mxfp4", "fp4:scale=e8m0@group32"}, {"nvfp4", "fp4:scale=e4m3@group16"},
        {"codebook(0.10000000149;1e3;-2.50)", "codebook(-2.5;0.1;1000)"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_format *f = qs_format_parse(t[i].in, NULL);
        char *s = f ? qs_format_print(f) : NULL;
        same(s, t[i].out, "%s is written %s", t[i].in, t[i].out);
        free(s);
        qs_format_free(f);
    }
    same(qs_format_name("fp4:scale=e4m3@group16"), "nvfp4", "tables say the name of a block format");
    same(qs_format_name("int4@group32"), "int4@group32", "and of others the text");
}

static void refused(void)
{
    static const struct { const char *text; int code; const char *says; } t[] = {
        {"", QS_EFORMAT, "character 1: expected intB"},
        {"int", QS_EFORMAT, "character 4: expected a number of bits"},
        {"int9", QS_EFORMAT, "B = 2..8, 16, not for \"9\""},
        {"int1", QS_EFORMAT, "B = 2..8, 16"},
        {"int04", QS_EFORMAT, "\"04\""},
        {"int99999999999999999999999", QS_EFORMAT, "intB exists"},
        {"INT4", QS_EFORMAT, "expected intB"},
        {" int4", QS_EFORMAT, "character 1"},
        {"int4 ", QS_EFORMAT, "character 5: expected \":\", \"+\", \"@\" or the end"},
        {"int4x", QS_EFORMAT, "character 5"},
        {"int4:", QS_EFORMAT, "expected a flag: narrow, away, flip"},
        {"int4:narrow:narrow", QS_EFORMAT, "twice"},
        {"int4:narrowly", QS_EFORMAT, "expected a flag"},
        {"uint4:narrow", QS_EFORMAT, "is for intB"},
        {"nf4:narrow", QS_EFORMAT, "is for intB"},
        {"int4:scale=f16", QS_EFORMAT, "character 15: scale=f16 is for groups"},
        {"int4:scale=e8m0@channel", QS_EFORMAT, "expected @groupN"},
        {"int4:scale=f32@group32", QS_EFORMAT, "character 12: expected f16, e8m0 or e4m3"},
        {"int4:scale=@group32", QS_EFORMAT, "expected f16, e8m0 or e4m3"},
        {"int4:scale", QS_EFORMAT, "expected a flag"},
        {"int4:scale=f16:scale=f16@group32", QS_EFORMAT, "\"scale\" is given twice"},
        {"fp4:scale=e8m0+offset@group32", QS_EFORMAT, "expected +zp or none"},
        {"q4_0@channel", QS_EFORMAT, "q4_0, q4_1"},
        {"q4_2", QS_EFORMAT, "q4_0, q4_1"},
        {"int4+", QS_EFORMAT, "expected \"offset\" or \"zp\""},
        {"int4+offsets", QS_EFORMAT, "expected \"offset\" or \"zp\""},
        {"int4+zp+zp", QS_EFORMAT, "expected \"@\" or the end"},
        {"int4+zp:flip", QS_EFORMAT, "expected \"@\" or the end"},
        {"int4@", QS_EFORMAT, "expected tensor, channel"},
        {"int4@tensor2", QS_EFORMAT, "expected the end"},
        {"int4@channel8", QS_EFORMAT, "axis 0..7"},
        {"int4@channelx", QS_EFORMAT, "axis 0..7"},
        {"int4@group", QS_EFORMAT, "@group32"},
        {"int4@group0", QS_EFORMAT, "@group32"},
        {"int4@group032", QS_EFORMAT, "@group32"},
        {"int4@group99999999999999999999", QS_EFORMAT, "@group32"},
        {"int4@group32@channel", QS_EFORMAT, "expected the end"},
        {"apot1", QS_EUNSUP, "B = 2..7"},
        {"apot8", QS_EUNSUP, "B = 2..7"},
        {"uapot7", QS_EUNSUP, "B = 2..6"},
        {"pot1", QS_EUNSUP, "B = 2..8"},
        {"nf5", QS_EFORMAT, "expected intB"},
        {"fp8", QS_EFORMAT, "fp8e4m3"},
        {"codebook", QS_EFORMAT, "character 9: expected \"(\""},
        {"codebook()", QS_EFORMAT, "character 10: expected a number"},
        {"codebook(1;)", QS_EFORMAT, "character 12: expected a number"},
        {"codebook(1,2)", QS_EFORMAT, "expected \";\" or \")\""},
        {"codebook(1", QS_EFORMAT, "expected \";\" or \")\""},
        {"codebook(nan)", QS_EFORMAT, "expected a number"},
        {"codebook(inf)", QS_EFORMAT, "expected a number"},
        {"codebook(0x10)", QS_EFORMAT, "expected"},
        {"codebook(1e39)", QS_EFORMAT, "beyond float32"},
        {"codebook(1 ;2)", QS_EFORMAT, "expected \";\""},
        {"int4\n:narrow", QS_EFORMAT, "int4?"},
        {"\xff\xfe", QS_EFORMAT, "\"??\""},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        qs_err e = {0};
        qs_format *f = qs_format_parse(t[i].text, &e);
        bool good = !f && e.code == t[i].code && strstr(e.msg, t[i].says) && !strchr(e.msg, '\n');
        if (!good) printf("# %s\n", e.msg);
        ok(good, "refused %zu: %s", i, t[i].says);
        qs_format_free(f);
    }
    char *big = qs_xmalloc(70000 * 6 + 20);
    strcpy(big, "codebook(0");
    size_t at = strlen(big);
    for (int i = 1; i < 66000; i++) at += (size_t)sprintf(big + at, ";%d", i);
    strcpy(big + at, ")");
    qs_err e = {0};
    ok(!qs_format_parse(big, &e) && strstr(e.msg, "more than 65536"), "a codebook has an end");
    free(big);
}

static void levels_are(const char *text, size_t n, const double *want, double tol)
{
    qs_format *f = qs_format_parse(text, NULL);
    double worst = 0;
    for (size_t k = 0; f && f->n == n && k < n; k++) worst = fmax(worst, fabs(f->c[k] - want[k]));
    ok(f && f->n == n && worst <= tol, "levels of %s", text);
    qs_format_free(f);
}

/* METHODS 4, 7, 11.5 to 11.7. */
static void published_levels(void)
{
    levels_are("int2", 4, (double[]){-2, -1, 0, 1}, 0);
    levels_are("int2:narrow", 3, (double[]){-1, 0, 1}, 0);
    levels_are("uint2", 4, (double[]){0, 1, 2, 3}, 0);
    levels_are("uint1", 2, (double[]){0, 1}, 0);
    levels_are("apot2", 3, (double[]){-1, 0, 1}, 0);
    levels_are("apot3", 7, (double[]){-1, -.5, -.25, 0, .25, .5, 1}, 0);
    levels_are("apot4", 15, (double[]){-1, -.8, -.6, -.4, -.3, -.2, -.1, 0, .1, .2, .3, .4, .6, .8, 1}, 1e-7);
    levels_are("uapot2", 4, (double[]){0, .25, .5, 1}, 0);
    levels_are("uapot3", 8, (double[]){0, .1, .2, .3, .4, .6, .8, 1}, 1e-7);
    double b4[] = {0, 2, 4, 6, 8, 12, 16, 18, 24, 32, 36, 48, 64, 66, 72, 96};
    for (int i = 0; i < 16; i++) b4[i] /= 96;
    levels_are("uapot4", 16, b4, 1e-7);
    double b5[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 17, 20, 21, 24, 28, 32, 34, 36, 38, 48, 52, 64, 65, 68,
                   69, 72, 76, 96, 100};
    for (int i = 0; i < 32; i++) b5[i] /= 100;
    levels_are("uapot5", 32, b5, 1e-7);
    levels_are("pot3", 7, (double[]){-1, -.5, -.25, 0, .25, .5, 1}, 0);
    levels_are("nf4", 16, (double[]){-1, -.6961929, -.5250730, -.3949175, -.2844414, -.1847734, -.0910500, 0, .0795803,
                                     .1609302,
                                     .2461123, .3379152, .4407098, .5626170, .7229567, 1}, 1.2e-7);
    levels_are("fp4", 15, (double[]){-6, -4, -3, -2, -1.5, -1, -.5, 0, .5, 1, 1.5, 2, 3, 4, 6}, 0);

    static const struct { const char *text; size_t n; double cmax, smallest; } sizes[] = {
        {"fp8e4m3", 253, 448, 0x1p-9}, {"fp8e5m2", 247, 57344, 0x1p-16}, {"uapot6", 64, 1, 1. / 512 / .875},
        {"apot7", 127, 1, 1. / 512 / .875}, {"pot4", 15, 1, 1. / 64}, {"pot8", 255, 1, 0x1p-126},
            {"int16", 65536, 32768, 1},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        qs_format *f = qs_format_parse(sizes[i].text, NULL);
        ok(f && f->n == sizes[i].n && f->cmax == sizes[i].cmax &&
           fabs(f->c[f->zero + 1] / sizes[i].smallest - 1) < 1e-6,
           "%s: %zu levels up to %g", sizes[i].text, sizes[i].n, sizes[i].cmax);
        qs_format_free(f);
    }
}

static float nearest(const char *text, float u)
{
    qs_format *f = qs_format_parse(text, NULL);
    float c = f->c[qs_book_rank(f->t, f->up, f->n, u)];
    qs_format_free(f);
    return c;
}

static void ties(void)
{
    ok(nearest("int4", 0.5f) == 0 && nearest("int4", 1.5f) == 2 && nearest("int4", -2.5f) == -2,
       "integers: half to even");
    ok(nearest("int4:away", 0.5f) == 1 && nearest("int4:away", -2.5f) == -3, "away: outward");
    ok(nearest("fp4", 2.5f) == 2 && nearest("fp4", 5) == 4 && nearest("fp4", -3.5f) == -4, "fp4: to the even code");
    ok(nearest("codebook(-1;0;1)", 0.5f) == 0 && nearest("codebook(1;2;3)", 1.5f) == 1 &&
       nearest("codebook(1;2;3)", 2.5f) == 3,
       "even rank is counted from the level nearest zero");
    ok(nearest("codebook(-1;1)", 0) == 1, "of two levels equally near zero, the positive one has rank 0");
    ok(nearest("codebook(1;1.00000012)", 1.00000012f) > 1 && nearest("codebook(1;1.00000012)", 1) == 1,
       "levels that are neighbours in float32 keep themselves");
}

static void sizes(void)
{
    qs_err e = {0};
    qs_format *f = qs_format_parse("int4:narrow+zp@channel", NULL), *g = qs_format_bits(f, 5, &e), *h;
    same(g ? g->text : NULL, "int5:narrow+zp@channel", "one more bit keeps all else");
    qs_format_free(g);
    ok(!qs_format_bits(f, 1, &e) && e.code == QS_ERANGE, "no int1");
    qs_format_free(f);
    f = qs_format_parse("int8", NULL);
    g = qs_format_bits(f, 9, NULL);
    h = g ? qs_format_bits(g, 15, NULL) : NULL;
    ok(g && g->bits == 16 && h && h->bits == 8, "8 and 16 bits are neighbours");
    ok(!qs_format_bits(f, 12, &e) && e.code == QS_ERANGE, "no int12");
    qs_format_free(f), qs_format_free(g), qs_format_free(h);
    f = qs_format_parse("nf4", NULL);
    ok(!qs_format_bits(f, 5, &e) && e.code == QS_ERANGE, "no nf5");
    qs_format_free(f);
    f = qs_format_parse("codebook(-2;-1;0;1;2)", NULL);
    ok(f->bits == 3 && qs_format_bpw(f, NULL) == 3 && f->cmax == 2 && f->zero == 2, "five levels take three bits");
    qs_format_free(f);

    int64_t shape[] = {8, 64};
    float *mem;
    qs_tensor *t = qs_tensor_f32("w", 2, shape, &mem, &e);
    static const struct { const char *text; double want; } bpw[] = {
        {"int4", 4 + 32. / 512}, {"int4@channel", 4 + 8 * 32. / 512}, {"int4@group32", 5}, {"int4+offset@group32", 6},
        {"uint4+zp@group32", 4 + 36. / 32}, {"uint4:scale=f16+zp@group32", 4 + 20. / 32},
        {"q4_0", 4.5}, {"q4_1", 5}, {"q5_0", 5.5}, {"q5_1", 6}, {"q8_0", 8.5}, {"mxfp4", 4.25}, {"nvfp4", 4.5 + 32. / 512},
    };
    for (size_t i = 0; i < sizeof bpw / sizeof *bpw; i++) {
        f = qs_format_parse(bpw[i].text, NULL);
        near(qs_format_bpw(f, t), bpw[i].want, 1e-15, "bits a weight of %s", bpw[i].text);
        qs_format_free(f);
    }
    qs_tensor_unref(t);
    ok(!qs_format_codebook(NULL, 0, &e) && e.code == QS_EARG, "a codebook without levels");
    ok(!qs_format_codebook((double[]){1, NAN}, 2, &e) && e.code == QS_EARG, "a level that is not a number");
    f = qs_format_codebook((double[]){3, -1, 3, 0.5}, 4, &e);
    same(f ? f->text : NULL, "codebook(-1;0.5;3)", "levels of our own are sorted and merged");
    qs_format_free(f);
}

int main(void)
{
    round_trips();
    canonical();
    refused();
    published_levels();
    ties();
    sizes();
    return done();
}
