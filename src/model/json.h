/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_MODEL_JSON_H
#define QS_MODEL_JSON_H
/* JSON in model files, bounded: for safetensors.c and folder.c. */
#include <jansson.h>

#include "model/reader.h"

#define QS_JSON_MAX 100000000u   /* bytes: what safetensors allows a header */
#define QS_JSON_COMMAS 10000000u /* more than any header of that size needs; every value takes 40 bytes of memory */

/* An object without duplicate keys, or NULL: EFORMAT with what is wrong and where, after `what` ("header"). */
json_t *qs_json_object(const char *what, const unsigned char *p, size_t n, qs_err *err);

#endif
