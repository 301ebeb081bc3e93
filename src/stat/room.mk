noinst_LTLIBRARIES += libqsstat.la
libqsstat_la_SOURCES = src/stat/index.c src/stat/index.h src/stat/index_in.h src/stat/index_build.c src/stat/cache.c \
                       src/stat/sort.c src/stat/sort.h src/stat/hist.h src/stat/summary.h src/stat/loghist.h

check_PROGRAMS += tests/unit/t_index
TESTS += tests/unit/t_index
tests_unit_t_index_SOURCES = tests/unit/t_index.c tests/tap.h
tests_unit_t_index_LDADD   = libqsstat.la libqsmodel.la libqsnum.la libqsbase.la
