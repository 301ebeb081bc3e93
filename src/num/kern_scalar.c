/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scalar reference: defines what every kernel gives, bit for bit. It knows
 * nothing of instruction sets; speed is the business of its twins.
 */
#include "num/lanes.h"

void qs_pass1__scalar(const float *x, size_t n, qs_pass1 *out)
{
    qs_lanes1 a = {.min = INFINITY, .max = -INFINITY};
    for (size_t i = 0; i < n; i++) qs_lanes1_add(&a, x[i], i);
    qs_lanes1_end(&a, out);
}

void qs_pass2__scalar(const float *x, size_t n, double mean, qs_pass2 *out)
{
    qs_lanes2 a = {.m2 = {0}};
    for (size_t i = 0; i < n; i++) qs_lanes2_add(&a, x[i], i, mean);
    qs_lanes2_end(&a, out);
}

void qs_f16__scalar(const uint16_t *x, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = qs_f16_float(x[i]);
}

void qs_bf16__scalar(const uint16_t *x, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = qs_bf16_float(x[i]);
}

void qs_u8__scalar(const uint8_t *x, size_t n, float a, float b, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)x[i] * a + b;
}

void qs_fq__scalar(const float *x, size_t n, const qs_fq *q, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = qs_fq_one(x[i], q);
}

void qs_fqcode__scalar(const float *x, size_t n, const qs_fq *q, int32_t *code)
{
    for (size_t i = 0; i < n; i++) code[i] = qs_fqcode_one(x[i], q);
}

bool qs_fqbyte__scalar(const float *x, size_t n, const qs_fq *q, uint8_t *code)
{
    bool numbers = true;
    for (size_t i = 0; i < n; i++) {
        code[i] = (uint8_t)qs_fqcode_one(x[i], q);
        numbers &= x[i] == x[i];
    }
    return numbers;
}

void qs_fqbook__scalar(const float *x, size_t n, const qs_fqbook *q, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = qs_fqbook_one(x[i], q);
}

void qs_fqbookcode__scalar(const float *x, size_t n, const qs_fqbook *q, int32_t *code)
{
    for (size_t i = 0; i < n; i++) code[i] = qs_fqbookcode_one(x[i], q);
}

void qs_fqgrad__scalar(const float *x, size_t n, const qs_fq *q, const qs_fqrule *r, float *g, qs_fqsums *out)
{
    qs_lanesg a = {.step = {0}};
    for (size_t i = 0; i < n; i++) qs_fqgrad_one(x[i], q, &g[i], i, r, &a);
    qs_lanesg_end(&a, out);
}

void qs_fqbookgrad__scalar(const float *x, size_t n, const qs_fqbook *q, const qs_fqrule *r, float *g, qs_fqsums *out)
{
    qs_lanesg a = {.step = {0}};
    for (size_t i = 0; i < n; i++) qs_fqbookgrad_one(x[i], q, &g[i], i, r, &a);
    qs_lanesg_end(&a, out);
}

void qs_diff__scalar(const float *x, const float *y, size_t n, qs_diff *out)
{
    qs_lanesd a = {.sq = {0}};
    for (size_t i = 0; i < n; i++) qs_lanesd_add(&a, x[i], y[i], i);
    qs_lanesd_end(&a, out);
}

void qs_block16__scalar(const float *x, size_t blocks, double *sum)
{
    for (size_t k = 0; k < blocks; k++, x += 16) {
        double l[8], q[8];
        for (int j = 0; j < 8; j++) {
            double a = x[j], b = x[j + 8];
            l[j] = a + b;
            q[j] = a * a + b * b;   /* both products are exact */
        }
        sum[2 * k] = qs_lanes_fold(l);
        sum[2 * k + 1] = qs_lanes_fold(q);
    }
}

static int32_t byte_sum(const uint8_t *x, const int8_t *w, const qs_bytes *s)
{
    int32_t sum = 0;
    for (size_t row = 0; row < s->rows; row++)
        for (size_t i = 0; i < s->run; i++) sum += x[row * s->pitch + i] * w[(row * s->run + i) / 4 * 4 * s->out + i % 4];
    return sum;
}

void qs_convbyte__scalar(const uint8_t *x, const int8_t *w, const qs_bytes *s, float *y)
{
    for (size_t i = 0; i < s->oh * s->ow; i++)
        for (size_t o = 0; o < s->out; o++, y++) {
            *y = (float)byte_sum(x + i / s->ow * s->down + i % s->ow * s->along, w + 4 * o, s) * s->factor[o];
            if (s->bias) *y += s->bias[o];
        }
}
