# What independent tools say: golden files made by NumPy, SciPy, PyTorch, ONNX Runtime and brute force, and the tests that
# compare. The makers need those tools (scripts/setup --extras); the tests need only the files.
check_PROGRAMS += tests/oracle/t_oracle_hist
TESTS += tests/oracle/t_oracle_hist
tests_oracle_t_oracle_hist_SOURCES = tests/oracle/t_oracle_hist.c tests/tap.h
tests_oracle_t_oracle_hist_LDADD   = $(STAT_LIBS)
check_PROGRAMS += tests/oracle/t_oracle_infer
TESTS += tests/oracle/t_oracle_infer
tests_oracle_t_oracle_infer_SOURCES = tests/oracle/t_oracle_infer.c tests/tap.h
tests_oracle_t_oracle_infer_LDADD   = $(STAT_LIBS)
check_PROGRAMS += tests/oracle/t_oracle_qat
TESTS += tests/oracle/t_oracle_qat
tests_oracle_t_oracle_qat_SOURCES = tests/oracle/t_oracle_qat.c tests/tap.h
tests_oracle_t_oracle_qat_LDADD   = $(TRAIN_LIBS)
check_PROGRAMS += tests/oracle/t_oracle_sites
TESTS += tests/oracle/t_oracle_sites
tests_oracle_t_oracle_sites_SOURCES = tests/oracle/t_oracle_sites.c tests/tap.h
tests_oracle_t_oracle_sites_LDADD   = $(TRAIN_LIBS)
oracle_lua = tests/oracle/t_oracle_numpy.lua tests/oracle/t_oracle_torch.lua tests/oracle/t_oracle_ort.lua \
             tests/oracle/t_oracle_exact.lua tests/oracle/t_oracle_inits.lua tests/oracle/t_oracle_vectors.lua \
             tests/oracle/t_oracle_degenerate.lua tests/oracle/t_oracle_nets.lua tests/oracle/t_oracle_aciq.lua tests/oracle/t_oracle_blocks.lua
TESTS += $(oracle_lua)
EXTRA_DIST += $(oracle_lua) tests/oracle/tap.lua tests/oracle/golden.py tests/oracle/codebooks.py \
              tests/oracle/make_numpy.py tests/oracle/make_gguf.py tests/oracle/make_blocks.py tests/oracle/gguf_file.py tests/oracle/make_infer.py tests/oracle/make_exact.py \
              tests/oracle/make_inits.py tests/oracle/make_aciq.py tests/oracle/make_torch.py tests/oracle/make_ort.py tests/oracle/make_ort.js tests/oracle/make_qat.py \
              tests/oracle/golden
