/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_TESTS_FUZZ_H
#define QS_TESTS_FUZZ_H
/*
 * What reads bytes from outside, each as one function of the bytes. A target returns NULL where all is as it should be,
 * also where the bytes are refused, else what is wrong (static). *opened: they were accepted.
 *
 * libfuzzer.c hands them to libFuzzer (make fuzz), tests/unit/t_fuzz.c replays the corpora (scripts/check).
 * To add a target: a function and a row in the table of targets.c, small valid files in corpus/NAME.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_target {
    const char *name;      /* its corpus is tests/fuzz/corpus/NAME */
    const char *(*run)(const struct fuzz_target *t, const uint8_t *data, size_t size, bool *opened);
} fuzz_target;

extern const fuzz_target fuzz_targets[];   /* a name of NULL ends it */

/* A copy of size bytes with nothing behind them that may be read, so that the address sanitizer sees who does. */
uint8_t *fuzz_copy(const uint8_t *data, size_t size);

#endif
