/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs a Lua file as `quantscope run` does: the smallest host of the embedded Lua. */
#include <stdio.h>
#include <stdlib.h>

#include "bind/repl.h"

int main(int argc, char **argv)
{
    qs_err err;
    qs_session *s = qs_session_new();
    const char *top = getenv("top_srcdir");
    char data[4096];
    snprintf(data, sizeof data, "%s/data", top ? top : ".");
    qs_repl *r = qs_repl_new(&(qs_repl_opts){.session = s, .data = data}, &err);
    if (!r) fprintf(stderr, "%s\n", err.msg);
    int code = r && argc > 1 ? qs_repl_file(r, argv[1], argc - 2, argv + 2) : 2;
    qs_repl_free(r);
    qs_session_free(s);
    return code;
}
