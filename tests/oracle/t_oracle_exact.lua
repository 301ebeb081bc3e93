-- SPDX-License-Identifier: GPL-3.0-or-later
-- The exact least-squares step against brute force over every piece of the error curve, free codebooks against a
-- dynamic program (make_exact.py), and the promise that no grid finds less.
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")
local data = tap.tensors(qs, "exact")

local groups, order = {}, {}
for _, r in ipairs(tap.rows "exact") do
  local key = r.format:match "%+zp" or r.format:match ":flip" or (r.weights and "weights") or r.format
  if not groups[key] then
    groups[key] = tap.group("mse is the global optimum: " .. key)
    order[#order + 1] = groups[key]
  end
  local g, where = groups[key], r.data .. " " .. r.format
  local f, t = assert(qs.format(r.format)), data[r.data]
  local q, why = qs.init("mse", t, f, { weights = r.weights and data[r.weights] })
  if g:check(q, "%s: %s", where, tostring(why)) then
    local e = r.weights and t:index { weights = data[r.weights] }:error(f, q.step, q.offset).mse or q:error(t).mse
    g:near(e, r.mse, 2e-5, where .. " mse", 1e-13 * t:summary().absmax ^ 2)
    if math.abs(q.step - r.step) > 1e-6 * math.abs(r.step) then
      -- Only an equally good one.
      g:check(math.abs(e - r.mse) <= 1e-6 * r.mse + 1e-15 * t:summary().absmax ^ 2, "%s: step %.12g, want %.12g",
              where, q.step, r.step)
    end
  end
end
for _, g in ipairs(order) do g:done() end

local g = tap.group("mse with a real offset: no worse than any zero point, within 1 % of a dense map of starts")
for _, r in ipairs(tap.rows "offset") do
  local t = data[r.data]
  local q = assert(qs.init("mse", t, qs.format(r.format)))
  local e = q:error(t).mse
  g:check(e <= r.mse * 1.01, "%s %s: mse %.9g, best found by brute force %.9g (step %g, offset %g)", r.data, r.format,
          e, r.mse, r.step, r.offset)
  local z = assert(qs.init("mse", t, qs.format((r.format:gsub("offset", "zp")))))
  g:check(e <= z:error(t).mse * (1 + 1e-6), "%s %s: mse %.9g, with a zero point %.9g", r.data, r.format, e,
          z:error(t).mse)
end
g:done()

g = tap.group("lloyd is the optimal free codebook")
for _, r in ipairs(tap.rows "lloyd") do
  local t = data[r.data]
  local q, why = qs.init("lloyd", t, qs.format(r.format))
  local where = r.data .. " " .. r.format
  if g:check(q, "%s: %s", where, tostring(why)) then
    g:check(tostring(q.format):match "^codebook", "%s: format %s", where, tostring(q.format))
    g:near(q:error(t).mse, r.mse, 1e-4, where .. " mse", 1e-12 * t:summary().absmax ^ 2)
  end
end
g:done()

-- The promise of the issue: never worse than a 10^5-point grid. (bench measures it on 10^6 values.)
g = tap.group("mse is never worse than a grid: five distributions, int4 at 10^5 points, four other formats at 5000")
local big = tap.tensors(qs, "data")
for _, name in ipairs { "normal", "laplace", "uniform", "bimodal", "outlier" } do
  local t = big[name]
  for _, fmt in ipairs { "int2", "int4", "int8", "apot4", "nf4" } do
    local f = qs.format(fmt)
    local clip = 0
    for _, c in ipairs(f.codebook) do clip = math.max(clip, math.abs(c)) end
    local top = 1.3 * t:summary().absmax / (fmt == "int2" and 1 or clip)
    local grid = math.huge
    for _, v in ipairs(qs.curve(t, f, { points = fmt == "int4" and 100000 or 5000, lo = top / 1000,
                                        hi = top }).error) do grid = math.min(grid,
        v) end
    local e = qs.init("mse", t, f):error(t).mse
    -- Levels that are not integers round to float32 on their own, by up to 6e-8, at every step differently.
    g:check(e <= grid * (1 + (fmt:match "^int" and 1e-9 or 1e-7)), "%s %s: mse %.12g, grid %.12g", name, fmt, e, grid)
  end
end
g:done()
tap.done()
