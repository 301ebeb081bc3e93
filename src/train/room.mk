# Training: networks, data, fake quantization with learnable parameters, runs. One file a line, in the order to read them.
noinst_LIBRARIES += libqstrain.a
libqstrain_a_SOURCES = \
    src/train/dataset.h src/train/dataset.c src/train/data_files.h src/train/data_files.c \
    src/train/net.h src/train/net.c \
    src/train/site.h src/train/site_in.h src/train/site.c src/train/site_fit.c src/train/site_look.c src/train/site_correct.c \
    src/train/dnn.h src/train/dnn.c src/train/conv_plain.h src/train/conv_plain.c src/train/conv_bytes.h src/train/conv_bytes.c \
    src/train/plan.h src/train/plan.c src/train/plan_in.h src/train/layers.c \
    src/train/history.h src/train/history.c \
    src/train/run.h src/train/run_work.h \
    src/train/optim.h src/train/optim.c \
    src/train/calib.c src/train/search.h src/train/probe.c src/train/search.c src/train/adapt.c src/train/lapq.c \
    src/train/follow.c \
    src/train/record.c \
    src/train/evaluate.c \
    src/train/run.c \
    src/train/checkpoint.c

TRAIN_LIBS = libqstrain.a $(DNNL_LIBS) $(ZLIB_LIBS) $(JANSSON_LIBS) $(QUANT_LIBS)

# One a line; each also says what it is made of.
train_tests = \
    tests/unit/t_dataset \
    tests/unit/t_history \
    tests/unit/t_net \
    tests/unit/t_optim
long_train_tests = \
    tests/unit/t_adapt \
    tests/unit/t_plan \
    tests/unit/t_whole \
    tests/unit/t_run \
    tests/unit/t_site
check_PROGRAMS += $(train_tests) $(long_train_tests)
TESTS += $(train_tests)
long_tests += $(long_train_tests)
tests_unit_t_dataset_SOURCES = tests/unit/t_dataset.c tests/unit/files.h tests/tap.h
tests_unit_t_dataset_LDADD   = $(TRAIN_LIBS)
tests_unit_t_history_SOURCES = tests/unit/t_history.c tests/tap.h
tests_unit_t_history_LDADD   = $(TRAIN_LIBS)
tests_unit_t_net_SOURCES = tests/unit/t_net.c tests/tap.h tests/unit/files.h
tests_unit_t_net_LDADD   = $(TRAIN_LIBS)
tests_unit_t_plan_SOURCES = tests/unit/t_plan.c tests/tap.h
tests_unit_t_plan_LDADD   = $(TRAIN_LIBS)
tests_unit_t_whole_SOURCES = tests/unit/t_whole.c tests/tap.h
tests_unit_t_whole_LDADD   = $(TRAIN_LIBS)
tests_unit_t_site_SOURCES = tests/unit/t_site.c tests/tap.h
tests_unit_t_site_LDADD   = $(TRAIN_LIBS)
tests_unit_t_optim_SOURCES = tests/unit/t_optim.c tests/tap.h
tests_unit_t_optim_LDADD   = $(TRAIN_LIBS)
tests_unit_t_run_SOURCES = tests/unit/t_run.c tests/unit/files.h tests/unit/runs.h tests/tap.h
tests_unit_t_run_LDADD   = $(TRAIN_LIBS)
tests_unit_t_adapt_SOURCES = tests/unit/t_adapt.c tests/unit/files.h tests/unit/runs.h tests/tap.h
tests_unit_t_adapt_LDADD   = $(TRAIN_LIBS)
