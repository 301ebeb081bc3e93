noinst_LIBRARIES += libqsbase.a
libqsbase_a_SOURCES = src/base/digits.c src/base/digits.h src/base/err.c src/base/err.h src/base/mem.c src/base/mem.h \
                       src/base/rng.c src/base/rng.h \
                       src/base/file.c src/base/file.h src/base/guard.c src/base/guard.h src/base/sha256.c src/base/sha256.h \
                       src/base/sync.c src/base/sync.h src/base/text.h
# What a program that uses this room links; the rooms above add themselves in front.
BASE_LIBS = libqsbase.a $(PTHREAD_LIBS)

base_tests = tests/unit/t_base tests/unit/t_guard
check_PROGRAMS += $(base_tests)
TESTS += $(base_tests)
tests_unit_t_base_SOURCES = tests/unit/t_base.c tests/tap.h
tests_unit_t_base_LDADD   = $(BASE_LIBS)
tests_unit_t_guard_SOURCES = tests/unit/t_guard.c tests/tap.h
tests_unit_t_guard_LDADD   = $(BASE_LIBS)
