noinst_LTLIBRARIES += libqsquant.la
libqsquant_la_SOURCES = src/quant/book.h src/quant/codebook.c src/quant/compare.c src/quant/curve.c src/quant/error.c src/quant/error.h \
                        src/quant/format.c src/quant/format.h src/quant/grad.c src/quant/grid.h src/quant/init.c \
                        src/quant/init.h src/quant/init_mse.c src/quant/init_stat.c src/quant/lloyd.c src/quant/quantizer.c \
                        src/quant/quantizer.h src/quant/rows.h
