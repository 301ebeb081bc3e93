/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What may stand at the end of a line of Lua: globals, names after "." and ":",
 * tensor names in m["..."], formats and initializations in strings, files. It
 * only looks: raw reads, no metamethod, no Lua code, nothing computed.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "bind/bind.h"

#define MOST 20000   /* words at most, whatever the model */

struct found {
    lua_State *L;
    const char *line, *part;   /* the line and the unfinished segment at its end */
    size_t keep;               /* bytes of the line before that segment */
    const char *close;         /* what ends a finished segment: "\"]" */
    char **word;
    size_t n, cap, max;
};

static void add_word(struct found *w, char *word)
{
    if (w->n == w->cap) w->word = qs_xrealloc(w->word, (w->cap = 2 * w->cap + 64) * sizeof *w->word);
    w->word[w->n++] = word;
}

/* A segment that fits what was typed so far. */
static void offer(struct found *w, const char *segment, const char *close)
{
    if (w->n < w->max && !strncmp(segment, w->part, strlen(w->part)))
        add_word(w, qs_xasprintf("%.*s%s%s", (int)w->keep, w->line, segment, close));
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void sort_unique(struct found *w)
{
    size_t k = 0;
    if (w->n) qsort(w->word, w->n, sizeof *w->word, by_text);
    for (size_t i = 0; i < w->n; i++) {
        if (k && !strcmp(w->word[k - 1], w->word[i])) free(w->word[i]);
        else w->word[k++] = w->word[i];
    }
    w->n = k;
}

static bool is_name(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_') return false;
    while (isalnum((unsigned char)*s) || *s == '_') s++;
    return !*s;
}

static bool in_name(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* ---- values, by looking only ----------------------------------------------------------------- */
static bool current_value(lua_State *L, const char *name)   /* q would have to be computed: its type is enough */
{
    if (!strcmp(name, "q") || !qs_bind_push_current(L, name)) return false;
    if (!lua_isnil(L, -1)) return true;
    lua_pop(L, 1);
    return false;
}

/* Pushes what a global means. For the selection's q that is not computed: its metatable. */
static bool push_global(lua_State *L, const char *name)
{
    lua_pushglobaltable(L);
    lua_pushstring(L, name);
    int type = lua_rawget(L, -2);
    lua_remove(L, -2);
    if (type != LUA_TNIL) return true;
    lua_pop(L, 1);
    if (current_value(L, name)) return true;
    if (strcmp(name, "q") != 0 || !qs_session_cur_tensor(qs_bind_session(L))) return false;
    luaL_getmetatable(L, qs_type_quantizer.name);
    return true;
}

/* Replaces the object at the top by its member; false (object popped): there is none to be had without running code. */
static bool step_into(lua_State *L, const char *key)
{
    const qs_model *m = qs_test(L, -1, &qs_type_model);
    qs_tensor *t = m ? qs_model_find(m, key) : NULL;
    if (t) {
        qs_push_ref(L, &qs_type_tensor, t);
    } else if (lua_istable(L, -1)) {
        lua_pushstring(L, key);
        lua_rawget(L, -2);
    } else {
        lua_pop(L, 1);
        return false;
    }
    lua_remove(L, -2);
    return true;
}

/* Pushes the object that the path text[0..n) names: name{.name|["name"]}. */
static bool push_path(lua_State *L, const char *text, size_t n)
{
    const char *at = text, *end = text + n;
    char key[256];
    bool first = true;
    while (at < end) {
        const char *from = at;
        if (*at == '[' && end - at > 3 && (at[1] == '"' || at[1] == '\'')) {
            const char *close = memchr(at + 2, at[1], (size_t)(end - at - 2));
            if (!close || close + 1 >= end || close[1] != ']') break;
            from = at + 2;
            at = close;
        } else {
            if (*at == '.') from = ++at;
            while (at < end && in_name(*at)) at++;
        }
        if (at == from || (size_t)(at - from) >= sizeof key) break;
        memcpy(key, from, (size_t)(at - from));
        key[at - from] = 0;
        if (!(first ? push_global(L, key) : step_into(L, key))) return false;
        first = false;
        if (at < end && (*at == '"' || *at == '\'')) at += 2;
    }
    if (at == end && !first) return true;
    if (!first) lua_pop(L, 1);
    return false;
}

/* ---- lists -------------------------------------------------------------------------------------- */
typedef void give(struct found *w, const char *key, const char *close);

/* The names in the table at the top. */
static void each_key(struct found *w, give *fn, const char *close)
{
    lua_State *L = w->L;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && w->n < w->max) fn(w, lua_tostring(L, -2), close);
}

static void offer_name(struct found *w, const char *key, const char *close)
{
    if (is_name(key) && strncmp(key, "__", 2) != 0) offer(w, key, close);
}

/* The names in metatable[field]; the metatable is at the top. */
static void offer_meta(struct found *w, const char *field)
{
    lua_pushstring(w->L, field);
    if (lua_rawget(w->L, -2) == LUA_TTABLE) each_key(w, offer_name, "");
    lua_pop(w->L, 1);
}

static bool is_type(lua_State *L)   /* is the table at the top the metatable of one of ours? */
{
    for (const qs_type *const *t = qs_bind_types; *t; t++) {
        luaL_getmetatable(L, (*t)->name);
        bool same = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        if (same) return true;
    }
    return false;
}

/* What may follow the object at the top after "." or ":". */
static void offer_members(struct found *w, char separator)
{
    lua_State *L = w->L;
    bool type = lua_istable(L, -1) && is_type(L);
    if (lua_istable(L, -1) && !type) each_key(w, offer_name, "");
    if (type) lua_pushvalue(L, -1);
    else if (!lua_getmetatable(L, -1)) return;
    offer_meta(w, "__methods");
    if (separator == '.') offer_meta(w, "__fields");
    offer_meta(w, "__index");
    lua_pop(L, 1);
}

static void offer_tensors(struct found *w, const qs_model *m)
{
    for (size_t i = 0; m && i < m->n; i++) offer(w, m->tensors[i]->name, w->close);
}

static void give_current_tensors(struct found *w) { offer_tensors(w, qs_session_cur_model(qs_bind_session(w->L))); }

static void give_inits(struct found *w)
{
    for (size_t i = 0; i < qs_init_count(); i++) offer(w, qs_init_at(i)->name, w->close);
}

static void offer_format(struct found *w, const char *text)
{
    qs_format *f = qs_format_parse(text, NULL);
    if (f) offer(w, text, w->close);
    qs_format_free(f);
}

/* A row of the table as it is, and with every other number of bits: "int4" stands for int2 .. int16. */
static void offer_format_row(struct found *w, const char *name)
{
    size_t n = strlen(name);
    char text[80];
    offer_format(w, name);
    while (n > 0 && isdigit((unsigned char)name[n - 1])) n--;
    if (!n || n > 60 || !name[n]) return;
    for (int bits = 1; bits <= 16; bits++) {
        snprintf(text, sizeof text, "%.*s%d", (int)n, name, bits);
        offer_format(w, text);
    }
}

static void give_formats(struct found *w)
{
    static const char *const tails[] = {":narrow", ":away", ":flip", "+offset", "+zp", "@tensor", "@channel",
                                        "@group32", "@group64", "@group128", ":scale=f16@group32",
                                        ":scale=e8m0@group32", ":scale=e4m3@group16"};
    for (const qs_doc *d = qs_format_docs; d->name; d++) offer_format_row(w, d->name);
    size_t base = strcspn(w->part, ":+@"), last = strlen(w->part);
    if (base == last) return;
    while (last > 0 && !strchr(":+@", w->part[last - 1])) last--;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        char *text = qs_xasprintf("%.*s%s", (int)last - 1, w->part, tails[i]);
        offer_format(w, text);
        free(text);
    }
}

static void give_any(struct found *w)
{
    give_inits(w);
    give_formats(w);
    give_current_tensors(w);
}

static void give_list(struct found *w, const char *const *list)
{
    while (*list) offer(w, *list++, w->close);
}

static void give_views(struct found *w)
{
    give_list(w, (const char *const[]){"hist", "curve", "compare", "map", "explain", "list", "train", "results", "race", NULL});
}

static void give_learns(struct found *w)
{
    for (const qs_doc *d = qs_learn_docs; d->name; d++) offer(w, d->name, w->close);
}

static void give_masks(struct found *w) { give_list(w, (const char *const[]){"paper", "clamp", "code", "none", NULL}); }
static void give_roles(struct found *w) { give_list(w, (const char *const[]){"weight", "act", NULL}); }

static void give_dists(struct found *w)
{
    give_list(w, (const char *const[]){"normal", "laplace", "uniform", "student4", "bimodal", NULL});
}

static void give_datasets(struct found *w)
{
    for (const qs_doc *d = qs_dataset_docs; d->name; d++) offer(w, d->name, w->close);
}

static void give_nets(struct found *w)
{
    give_list(w, (const char *const[]){"mlp", "lenet", "smallcnn", "resnet8", "resnet20", "depthwise", NULL});
}

static void give_parts(struct found *w) { give_list(w, (const char *const[]){"train", "val", "test", NULL}); }

static void give_files(struct found *w)
{
    const char *slash = strrchr(w->part, '/');
    size_t dir = slash ? (size_t)(slash + 1 - w->part) : 0;
    char *name = dir ? strndup(w->part, dir) : qs_xstrdup(".");
    DIR *d = name ? opendir(name) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.' && w->part[dir] != '.') continue;
        char *path = qs_xasprintf("%.*s%s", (int)dir, w->part, e->d_name);
        struct stat st;
        bool folder = !stat(path, &st) && S_ISDIR(st.st_mode);
        offer(w, path, folder ? "/" : w->close);
        free(path);
    }
    if (d) closedir(d);
    free(name);
}

/* ---- inside a string: what stands before it says what it is ---------------------------------------- */
static const struct cue { const char *before; void (*list)(struct found *w); } cues[] = {
    {"tensor=", give_current_tensors}, {"format=", give_formats}, {"init=", give_inits}, {"view=", give_views},
    {"learn=", give_learns}, {"mask=", give_masks}, {"dist=", give_dists}, {"role=", give_roles},
    {"model=", give_files}, {"load", give_files}, {"save", give_files}, {"dofile", give_files},
    {"loadfile", give_files}, {"open", give_files}, {"format", give_formats}, {"quantizer", give_formats},
    {"init", give_inits}, {"weights=", give_formats}, {"acts=", give_formats}, {"first=", give_formats},
    {"last=", give_formats}, {"input=", give_formats}, {"dataset", give_datasets}, {"bundled", give_nets},
    {"image", give_parts}, {"export", give_files}, {"images=", give_files}, {"labels=", give_files}, {NULL, NULL}};

/* Where the path that ends at line[n) begins. */
static size_t path_start(const char *line, size_t n)
{
    while (n > 0) {
        if (in_name(line[n - 1]) || line[n - 1] == '.' || line[n - 1] == ':') {
            n--;
        } else if (line[n - 1] == ']' && n > 3 && (line[n - 2] == '"' || line[n - 2] == '\'')) {
            size_t k = n - 2;
            while (k > 1 && line[k - 1] != line[n - 2]) k--;
            if (k < 2 || line[k - 2] != '[') break;
            n = k - 2;
        } else {
            break;
        }
    }
    return n;
}

/* obj["part  or  obj:get("part: the tensors of that model, the keys of that table. */
static void offer_keys_of(struct found *w, size_t end)
{
    lua_State *L = w->L;
    size_t start = path_start(w->line, end);
    if (!push_path(L, w->line + start, end - start)) return;
    offer_tensors(w, qs_test(L, -1, &qs_type_model));
    if (lua_istable(L, -1)) each_key(w, offer, w->close);
    lua_pop(L, 1);
}

static void complete_string(struct found *w, size_t quote)
{
    char close[3] = {w->line[quote], 0, 0}, before[40];
    size_t n = quote, paren;
    w->part = w->line + quote + 1;
    w->keep = quote + 1;
    w->close = close;
    while (n > 0 && w->line[n - 1] == ' ') n--;
    if (n > 0 && w->line[n - 1] == '[') {
        close[1] = ']';
        offer_keys_of(w, n - 1);
        return;
    }
    bool assigned = n > 0 && w->line[n - 1] == '=';
    paren = n > 0 && (assigned || w->line[n - 1] == '(') ? 1 : 0;
    n -= paren;
    while (n > 0 && w->line[n - 1] == ' ') n--;
    size_t from = n;
    while (from > 0 && in_name(w->line[from - 1])) from--;
    snprintf(before, sizeof before, "%.*s%s", (int)(n - from), w->line + from, assigned ? "=" : "");
    if (!strcmp(before, "get") && from > 0 && w->line[from - 1] == ':') {
        offer_keys_of(w, from - 1);
        return;
    }
    for (const struct cue *c = cues; c->before; c++) {
        if (strcmp(c->before, before) != 0) continue;
        c->list(w);
        return;
    }
    give_any(w);
}

/* Where the string that is open at the end of the line begins; -1: none is. */
static long open_quote(const char *line)
{
    long at = -1;
    for (long i = 0; line[i]; i++) {
        if (at >= 0 && line[i] == '\\' && line[i + 1]) i++;
        else if (at >= 0 && line[i] == line[at]) at = -1;
        else if (at < 0 && (line[i] == '"' || line[i] == '\'')) at = i;
    }
    return at;
}

/* ---- names ------------------------------------------------------------------------------------------------ */
static const char *const keywords[] = {
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not",
    "or", "repeat", "return", "then", "true", "until", "while", NULL};

static void offer_globals(struct found *w)
{
    static const char *const followed[] = {"m", "t", "f", "q", NULL};
    lua_pushglobaltable(w->L);
    each_key(w, offer_name, "");
    lua_pop(w->L, 1);
    for (const char *const *k = keywords; *k; k++) offer(w, *k, "");
    for (const char *const *k = followed; *k; k++) {
        if (!push_global(w->L, *k)) continue;
        lua_pop(w->L, 1);
        offer(w, *k, "");
    }
}

static void complete_name(struct found *w)
{
    size_t end = strlen(w->line), start = path_start(w->line, end), sep = end;
    while (sep > start && in_name(w->line[sep - 1])) sep--;
    w->part = w->line + sep;
    w->keep = sep;
    if (sep == start) {
        offer_globals(w);
    } else if (strchr(".:", w->line[sep - 1]) && push_path(w->L, w->line + start, sep - 1 - start)) {
        offer_members(w, w->line[sep - 1]);
        lua_pop(w->L, 1);
    }
}

static int complete(lua_State *L)   /* protected: (struct found *) */
{
    struct found *w = lua_touserdata(L, 1);
    long quote = open_quote(w->line);
    luaL_checkstack(L, 40, NULL);
    if (quote >= 0) complete_string(w, (size_t)quote);
    else complete_name(w);
    return 0;
}

/* Runs fn on w in L without a hook: looking needs no interruption, and must not serve anything. */
static void look(lua_State *L, lua_CFunction fn, struct found *w)
{
    int top = lua_gettop(L), mask = lua_gethookmask(L), count = lua_gethookcount(L);
    lua_Hook hook = lua_gethook(L);
    lua_sethook(L, NULL, 0, 0);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, w);
    lua_pcall(L, 1, 0, 0);
    lua_settop(L, top);
    lua_sethook(L, hook, mask, count);
    sort_unique(w);
}

size_t qs_complete(lua_State *L, const char *word, char **out, size_t max)
{
    struct found w = {.L = L, .line = word, .max = MOST};
    look(L, complete, &w);
    for (size_t i = 0; i < w.n; i++) {
        if (i < max) out[i] = w.word[i];
        else free(w.word[i]);
    }
    free(w.word);
    return w.n < max ? w.n : max;
}

/* ---- every word there is, for a face that completes without asking Lua ---------------------------------------- */
static void members_of(struct found *w, const char *name, char separator)
{
    char *path = qs_xasprintf("%s%c", name, separator);
    w->line = path;
    w->part = "";
    w->keep = strlen(path);
    offer_members(w, separator);
    free(path);
    w->line = "";
    w->keep = 0;
}

/* The members of the global at the top: a table's names, an object's methods and fields. */
static void global_members(struct found *w, const char *name)
{
    lua_State *L = w->L;
    bool ours = false;
    if (lua_istable(L, -1)) ours = is_type(L);
    for (const qs_type *const *t = qs_bind_types; *t; t++) ours = ours || qs_test(L, -1, *t);
    if (lua_istable(L, -1) && !ours) members_of(w, name, '.');
    if (!ours) return;
    members_of(w, name, ':');
    members_of(w, name, '.');
}

static int all_words(lua_State *L)
{
    static const char *const followed[] = {"m", "t", "f", "q", NULL};
    struct found *w = lua_touserdata(L, 1);
    luaL_checkstack(L, 40, NULL);
    offer_globals(w);
    lua_pushglobaltable(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        if (name && is_name(name) && strcmp(name, "_G") != 0) global_members(w, name);
    }
    lua_pop(L, 1);
    for (const char *const *k = followed; *k; k++) {
        if (!push_global(L, *k)) continue;
        global_members(w, *k);
        lua_pop(L, 1);
    }
    w->line = "\"";
    w->part = "";
    w->keep = 1;
    w->close = "\"";
    give_any(w);
    w->line = "m[\"";
    w->keep = 3;
    w->close = "\"]";
    give_current_tensors(w);
    return 0;
}

size_t qs_complete_words(lua_State *L, char ***out)
{
    struct found w = {.L = L, .line = "", .part = "", .max = MOST};
    look(L, all_words, &w);
    *out = w.word;
    return w.n;
}
