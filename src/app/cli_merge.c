/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope merge: several results databases into one, of each cell the run
 * that is done, of two the later.
 */
#include "app/app.h"
#include "base/text.h"
#include "store/store.h"

int qs_cmd_merge(const qs_args *a)
{
    qs_err err = {0};
    if (a->nrest < 2) return qs_usage(_("%s needs OUT.db and at least one IN.db"), a->command);
    /* A file that is not there must not leave an OUT.db behind. */
    for (int i = 1; i < a->nrest; i++) {
        qs_store *in = qs_store_open(a->rest[i], QS_STORE_READ, &err);
        if (!in) return qs_say_file(&err);
        qs_store_close(in);
    }
    qs_store *out = qs_store_open(a->rest[0], qs_journal(a), &err);
    if (!out) return qs_say_file(&err);
    int rc = 0;
    for (int i = 1; i < a->nrest && !rc; i++) rc = qs_store_merge(out, a->rest[i], a->accept_changes, &err);
    int code = rc ? qs_say_err(&err) : 0;
    qs_store_close(out);
    return code;
}
