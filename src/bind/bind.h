/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BIND_BIND_H
#define QS_BIND_BIND_H
/*
 * The Lua binding: check, call, push; it computes nothing. One registration
 * serves the console, headless runs and the module of a stock lua5.4.
 *
 * Conventions of every function here:
 *   a wrong Lua type raises; what fails in the world is `nil, "ECODE: message", "ECODE"`; only a cancel raises.
 *   A userdata box is made first and filled then, so that a Lua error (out of memory) cannot lose what it holds.
 *   Everything runs on the thread of the session.
 *
 * To add a function: one row in the table of its file, one entry in lua/quantscope/help.lua (a test compares the two).
 */
#include <lauxlib.h>
#include <lua.h>

#include "engine/session.h"
#include "train/run.h"

#define QS_LUA_API 5        /* qs.api: grows when a name is added or changes its meaning */
#define QS_BIND_DEPTH 8     /* how deep initializations written in Lua may call each other */

typedef struct qs_bind {
    qs_session *session;
    bool own;                               /* the module made the session */
    /* The console's; NULL in a stock Lua. */
    void (*arm)(lua_State *L);              /* puts its hook on a thread of Lua */
    void (*on_cancel)(lua_State *L);        /* makes sure that pcall cannot swallow a cancel */
    lua_State *call[QS_BIND_DEPTH];         /* where registered initializations run, one a depth */
    int depth;
    void (*leave)(lua_State *L);            /* ends what runs, past every pcall, as if it had come to its end */
    const char *worker;                     /* a worker process: the name of the sweep whose cell it is to run; else NULL */
    char file_error[600];                   /* the last message about a file, to tell exit code 3 from 1 */
    char diverged[600];                     /* why a run diverged: exit code 4; "": none did */
} qs_bind;

/* Pushes the table `quantscope.core`. The body of luaopen_quantscope_core; also for package.preload. */
int qs_bind_open(lua_State *L);
/* Gives this state a session (borrowed) before it opens the module; otherwise the module makes one. */
void qs_bind_set_session(lua_State *L, qs_session *s);
qs_bind *qs_bind_get(lua_State *L);           /* NULL before qs_bind_open */
qs_session *qs_bind_session(lua_State *L);    /* raises where the state is closing */
qs_ctl *qs_bind_ctl(lua_State *L);
/* Where the bundled data lies (data/ of the source, or as installed); copied. Before or after qs_bind_open. */
void qs_bind_set_data(lua_State *L, const char *dir);
const char *qs_bind_data(lua_State *L);       /* never NULL; without a host that says: where it is installed */

/* The program that worker processes run; NULL: the host did not say (a stock Lua). Copied. */
void qs_bind_set_program(lua_State *L, const char *path);
const char *qs_bind_program(lua_State *L);

/* ---- results ------------------------------------------------------------------------------ */
/* nil, "ECODE: message", "ECODE"; returns 3. ECANCEL raises. */
int qs_bind_fail(lua_State *L, const qs_err *err);
/* The same about a file: `quantscope run` ends with 3 if the script does not go on. */
int qs_bind_fail_file(lua_State *L, const qs_err *err);
/* The number, or nil for NaN: undefined numbers are nil in tables. */
void qs_push_number(lua_State *L, double v);
/* t[key] = number, unless it is NaN. t is at the top. */
void qs_set_number(lua_State *L, const char *key, double v);
void qs_set_count(lua_State *L, const char *key, size_t v);
/* t[key] = text, unless it is NULL or empty. */
void qs_set_text(lua_State *L, const char *key, const char *text);
/* An array of n numbers (NaN: false would lie; such arrays hold none). */
void qs_push_array(lua_State *L, const double *v, size_t n);

/* ---- userdata -------------------------------------------------------------------------------- */
typedef struct qs_type {
    const char *name;            /* "qs.tensor" */
    void *(*ref)(void *);        /* another reference; NULL: objects are copied, not shared */
    void (*unref)(void *);
    const luaL_Reg *methods;     /* t:summary() */
    const luaL_Reg *fields;      /* t.shape: called with the object as only argument */
    const luaL_Reg *meta;        /* __len, __tostring, ...; NULL: none */
    lua_CFunction other;         /* any other key: (object, key) -> value; NULL: nil */
} qs_type;

extern const qs_type qs_type_model, qs_type_tensor, qs_type_index, qs_type_format, qs_type_quantizer, qs_type_dataset,
                     qs_type_net, qs_type_run, qs_type_plot, qs_type_results, qs_type_sweep, qs_type_race;
extern const qs_type *const qs_bind_types[];   /* all of them; NULL ends */

/* An empty box of this type at the top; fill it at once. */
void **qs_box(lua_State *L, const qs_type *type);
/* Pushes an object that lives elsewhere: the same userdata as long as one is alive, else a new one with a reference. */
void qs_push_ref(lua_State *L, const qs_type *type, void *object);
/* The object in the box at the top will be this userdata wherever it is pushed from now on, as long as it lives. */
void qs_box_known(lua_State *L, void *object);
/* The object at index i; raises for another type. */
void *qs_check(lua_State *L, int i, const qs_type *type);
/* The same, NULL where it is another type. */
void *qs_test(lua_State *L, int i, const qs_type *type);
/* Zeroed C memory owned by a userdata at the top; clear is called once, by the collector or qs_scratch_done. */
void *qs_scratch(lua_State *L, size_t size, void (*clear)(void *));
/* Clears the scratch at index i now. */
void qs_scratch_done(lua_State *L, int i);

/* ---- options: a table at index i, or nothing -------------------------------------------------- */
/* names: NULL-terminated. 0, or -QS_EARG for a key that is not among them. what: "qs.curve". */
int qs_opts_check(lua_State *L, int i, const char *what, const char *const *names, qs_err *err);
double qs_opt_number(lua_State *L, int i, const char *key, double otherwise);
lua_Integer qs_opt_integer(lua_State *L, int i, const char *key, lua_Integer otherwise);
bool qs_opt_bool(lua_State *L, int i, const char *key, bool otherwise);
/* Borrowed from the table; NULL: absent. */
const char *qs_opt_text(lua_State *L, int i, const char *key);
/* Raises unless index i is a table or nothing. */
void qs_opt_table(lua_State *L, int i);

/* ---- shared between the files ---------------------------------------------------------------------- */
/* A format at index i: a qs.format, or a string that is parsed. Leaves one value on the stack that keeps it alive.
 * NULL with err set: the string is no format. Raises for another type. */
const qs_format *qs_arg_format(lua_State *L, int i, qs_err *err);
/* doc tables -> { {name=, doc=}, ... } */
void qs_push_docs(lua_State *L, const qs_doc *docs);

int qs_bind_index_error(lua_State *L);   /* index:error, for the table of index methods */

extern const luaL_Reg qs_bind_model_functions[], qs_bind_file_functions[], qs_bind_tensor_functions[], qs_bind_quant_functions[],
                      qs_bind_init_functions[], qs_bind_session_functions[], qs_bind_net_functions[],
                      qs_bind_train_functions[], qs_bind_results_functions[], qs_bind_sweep_functions[];
extern const luaL_Reg qs_bind_plot_private[];  /* what plots.lua is made of */
extern const luaL_Reg qs_bind_report_private[];  /* what reports.lua is made of */
extern const luaL_Reg qs_bind_race_private[];  /* what races.lua is made of */
extern const luaL_Reg qs_bind_file_private[];  /* what qs.activations is made of */
extern const luaL_Reg qs_bind_private[];       /* core.private: what nets.lua is made of */

/* ---- training (bind_net.c, bind_train.c) -------------------------------------------------------------- */
/* "train", "val" or "test" at index i; nothing: otherwise. */
int qs_arg_part(lua_State *L, int i, qs_part otherwise, qs_part *out, qs_err *err);
/* {accuracy, loss, accuracy_raw, n} */
void qs_push_score(lua_State *L, const qs_score *s);

/* ---- selection (bind_session.c) --------------------------------------------------------------------- */
/* Pushes what the console's m, t, f or q means now; nil where there is none. false: the name is none of these. */
bool qs_bind_push_current(lua_State *L, const char *name);
/* Makes _G answer m, t, f and q with the selection where they are not set. */
void qs_bind_follow(lua_State *L);
/* Forgets values of m, t, f, q that were set before the selection changed. Call before each line and after picks. */
void qs_bind_sync(lua_State *L);

/* ---- completion (complete.c) ----------------------------------------------------------------------------- */
/* As qs_repl_complete and qs_repl_words in repl.h. Runs no Lua code. */
size_t qs_complete(lua_State *L, const char *word, char **out, size_t max);
size_t qs_complete_words(lua_State *L, char ***out);

/* ---- protected calls (repl.c) ------------------------------------------------------------------------------ */
struct qs_repl;
/*
 * Calls fn with arg as light userdata, guarded and interruptible as a script is. Its exit code as in repl.h. message (where
 * not NULL): why it failed, malloc'd, instead of saying it; NULL where it did not.
 */
int qs_repl_guard(struct qs_repl *r, lua_CFunction fn, void *arg, char **message);

/* ---- initializations (bind_init.c) ------------------------------------------------------------------------- */
/* Registered initializations of a state that closes must not be called any more. */
void qs_bind_forget_inits(qs_bind *b);

#endif
