-- SPDX-License-Identifier: GPL-3.0-or-later
-- Codebooks, and the steps of every initialization that is a formula or a fixed point, against make_inits.py.
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")
local data = tap.tensors(qs, "data")

local g = tap.group("codebooks")
for _, r in ipairs(tap.rows "codebooks") do
  local f = assert(qs.format(r.format))
  if g:check(#f.codebook == #r.levels, "%s: %d levels, want %d", r.format, #f.codebook, #r.levels) then
    for i, v in ipairs(r.levels) do g:near(f.codebook[i], v, 1.2e-7, ("%s level %d"):format(r.format, i), 1e-9) end
  end
  g:check(tostring(f) == r.format and tostring(qs.format(tostring(f))) == tostring(f), "%s prints as %s", r.format,
          tostring(f))
end
g:done()

local groups, order = {}, {}
for _, r in ipairs(tap.rows "inits") do
  if not groups[r.init] then
    groups[r.init] = tap.group("steps of " .. r.init)
    order[#order + 1] = groups[r.init]
  end
  local where = ("%s %s"):format(r.data, r.format)
  local q, why = qs.init(r.init, data[r.data], qs.format(r.format), { role = r.role })
  if groups[r.init]:check(q, "%s: %s", where, tostring(why)) then
    groups[r.init]:near(q.step, r.step, r.init == "octav" and 1e-5 or 1e-6, where)
    if r.offset then groups[r.init]:near(q.offset, r.offset, 1e-6, where .. " offset", 1e-6 * q.step) end
  end
end
for _, grp in ipairs(order) do grp:done() end

g = tap.group("divisor= chooses the variant of lsq+ too")
for divisor, times in pairs { ["paper"] = 1, ["2^b-1"] = 8 / 15, ["2^b"] = .5 } do
  local f, t = qs.format "int4", data.normal
  local q, why = qs.init("lsq+", t, f, { divisor = divisor })
  if g:check(q, "%s: %s", divisor, tostring(why)) then g:near(q.step, times * qs.init("lsq+", t, f).step, 1e-12,
                                                              divisor) end
end
g:done()

-- On unsigned grids: one bit more in the equation, and the clip is max(mean, 0) + alpha, divided by 2^b (METHODS 5).
g = tap.group("aciq on unsigned grids follows the one-sided table")
local table_of = {}
for _, r in ipairs(tap.rows "aciq") do table_of[r.bits] = r end
local m = data.relu:index():moments()
local dev = 0
for _, v in ipairs(data.relu:totable()) do dev = dev + math.abs(v - m.mean) / #data.relu end
for b = 2, 8 do
  for kind, scale in pairs { gauss = m.std, laplace = dev } do
    g:near(qs.init("aciq-" .. kind, data.relu, qs.format("uint" .. b)).step,
           (m.mean + table_of[b + 1][kind] * scale) / 2 ^ b, 1e-6,
      ("%s %d bits"):format(kind, b))
  end
end
g:done()

g = tap.group("aciq chooses one of its members, and the better of the two laws")
for _, name in ipairs { "normal", "laplace", "uniform", "outlier", "student3" } do
  local t = data[name]
  for _, fmt in ipairs { "int3", "int4", "int8" } do
    local f = qs.format(fmt)
    local q = assert(qs.init("aciq", t, f))
    local a, b = qs.init("aciq-gauss", t, f), qs.init("aciq-laplace", t, f)
    g:check(q.step == a.step or q.step == b.step or q.step == qs.init("minmax", t, f).step, "%s %s: step %g", name,
            fmt, q.step)
    g:check(q:error(t).mse <= math.min(a:error(t).mse, b:error(t).mse) * (1 + 1e-9), "%s %s: not the better", name, fmt)
  end
end
g:done()

-- One quantizer a channel is the same as one a row that stands alone; a group likewise.
g = tap.group("@channel and @group are the same rule on every part")
local values = data.normal:totable()
local t = qs.tensor({ 8, 250 }, values)
for _, init in ipairs { "minmax", "lsq", "lsq+", "aciq-gauss", "aciq-laplace", "octav", "sawb", "mse", "percentile" } do
  local q = assert(qs.init(init, t, qs.format "int4@channel"))
  local h = assert(qs.init(init, t, qs.format "int4@group125"))
  for c = 1, 8 do
    local function part(from, to) return qs.init(init, qs.tensor({ to - from + 1 }, table.move(values, from, to, 1,
        {})), qs.format "int4").step end
    g:near(q.step[c], part((c - 1) * 250 + 1, c * 250), 1e-12, ("%s channel %d"):format(init, c))
    g:near(h.step[2 * c], part((c - 1) * 250 + 126, c * 250), 1e-12, ("%s group %d"):format(init, 2 * c))
  end
end
g:done()

-- compare's columns are what the error of its steps says.
g = tap.group("compare: ratios against the least-squares minimum")
for _, name in ipairs { "normal", "laplace", "outlier" } do
  local x, f = data[name], qs.format "int4"
  local best = qs.init("mse", x, f)
  local least = best:error(x).mse
  local seen = {}
  for _, r in ipairs(assert(qs.compare(x, f))) do
    seen[r.init] = true
    if not r.error then
      local e = qs.quantizer(f, { step = r.step }):error(x)
      for _, k in ipairs { "mse", "nmse", "sqnr_db", "clipped" } do g:near(r[k], e[k], 1e-9,
          name .. " " .. r.init .. " " .. k) end
      g:near(r.mse_ratio, e.mse / least, 1e-6, name .. " " .. r.init .. " mse_ratio")
      g:near(r.step_ratio, r.step / best.step, 1e-6, name .. " " .. r.init .. " step_ratio")
      g:near(r.clip, r.step * 8, 1e-6, name .. " " .. r.init .. " clip")
      g:check(r.mse_ratio >= 1 - 1e-9, "%s %s is better than the optimum: %.12g", name, r.init, r.mse_ratio)
    end
  end
  for _, k in ipairs { "minmax", "percentile", "lsq", "lsq+", "aciq-gauss", "aciq-laplace", "aciq", "octav", "sawb",
                       "kl", "mse" } do
    g:check(seen[k], "%s: no row for %s", name, k)
  end
end
g:done()

g = tap.group("kl stays inside the data, and clips outliers")
for _, name in ipairs { "normal", "laplace", "outlier", "student3" } do
  local q = assert(qs.init("kl", data[name], qs.format "int8"))
  local clip = q.step * 127
  g:check(clip > 0 and clip <= data[name]:summary().absmax * (1 + 1e-3), "%s: clip %g", name, clip)
end
g:done()
tap.done()
