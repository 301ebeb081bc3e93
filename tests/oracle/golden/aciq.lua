-- SPDX-License-Identifier: GPL-3.0-or-later
-- Made by tests/oracle/make_inits.py; not edited by hand.
return {
  {bits=1, gauss=1.2399052709844549, laplace=1.8628168644323579},
  {bits=2, gauss=1.710635168114043, laplace=2.8306829893702337},
  {bits=3, gauss=2.1515927447403467, laplace=3.8972294649451027},
  {bits=4, gauss=2.5591364619753372, laplace=5.0286401362362128},
  {bits=5, gauss=2.9362006121084461, laplace=6.2047663340133212},
  {bits=6, gauss=3.2869142152137609, laplace=7.4131262138435705},
  {bits=7, gauss=3.615114215262782, laplace=8.6456199840344237},
  {bits=8, gauss=3.924035489880779, laplace=9.8967597700175283},
  {bits=9, gauss=4.2163298257040154, laplace=11.162685017743998},
}
