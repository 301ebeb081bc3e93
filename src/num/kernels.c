/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which kernels this machine runs, decided once. There are no AVX-512 twins:
 * none of the machines this was written on could have tested them.
 */
#include "num/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROW(isa) {#isa, qs_pass1__##isa, qs_pass2__##isa, qs_f16__##isa, qs_bf16__##isa, qs_u8__##isa, qs_fq__##isa, \
                  qs_fqcode__##isa, qs_fqbook__##isa, qs_fqbookcode__##isa, qs_fqgrad__##isa, \
                  qs_fqbookgrad__##isa, qs_diff__##isa, qs_block16__##isa}

static const qs_kernels scalar = ROW(scalar);
#if HAVE_AVX2
static const qs_kernels avx2 = ROW(avx2);
#endif

static const qs_kernels *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

const qs_kernels *qs_num_isa(const char *isa)
{
#if HAVE_AVX2
    if (!strcmp(isa, "avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        return &avx2;
#endif
    return strcmp(isa, "scalar") ? NULL : &scalar;
}

/* A name that is unknown, or that this machine cannot run, counts as not given. */
static void choose(void)
{
    const char *want = getenv("QUANTSCOPE_ISA");
    if (want) chosen = qs_num_isa(want);
    if (!chosen) chosen = qs_num_isa("avx2");
    if (!chosen) chosen = &scalar;
}

const qs_kernels *qs_num(void)
{
    pthread_once(&once, choose);
    return chosen;
}
