bin_PROGRAMS += quantscope
quantscope_SOURCES = src/app/main.c
