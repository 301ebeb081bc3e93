noinst_LIBRARIES += libqsstat.a
libqsstat_a_SOURCES = src/stat/index.c src/stat/index.h src/stat/index_in.h src/stat/index_build.c \
                       src/stat/index_build.h src/stat/index_counted.c src/stat/index_buckets.c src/stat/index_fine.c src/stat/cache.c \
                       src/stat/sort.c src/stat/sort.h src/stat/summary.c src/stat/summary.h src/stat/hist.c \
                       src/stat/hist.h src/stat/density.c src/stat/infer.c src/stat/infer.h src/stat/loghist.c \
                       src/stat/loghist.h src/stat/peaks.c src/stat/peaks.h
STAT_LIBS = libqsstat.a $(MODEL_LIBS)

check_PROGRAMS += tests/unit/t_index tests/unit/t_summary tests/unit/t_hist tests/unit/t_loghist
TESTS += tests/unit/t_index tests/unit/t_summary tests/unit/t_hist tests/unit/t_loghist
tests_unit_t_index_SOURCES = tests/unit/t_index.c tests/tap.h
tests_unit_t_index_LDADD   = $(STAT_LIBS)
tests_unit_t_summary_SOURCES = tests/unit/t_summary.c tests/tap.h
tests_unit_t_summary_LDADD   = $(STAT_LIBS)
tests_unit_t_hist_SOURCES = tests/unit/t_hist.c tests/tap.h
tests_unit_t_hist_LDADD   = $(STAT_LIBS)
tests_unit_t_loghist_SOURCES = tests/unit/t_loghist.c tests/tap.h
tests_unit_t_loghist_LDADD   = $(STAT_LIBS)
