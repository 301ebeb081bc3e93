noinst_LIBRARIES += libqsmodel.a
libqsmodel_a_SOURCES = src/model/bits.c src/model/blob.c src/model/imatrix.c src/model/importance.c src/model/importance.h \
                        src/model/join.c src/model/join_in.h src/model/join_schemes.c src/model/joined.c src/model/joined.h src/model/match.c src/model/match.h \
                        src/model/model.c src/model/model.h src/model/npy.c src/model/npz.c src/model/folder.c \
                        src/model/json.c src/model/json.h \
                        src/model/onnx.c src/model/onnx.h \
                        src/model/onnx_skim.c src/model/onnx_tensor.c src/model/packed.c src/model/packed.h src/model/pickle.c \
                        src/model/pickle.h src/model/reader.h \
                        src/model/gguf.c src/model/gguf_blocks.c src/model/gguf.h src/model/safetensors.c \
                        src/model/save.c src/model/scaled.c src/model/split.c src/model/tensor.c src/model/tensor.h \
                        src/model/torch.c src/model/zip.c src/model/zip.h
nodist_libqsmodel_a_SOURCES = src/model/onnx.pb-c.c src/model/onnx.pb-c.h
MODEL_LIBS = libqsmodel.a $(ZLIB_LIBS) $(JANSSON_LIBS) $(PROTOBUFC_LIBS) $(NUM_LIBS)

# The parser of ONNX files is generated from our schema, into the build tree.
EXTRA_DIST    += src/model/onnx.proto
BUILT_SOURCES += src/model/onnx.pb-c.h
CLEANFILES    += src/model/onnx.pb-c.c src/model/onnx.pb-c.h
src/model/onnx.pb-c.c: src/model/onnx.proto
	$(AM_V_GEN)$(MKDIR_P) src/model && $(PROTOC_C) --proto_path=$(top_srcdir)/src/model --c_out=src/model onnx.proto
src/model/onnx.pb-c.h: src/model/onnx.pb-c.c
	@test -f $@ || { rm -f src/model/onnx.pb-c.c && $(MAKE) $(AM_MAKEFLAGS) src/model/onnx.pb-c.c; }

model_tests = tests/unit/t_tensor tests/unit/t_safetensors tests/unit/t_gguf tests/unit/t_npy tests/unit/t_zip tests/unit/t_torch \
              tests/unit/t_folder tests/unit/t_onnx tests/unit/t_save tests/unit/t_join \
              tests/unit/t_open_big tests/hostile/t_hostile tests/golden/t_onnx_testdata
check_PROGRAMS += $(model_tests)
TESTS += $(model_tests)
tests_unit_t_tensor_SOURCES = tests/unit/t_tensor.c tests/tap.h
tests_unit_t_tensor_LDADD   = $(MODEL_LIBS)
tests_unit_t_safetensors_SOURCES = tests/unit/t_safetensors.c tests/tap.h tests/unit/files.h
tests_unit_t_safetensors_LDADD   = $(MODEL_LIBS)
tests_unit_t_gguf_SOURCES = tests/unit/t_gguf.c tests/tap.h tests/unit/files.h
tests_unit_t_gguf_LDADD   = $(MODEL_LIBS)
tests_unit_t_npy_SOURCES = tests/unit/t_npy.c tests/tap.h tests/unit/files.h
tests_unit_t_npy_LDADD   = $(MODEL_LIBS)
tests_unit_t_zip_SOURCES = tests/unit/t_zip.c tests/tap.h tests/unit/files.h tests/unit/zips.h
tests_unit_t_zip_LDADD   = $(MODEL_LIBS)
tests_unit_t_torch_SOURCES = tests/unit/t_torch.c tests/tap.h tests/unit/files.h tests/unit/zips.h
tests_unit_t_torch_LDADD   = $(MODEL_LIBS)
tests_unit_t_folder_SOURCES = tests/unit/t_folder.c tests/tap.h tests/unit/files.h
tests_unit_t_folder_LDADD   = $(MODEL_LIBS)
tests_unit_t_onnx_SOURCES = tests/unit/t_onnx.c tests/tap.h tests/unit/files.h
tests_unit_t_onnx_LDADD   = $(MODEL_LIBS)
tests_unit_t_save_SOURCES = tests/unit/t_save.c tests/tap.h tests/unit/files.h
tests_unit_t_save_LDADD   = $(MODEL_LIBS)
tests_unit_t_join_SOURCES = tests/unit/t_join.c tests/tap.h tests/unit/files.h
tests_unit_t_join_LDADD   = $(MODEL_LIBS)
EXTRA_DIST += tests/golden/joined.py tests/golden/joined/model.safetensors tests/golden/joined/want.safetensors \
              tests/golden/joined/bad.safetensors tests/golden/joined/order.safetensors tests/golden/joined/qdq.onnx \
              tests/golden/joined/qdq_want.safetensors tests/golden/joined_onnx.py tests/golden/joined/small.onnx \
              tests/golden/joined/small_want.safetensors tests/golden/joined/small_bad.onnx \
              tests/golden/joined_gguf.py tests/golden/joined/scaled.gguf tests/golden/joined/scaled_want.safetensors \
              tests/golden/joined_fp4.py tests/golden/joined/fp4.safetensors tests/golden/joined/fp4_want.safetensors \
              tests/golden/joined/fp4_bad.safetensors
tests_unit_t_open_big_SOURCES = tests/unit/t_open_big.c tests/tap.h tests/unit/files.h
tests_unit_t_open_big_LDADD   = $(MODEL_LIBS)
tests_hostile_t_hostile_SOURCES = tests/hostile/t_hostile.c tests/tap.h tests/unit/files.h
tests_hostile_t_hostile_LDADD   = $(MODEL_LIBS)
tests_golden_t_onnx_testdata_SOURCES = tests/golden/t_onnx_testdata.c tests/tap.h
tests_golden_t_onnx_testdata_LDADD   = $(MODEL_LIBS)

# Files other programs wrote, and the scripts that made them do so.
EXTRA_DIST += tests/golden/onnx_testdata.py tests/golden/onnx_testdata.txt tests/golden/npy.py tests/golden/onnx_models.py \
              tests/golden/npy/b1_none.npy tests/golden/npy/empty.npy tests/golden/npy/f2_big.npy \
              tests/golden/npy/f2_little.npy tests/golden/npy/f4_big.npy tests/golden/npy/f4_fortran.npy \
              tests/golden/npy/f4_little.npy tests/golden/npy/f4_version2.npy tests/golden/npy/f4_version3.npy \
              tests/golden/npy/f8_big.npy tests/golden/npy/f8_bigfortran.npy tests/golden/npy/f8_little.npy \
              tests/golden/npy/i1_none.npy tests/golden/npy/i2_big.npy tests/golden/npy/i2_little.npy \
              tests/golden/npy/i4_big.npy tests/golden/npy/i4_little.npy tests/golden/npy/i8_big.npy \
              tests/golden/npy/i8_little.npy tests/golden/npy/refused_bytes.npy \
              tests/golden/npy/refused_complex.npy tests/golden/npy/refused_dates.npy \
              tests/golden/npy/refused_object.npy tests/golden/npy/refused_raw.npy \
              tests/golden/npy/refused_records.npy tests/golden/npy/refused_spans.npy \
              tests/golden/npy/refused_text.npy tests/golden/npy/refused_wide.npy tests/golden/npy/scalar.npy \
              tests/golden/npy/u1_none.npy tests/golden/npy/u2_big.npy tests/golden/npy/u2_little.npy \
              tests/golden/npy/u4_big.npy tests/golden/npy/u4_little.npy tests/golden/npy/u8_big.npy \
              tests/golden/npy/u8_little.npy tests/golden/npy/vector.npy tests/golden/onnx/axes.onnx \
              tests/golden/onnx/bad_field.onnx tests/golden/onnx/bad_names.onnx \
              tests/golden/onnx/bad_negative.onnx tests/golden/onnx/bad_none.onnx \
              tests/golden/onnx/bad_overflow.onnx tests/golden/onnx/bad_range.onnx \
              tests/golden/onnx/bad_short.onnx tests/golden/onnx/bad_twice.onnx tests/golden/onnx/external.bin \
              tests/golden/onnx/external.onnx tests/golden/onnx/external_all.onnx \
              tests/golden/onnx/external_bad_empty.onnx tests/golden/onnx/external_bad_end.onnx \
              tests/golden/onnx/external_bad_gone.onnx tests/golden/onnx/external_bad_huge.onnx \
              tests/golden/onnx/external_bad_link.onnx tests/golden/onnx/external_bad_number.onnx \
              tests/golden/onnx/external_bad_root.onnx tests/golden/onnx/external_bad_size.onnx \
              tests/golden/onnx/external_bad_up.onnx tests/golden/onnx/graphs.onnx tests/golden/onnx/types.onnx


# Whole models through the whole program.
TESTS += tests/golden/reference.t
dist_check_SCRIPTS += tests/golden/reference.t
EXTRA_DIST += scripts/reference-sqnr.lua scripts/fetch-models
