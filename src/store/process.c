/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who a process is and whether it is gone: host, number, boot and start time.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store_in.h"

static void read_file(const char *path, char *buf, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(buf, 1, size - 1, f) : 0;
    if (f) fclose(f);
    buf[n] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
}

/* "boot id/start time" of a process that lives; "" of one that does not, or is only waited for. */
static void born_of(int64_t pid, char *out, size_t size)
{
    enum { STATE = 3, START = 22 };      /* fields of proc(5), from 1 on; 2, the name, may hold anything */
    char path[64], stat[1024], boot[64], *save = NULL;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    read_file(path, stat, sizeof stat);
    read_file("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    char *p = strrchr(stat, ')'), *word = p ? strtok_r(p + 1, " ", &save) : NULL;
    *out = '\0';
    if (!word || *word == 'Z' || *word == 'X') return;
    for (int i = STATE; word && i < START; i++) word = strtok_r(NULL, " ", &save);
    if (word) snprintf(out, size, "%s/%s", boot, word);
}

void qs_process_self(qs_process *p)
{
    *p = (qs_process){.pid = getpid()};
    if (gethostname(p->host, sizeof p->host - 1)) p->host[0] = '?';
    born_of(p->pid, p->born, sizeof p->born);
}

bool qs_process_gone(const qs_process *me, const char *host, int64_t pid, const char *born, const char *seen)
{
    char text[QS_UTC_TEXT], now[sizeof me->born];
    if (strcmp(host, me->host)) return strcmp(seen, qs_utc_text(-QS_STORE_SILENCE, text)) < 0;
    if (!*me->born) return kill((pid_t)pid, 0) && errno == ESRCH;      /* no /proc here */
    born_of(pid, now, sizeof now);
    return strcmp(born, now) != 0;
}

const char *qs_utc_text(double after, char out[QS_UTC_TEXT])
{
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    double ms = (double)t.tv_sec * 1e3 + (double)(t.tv_nsec / 1000000) + 1e3 * after;
    time_t sec = (time_t)(ms / 1e3);
    gmtime_r(&sec, &tm);
    size_t n = strftime(out, QS_UTC_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, QS_UTC_TEXT - n, ".%03dZ", (int)(ms - 1e3 * (double)sec));
    return out;
}
