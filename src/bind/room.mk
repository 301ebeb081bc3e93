# bind: the Lua binding. libqslua is what the module needs too; the console adds a Lua state of its own.
noinst_LIBRARIES += libqslua.a libqsbind.a
libqslua_a_SOURCES = src/bind/bind.c src/bind/bind.h src/bind/bind_model.c src/bind/bind_file.c src/bind/bind_tensor.c src/bind/bind_quant.c \
                      src/bind/bind_quant.h src/bind/bind_init.c src/bind/bind_session.c src/bind/bind_net.c \
                      src/bind/bind_train.c src/bind/bind_run.c src/bind/bind_run.h src/bind/bind_plot.c \
                      src/bind/bind_results.c src/bind/bind_sweep.c src/bind/bind_sweep.h src/bind/bind_cell.c src/bind/bind_race.c src/bind/bind_report.c \
                      src/bind/sweep_say.c src/bind/sweep.h
libqsbind_a_SOURCES = src/bind/repl.c src/bind/repl.h src/bind/repl_sweep.c src/bind/complete.c
nodist_libqsbind_a_SOURCES = src/bind/lua_files.h
BIND_LIBS = libqsbind.a libqslua.a $(LUA_LIBS) libqsplot.a $(CAIRO_LIBS) $(STORE_LIBS)

# `require "quantscope.core"` in a stock lua5.4. Not linked to liblua: the interpreter has its own. It stays mapped when the
# state closes (nodelete), since the threads of the pool live on. Made as a program is and installed as data, mode 644 and
# never renamed; it lies in a folder by the name that Lua looks for, so it is found before it is installed.
qscoredir = $(qsluaexecdir)/quantscope
qscore_DATA = intree/quantscope/core.so
EXTRA_PROGRAMS += intree/quantscope/core.so
intree_quantscope_core_so_SOURCES = src/bind/module.c
intree_quantscope_core_so_LDADD   = libqslua.a libqsplot.a $(CAIRO_LIBS) $(STORE_LIBS)
intree_quantscope_core_so_LDFLAGS = $(AM_LDFLAGS) -shared -Wl,-z,nodelete
CLEANFILES += intree/quantscope/core.so

check_PROGRAMS += tests/unit/t_repl tests/unit/t_repl_run tests/lua/t_lua
TESTS += tests/unit/t_repl
long_tests += tests/unit/t_repl_run
tests_unit_t_repl_run_SOURCES = tests/unit/t_repl_run.c tests/tap.h
tests_unit_t_repl_run_LDADD   = $(BIND_LIBS)
tests_unit_t_repl_SOURCES = tests/unit/t_repl.c tests/tap.h
tests_unit_t_repl_LDADD   = $(BIND_LIBS)

# The Lua tests, by the embedded Lua (a host of ten lines, so that they need neither program nor terminal) and by a stock
# lua5.4 with the module.
tests_lua_t_lua_SOURCES = tests/lua/t_lua.c
tests_lua_t_lua_LDADD   = $(BIND_LIBS)
QS_LUA_TESTS = tests/lua/t_doc.lua tests/lua/t_error.lua tests/lua/t_format.lua tests/lua/t_index.lua tests/lua/t_init.lua \
               tests/lua/t_model.lua tests/lua/t_onnx.lua tests/lua/t_pretty.lua tests/lua/t_quantizer.lua tests/lua/t_register.lua \
               tests/lua/t_select.lua tests/lua/t_tensor.lua tests/lua/t_net.lua tests/lua/t_train.lua tests/lua/t_plot.lua \
               tests/lua/t_results.lua tests/lua/t_sweep.lua tests/lua/t_race.lua tests/lua/t_report.lua
TESTS += $(QS_LUA_TESTS)
dist_check_SCRIPTS += tests/lua/run
EXTRA_DIST += $(QS_LUA_TESTS) tests/lua/tap.lua tests/golden/results.py tests/golden/results/v1.db
