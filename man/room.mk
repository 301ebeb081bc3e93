dist_man_MANS += man/quantscope.1 man/quantscope-results.5
