noinst_LTLIBRARIES += libqsplot.la
libqsplot_la_SOURCES =
