/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_ONNX_H
#define QS_MODEL_ONNX_H
/* What the files of the ONNX reader share. */
#include "base/mem.h"
#include "model/onnx.pb-c.h"
#include "model/reader.h"

typedef enum qs_onnx_message {
    QS_ONNX_MODEL, QS_ONNX_GRAPH, QS_ONNX_NODE, QS_ONNX_ATTRIBUTE, QS_ONNX_TENSOR, QS_ONNX_SPARSE, QS_ONNX_ENTRY,
    QS_ONNX_FUNCTION, QS_ONNX_MESSAGES
} qs_onnx_message;

/*
 * Reads only the structure of a message: appends to out the same message without the fields that onnx.proto does
 * not have, and with a Span in place of raw_data and of packed floats and doubles. Weights are not touched.
 * EFORMAT where the wire format is damaged or nests deeper than any model. Cost: the bytes that are not weights.
 */
int qs_onnx_skim(const qs_blob *b, qs_onnx_message kind, qs_str *out, qs_err *err);

/* Do the first bytes walk as fields of that message, up to one that only it has? */
bool qs_onnx_looks_like(qs_onnx_message kind, const unsigned char *head, size_t n, size_t size);

/* External files that were mapped for a model; zero-initialize, clear when done (tensors keep what they need). */
typedef struct qs_onnx_files { qs_blob **blob; char **location; size_t n; } qs_onnx_files;
void qs_onnx_files_clear(qs_onnx_files *f);

/* A tensor from its proto. path: of the model, for external data. NULL: err says why, without the tensor's name. */
qs_tensor *qs_onnx_tensor(const char *name, const Onnx__TensorProto *p, qs_blob *model, const char *path,
                          qs_onnx_files *files, qs_err *err);

#endif
