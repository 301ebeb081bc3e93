/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happens to a results database: two writers, a writer that is killed, a
 * lock that stays, a full disk, damaged and foreign files, a folder that may not
 * be written. Each leaves everything of a run or nothing, and a named error.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/sync.h"
#include "store/groups.h"
#include "../tap.h"
#include "files.h"

enum { CELLS = 40, SERIES = 200 };
static char *dir;
static const qs_sweep_info info = {"race", "race.lua", "ab12", "{}", "quantscope 0", "{}"};

/* ---- helpers ------------------------------------------------------------------------------------------ */
static qs_store *open_at(const char *name, qs_store_mode mode, qs_err *err)
{
    char *path = in_dir(dir, name);
    qs_store *s = qs_store_open(path, mode, err);
    free(path);
    return s;
}

/* The cells of the sweep, found or added. */
static int cells(qs_store *s, qs_trial *c, qs_err *err)
{
    static char text[CELLS][40];
    char changed[64];
    int64_t sweep;
    int rc = qs_store_sweep(s, &info, &sweep, changed, sizeof changed, err);
    for (int i = 0; i < CELLS; i++) {
        snprintf(text[i], sizeof text[i], "{\"init\":\"%s\",\"seed\":%d}", i % 2 ? "mse" : "lsq", i / 2);
        c[i] = (qs_trial){.key = text[i], .params = text[i], .place = i};
    }
    return rc ? rc : qs_store_cells(s, sweep, c, CELLS, err);
}

static int end(qs_store *s, int64_t run, int i, qs_err *err)
{
    double loss[SERIES];
    for (int k = 0; k < SERIES; k++) loss[k] = i + 1.0 / (k + 1);
    qs_metric m[] = {{"accuracy", i / 10.0}, {"loss", -i}, {"steps", 7}};
    qs_metric_series l = {"loss", loss, SERIES};
    qs_outcome o = {.status = QS_TRIAL_DONE, .seconds = 1, .seed = 3, .metric = m, .nmetric = 3, .series = &l, .nseries = 1};
    return qs_store_end(s, run, &o, err);
}

/* Does what is not done; cells that another process has are left to it. 0: nothing is left or went wrong. */
static int work(qs_store *s, qs_err *err)
{
    qs_trial c[CELLS];
    int64_t run;
    int rc = cells(s, c, err);
    for (int i = 0; i < CELLS && !rc; i++) {
        rc = qs_store_begin(s, c[i].id, &run, err);
        if (rc == -QS_ESTATE) rc = 0;
        else if (!rc) rc = end(s, run, i, err);
    }
    return rc;
}

static int64_t number(const char *name, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st = NULL;
    int64_t x = -1;
    char *path = in_dir(dir, name);
    if (!sqlite3_open(path, &db) && !sqlite3_prepare_v2(db, sql, -1, &st, NULL) && sqlite3_step(st) == SQLITE_ROW)
        x = sqlite3_column_int64(st, 0);
    else printf("# %s: %s\n", sql, sqlite3_errmsg(db));
    sqlite3_finalize(st);
    sqlite3_close(db);
    free(path);
    return x;
}

static void change(const char *name, const char *sql)
{
    sqlite3 *db;
    char *path = in_dir(dir, name);
    if (sqlite3_open(path, &db) || sqlite3_exec(db, sql, NULL, NULL, NULL)) printf("# %s: %s\n", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
    free(path);
}

/* Runs that are done without all they gave, or not done with something. */
static const char halves[] =
    "SELECT count(*) FROM run WHERE (SELECT count(*) FROM metric WHERE run = run.id) <> 3 * (status = 'done')"
    " OR (SELECT count(*) FROM series WHERE run = run.id AND n = json_array_length(x)) <> (status = 'done')";

static void whole(const char *name, const char *what)
{
    ok(number(name, halves) == 0, "%s: all of a run or nothing", what);
    ok(number(name, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1, "%s: the file is sound", what);
}

static int wait_code(pid_t pid)
{
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- two writers ------------------------------------------------------------------------------------------ */
static void test_two(qs_store_mode mode, const char *name)
{
    pid_t pid[3];
    for (int k = 0; k < 3; k++) {
        pid[k] = fork();
        if (pid[k]) continue;
        qs_err err = {0};
        qs_store *s = open_at(name, mode, &err);
        int rc = s ? work(s, &err) : -err.code;
        if (rc) printf("# process %d: %s\n", k, err.msg);
        fflush(stdout);
        qs_store_close(s);
        _exit(rc != 0);
    }
    int bad = 0;
    for (int k = 0; k < 3; k++) bad += wait_code(pid[k]);
    ok(!bad, "%s: three processes write to a file that none had made", name);
    ok(number(name, "SELECT count(*) FROM cell") == CELLS && number(name, "SELECT count(*) FROM run") == CELLS
       && number(name, "SELECT count(*) FROM run WHERE status = 'done'") == CELLS, "%s: every cell is done once", name);
    whole(name, name);
}

/* ---- a writer that is killed --------------------------------------------------------------------------------- */
/* Several find no file at once: one makes the schema, all find it, and none takes it half made for something else. */
static void test_made_at_once(qs_store_mode mode, const char *name)
{
    enum { ROUNDS = 30, PROCESSES = 4 };
    int bad = 0;
    for (int r = 0; r < ROUNDS; r++) {
        char *file = qs_xasprintf("%s-%d", name, r);
        double at = qs_now() + 0.003;
        pid_t pid[PROCESSES];
        for (int k = 0; k < PROCESSES; k++) {
            pid[k] = fork();
            if (pid[k]) continue;
            while (qs_now() < at) continue;
            qs_err err = {0};
            qs_store *s = open_at(file, mode, &err);
            if (!s) printf("# %s\n", err.msg);
            qs_store_close(s);
            fflush(stdout);
            _exit(!s);
        }
        for (int k = 0, status; k < PROCESSES; k++) bad += waitpid(pid[k], &status, 0) != pid[k] || status != 0;
        free(file);
    }
    ok(!bad, "%s: %d processes make it at once, %d times", name, PROCESSES, ROUNDS);
}

static void test_kill(qs_store_mode mode, const char *name)
{
    qs_rng r;
    qs_rng_seed(&r, 11);
    int killed = 0, half = 0, lost = 0, done = 0;
    qs_err err = {0};
    for (int k = 0; k < 25; k++) {
        pid_t pid = fork();
        if (!pid) {
            qs_store *s = open_at(name, mode, &err);
            while (s && !work(s, &err)) {      /* again and again from the start */
                char changed[64];
                int64_t sweep;
                qs_store_sweep(s, &info, &sweep, changed, sizeof changed, &err);
                qs_store_forget(s, sweep, &err);
            }
            printf("# writer: %s\n", err.msg);
            fflush(stdout);
            _exit(1);
        }
        usleep((useconds_t)((mode == QS_STORE_WAL ? 40000 : 400000) * qs_rng_uniform(&r)));
        kill(pid, SIGKILL);
        killed += wait_code(pid) == 128 + SIGKILL;
        qs_trial c[CELLS];
        qs_store *s = open_at(name, mode, &err);
        if (!s || cells(s, c, &err)) lost++;
        for (int i = 0; s && i < CELLS; i++) {
            lost += c[i].status == QS_TRIAL_RUNNING;
            done += c[i].status == QS_TRIAL_DONE;
        }
        qs_store_close(s);
        half += number(name, halves) != 0;
    }
    ok(killed == 25 && !half, "%s: 25 writers killed, nothing is half written", name);
    ok(!lost, "%s: none counts as running (%d cells were done) %s", name, done, err.msg);
    qs_store *s = open_at(name, mode, &err);
    qs_study y;
    ok(s && !work(s, &err) && !qs_study_read(s, NULL, &y, &err) && y.count[QS_TRIAL_DONE] == CELLS, "%s: and it goes on", name);
    qs_study_clear(&y);
    qs_store_close(s);
    whole(name, name);
}

/* ---- who lives ------------------------------------------------------------------------------------------------ */
static qs_trial_status status_of(qs_store *s, int i)
{
    qs_trial c[CELLS];
    qs_err err = {0};
    return cells(s, c, &err) ? QS_TRIAL_NONE : c[i].status;
}

static void test_alive(void)
{
    qs_err err = {0};
    qs_trial c[CELLS];
    int64_t run = 0, again;
    qs_store *s = open_at("alive.db", QS_STORE_WAL, &err);
    cells(s, c, &err);
    ok(!qs_store_begin(s, c[0].id, &run, &err) && status_of(s, 0) == QS_TRIAL_RUNNING, "a run of this process is running");
    change("alive.db", "UPDATE run SET born = replace(born, '/', '/1')");
    ok(status_of(s, 0) == QS_TRIAL_KILLED, "the same number with another start time is another process");
    ok(!qs_store_begin(s, c[0].id, &again, &err) && number("alive.db", "SELECT count(*) FROM run WHERE status = 'killed'") == 1,
       "its cell is free, what happened written down");
    change("alive.db", "UPDATE run SET host = 'elsewhere' WHERE status = 'running'");
    ok(status_of(s, 0) == QS_TRIAL_RUNNING, "on another host and seen just now: running");
    ok(qs_store_begin(s, c[0].id, &again, &err) == -QS_ESTATE && strstr(err.msg, "elsewhere"), "%s", err.msg);
    change("alive.db", "UPDATE run SET seen = '2024-01-01T00:00:00.000Z' WHERE status = 'running'");
    ok(status_of(s, 0) == QS_TRIAL_KILLED, "not seen for long: killed");
    qs_store_begin(s, c[1].id, &run, &err);
    change("alive.db", "UPDATE run SET seen = '2024-01-01T00:00:00.000Z' WHERE status = 'running'");
    ok(!qs_store_alive(s, &err) && number("alive.db", "SELECT count(*) FROM run WHERE status = 'running' AND seen > '2025'") == 1, "a sign of life, for its own");
    qs_store_close(s);
}

/* ---- locks --------------------------------------------------------------------------------------------------- */
static void test_locked(void)
{
    qs_err err = {0};
    sqlite3 *other;
    char *path = in_dir(dir, "locked.db");
    qs_trial c[CELLS];
    int64_t run;
    qs_study y;
    qs_store *s = open_at("locked.db", QS_STORE_WAL, &err);
    cells(s, c, &err);
    sqlite3_open(path, &other);
    sqlite3_exec(other, "BEGIN IMMEDIATE; DELETE FROM cell", NULL, NULL, NULL);
    qs_store_patience(s, 0.2);
    double t = qs_now();
    ok(qs_store_begin(s, c[0].id, &run, &err) == -QS_EIO && strstr(err.msg, "locked.db") && strstr(err.msg, "locked for"), "%s", err.msg);
    ok(qs_now() - t > 0.15 && qs_now() - t < 5, "after the time it was given");
    ok(!qs_study_read(s, NULL, &y, &err) && y.t.nrow == CELLS, "reading goes on, of what was there before");
    qs_study_clear(&y);
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    ok(!qs_store_begin(s, c[0].id, &run, &err) && !end(s, run, 0, &err), "and writing, when the lock is gone");
    qs_store *d = open_at("locked.db", QS_STORE_DELETE, &err);
    ok(!d && err.code == QS_EIO, "a log that others use is not taken away: %s", err.msg);
    qs_store_close(s);
    sqlite3_close(other);
    free(path);
}

/* ---- a full disk ------------------------------------------------------------------------------------------------- */
/* In a process of its own, which may not write files beyond a size. */
static int full(qs_store_mode mode, const char *name)
{
    qs_err err = {0};
    qs_trial c[CELLS];
    struct rlimit all, few;
    int64_t run = 0, done = 0;
    int rc = 0, failed = 0;
    signal(SIGXFSZ, SIG_IGN);
    qs_store *s = open_at(name, mode, &err);
    getrlimit(RLIMIT_FSIZE, &all);
    few = all;
    few.rlim_cur = 150000;
    if (!s || cells(s, c, &err)) return 2;
    setrlimit(RLIMIT_FSIZE, &few);
    for (int i = 0; i < CELLS; i++) {
        rc = qs_store_begin(s, c[i].id, &run, &err);
        if (!rc) rc = end(s, run, i, &err);
        if (!rc) done++;
        else if (rc == -QS_EIO && strstr(err.msg, name)) failed++;
        else return 3;
    }
    printf("# %s: %lld done, %d refused: %s\n", name, (long long)done, failed, err.msg);
    fflush(stdout);
    if (!failed || !done) return 4;
    setrlimit(RLIMIT_FSIZE, &all);
    if (number(name, "SELECT count(*) FROM run WHERE status = 'done'") != done || number(name, halves)) return 5;
    /* A run that could begin and not end is this process's, and is ended now. */
    if (cells(s, c, &err)) return 6;
    for (int i = 0; i < CELLS; i++) {
        if (c[i].status != QS_TRIAL_RUNNING) continue;
        char sql[80];
        snprintf(sql, sizeof sql, "SELECT max(id) FROM run WHERE cell = %lld", (long long)c[i].id);
        if (end(s, number(name, sql), i, &err)) return 7;
    }
    rc = work(s, &err);
    qs_store_close(s);
    return rc ? 8 : 0;
}

static void test_full(qs_store_mode mode, const char *name)
{
    pid_t pid = fork();
    if (!pid) _exit(full(mode, name));
    int code = wait_code(pid);
    ok(!code, "%s: refused by name, nothing half written, goes on when there is room (%d)", name, code);
    ok(number(name, "SELECT count(*) FROM run WHERE status = 'done'") == CELLS && number(name, "SELECT count(*) FROM run") == CELLS,
       "%s: every cell once", name);
    whole(name, name);
}

/* ---- damaged and foreign files -------------------------------------------------------------------------------------- */
/* Everything a reader does. 0 or the error. */
static int read_all(const char *name, qs_err *err)
{
    qs_sweep_row *row;
    qs_study y;
    qs_groups g;
    size_t n;
    double *x;
    qs_store *s = open_at(name, QS_STORE_READ, err);
    if (!s) return -err->code;
    int rc = qs_store_sweeps(s, &row, &n, err);
    if (!rc) {
        qs_store_free_sweeps(row, n);
        rc = qs_study_read(s, "race", &y, err);
    }
    if (!rc) {
        rc = qs_groups_make(&y, NULL, 0, NULL, NULL, NULL, &g, err);
        if (!rc) qs_groups_clear(&g);
        for (size_t i = 0; i < y.t.nrow && !rc; i++) {
            rc = qs_store_series(s, "race", y.t.row[i].key, "loss", &x, &n, err);
            free(x);
        }
        qs_study_clear(&y);
    }
    qs_store_close(s);
    return rc;
}

/* And what a writer does. */
static int write_all(const char *name, qs_err *err)
{
    qs_store *s = open_at(name, QS_STORE_DELETE, err);
    int rc = s ? work(s, err) : -err->code;
    qs_store_close(s);
    return rc;
}

static bool named(int rc, const qs_err *err)
{
    return !rc || ((err->code == QS_EFORMAT || err->code == QS_EIO || err->code == QS_EARG) && strstr(err->msg, "bad.db"))
        || (rc == -QS_EARG && strstr(err->msg, "race"));
}

static void put(const char *name, const char *bytes, size_t n)
{
    char *path = in_dir(dir, name);
    if (!write_bytes(path, bytes, n)) printf("# cannot write %s\n", path);
    free(path);
}

static char *slurp(const char *name, size_t *n)
{
    char *path = in_dir(dir, name), *b = qs_xmalloc(1 << 22);
    FILE *f = fopen(path, "rb");
    *n = fread(b, 1, 1 << 22, f);
    fclose(f);
    free(path);
    return b;
}

static void test_damaged(void)
{
    qs_err err = {0};
    qs_rng r;
    size_t n;
    int wrong = 0, found = 0, tried = 0;
    qs_store *s = open_at("good.db", QS_STORE_DELETE, &err);
    ok(s && !work(s, &err), "a good file %s", err.msg);
    qs_store_close(s);
    char *good = slurp("good.db", &n);
    qs_rng_seed(&r, 3);
    for (size_t cut = 0; cut < n; cut += n / 40 + 1, tried++) {
        put("bad.db", good, cut);
        int rc = read_all("bad.db", &err);
        found += rc != 0;
        wrong += !named(rc, &err);
    }
    ok(!wrong && found == tried, "cut short at %d places: %d are noticed, %d without a name", tried, found, wrong);
    const int flips = TAP_THREADS_ONLY ? 30 : TAP_SANITIZED ? 100 : 300;
    for (int k = found = wrong = 0; k < flips; k++) {
        char *bad = memcpy(qs_xmalloc(n), good, n);
        size_t at = (size_t)(qs_rng_uniform(&r) * (double)n);
        for (size_t i = at; i < n && i < at + (k % 3 ? 1 : 40); i++) bad[i] ^= (char)(1 + qs_rng_next(&r) % 255);
        put("bad.db", bad, n);
        int rc = read_all("bad.db", &err);
        found += rc != 0;
        wrong += !named(rc, &err);
        if (!named(rc, &err)) printf("# read: %s\n", err.msg);
        free(bad);
        if (k % 8) continue;      /* writing waits for the disk */
        rc = write_all("bad.db", &err);
        wrong += !named(rc, &err);
        if (!named(rc, &err)) printf("# write: %s\n", err.msg);
    }
    ok(!wrong && found, "bytes changed in %d files: %d are noticed, none ends the program or is an error without a name", flips, found);
    for (size_t i = 16; i < n; i++) good[i] = (char)qs_rng_next(&r);
    put("bad.db", good, n);
    ok(read_all("bad.db", &err) == -QS_EFORMAT, "garbage behind the first line: %s", err.msg);
    put("bad.db", good + 16, n - 16);
    ok(read_all("bad.db", &err) == -QS_EFORMAT && write_all("bad.db", &err) == -QS_EFORMAT, "garbage: %s", err.msg);
    free(good);
}

static void test_foreign(void)
{
    qs_err err = {0};
    put("bad.db", "just text\n", 10);
    ok(read_all("bad.db", &err) == -QS_EFORMAT, "%s", err.msg);
    size_t n;
    ok(write_all("bad.db", &err) == -QS_EFORMAT, "%s", err.msg);
    char *b = slurp("bad.db", &n);
    ok(n == 10 && !memcmp(b, "just text\n", 10), "it is not written to");
    free(b);
    put("bad.db", "", 0);
    ok(read_all("bad.db", &err) == -QS_EFORMAT, "%s", err.msg);
    ok(!write_all("bad.db", &err) && !read_all("bad.db", &err), "an empty file becomes one");
    change("bad.db", "PRAGMA user_version = 9");
    ok(read_all("bad.db", &err) == -QS_EFORMAT && strstr(err.msg, "version 9"), "%s", err.msg);
    ok(write_all("bad.db", &err) == -QS_EFORMAT && number("bad.db", "PRAGMA user_version") == 9, "%s", err.msg);
    change("bad.db", "PRAGMA user_version = 1; DROP TABLE series; ALTER TABLE run DROP COLUMN error");
    ok(read_all("bad.db", &err) == -QS_EFORMAT, "%s", err.msg);
    change("bad.db", "PRAGMA application_id = 5");
    ok(read_all("bad.db", &err) == -QS_EFORMAT && strstr(err.msg, "another kind"), "%s", err.msg);
    ok(read_all("none/bad.db", &err) == -QS_EIO, "%s", err.msg);
    ok(read_all(".", &err) < 0, "%s", err.msg);
    ok(write_all("none/bad.db", &err) == -QS_EIO && strstr(err.msg, "none/bad.db"), "%s", err.msg);
    put("bad2.db", "", 0);
    change("bad2.db", "CREATE TABLE t (a); PRAGMA user_version = 3");
    ok(write_all("bad2.db", &err) == -QS_EFORMAT && number("bad2.db", "SELECT count(*) FROM sqlite_schema") == 1, "%s", err.msg);
    qs_store *s = open_at("good.db", QS_STORE_READ, &err);
    char changed[8];
    int64_t id;
    ok(s && qs_store_sweep(s, &info, &id, changed, sizeof changed, &err) == -QS_ESTATE, "%s", err.msg);
    qs_store_close(s);
}

/* Someone who may not write there reads all the same; root is nobody for it. */
static void test_read_only(void)
{
    qs_err err = {0};
    char *closed = in_dir(dir, "closed"), *file = in_dir(dir, "closed/a ?#%.db");
    mkdir(closed, 0755);
    qs_store *s = qs_store_open(file, QS_STORE_WAL, &err);
    ok(s && !work(s, &err), "a finished database %s", err.msg);
    qs_store_close(s);
    chmod(file, 0444);
    chmod(closed, 0555);
    chmod(dir, 0755);
    pid_t pid = fork();
    if (!pid) {
        if (!geteuid() && setuid(65534)) _exit(9);
        int rc = read_all("closed/a ?#%.db", &err);
        if (rc) printf("# %s\n", err.msg);
        qs_store *w = qs_store_open(file, QS_STORE_WAL, &err);
        printf("# %s\n", err.msg);
        fflush(stdout);
        _exit(rc ? 1 : w ? 2 : err.code == QS_EIO ? 0 : 3);
    }
    ok(wait_code(pid) == 0, "is read where nothing may be written, and not opened for writing");
    DIR *d = opendir(closed);
    int files = 0;
    for (struct dirent *e; (e = readdir(d));) files += e->d_name[0] != '.';
    closedir(d);
    ok(files == 1, "a closed database is one file");
    chmod(closed, 0755);
    free(closed);
    free(file);
}

int main(void)
{
    dir = tmp_dir();
    test_two(QS_STORE_WAL, "two-wal.db");
    test_two(QS_STORE_DELETE, "two-delete.db");
    test_made_at_once(QS_STORE_WAL, "once-wal.db");
    test_made_at_once(QS_STORE_DELETE, "once-delete.db");
    test_kill(QS_STORE_WAL, "kill-wal.db");
    test_kill(QS_STORE_DELETE, "kill-delete.db");
    test_alive();
    test_locked();
    test_full(QS_STORE_WAL, "full-wal.db");
    test_full(QS_STORE_DELETE, "full-delete.db");
    test_damaged();
    test_foreign();
    test_read_only();
    char *rm = qs_xasprintf("rm -rf '%s'", dir);
    if (system(rm)) printf("# %s is left\n", dir);
    free(rm);
    free(dir);
    return done();
}
