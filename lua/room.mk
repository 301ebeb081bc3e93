# lua: the facade `require "quantscope"`, its help, and the manual page made from that help.
qsfacadedir = $(qsluadir)/quantscope
QS_LUA_FILES = lua/quantscope/init.lua lua/quantscope/help.lua lua/quantscope/pretty.lua lua/quantscope/nets.lua \
               lua/quantscope/runs.lua lua/quantscope/races.lua lua/quantscope/plots.lua lua/quantscope/sweeps.lua \
               lua/quantscope/reports.lua
dist_qsfacade_DATA = $(QS_LUA_FILES)
EXTRA_DIST += lua/embed.sh lua/mkman.lua
dist_man_MANS += man/quantscope-lua.7

# The program carries the files inside: it needs none of them at run time.
BUILT_SOURCES += src/bind/lua_files.h
CLEANFILES += src/bind/lua_files.h
src/bind/lua_files.h: $(QS_LUA_FILES) lua/embed.sh
	$(AM_V_GEN)$(MKDIR_P) src/bind && $(SHELL) $(top_srcdir)/lua/embed.sh $(top_srcdir) $(QS_LUA_FILES) >$@.tmp && mv $@.tmp $@
src/bind/repl.$(OBJEXT): src/bind/lua_files.h
