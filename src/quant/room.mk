noinst_LTLIBRARIES += libqsquant.la
libqsquant_la_SOURCES = src/quant/book.h src/quant/codebook.c src/quant/compare.c src/quant/curve.c src/quant/error.c src/quant/error.h \
                        src/quant/format.c src/quant/format.h src/quant/grad.c src/quant/grid.h src/quant/init.c \
                        src/quant/init.h src/quant/init_mse.c src/quant/init_stat.c src/quant/lloyd.c src/quant/quantizer.c \
                        src/quant/quantizer.h src/quant/rows.h

# What a test of this room links.
QUANT_LIBS = libqsquant.la libqsstat.la libqsmodel.la libqsnum.la libqsbase.la

check_PROGRAMS += tests/unit/t_format
TESTS += tests/unit/t_format
tests_unit_t_format_SOURCES = tests/unit/t_format.c tests/tap.h
tests_unit_t_format_LDADD   = $(QUANT_LIBS)
