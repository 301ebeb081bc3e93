noinst_LTLIBRARIES += libqsbind.la
libqsbind_la_SOURCES =
