noinst_LTLIBRARIES += libqsmodel.la
libqsmodel_la_SOURCES = src/model/blob.c src/model/model.c src/model/model.h src/model/npy.c src/model/reader.h \
                        src/model/safetensors.c src/model/save.c src/model/split.c src/model/tensor.c src/model/tensor.h
libqsmodel_la_LIBADD  = $(JANSSON_LIBS) $(PROTOBUFC_LIBS)

# What a test of this room links.
MODEL_LIBS = libqsmodel.la libqsnum.la libqsbase.la

check_PROGRAMS += tests/unit/t_tensor
TESTS += tests/unit/t_tensor
tests_unit_t_tensor_SOURCES = tests/unit/t_tensor.c tests/tap.h
tests_unit_t_tensor_LDADD   = $(MODEL_LIBS)
