noinst_LTLIBRARIES += libqsmodel.la
libqsmodel_la_SOURCES =
