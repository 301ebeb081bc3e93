-- SPDX-License-Identifier: GPL-3.0-or-later
-- Summaries, quantiles, errors and curves against NumPy and SciPy (make_numpy.py), which look at every element.
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")
local data = tap.tensors(qs, "data")

local g, gq = tap.group("moments"), tap.group("quantiles")
for _, r in ipairs(tap.rows "moments") do
  local t = data[r.data]
  local s, ix = t:summary(), t:index()
  local m = ix:moments()
  for _, k in ipairs { "n", "min", "max", "absmax", "zeros" } do g:near(s[k], r[k], 0, r.data .. " " .. k) end
  -- A mean near zero is judged against the spread.
  g:near(s.mean, r.mean, 1e-12, r.data .. " mean", 1e-14 * r.std)
  g:near(m.mean, r.mean, 1e-12, r.data .. " index mean", 1e-14 * r.std)
  g:near(s.std, r.std, 1e-11, r.data .. " std")
  g:near(m.std, r.std, 1e-9, r.data .. " index std")
  g:near(s.skewness, r.skewness, 1e-9, r.data .. " skewness", 1e-9)
  g:near(s.kurtosis, r.kurtosis, 1e-9, r.data .. " kurtosis")
  g:near(m.kurtosis, r.kurtosis, 1e-6, r.data .. " index kurtosis")
  g:near(ix:mean_abs(), r.mean_abs, 1e-12, r.data .. " mean_abs")
  g:near(t:summary().distinct, r.distinct, 0, r.data .. " distinct, once indexed")
  for i, p in ipairs(r.quantiles.p) do
    gq:near(ix:quantile(p), r.quantiles.v[i], 1e-12, ("%s quantile %g"):format(r.data, p), 1e-12 * r.absmax)
  end
end
g:done()
gq:done()

g = tap.group("NaN and infinity are counted and left out")
local s = data.special:summary()
for k, v in pairs { n = 10, nans = 2, infs = 2, zeros = 2, min = -2, max = 3 } do g:near(s[k], v, 0, k) end
g:near(s.mean, 2.5 / 6, 1e-15, "mean")
g:near(qs.quantizer(qs.format "int4", { step = 1 }):error(data.special).skipped, 4, 0, "skipped")
g:done()

local groups, order = {}, {}
for _, r in ipairs(tap.rows "errors") do
  local where = ("%s %s step %g"):format(r.data, r.format, r.step)
  local grp = groups[r.format]
  if not grp then
    grp = tap.group("error of " .. r.format)
    groups[r.format] = grp
    order[#order + 1] = grp
  end
  local q = assert(qs.quantizer(qs.format(r.format), { step = r.step, offset = r.zp and -r.step * r.zp or r.offset }))
  local e, w = q:error(data[r.data]), r.want
  local tiny = 1e-14 * w.mse / (w.nmse > 0 and w.nmse or 1)
  for _, k in ipairs { "mse", "clip_mse", "round_mse" } do grp:near(e[k], w[k], 1e-8, where .. " " .. k, tiny) end
  grp:near(e.nmse, w.nmse, 1e-8, where .. " nmse", 1e-14)
  if w.sqnr_db and w.nmse > 1e-10 then grp:near(e.sqnr_db, w.sqnr_db, 1e-7, where .. " sqnr_db", 1e-7) end
  grp:near(e.clipped, w.clipped, 1e-15, where .. " clipped")
  grp:near(e.max_abs, w.max_abs, 1e-12, where .. " max_abs")
  grp:near(e.bias, w.bias, 1e-9, where .. " bias", 1e-9 * math.sqrt(w.mse))
  grp:near(e.entropy, w.entropy, 1e-12, where .. " entropy", 1e-12)
  grp:near(e.mse, e.clip_mse + e.round_mse, 1e-15, where .. " mse = clip_mse + round_mse")
  if w.occupancy then
    grp:near(#e.occupancy, #w.occupancy, 0, where .. " levels")
    for k, n in ipairs(w.occupancy) do grp:near(e.occupancy[k], n, 0, ("%s occupancy of level %d"):format(where, k)) end
  end
end
for _, grp in ipairs(order) do grp:done() end

local exact, other = tap.group("error curve, squares"), tap.group("error curve, other norms within 1 %")
for _, r in ipairs(tap.rows "curves") do
  local c = assert(qs.curve(data[r.data], qs.format(r.format), { points = r.points, lo = r.lo, hi = r.hi, p = r.p }))
  for i = 1, r.points do
    local where = ("%s %s p=%g step %g"):format(r.data, r.format, r.p, r.step[i])
    exact:near(c.step[i], r.step[i], 1e-12, where .. " step")
    if r.p == 2 then
      exact:near(c.error[i], r.error[i], 1e-6, where)
      exact:near(c.clip[i], r.clip[i], 1e-6, where .. " clip", 1e-6 * r.error[i])
      exact:near(c.round[i], r.error[i] - r.clip[i], 1e-6, where .. " round", 1e-6 * r.error[i])
    else
      other:near(c.error[i], r.error[i], 1e-2, where)
    end
  end
end
exact:done()
other:done()
tap.done()
