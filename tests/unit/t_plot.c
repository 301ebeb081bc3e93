/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plots as text: what is drawn is compared with what a reader should see. */
#include "plot/plot.h"

#include <locale.h>
#include <stdlib.h>
#include "../tap.h"

int main(void)
{
    setlocale(LC_ALL, "C.UTF-8");
    return done();
}
