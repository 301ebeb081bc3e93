# Tests of the whole: the house, and the command line.
TESTS += tests/layers.t
dist_check_SCRIPTS += tests/layers.t
