/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_ENGINE_QUANTIZE_H
#define QS_ENGINE_QUANTIZE_H
/*
 * Whole models through one format and one initialization: written as a quantized file (quantize.c), or as the list of
 * steps other trainers start from (steps.c). One tensor is worked on at a time, so memory is bounded by the largest
 * tensor: its index, its quantized values, its codes (about 20 bytes a value).
 */
#include <stdio.h>

#include "model/model.h"
#include "quant/init.h"

typedef struct qs_quantize_opts {
    const qs_format *format;
    const char *init;            /* may carry ":variant" */
    qs_tensor *const *tensor;    /* (n) of the model: those to quantize. All others are copied */
    size_t n;
    const qs_model *importance;  /* weights of the squared error (model/importance.h), or NULL; a tensor it does not have: all 1 */
    bool codes;                  /* codes and scales in place of quantized floats */
} qs_quantize_opts;

/* What became of a tensor of the model. */
typedef struct qs_quantized {
    const qs_tensor *t;
    const qs_quantizer *q;       /* NULL: copied as it is, or left out */
    const char *left_out;        /* why it is not in the file, for people; NULL: it is */
    qs_qerror e;                 /* where q is there */
    double bpw;                  /* bits a weight, scales counted */
} qs_quantized;

/*
 * Writes path (.safetensors). Quantized floats are F32 under the tensor's own name. As codes, NAME becomes
 *     NAME.codes       U8, I8, U16 or I16, the shape of NAME: the integers of int and uint, else numbers of levels
 *     NAME.scale       F32: [] for @tensor; for @channel one a channel, the other axes 1; for @groupN [outputs, groups],
 *                      where outputs are another axis than the first [1, outputs, groups]
 *     NAME.zero_point  I32, shaped as NAME.scale: +zp
 *     NAME.offset      F32, shaped as NAME.scale: +offset
 *     NAME.codebook    F32, the levels in units of the scale: where codes are numbers of levels
 * and its values are scale * (level - zero_point) + offset, each operation rounded to float32; __metadata__ says format,
 * init, model. Tensors in types nobody can read are left out.
 * row: called for each tensor in the order of the model, with what became of it; its err of -QS_E... stops.
 * Errors: as of qs_init_tensor, with the tensor's name; EUNSUP: as codes, an initialization with levels of its own;
 * ECANCEL and every other error leave no file.  Test: tests/cli/quantize.t
 */
int qs_quantize_file(const qs_model *m, const char *path, const qs_quantize_opts *o, const qs_ctl *ctl,
                     int (*row)(void *ctx, const qs_quantized *r, qs_err *err), void *ctx, qs_err *err);

/*
 * The steps of the tensors of o as JSON to f: {"program", "model", "sha256", "format", "init", "tensors": [{"tensor",
 * "shape", "format", "init", "granularity", "axis" | "group", "low", "high" | "codebook", "steps", "offsets",
 * "zero_points", "mse", "sqnr_db", "formula", "source", "note"}]}; man quantscope, STEPS. scripts/load_steps.py reads it.
 * sha256: of the model's file; null where it is no single file.
 */
int qs_steps_write(FILE *f, const qs_model *m, const qs_quantize_opts *o, const qs_ctl *ctl, qs_err *err);

/* ---- shared by the two ---------------------------------------------------------------------------- */
/* Progress over several tensors: poll of `given`, with what is done of all of them. */
typedef struct qs_share {
    const qs_ctl *given;
    double before, now, all;     /* values that are done, of this tensor, of all */
    qs_ctl ctl;                  /* to work with */
} qs_share;
void qs_share_init(qs_share *s, const qs_ctl *given, double all);
void qs_share_next(qs_share *s, double n);

/* The quantizer of one tensor and its error; the index is made once for both. Errors get the tensor's name. */
qs_quantizer *qs_quantize_fit(qs_tensor *t, const qs_quantize_opts *o, const qs_ctl *ctl, qs_qerror *e, qs_err *err);

#endif
