dist_man_MANS += man/quantscope.1
