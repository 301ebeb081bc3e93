noinst_LTLIBRARIES += libqsui.la
libqsui_la_SOURCES =
