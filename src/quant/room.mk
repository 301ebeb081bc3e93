noinst_LTLIBRARIES += libqsquant.la
libqsquant_la_SOURCES =
