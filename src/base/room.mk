noinst_LTLIBRARIES += libqsbase.la
libqsbase_la_SOURCES = src/base/err.c src/base/err.h src/base/mem.c src/base/mem.h src/base/rng.c src/base/rng.h \
                       src/base/sync.c src/base/sync.h src/base/text.h
libqsbase_la_LIBADD  = $(PTHREAD_LIBS)

check_PROGRAMS += tests/unit/t_base
TESTS += tests/unit/t_base
tests_unit_t_base_SOURCES = tests/unit/t_base.c tests/tap.h
tests_unit_t_base_LDADD   = libqsbase.la
