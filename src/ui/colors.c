/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One colour an initialization, in every pane. Names we do not know (written in Lua) get one by their letters. */
#include <string.h>

#include "ui/screen.h"

static const char *const known[] = {
    "mse", "lsq", "octav", "lsq+", "aciq-laplace", "aciq-gauss", "minmax", "percentile", "sawb", "kl", "aciq", "lloyd",
    "apot", "adaptive",
};
enum { KNOWN = sizeof known / sizeof *known };

int qs_init_role(const char *init)
{
    for (int i = 0; i < KNOWN; i++)
        if (!strcmp(known[i], init)) return QS_ROLE_INIT0 + i;
    if (!strcmp(init, "by hand")) return QS_ROLE_CURSOR;
    unsigned h = 5381;
    for (const char *p = init; *p; p++) h = h * 33 + (unsigned char)*p;
    return QS_ROLE_INIT0 + KNOWN + (int)(h % (16 - KNOWN));
}
