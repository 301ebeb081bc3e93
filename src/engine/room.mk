# The workbench's engine room: job box, board and snapshots (base only), then the session that works on the rooms below.
noinst_LIBRARIES += libqsengine.a
libqsengine_a_SOURCES = src/engine/job.c src/engine/job.h src/engine/snapshot.c src/engine/snapshot.h \
                         src/engine/board.c src/engine/pick.c src/engine/log.c src/engine/log.h src/engine/session.h \
                         src/engine/session.c src/engine/state.h src/engine/select.c src/engine/view.c \
                         src/engine/compare.c src/engine/picture.c src/engine/list.c src/engine/background.c \
                         src/engine/sample.c src/engine/bins.c src/engine/training.c src/engine/train_look.c \
                         src/engine/train_snap.c src/engine/results.c src/engine/race.c src/engine/race.h \
                         src/engine/race_file.c src/engine/own.c src/engine/quantize.c src/engine/quantize.h src/engine/steps.c \
                         src/engine/pairs.c src/engine/pairs.h src/engine/versus.c
ENGINE_LIBS = libqsengine.a $(TRAIN_LIBS)

check_PROGRAMS += tests/unit/t_job tests/unit/t_board tests/unit/t_session tests/unit/t_view tests/unit/t_training tests/unit/t_race
TESTS += tests/unit/t_job tests/unit/t_board tests/unit/t_session tests/unit/t_view tests/unit/t_training tests/unit/t_race
tests_unit_t_job_SOURCES   = tests/unit/t_job.c tests/tap.h
tests_unit_t_job_LDADD     = libqsengine.a $(BASE_LIBS)
tests_unit_t_board_SOURCES = tests/unit/t_board.c tests/tap.h
tests_unit_t_board_LDADD   = libqsengine.a $(BASE_LIBS)

tests_unit_t_session_SOURCES = tests/unit/t_session.c tests/unit/engine_help.h tests/tap.h
tests_unit_t_session_LDADD   = $(ENGINE_LIBS)
tests_unit_t_view_SOURCES    = tests/unit/t_view.c tests/unit/engine_help.h tests/tap.h
tests_unit_t_view_LDADD      = $(ENGINE_LIBS)
tests_unit_t_training_SOURCES = tests/unit/t_training.c tests/unit/engine_help.h tests/tap.h
tests_unit_t_training_LDADD  = $(ENGINE_LIBS)
tests_unit_t_race_SOURCES    = tests/unit/t_race.c tests/unit/runs.h tests/unit/files.h tests/tap.h
tests_unit_t_race_LDADD      = $(ENGINE_LIBS)
