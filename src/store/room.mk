# store: the results database (SQLite).
noinst_LTLIBRARIES += libqsstore.la
libqsstore_la_SOURCES = src/store/store.c src/store/store.h src/store/store_in.h src/store/sql.c src/store/process.c \
                        src/store/store_write.c src/store/store_read.c src/store/store_merge.c src/store/numbers.c
libqsstore_la_LIBADD  = $(SQLITE_LIBS)

check_PROGRAMS += tests/unit/t_store
TESTS += tests/unit/t_store
tests_unit_t_store_SOURCES = tests/unit/t_store.c tests/unit/files.h tests/tap.h
tests_unit_t_store_LDADD   = libqsstore.la libqsbase.la
