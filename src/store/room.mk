# store: the results database (SQLite), sweeps, the worker processes that run their cells.
noinst_LIBRARIES += libqsstore.a
libqsstore_a_SOURCES = src/store/store.c src/store/store.h src/store/store_in.h src/store/sql.c src/store/process.c \
                        src/store/store_write.c src/store/store_read.c src/store/store_merge.c src/store/numbers.c \
                        src/store/study.c src/store/groups.c src/store/groups.h \
                        src/store/sweep.c src/store/sweep.h src/store/report.c src/store/report.h src/store/crew.c \
                        src/store/crew.h src/store/sweep_run.c src/store/sweep_run.h src/store/stop.c \
                        src/store/watch.c src/store/watch.h src/store/watch_in.h src/store/watch_snap.c
STORE_LIBS = libqsstore.a $(SQLITE_LIBS) $(JANSSON_LIBS) $(ENGINE_LIBS)

check_PROGRAMS += tests/unit/t_store tests/unit/t_store_faults tests/unit/t_groups tests/unit/t_sweep tests/unit/t_watch
TESTS += tests/unit/t_store tests/unit/t_groups tests/unit/t_sweep tests/unit/t_watch
long_tests += tests/unit/t_store_faults
tests_unit_t_store_SOURCES = tests/unit/t_store.c tests/unit/files.h tests/tap.h
tests_unit_t_store_LDADD   = $(STORE_LIBS)
tests_unit_t_groups_SOURCES = tests/unit/t_groups.c tests/unit/files.h tests/tap.h
tests_unit_t_groups_LDADD   = $(STORE_LIBS)
tests_unit_t_store_faults_SOURCES = tests/unit/t_store_faults.c tests/unit/files.h tests/tap.h
tests_unit_t_store_faults_LDADD   = $(STORE_LIBS)
tests_unit_t_sweep_SOURCES = tests/unit/t_sweep.c tests/tap.h
tests_unit_t_sweep_LDADD   = $(STORE_LIBS)
tests_unit_t_watch_SOURCES = tests/unit/t_watch.c tests/unit/files.h tests/tap.h
tests_unit_t_watch_LDADD   = $(STORE_LIBS)
