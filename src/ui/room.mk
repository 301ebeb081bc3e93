noinst_LIBRARIES += libqsui.a
libqsui_a_SOURCES = src/ui/actions.c src/ui/console.c src/ui/console.h src/ui/explain.c src/ui/export.c src/ui/fmt.c src/ui/keys.c \
                     src/ui/keys.h src/ui/layout.c src/ui/loop.c src/ui/menu.c src/ui/names.c src/ui/names.h src/ui/screen.h \
                     src/ui/script.c src/ui/term.c src/ui/term.h src/ui/ui.h src/ui/view_compare.c src/ui/view_curve.c \
                     src/ui/view_hist.c src/ui/view_list.c src/ui/view_map.c src/ui/view_site.c src/ui/view_train.c \
                     src/ui/view_results.c src/ui/view_race.c
UI_LIBS = libqsui.a libqsengine.a $(PLOT_LIBS) $(CURSES_LIBS) $(READLINE_LIBS)

# Screen tests on made-up numbers, in tmux.
check_PROGRAMS += tests/ui/fake
tests_ui_fake_SOURCES = tests/ui/fake.c tests/ui/fake_train.h tests/ui/fake_results.h tests/ui/fake_race.h
tests_ui_fake_LDADD   = $(UI_LIBS)
long_tests += tests/ui/screen.t tests/ui/train.t tests/ui/results.t tests/ui/race.t
dist_check_SCRIPTS += tests/ui/screen.t tests/ui/train.t tests/ui/results.t tests/ui/race.t
EXTRA_DIST += tests/ui/lib.sh tests/ui/golden

check_PROGRAMS += tests/unit/t_ui
TESTS += tests/unit/t_ui
tests_unit_t_ui_SOURCES = tests/unit/t_ui.c tests/tap.h
tests_unit_t_ui_LDADD   = $(UI_LIBS)
