noinst_LTLIBRARIES += libqsnum.la
libqsnum_la_SOURCES =
