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

/*
 * Or walked from its beginning to its end, where what is to come is known: nothing is built, which is ten times as quick.
 * Each function takes the next thing, blanks before it skipped. As strict as the other, but for keys that come twice,
 * which the caller sees.  Test: t_safetensors
 *
 *     for (size_t i = 0; (more = qs_json_more(&w, '}', i, err)) > 0; i++) { key = qs_json_key(&w, err); ... }
 */
typedef struct qs_json_walk {
    const char *what;          /* for messages: "header" */
    const unsigned char *p;    /* (n) the text; borrowed */
    size_t n, at;
    char *strings;             /* (n + 1) those taken so far, one after the other: each is shorter than its text */
    size_t used;
} qs_json_walk;

/* ENOMEM. The strings live until the end of the walk. */
int qs_json_begin(qs_json_walk *w, const char *what, const unsigned char *p, size_t n, qs_err *err);
void qs_json_end(qs_json_walk *w);
/* The next character; 0: the text is over. */
unsigned char qs_json_peek(qs_json_walk *w);
/* Takes c if it comes next: '{', '['. */
bool qs_json_take(qs_json_walk *w, char c);
/* After i elements of what `close` ends: 1: another one comes; 0: closed. EFORMAT. */
int qs_json_more(qs_json_walk *w, char close, size_t i, qs_err *err);
/* UTF-8 without NUL. NULL: EFORMAT. */
const char *qs_json_string(qs_json_walk *w, qs_err *err);
/* A string and the colon behind it. */
const char *qs_json_key(qs_json_walk *w, qs_err *err);
/* 1: a whole number of 0 or more; 0: something else comes. EFORMAT: a number beyond 63 bits. */
int qs_json_whole(qs_json_walk *w, int64_t *out, qs_err *err);
/* EFORMAT: something comes after what was taken. */
int qs_json_over(qs_json_walk *w, qs_err *err);

#endif
