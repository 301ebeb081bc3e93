# Fuzzing: the targets, replayed by t_fuzz in every check; with libFuzzer by scripts/fuzz.
fuzz_sources = tests/fuzz/targets.c tests/fuzz/fuzz.h
check_PROGRAMS += tests/unit/t_fuzz
TESTS += tests/unit/t_fuzz
tests_unit_t_fuzz_SOURCES = tests/unit/t_fuzz.c tests/unit/files.h tests/tap.h $(fuzz_sources)
tests_unit_t_fuzz_LDADD   = $(STORE_LIBS)

# Only where the compiler is clang: scripts/fuzz asks for it.
EXTRA_PROGRAMS += tests/fuzz/fuzz
tests_fuzz_fuzz_SOURCES = tests/fuzz/libfuzzer.c $(fuzz_sources)
tests_fuzz_fuzz_LDADD   = $(STORE_LIBS)
tests_fuzz_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer

fuzz:
	cd $(top_srcdir) && scripts/fuzz
.PHONY: fuzz

EXTRA_DIST += scripts/fuzz tests/fuzz/README tests/fuzz/corpus tests/fuzz/make_gguf.py tests/fuzz/make_torch.py tests/fuzz/make_small.py
