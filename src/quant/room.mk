noinst_LIBRARIES += libqsquant.a
libqsquant_a_SOURCES = src/quant/allot.c src/quant/allot.h src/quant/book.h src/quant/budget.c src/quant/budget.h src/quant/codebook.c src/quant/compare.c src/quant/curve.c src/quant/diff.c src/quant/diff.h src/quant/error.c src/quant/error.h \
                        src/quant/exact.c src/quant/exact.h src/quant/exact_buckets.c src/quant/exact_offset.c \
                        src/quant/format.c src/quant/format.h src/quant/grad.c src/quant/grid.h src/quant/init.c \
                        src/quant/init.h src/quant/init_lp.c src/quant/init_mse.c src/quant/init_stat.c src/quant/lloyd.c src/quant/quantizer.c \
                        src/quant/init_scale.c src/quant/quantizer.h src/quant/rows.h src/quant/scale.c src/quant/scale.h \
                        src/quant/survey.c src/quant/survey.h
QUANT_LIBS = libqsquant.a $(STAT_LIBS)

check_PROGRAMS += tests/unit/t_format
TESTS += tests/unit/t_format
tests_unit_t_format_SOURCES = tests/unit/t_format.c tests/tap.h
tests_unit_t_format_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_quantizer
TESTS += tests/unit/t_quantizer
tests_unit_t_quantizer_SOURCES = tests/unit/t_quantizer.c tests/tap.h
tests_unit_t_quantizer_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_scale
TESTS += tests/unit/t_scale
tests_unit_t_scale_SOURCES = tests/unit/t_scale.c tests/tap.h
tests_unit_t_scale_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_grad
TESTS += tests/unit/t_grad
tests_unit_t_grad_SOURCES = tests/unit/t_grad.c tests/tap.h
tests_unit_t_grad_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_error
TESTS += tests/unit/t_error
tests_unit_t_error_SOURCES = tests/unit/t_error.c tests/tap.h
tests_unit_t_error_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_diff
TESTS += tests/unit/t_diff
tests_unit_t_diff_SOURCES = tests/unit/t_diff.c tests/tap.h
tests_unit_t_diff_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_importance
TESTS += tests/unit/t_importance
tests_unit_t_importance_SOURCES = tests/unit/t_importance.c tests/tap.h tests/unit/files.h
tests_unit_t_importance_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_curve
TESTS += tests/unit/t_curve
tests_unit_t_curve_SOURCES = tests/unit/t_curve.c tests/tap.h
tests_unit_t_curve_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_mse
TESTS += tests/unit/t_mse
tests_unit_t_mse_SOURCES = tests/unit/t_mse.c tests/tap.h
tests_unit_t_mse_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_lloyd
TESTS += tests/unit/t_lloyd
tests_unit_t_lloyd_SOURCES = tests/unit/t_lloyd.c tests/tap.h
tests_unit_t_lloyd_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_init
TESTS += tests/unit/t_init
tests_unit_t_init_SOURCES = tests/unit/t_init.c tests/tap.h
tests_unit_t_init_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_vectors
TESTS += tests/unit/t_vectors
tests_unit_t_vectors_SOURCES = tests/unit/t_vectors.c tests/tap.h
tests_unit_t_vectors_LDADD   = $(QUANT_LIBS)

check_PROGRAMS += tests/unit/t_survey
TESTS += tests/unit/t_survey
tests_unit_t_survey_SOURCES = tests/unit/t_survey.c tests/tap.h
tests_unit_t_survey_LDADD   = $(QUANT_LIBS)
