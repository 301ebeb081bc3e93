noinst_LTLIBRARIES += libqsengine.la
libqsengine_la_SOURCES =
