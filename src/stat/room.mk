noinst_LTLIBRARIES += libqsstat.la
libqsstat_la_SOURCES =
