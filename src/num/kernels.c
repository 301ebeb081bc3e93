/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which kernels this machine runs, decided once. AVX-512 has twins only of the
 * kernels where they were measured to pay; the others are AVX2's.
 */
#include "num/kernels.h"

#if HAVE_AVX2
#include <cpuid.h>
#endif
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One table an instruction set: the list, with designated fields. */
#define QS_KERNEL(isa, name) ROW_##isa(name)
#define ROW_scalar(name) .name = qs_##name##__scalar,
#define ROW_avx2(name)
#define ROW_avx512(name)
static const qs_kernels scalar = {.isa = "scalar",
#include "num/kernels.def"
};
#undef ROW_scalar
#undef ROW_avx2
#undef ROW_avx512

#if HAVE_AVX2
#define ROW_scalar(name)
#define ROW_avx2(name) .name = qs_##name##__avx2,
#define ROW_avx512(name)
static const qs_kernels avx2 = {.isa = "avx2",
#include "num/kernels.def"
};
#undef ROW_scalar
#undef ROW_avx2
#undef ROW_avx512
#endif

#if HAVE_AVX512
static qs_kernels avx512;

static void fill_avx512(void)
{
    avx512 = avx2;
    avx512.isa = "avx512";
#define ROW_scalar(name)
#define ROW_avx2(name)
#define ROW_avx512(name) avx512.name = qs_##name##__avx512;
#include "num/kernels.def"
    if (!__builtin_cpu_supports("avx512vnni")) avx512.convbyte = NULL;
}
#endif
#undef QS_KERNEL

static const qs_kernels *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const qs_kernels *find(const char *isa)
{
#if HAVE_AVX512
    if (!strcmp(isa, "avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &avx512;
#endif
#if HAVE_AVX2
    unsigned a, b, c = 0, d; /* of the halves clang does not know a name */
    if (!strcmp(isa, "avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C)
        return &avx2;
#endif
    return strcmp(isa, "scalar") ? NULL : &scalar;
}

/* A name that is unknown, or that this machine cannot run, counts as not given. */
static void choose(void)
{
    static const char *const best[] = {"avx512", "avx2", "scalar"};
    const char *want = getenv("QUANTSCOPE_ISA");
#if HAVE_AVX512
    fill_avx512();
#endif
    if (want) chosen = find(want);
    for (int i = 0; !chosen; i++) chosen = find(best[i]);
}

const qs_kernels *qs_num_isa(const char *isa)
{
    pthread_once(&once, choose);
    return find(isa);
}

const qs_kernels *qs_num(void)
{
    pthread_once(&once, choose);
    return chosen;
}
