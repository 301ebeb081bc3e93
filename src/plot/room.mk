noinst_LIBRARIES += libqsplot.a
libqsplot_a_SOURCES = src/plot/cells.c src/plot/cells.h src/plot/axis.c src/plot/axis.h src/plot/plot.c src/plot/plot.h \
                      src/plot/color.c src/plot/color.h src/plot/cells_out.c src/plot/paper.h src/plot/paper.c src/plot/paper_data.c \
                      src/plot/sheet.h src/plot/ink.h src/plot/cairo.c
PLOT_LIBS = libqsplot.a $(CAIRO_LIBS) $(BASE_LIBS)

check_PROGRAMS += tests/unit/t_plot
TESTS += tests/unit/t_plot
tests_unit_t_plot_SOURCES = tests/unit/t_plot.c tests/tap.h
tests_unit_t_plot_LDADD   = $(PLOT_LIBS)

check_PROGRAMS += tests/unit/t_paper
TESTS += tests/unit/t_paper
tests_unit_t_paper_SOURCES = tests/unit/t_paper.c tests/tap.h
tests_unit_t_paper_LDADD   = $(PLOT_LIBS)
