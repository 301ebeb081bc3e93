noinst_LTLIBRARIES += libqsnum.la
libqsnum_la_SOURCES = src/num/kernels.c src/num/kernels.h src/num/kernels.def src/num/lanes.h src/num/kern_scalar.c src/num/kern_nn.c src/num/kern_cols.c \
                      src/num/fft.c src/num/fft.h
libqsnum_la_LIBADD  = $(FFTW_LIBS) -lm
if HAVE_AVX2
noinst_LTLIBRARIES += libqsavx2.la
libqsavx2_la_SOURCES = src/num/kern_avx2.c src/num/kern_nn.c src/num/kern_cols.c
libqsavx2_la_CFLAGS  = $(AM_CFLAGS) -mavx2 -mfma -mf16c -DQS_ISA=avx2
libqsnum_la_LIBADD  += libqsavx2.la
endif
if HAVE_AVX512
noinst_LTLIBRARIES += libqsavx512.la
libqsavx512_la_SOURCES = src/num/kern_avx512.c src/num/kern_nn.c src/num/kern_cols.c
libqsavx512_la_CFLAGS  = $(AM_CFLAGS) -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512 -DQS_ISA=avx512
libqsnum_la_LIBADD  += libqsavx512.la
endif

check_PROGRAMS += tests/unit/t_kernels tests/unit/t_kernels_nn tests/unit/t_fft
TESTS += tests/unit/t_kernels tests/unit/t_kernels_nn tests/unit/t_fft
tests_unit_t_kernels_nn_SOURCES = tests/unit/t_kernels_nn.c tests/tap.h
tests_unit_t_kernels_nn_LDADD   = libqsnum.la libqsbase.la
tests_unit_t_kernels_SOURCES = tests/unit/t_kernels.c tests/tap.h
tests_unit_t_kernels_LDADD   = libqsnum.la libqsbase.la
tests_unit_t_fft_SOURCES = tests/unit/t_fft.c tests/tap.h
tests_unit_t_fft_LDADD   = libqsnum.la libqsbase.la
