/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_TAP_H
#define QS_TESTS_TAP_H
/*
 * The Test Anything Protocol on one page. A check goes on after a failure; done() gives the exit code.
 *     ok(condition, "what, as printf")
 *     near(got, want, relative tolerance, "what")      same(got text, want text, "what")
 */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_n, tap_bad;

/* A sanitized build asks whether memory and threads are used well; that the numbers are right everywhere is the plain
 * build's to say. There, tests may leave out more of the same. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define TAP_SANITIZED true
#else
#define TAP_SANITIZED false
#endif

/* The thread sanitizer makes arithmetic thirty times slower: there, tests may leave out what has one thread. */
#ifdef __SANITIZE_THREAD__
#define TAP_THREADS_ONLY true
#else
#define TAP_THREADS_ONLY false
#endif

__attribute__((format(printf, 4, 5), unused))
static bool tap_say(bool c, const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_bad += !c;
    printf("%sok %d - ", c ? "" : "not ", ++tap_n);
    vprintf(fmt, ap);
    putchar('\n');
    if (!c) printf("# at %s:%d\n", file, line);
    fflush(stdout);
    va_end(ap);
    return c;
}

__attribute__((unused)) static void tap_numbers(bool c, double got, double want)
{
    if (!c) printf("# got %.17g, want %.17g\n", got, want);
}

__attribute__((unused)) static void tap_texts(bool c, const char *got, const char *want)
{
    if (!c) printf("# got \"%s\", want \"%s\"\n", got ? got : "(null)", want);
}

#define ok(c, ...) tap_say(!!(c), __FILE__, __LINE__, __VA_ARGS__)
#define near(got, want, rel, ...) do { double tap_g = (got), tap_w = (want); \
    tap_numbers(tap_say(fabs(tap_g - tap_w) <= (rel) * fabs(tap_w) + 1e-300, __FILE__, __LINE__, __VA_ARGS__), tap_g, tap_w); } while (0)
#define same(got, want, ...) do { const char *tap_g = (got), *tap_w = (want); \
    tap_texts(tap_say(tap_g && !strcmp(tap_g, tap_w), __FILE__, __LINE__, __VA_ARGS__), tap_g, tap_w); } while (0)
#define done() (printf("1..%d\n", tap_n), tap_bad != 0)

#endif
