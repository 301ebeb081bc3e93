/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Histograms against numpy.histogram (make_numpy.py): every count equal, from the
 * index and straight from the values, also where values lie on edges.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/model.h"
#include "stat/hist.h"
#include "../tap.h"

static char *golden(const char *name)
{
    const char *top = getenv("top_srcdir");
    return qs_xasprintf("%s/tests/oracle/golden/%s", top ? top : ".", name);
}

static bool same_counts(const qs_hist *h, const json_t *row, const char *how)
{
    const json_t *want = json_object_get(row, "count");
    for (size_t i = 0; i < h->bins; i++) {
        json_int_t w = json_integer_value(json_array_get(want, i));
        if ((json_int_t)h->count[i] != w) {
            printf("# %s, bin %zu of %zu: %llu, NumPy %lld\n", how, i, h->bins, (unsigned long long)h->count[i], (long long)w);
            return false;
        }
    }
    return (json_int_t)h->under == json_integer_value(json_object_get(row, "under")) &&
           (json_int_t)h->over == json_integer_value(json_object_get(row, "over")) && h->skipped == 0;
}

static void one(const qs_model *m, const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "data"));
    double lo = json_number_value(json_object_get(row, "lo")), hi = json_number_value(json_object_get(row, "hi"));
    size_t bins = (size_t)json_integer_value(json_object_get(row, "bins"));
    qs_tensor *t = qs_model_find(m, name);
    qs_split whole;
    qs_err err = { 0 };
    qs_hist h;
    if (!ok(t && !qs_split_init(&whole, t, QS_SPLIT_TENSOR, -1, 0, &err), "%s is there", name)) return;
    qs_index *ix = qs_index_of(t, &whole, 0, NULL, NULL, &err);
    ok(ix && !qs_hist_index(ix, lo, hi, bins, false, &h, &err) && same_counts(&h, row, "index"),
       "%s, %zu bins from %g to %g, index", name, bins, lo, hi);
    qs_hist_clear(&h);
    ok(!qs_hist_tensor(t, lo, hi, bins, NULL, &h, &err) && same_counts(&h, row, "values"),
       "%s, %zu bins from %g to %g, values", name, bins, lo, hi);
    qs_hist_clear(&h);
    qs_index_unref(ix);
}

int main(void)
{
    char *data = golden("data.safetensors"), *rows = golden("histograms.json");
    qs_err err = { 0 };
    json_error_t jerr;
    qs_model *m = qs_model_open(data, &err);
    json_t *all = json_load_file(rows, 0, &jerr);
    if (ok(m && json_array_size(all) > 30, "golden files: %s%s", err.msg, all ? "" : jerr.text))
        for (size_t i = 0; i < json_array_size(all); i++) one(m, json_array_get(all, i));
    json_decref(all);
    qs_model_unref(m);
    free(data);
    free(rows);
    return done();
}
