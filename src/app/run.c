/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * quantscope run and -e: Lua without a screen. The exit codes are those of
 * bind/repl.h.
 */
#include "app/app.h"
#include "base/text.h"
#include "bind/repl.h"

static int with_lua(const qs_args *a, int (*what)(qs_repl *r, const qs_args *a))
{
    qs_headless h;
    int code = qs_headless_open(&h);
    if (!code) code = qs_headless_lua(&h, false);
    if (!code) code = what(h.repl, a);
    qs_headless_close(&h);
    return code;
}

static int run_file(qs_repl *r, const qs_args *a) { return qs_repl_file(r, a->rest[0], a->nrest - 1, a->rest + 1); }

static int run_chunks(qs_repl *r, const qs_args *a)
{
    int code = 0;
    for (size_t i = 0; i < a->nchunk && !code; i++) code = qs_repl_chunk(r, a->chunk[i], "=(command line)");
    return code;
}

int qs_cmd_run(const qs_args *a)
{
    if (a->nrest < 1) return qs_usage(_("run needs a SCRIPT.lua, or - for standard input"));
    return with_lua(a, run_file);
}

int qs_cmd_eval(const qs_args *a)
{
    if (a->nrest) return qs_usage(_("-e takes no further arguments, and there is \"%s\""), a->rest[0]);
    return with_lua(a, run_chunks);
}
