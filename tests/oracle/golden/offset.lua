-- SPDX-License-Identifier: GPL-3.0-or-later
-- Made by tests/oracle/make_exact.py; not edited by hand.
return {
  {data="x11", format="uint2+offset", step=1.3051110869894424, offset=-1.5137777591745059, mse=0.12587312484236729},
  {data="x11", format="uint3+offset", step=0.64002461824107326, offset=-1.83098519575126, mse=0.018335534684253647},
  {data="x11", format="int2+offset", step=1.3051110869894424, offset=1.096444414804379, mse=0.12587312484236723},
  {data="normal120", format="uint2+offset", step=0.93705162520331964, offset=-1.6833108462714543, mse=0.08486351424282447},
  {data="normal120", format="uint3+offset", step=0.48228377040904696, offset=-1.9658349608202799, mse=0.023167244120128834},
  {data="normal120", format="int2+offset", step=0.93705162520331975, offset=0.19079240413518492, mse=0.084863514242824484},
  {data="shifted90", format="uint2+offset", step=0.4356475932685544, offset=0.92371253867575698, mse=0.020921935977786712},
  {data="shifted90", format="uint3+offset", step=0.28778217514630028, offset=0.59605686409720038, mse=0.0062016483357820382},
  {data="shifted90", format="int2+offset", step=0.4356475932685544, offset=1.7950077252128658, mse=0.020921935977786712},
  {data="relu90", format="uint2+offset", step=0.55465758965331691, offset=0.036889917750325463, mse=0.017901114816302122},
  {data="relu90", format="uint3+offset", step=0.32482221771865799, offset=0.01765707903979169, mse=0.0038999998369337293},
  {data="relu90", format="int2+offset", step=0.55465758965331713, offset=1.1462050970569595, mse=0.017901114816302115},
  {data="bimodal90", format="uint2+offset", step=0.67937701162256103, offset=-1.0293509040646964, mse=0.020649044108261343},
  {data="bimodal90", format="uint3+offset", step=0.32943825950325295, offset=-1.1573651441887938, mse=0.0087769582870294849},
  {data="bimodal90", format="int2+offset", step=0.67937701162256103, offset=0.3294031191804257, mse=0.020649044108261343},
  {data="uniform90", format="uint2+offset", step=0.72821355012824052, offset=-1.1512302779065611, mse=0.045376213700127267},
  {data="uniform90", format="uint3+offset", step=0.38404890120477703, offset=-1.3240555348965584, mse=0.0095947568476318565},
  {data="uniform90", format="int2+offset", step=0.72821355012824052, offset=0.30519682234991985, mse=0.045376213700127267},
}
