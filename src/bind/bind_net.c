/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Data sets and networks in Lua. How a net is put together from a list of
 * layers is in lua/quantscope/nets.lua, which calls the private functions here:
 * a new net, one more layer, how large its output is.
 */
#include "bind/bind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

static qs_dataset *check_dataset(lua_State *L, int i) { return qs_check(L, i, &qs_type_dataset); }
static qs_net *check_net(lua_State *L, int i) { return qs_check(L, i, &qs_type_net); }

/* ---- shared with bind_train.c ---------------------------------------------------------------- */
static const char *const part_names[] = {[QS_PART_TRAIN] = "train", [QS_PART_VAL] = "val", [QS_PART_TEST] = "test"};

int qs_arg_part(lua_State *L, int i, qs_part otherwise, qs_part *out, qs_err *err)
{
    const char *name = luaL_optstring(L, i, part_names[otherwise]);
    for (int p = 0; p < 3; p++) {
        if (strcmp(name, part_names[p]) != 0) continue;
        *out = (qs_part)p;
        return 0;
    }
    return qs_fail(err, QS_EARG, _("no part is called \"%s\"; there are train, val, test"), name);
}

void qs_push_score(lua_State *L, const qs_score *s)
{
    lua_createtable(L, 0, 4);
    qs_set_number(L, "accuracy", s->accuracy);
    qs_set_number(L, "loss", s->loss);
    qs_set_number(L, "accuracy_raw", s->accuracy_raw);
    qs_set_count(L, "n", s->n);
}

static void set_ints(lua_State *L, const char *key, const int *v, int n)
{
    lua_createtable(L, n, 0);
    for (int k = 0; k < n; k++) {
        lua_pushinteger(L, v[k]);
        lua_rawseti(L, -2, k + 1);
    }
    if (key) lua_setfield(L, -2, key);
}

/* ---- data sets ----------------------------------------------------------------------------------- */
static void *dataset_ref(void *d) { return qs_dataset_ref(d); }
static void dataset_unref(void *d) { qs_dataset_unref(d); }

static const char *const dataset_options[] = {"name", "slice", "val", "images", "labels", "test_images", "test_labels",
                                              "dir", NULL};

/* Options at index i; name: the one given before them, or NULL. */
static int dataset_from(lua_State *L, int i, const char *name)
{
    qs_err err;
    qs_opt_table(L, i);
    if (!name) name = qs_opt_text(L, i, "name");
    const char *bundled = lua_pushfstring(L, "%s/fashion-mnist", qs_bind_data(L));
    qs_dataset_opts o = {.slice = qs_opt_bool(L, i, "slice", false), .val = (long)qs_opt_integer(L, i, "val", -1),
                         .images = qs_opt_text(L, i, "images"), .labels = qs_opt_text(L, i, "labels"),
                         .test_images = qs_opt_text(L, i, "test_images"), .test_labels = qs_opt_text(L, i, "test_labels"),
                         .dir = qs_opt_text(L, i, "dir"), .bundled = bundled};
    if (qs_opts_check(L, i, "qs.dataset", dataset_options, &err)) return qs_bind_fail(L, &err);
    void **box = qs_box(L, &qs_type_dataset);
    if ((*box = qs_dataset_open(name, &o, qs_bind_ctl(L), &err))) {
        qs_box_known(L, *box);
        return 1;
    }
    return err.code == QS_EIO || err.code == QS_EFORMAT ? qs_bind_fail_file(L, &err) : qs_bind_fail(L, &err);
}

static int dataset_new(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_type(L, 1) == LUA_TSTRING) return dataset_from(L, 2, lua_tostring(L, 1));
    luaL_checktype(L, 1, LUA_TTABLE);
    return dataset_from(L, 1, NULL);
}

static int datasets(lua_State *L) { qs_push_docs(L, qs_dataset_docs); return 1; }

static int dataset_name(lua_State *L) { lua_pushstring(L, check_dataset(L, 1)->name); return 1; }
static int dataset_note(lua_State *L) { lua_pushstring(L, check_dataset(L, 1)->note); return 1; }
static int dataset_slice(lua_State *L) { lua_pushboolean(L, check_dataset(L, 1)->slice); return 1; }
static int dataset_classes(lua_State *L) { lua_pushinteger(L, check_dataset(L, 1)->classes); return 1; }

static int push_count(lua_State *L, qs_part part)
{
    lua_pushinteger(L, (lua_Integer)check_dataset(L, 1)->n[part]);
    return 1;
}
static int dataset_train(lua_State *L) { return push_count(L, QS_PART_TRAIN); }
static int dataset_val(lua_State *L) { return push_count(L, QS_PART_VAL); }
static int dataset_test(lua_State *L) { return push_count(L, QS_PART_TEST); }

static int dataset_input(lua_State *L)
{
    const qs_dataset *d = check_dataset(L, 1);
    set_ints(L, NULL, (const int[]){d->c, d->h, d->w}, 3);
    return 1;
}

static int push_channels(lua_State *L, const float *v, int c)
{
    lua_createtable(L, c, 0);
    for (int k = 0; k < c; k++) {
        lua_pushnumber(L, (double)v[k]);
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}
static int dataset_mean(lua_State *L) { return push_channels(L, check_dataset(L, 1)->mean, check_dataset(L, 1)->c); }
static int dataset_std(lua_State *L) { return push_channels(L, check_dataset(L, 1)->std, check_dataset(L, 1)->c); }

static int dataset_image(lua_State *L)   /* d:image(part, i) -> tensor (h, w, c), label */
{
    const qs_dataset *d = check_dataset(L, 1);
    lua_Integer i = luaL_checkinteger(L, 3);
    qs_part part;
    qs_err err;
    float *x;
    int32_t y;
    char name[96];
    if (qs_arg_part(L, 2, QS_PART_TRAIN, &part, &err)) return qs_bind_fail(L, &err);
    if (i < 1 || (size_t)i > d->n[part]) {
        qs_fail(&err, QS_EARG, _("d:image: there is no image %lld; %s has %zu of part %s"), (long long)i, d->name,
                d->n[part], part_names[part]);
        return qs_bind_fail(L, &err);
    }
    snprintf(name, sizeof name, "%s %s %lld", d->name, part_names[part], (long long)i);
    void **box = qs_box(L, &qs_type_tensor);
    if (!(*box = qs_tensor_f32(name, 3, (const int64_t[]){d->h, d->w, d->c}, &x, &err))) return qs_bind_fail(L, &err);
    qs_dataset_batch(d, part, &(uint32_t){(uint32_t)(i - 1)}, 1, NULL, x, &y);
    lua_pushinteger(L, y);
    return 2;
}

static int dataset_tostring(lua_State *L)
{
    const qs_dataset *d = check_dataset(L, 1);
    lua_pushfstring(L, "data %s; %dx%dx%d, %d classes, %I train, %I val, %I test", d->note, d->h, d->w, d->c, d->classes,
                    (LUAI_UACINT)d->n[0], (LUAI_UACINT)d->n[1], (LUAI_UACINT)d->n[2]);
    return 1;
}

/* ---- making nets: for nets.lua ------------------------------------------------------------------- */
static int net_new(lua_State *L)   /* (h, w, c, name) */
{
    lua_Integer size[3];
    qs_err err;
    for (int i = 0; i < 3; i++) {
        size[i] = luaL_checkinteger(L, i + 1);
        if (size[i] < 0 || size[i] > INT32_MAX) size[i] = 0;   /* refused below, as any size outside of 1..4096 */
    }
    const char *name = luaL_optstring(L, 4, "");
    void **box = qs_box(L, &qs_type_net);
    qs_net *net = *box = qs_net_new((int)size[0], (int)size[1], (int)size[2], &err);
    if (!net) return qs_bind_fail(L, &err);
    snprintf(net->name, sizeof net->name, "%s", name);
    return 1;
}

static int small_option(lua_State *L, const char *key, int otherwise)
{
    lua_Integer v = qs_opt_integer(L, 2, key, otherwise);
    return v < INT32_MIN / 2 ? INT32_MIN / 2 : v > INT32_MAX / 2 ? INT32_MAX / 2 : (int)v;   /* both are refused */
}

static int op_named(const char *name)
{
    static const char *const names[QS_OPS] = {
        [QS_OP_CONV] = "conv", [QS_OP_LINEAR] = "linear", [QS_OP_BATCHNORM] = "batchnorm", [QS_OP_RELU] = "relu",
        [QS_OP_RELU6] = "relu6", [QS_OP_SILU] = "silu", [QS_OP_MAXPOOL] = "maxpool", [QS_OP_AVGPOOL] = "avgpool",
        [QS_OP_GLOBALPOOL] = "globalpool", [QS_OP_FLATTEN] = "flatten", [QS_OP_ADD] = "add", [QS_OP_SHORTCUT] = "shortcut"};
    for (int i = 0; i < QS_OPS; i++)
        if (names[i] && !strcmp(names[i], name)) return i;
    return QS_OPS;
}

static int net_add(lua_State *L)   /* (net, {op=, ...}) -> number of the layer */
{
    qs_net *net = check_net(L, 1);
    qs_err err;
    luaL_checktype(L, 2, LUA_TTABLE);
    const char *op = qs_opt_text(L, 2, "op");
    const qs_layer l = {.op = (qs_op)op_named(op ? op : ""), .name = qs_opt_text(L, 2, "name"),
                        .prefix = qs_opt_text(L, 2, "prefix"), .in = small_option(L, "input", -1),
                        .in2 = small_option(L, "input2", -1), .out = small_option(L, "out", 0),
                        .kernel = small_option(L, "kernel", 0), .stride = small_option(L, "stride", 0),
                        .pad = small_option(L, "pad", 0), .groups = small_option(L, "groups", 0),
                        .no_bias = !qs_opt_bool(L, 2, "bias", true)};
    int k = qs_net_add(net, &l, &err);
    if (k < 0) return qs_bind_fail(L, &err);
    lua_pushinteger(L, k);
    return 1;
}

static int net_size(lua_State *L)   /* (net, layer) -> h, w, c */
{
    const qs_net *net = check_net(L, 1);
    lua_Integer i = luaL_optinteger(L, 2, net->n - 1);
    luaL_argcheck(L, i >= 0 && i < net->n, 2, "no such layer");
    lua_pushinteger(L, net->node[i].h);
    lua_pushinteger(L, net->node[i].w);
    lua_pushinteger(L, net->node[i].c);
    return 3;
}

static int net_note_set(lua_State *L)   /* (net, text) */
{
    qs_net *net = check_net(L, 1);
    snprintf(net->note, sizeof net->note, "%s", luaL_checkstring(L, 2));
    return 0;
}

static int net_count(lua_State *L)   /* (net) -> how many layers, the input counts */
{
    lua_pushinteger(L, check_net(L, 1)->n);
    return 1;
}

static int data_dir(lua_State *L)   /* (dir): where bundled data lies; returns where it does */
{
    if (!lua_isnoneornil(L, 1)) qs_bind_set_data(L, luaL_checkstring(L, 1));
    lua_pushstring(L, qs_bind_data(L));
    return 1;
}

/* ---- nets ------------------------------------------------------------------------------------------- */
static void *net_ref(void *net) { return qs_net_ref(net); }
static void net_unref(void *net) { qs_net_unref(net); }

static int net_load(lua_State *L)   /* net:load(model | path) -> net */
{
    qs_net *net = check_net(L, 1);
    qs_err err;
    bool named = lua_type(L, 2) == LUA_TSTRING;
    void **box = qs_box(L, &qs_type_model);
    if (named && !(*box = qs_model_open(lua_tostring(L, 2), &err))) return qs_bind_fail_file(L, &err);
    qs_model *m = named ? *box : qs_test(L, 2, &qs_type_model);
    if (!m) luaL_typeerror(L, 2, "qs.model or string");
    if (qs_net_load(net, m, &err)) return qs_bind_fail_file(L, &err);
    net->note[0] = 0;
    lua_settop(L, 1);
    return 1;
}

static int net_save(lua_State *L)   /* net:save(path, {half=false}) */
{
    static const char *const options[] = {"half", NULL};
    const qs_net *net = check_net(L, 1);
    const char *path = luaL_checkstring(L, 2);
    qs_err err;
    qs_opt_table(L, 3);
    bool half = qs_opt_bool(L, 3, "half", false);
    if (qs_opts_check(L, 3, "net:save", options, &err) || qs_net_save(net, path, half, &err)) return qs_bind_fail(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

static int net_seed(lua_State *L)
{
    qs_net *net = check_net(L, 1);
    qs_net_seed(net, (uint64_t)luaL_checkinteger(L, 2));
    lua_settop(L, 1);
    return 1;
}

static int net_copy(lua_State *L)
{
    const qs_net *net = check_net(L, 1);
    qs_err err;
    void **box = qs_box(L, &qs_type_net);
    if ((*box = qs_net_copy(net))) return 1;
    qs_fail(&err, QS_ENOMEM, _("no memory for a copy of the net"));
    return qs_bind_fail(L, &err);
}

static int net_fold(lua_State *L)
{
    const qs_net *net = check_net(L, 1);
    qs_err err;
    void **box = qs_box(L, &qs_type_net);
    *box = qs_net_fold(net, &err);
    return *box ? 1 : qs_bind_fail(L, &err);
}

static int net_names(lua_State *L)
{
    const qs_net *net = check_net(L, 1);
    lua_createtable(L, net->nparam, 0);
    for (int i = 0; i < net->nparam; i++) {
        lua_pushstring(L, net->param[i].name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* Where layer i takes its input from: names. */
static void set_inputs(lua_State *L, const qs_net *net, const qs_node *v)
{
    lua_createtable(L, 2, 0);
    for (int k = 0; k < 2; k++) {
        if (v->in[k] < 0) continue;
        lua_pushstring(L, net->node[v->in[k]].name);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "inputs");
}

static int net_layers(lua_State *L)
{
    const qs_net *net = check_net(L, 1);
    lua_createtable(L, net->n, 0);
    for (int i = 0; i < net->n; i++) {
        const qs_node *v = &net->node[i];
        lua_createtable(L, 0, 11);
        qs_set_text(L, "name", v->name);
        qs_set_text(L, "kind", qs_op_name(v->op));
        set_ints(L, "output", (const int[]){v->c, v->h, v->w}, 3);
        if (i) set_inputs(L, net, v);
        if (v->kernel) qs_set_count(L, "kernel", (size_t)v->kernel);
        if (v->stride) qs_set_count(L, "stride", (size_t)v->stride);
        if (v->kernel) qs_set_count(L, "pad", (size_t)v->pad);
        if (v->groups) qs_set_count(L, "groups", (size_t)v->groups);
        if (v->weight >= 0)
            qs_set_count(L, "values", net->param[v->weight].n + (v->bias >= 0 ? net->param[v->bias].n : 0));
        if (v->op == QS_OP_CONV || v->op == QS_OP_LINEAR) {
            lua_pushboolean(L, qs_net_unsigned(net, i));
            lua_setfield(L, -2, "unsigned");
        }
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static bool push_param(lua_State *L, const qs_net *net, const char *name, qs_err *err)
{
    void **box = qs_box(L, &qs_type_tensor);
    *box = qs_net_tensor(net, name, err);
    return *box;
}

static int net_get(lua_State *L)
{
    const qs_net *net = check_net(L, 1);
    qs_err err;
    return push_param(L, net, luaL_checkstring(L, 2), &err) ? 1 : qs_bind_fail(L, &err);
}

static int net_other(lua_State *L)   /* net["conv1.weight"], net[1] */
{
    const qs_net *net = check_net(L, 1);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
    if (lua_isinteger(L, 2) && lua_tointeger(L, 2) >= 1 && lua_tointeger(L, 2) <= net->nparam)
        name = net->param[lua_tointeger(L, 2) - 1].name;
    return name && push_param(L, net, name, NULL);
}

static int net_evaluate(lua_State *L)   /* net:evaluate(d, part, limit) */
{
    const qs_net *net = check_net(L, 1);
    qs_dataset *d = check_dataset(L, 2);
    lua_Integer limit = luaL_optinteger(L, 4, 0);
    qs_part part;
    qs_score score;
    qs_err err;
    luaL_argcheck(L, limit >= 0, 4, "a number of images");
    if (qs_arg_part(L, 3, QS_PART_VAL, &part, &err) ||
        qs_net_evaluate(net, d, part, (size_t)limit, qs_bind_ctl(L), &score, &err))
        return qs_bind_fail(L, &err);
    qs_push_score(L, &score);
    return 1;
}

struct acts { char **names; qs_index **index; size_t n; };

static void acts_clear(void *p)
{
    struct acts *a = p;
    for (size_t i = 0; i < a->n; i++) {
        free(a->names[i]);
        if (a->index[i]) qs_index_unref(a->index[i]);
    }
    free(a->names);
    free(a->index);
}

static int net_activations(lua_State *L)   /* net:activations(d, {batches=8, batch=128}) -> {name = index} */
{
    static const char *const options[] = {"batches", "batch", NULL};
    const qs_net *net = check_net(L, 1);
    qs_dataset *d = check_dataset(L, 2);
    qs_err err;
    qs_opt_table(L, 3);
    lua_settop(L, 3);
    lua_Integer batches = qs_opt_integer(L, 3, "batches", 8), batch = qs_opt_integer(L, 3, "batch", 128);
    if (qs_opts_check(L, 3, "net:activations", options, &err)) return qs_bind_fail(L, &err);
    if (batches < 1 || batch < 1 || batches > (lua_Integer)d->n[QS_PART_TRAIN] / batch) {
        qs_fail(&err, QS_EARG, _("net:activations: %lld batches of %lld images are not in %zu training images"),
                (long long)batches, (long long)batch, d->n[QS_PART_TRAIN]);
        return qs_bind_fail(L, &err);
    }
    struct acts *a = qs_scratch(L, sizeof *a, acts_clear);
    int slot = lua_gettop(L);
    if (qs_net_activations(net, d, (size_t)(batches * batch), qs_bind_ctl(L), &a->names, &a->index, &a->n, &err))
        return qs_bind_fail(L, &err);
    lua_createtable(L, 0, (int)a->n);
    for (size_t i = 0; i < a->n; i++) {
        void **box = qs_box(L, &qs_type_index);
        *box = a->index[i];
        a->index[i] = NULL;
        lua_setfield(L, -2, a->names[i]);
    }
    qs_scratch_done(L, slot);
    return 1;
}

static int net_len(lua_State *L) { lua_pushinteger(L, check_net(L, 1)->nparam); return 1; }
static int net_name(lua_State *L) { lua_pushstring(L, check_net(L, 1)->name); return 1; }
static int net_classes(lua_State *L)
{
    const qs_net *net = check_net(L, 1);
    lua_pushinteger(L, net->node[net->n - 1].c);
    return 1;
}
static int net_values(lua_State *L) { lua_pushinteger(L, (lua_Integer)qs_net_values(check_net(L, 1))); return 1; }

static int net_note(lua_State *L)
{
    const qs_net *net = check_net(L, 1);
    lua_pushstring(L, *net->note ? net->note : NULL);
    return 1;
}

static int net_input(lua_State *L)
{
    const qs_node *v = check_net(L, 1)->node;
    set_ints(L, NULL, (const int[]){v->c, v->h, v->w}, 3);
    return 1;
}

static int net_tostring(lua_State *L)
{
    const qs_net *net = check_net(L, 1);
    char *text = qs_net_text(net);
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '\n') text[--n] = 0;
    char *all = qs_xasprintf(_("net %s%s%zu values%s%s\n%s"), net->name, *net->name ? ", " : "", qs_net_values(net),
                             *net->note ? ", " : "", net->note, text);
    free(text);
    lua_pushstring(L, all);
    free(all);
    return 1;
}

/* ---- registration ------------------------------------------------------------------------------------- */
static const luaL_Reg dataset_methods[] = {{"image", dataset_image}, {NULL, NULL}};
static const luaL_Reg dataset_fields[] = {
    {"name", dataset_name}, {"note", dataset_note}, {"slice", dataset_slice}, {"classes", dataset_classes},
    {"train", dataset_train}, {"val", dataset_val}, {"test", dataset_test}, {"input", dataset_input},
    {"mean", dataset_mean}, {"std", dataset_std}, {NULL, NULL}};
static const luaL_Reg dataset_meta[] = {{"__tostring", dataset_tostring}, {NULL, NULL}};
const qs_type qs_type_dataset = {"qs.dataset", dataset_ref, dataset_unref, dataset_methods, dataset_fields, dataset_meta,
                                 NULL};

static const luaL_Reg net_methods[] = {
    {"load", net_load}, {"save", net_save}, {"seed", net_seed}, {"copy", net_copy}, {"fold", net_fold}, {"names", net_names},
    {"layers", net_layers}, {"get", net_get}, {"evaluate", net_evaluate}, {"activations", net_activations}, {NULL, NULL}};
static const luaL_Reg net_fields[] = {
    {"name", net_name}, {"note", net_note}, {"values", net_values}, {"input", net_input}, {"classes", net_classes},
    {NULL, NULL}};
static const luaL_Reg net_meta[] = {{"__len", net_len}, {"__tostring", net_tostring}, {NULL, NULL}};
const qs_type qs_type_net = {"qs.net", net_ref, net_unref, net_methods, net_fields, net_meta, net_other};

const luaL_Reg qs_bind_net_functions[] = {{"dataset", dataset_new}, {"datasets", datasets}, {NULL, NULL}};
static int file_write(lua_State *L)   /* (path, text) -> true: a whole file or none */
{
    size_t n;
    const char *path = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &n);
    qs_err err;
    if (qs_file_write(path, text, n, false, &err)) return qs_bind_fail_file(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

static int who(lua_State *L)   /* (name): whose work comes next, for the progress; nil: nobody's */
{
    qs_session_who(qs_bind_session(L), luaL_optstring(L, 1, NULL));
    return 0;
}

const luaL_Reg qs_bind_private[] = {{"net_new", net_new}, {"net_add", net_add}, {"net_size", net_size},
                                    {"net_count", net_count}, {"net_note", net_note_set}, {"data", data_dir},
                                    {"file_write", file_write}, {"who", who}, {NULL, NULL}};
