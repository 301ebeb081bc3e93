/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Knows where files are: the XDG folders, and the data that comes with the
 * program, installed or beside the source it was built from.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/app.h"
#include "base/mem.h"

/* $VAR/quantscope/name, or ~/fallback/quantscope/name; XDG: a relative $VAR does not count. */
static char *xdg(const char *var, const char *fallback, const char *name)
{
    const char *base = getenv(var), *home = getenv("HOME");
    if (base && *base == '/') return qs_xasprintf("%s/quantscope/%s", base, name);
    return qs_xasprintf("%s/%s/quantscope/%s", home && *home ? home : ".", fallback, name);
}

char *qs_path_config(void) { return xdg("XDG_CONFIG_HOME", ".config", "config.lua"); }

/* Makes the folders above path; a failure shows when the file is opened. */
static void make_folders(char *path)
{
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
}

char *qs_path_history(void)
{
    char *p = xdg("XDG_STATE_HOME", ".local/state", "history");
    make_folders(p);
    return p;
}

/* The folder of the running program, or NULL. */
static char *program_folder(void)
{
    char buf[4096];
    ssize_t n = readlink("/proc/self/exe", buf, sizeof buf - 1);
    if (n <= 0) return NULL;
    buf[n] = '\0';
    char *slash = strrchr(buf, '/');
    if (!slash) return NULL;
    *slash = '\0';
    return qs_xstrdup(buf);
}

static char *if_readable(char *path)
{
    if (!access(path, R_OK)) return path;
    free(path);
    return NULL;
}

char *qs_path_data(const char *name)
{
    char *here = program_folder(), *found = NULL;
    if (here && !strcmp(here, QS_BUILDDIR)) found = if_readable(qs_xasprintf("%s/data/%s", QS_SRCDIR, name));
    /* Installed, wherever the tree was moved to: bin/ beside share/. */
    if (here && !found) found = if_readable(qs_xasprintf("%s/../share/quantscope/%s", here, name));
    if (!found) found = if_readable(qs_xasprintf("%s/%s", QS_DATADIR, name));
    free(here);
    return found;
}

char *qs_path_bundled(void) { return qs_path_data("blazeface_front.onnx"); }
