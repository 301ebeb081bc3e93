noinst_LIBRARIES += libqsnum.a
libqsnum_a_SOURCES = src/num/kernels.c src/num/kernels.h src/num/kernels.def src/num/lanes.h src/num/vector.h src/num/kern_scalar.c src/num/kern_nn.c src/num/kern_cols.c \
                      src/num/fft.c src/num/fft.h
NUM_LIBS = libqsnum.a
if HAVE_AVX2
noinst_LIBRARIES += libqsavx2.a
libqsavx2_a_SOURCES = src/num/kern_avx2.c src/num/kern_nn.c src/num/kern_cols.c
libqsavx2_a_CFLAGS  = $(AM_CFLAGS) -mavx2 -mfma -mf16c -DQS_ISA=avx2
NUM_LIBS += libqsavx2.a
endif
if HAVE_AVX512
noinst_LIBRARIES += libqsavx512.a
libqsavx512_a_SOURCES = src/num/kern_avx512.c src/num/kern_bytes.c src/num/kern_nn.c src/num/kern_cols.c
libqsavx512_a_CFLAGS  = $(AM_CFLAGS) -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512 -DQS_ISA=avx512
NUM_LIBS += libqsavx512.a
endif
NUM_LIBS += $(FFTW_LIBS) $(BASE_LIBS)

check_PROGRAMS += tests/unit/t_kernels tests/unit/t_kernels_nn tests/unit/t_fft
TESTS += tests/unit/t_kernels tests/unit/t_fft
long_tests += tests/unit/t_kernels_nn
tests_unit_t_kernels_nn_SOURCES = tests/unit/t_kernels_nn.c tests/tap.h
tests_unit_t_kernels_nn_LDADD   = $(NUM_LIBS)
tests_unit_t_kernels_SOURCES = tests/unit/t_kernels.c tests/tap.h
tests_unit_t_kernels_LDADD   = $(NUM_LIBS)
tests_unit_t_fft_SOURCES = tests/unit/t_fft.c tests/tap.h
tests_unit_t_fft_LDADD   = $(NUM_LIBS)
