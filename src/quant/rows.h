/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_QUANT_ROWS_H
#define QS_QUANT_ROWS_H
/*
 * What init.c's table and the strategies share. Private to quant.
 */
#include "quant/init.h"

/* ---- the strategies: init_stat.c, init_mse.c, init_lp.c, lloyd.c --------------------------------- */
typedef int qs_fit_fn(const qs_init_in *in, qs_init_out *out, qs_err *err);
qs_fit_fn qs_fit_minmax, qs_fit_percentile, qs_fit_lsq, qs_fit_lsqp, qs_fit_aciq_gauss, qs_fit_aciq_laplace,
    qs_fit_aciq,
    qs_fit_ggml, qs_fit_ocp, qs_fit_octav, qs_fit_sawb, qs_fit_kl, qs_fit_apot, qs_fit_pact, qs_fit_mse, qs_fit_lp, qs_fit_lloyd,
    qs_fit_network;
int qs_applies_sawb(const qs_format *f, qs_role role, qs_err *err);
int qs_applies_apot(const qs_format *f, qs_role role, qs_err *err);
int qs_applies_lloyd(const qs_format *f, qs_role role, qs_err *err);
int qs_applies_ggml(const qs_format *f, qs_role role, qs_err *err);
int qs_applies_ocp(const qs_format *f, qs_role role, qs_err *err);
/* init_scale.c: step and offset of out to what the format's scales can keep. */
void qs_init_keep(const qs_init *row, const qs_init_in *in, qs_init_out *out);

/* Clip multiples by the equations of ACIQ: gauss alpha/sigma, laplace alpha/b, for so many bits (one-sided: 1 more). */
double qs_aciq_gauss(int bits);
double qs_aciq_laplace(int bits);
/* OCTAV's fixed point: the clip, or 0 where it does not exist. */
double qs_octav_clip(const qs_index *ix, int bits, bool is_signed);
/* The optimal k levels of an index into c (room for k), ascending; returns how many (fewer where there are fewer
 * distinct values), *mse their mean squared error, *merged: entries there were before merging, or 0. 0 on ECANCEL. */
size_t qs_lloyd(const qs_index *ix, size_t k, const qs_ctl *ctl, double *c, double *mse, size_t *merged, qs_err *err);

/* ---- init.c -------------------------------------------------------------------------------- */
/* The row of a name; its variant (behind ":") into variant. NULL with EARG. */
const qs_init *qs_init_find(const char *name, char variant[32], qs_err *err);
/* Behind what is in out->note. */
__attribute__((format(printf, 2, 3))) void qs_init_note(qs_init_out *out, const char *fmt, ...);
/* The unit of all steps of a tensor (quantizer.h): one read of it where the format asks. */
int qs_init_unit(const qs_format *f, const qs_tensor *t, const qs_ctl *ctl, double *unit, qs_err *err);
/* The values of a part in order, for rows that ask (QS_INIT_VALUES), malloc'd; else NULL. */
float *qs_init_values(const qs_init *row, const qs_tensor *t, const qs_split *s, size_t part);
/* One part by a row: runs it, mends what is degenerate, keeps what scale= can keep, adds diagnoses. */
int qs_init_part(const qs_init *row, const qs_init_in *in, qs_init_out *out, qs_err *err);
/* The index of a part, from the cache where that pays; weights: as in qs_init_opts. */
qs_index *qs_init_part_index(qs_tensor *t, const qs_split *s, size_t part, const qs_tensor *weights, qs_cache *cache,
                             const qs_ctl *ctl, qs_err *err);
int qs_init_check_opts(const qs_tensor *t, const qs_init_opts *o, qs_err *err);

#endif
