# Tests of the whole: the house, and the command line.
long_whole_tests = tests/cli/readme.t tests/cli/race.t tests/cli/sweep-faults.t tests/cli/man.t tests/cli/plot.t \
                   tests/cli/resultsview.t
whole_tests = tests/layers.t tests/cli/usage.t tests/cli/sweep.t tests/cli/results.t tests/cli/compare.t tests/cli/report.t tests/cli/hostile.t \
              tests/cli/list.t tests/cli/torch.t tests/cli/quantize.t tests/cli/curve.t tests/cli/pipes.t tests/cli/lua.t tests/cli/data.t tests/cli/workbench.t \
              tests/cli/train.t tests/cli/trainview.t tests/cli/raceview.t
TESTS += $(whole_tests)
long_tests += $(long_whole_tests)
dist_check_SCRIPTS += $(whole_tests) $(long_whole_tests)
EXTRA_DIST += tests/cli/lib.sh tests/cli/terminal.sh tests/cli/make_data.py tests/cli/quantized.py tests/cli/torch_files.py tests/cli/sweeping.py tests/cli/sweep_faults.py

# Needs Slurm (slurm-wlm, munge) and GNU parallel, and half a minute: not a part of `make check`.
check-slurm: quantscope
	top_builddir='$(abs_top_builddir)' $(srcdir)/tests/slurm/check-slurm
.PHONY: check-slurm
EXTRA_DIST += scripts/slurm/sweep.sbatch tests/slurm/check-slurm tests/slurm/cluster tests/slurm/sweep.lua
