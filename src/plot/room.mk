noinst_LIBRARIES += libqsplot.a
libqsplot_a_SOURCES = src/plot/cells.c src/plot/cells.h src/plot/axis.c src/plot/axis.h src/plot/plot.c src/plot/plot.h
PLOT_LIBS = libqsplot.a $(BASE_LIBS)

check_PROGRAMS += tests/unit/t_plot
TESTS += tests/unit/t_plot
tests_unit_t_plot_SOURCES = tests/unit/t_plot.c tests/tap.h
tests_unit_t_plot_LDADD   = $(PLOT_LIBS)
