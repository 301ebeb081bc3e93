# make bench [BENCH_ARGS=--json]: what the program promises about speed, measured. Not part of make check.
EXTRA_PROGRAMS += bench/bench_ours bench/bench_train
bench_bench_ours_SOURCES = bench/bench_ours.c
bench_bench_ours_LDADD   = $(QUANT_LIBS)
bench_bench_train_SOURCES = bench/bench_train.c
bench_bench_train_LDADD   = $(TRAIN_LIBS)
CLEANFILES += bench/bench_ours$(EXEEXT) bench/bench_train$(EXEEXT)
EXTRA_DIST += bench/bench.py bench/peers.py bench/train_peers.py bench/screen.py bench/sweeps.py bench/files.py scripts/bench

.PHONY: bench
bench: all bench/bench_ours$(EXEEXT) bench/bench_train$(EXEEXT)
	@python3 $(srcdir)/bench/bench.py $(abs_builddir) $(BENCH_ARGS)
