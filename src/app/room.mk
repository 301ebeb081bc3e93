bin_PROGRAMS += quantscope
quantscope_SOURCES = src/app/main.c src/app/app.h src/app/out.c src/app/out.h src/app/paths.c src/app/headless.c \
                     src/app/cli_list.c src/app/cli_compare.c src/app/cli_curve.c src/app/cli_plot.c src/app/cli_results.c \
                     src/app/cli_merge.c src/app/cli_quantize.c src/app/cli_diff.c src/app/cli_race.c src/app/cli_report.c src/app/cli_sweep.c src/app/run.c src/app/repl.c \
                     src/app/workbench.c
# Where the program finds its data before it is installed.
quantscope_CPPFLAGS = $(AM_CPPFLAGS) -DQS_SRCDIR='"$(abs_top_srcdir)"' -DQS_BUILDDIR='"$(abs_top_builddir)"'
quantscope_LDADD = libqsui.a $(BIND_LIBS) $(PLOT_LIBS) $(CURSES_LIBS) $(READLINE_LIBS)
