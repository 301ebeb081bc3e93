noinst_LTLIBRARIES += libqsmodel.la
libqsmodel_la_SOURCES = src/model/blob.c src/model/model.c src/model/model.h src/model/npy.c src/model/onnx.c src/model/onnx.h \
                        src/model/onnx_skim.c src/model/onnx_tensor.c src/model/reader.h src/model/safetensors.c \
                        src/model/save.c src/model/split.c src/model/tensor.c src/model/tensor.h
nodist_libqsmodel_la_SOURCES = src/model/onnx.pb-c.c src/model/onnx.pb-c.h
libqsmodel_la_LIBADD  = $(JANSSON_LIBS) $(PROTOBUFC_LIBS)

# The parser of ONNX files is generated from our schema, into the build tree.
EXTRA_DIST    += src/model/onnx.proto
BUILT_SOURCES += src/model/onnx.pb-c.h
CLEANFILES    += src/model/onnx.pb-c.c src/model/onnx.pb-c.h
src/model/onnx.pb-c.c: src/model/onnx.proto
	$(AM_V_GEN)$(MKDIR_P) src/model && $(PROTOC_C) --proto_path=$(top_srcdir)/src/model --c_out=src/model onnx.proto
src/model/onnx.pb-c.h: src/model/onnx.pb-c.c
	@test -f $@ || { rm -f src/model/onnx.pb-c.c && $(MAKE) $(AM_MAKEFLAGS) src/model/onnx.pb-c.c; }

# What a test of this room links.
MODEL_LIBS = libqsmodel.la libqsnum.la libqsbase.la

check_PROGRAMS += tests/unit/t_tensor
TESTS += tests/unit/t_tensor
tests_unit_t_tensor_SOURCES = tests/unit/t_tensor.c tests/tap.h
tests_unit_t_tensor_LDADD   = $(MODEL_LIBS)

check_PROGRAMS += tests/golden/t_onnx_testdata
TESTS += tests/golden/t_onnx_testdata
tests_golden_t_onnx_testdata_SOURCES = tests/golden/t_onnx_testdata.c tests/tap.h
tests_golden_t_onnx_testdata_LDADD   = $(MODEL_LIBS)
EXTRA_DIST += tests/golden/onnx_testdata.py tests/golden/onnx_testdata.txt
