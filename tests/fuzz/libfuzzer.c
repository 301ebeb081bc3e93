/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All targets in one program for libFuzzer: FUZZ_TARGET=NAME says which. Built and run by scripts/fuzz. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    const char *name = getenv("FUZZ_TARGET");
    for (target = fuzz_targets; target->name; target++)
        if (name && !strcmp(name, target->name)) return 0;
    fprintf(stderr, "fuzz: FUZZ_TARGET must be one of:");
    for (target = fuzz_targets; target->name; target++) fprintf(stderr, " %s", target->name);
    fprintf(stderr, "\n");
    exit(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool opened = false;
    const char *bad = target->run(target, data, size, &opened);
    if (!bad) return 0;
    fprintf(stderr, "fuzz: %s: %s\n", target->name, bad);
    abort();
}
