/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_BASE_TEXT_H
#define QS_BASE_TEXT_H
/* User-facing text goes through _(); N_() marks text in tables that is translated where it is shown. */
#include <libintl.h>
#define _(s) gettext(s)
#define N_(s) (s)
#endif
