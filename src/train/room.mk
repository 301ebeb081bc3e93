# Training: networks, data, fake quantization with learnable parameters, runs. One file a line, in the order to read them.
noinst_LTLIBRARIES += libqstrain.la
libqstrain_la_LIBADD  = $(DNNL_LIBS) $(ZLIB_LIBS) $(JANSSON_LIBS) -lm
libqstrain_la_SOURCES = \
    src/train/dataset.h \
    src/train/net.h \
    src/train/site.h \
    src/train/plan.h \
    src/train/history.h src/train/history.c \
    src/train/run.h src/train/run_work.h \
    src/train/optim.h src/train/optim.c \
    src/train/calib.c \
    src/train/record.c \
    src/train/evaluate.c \
    src/train/run.c \
    src/train/checkpoint.c

# What a test of this room links.
TRAIN_LIBS = libqstrain.la libqsquant.la libqsstat.la libqsmodel.la libqsnum.la libqsbase.la
train_tests =
