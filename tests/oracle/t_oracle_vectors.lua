-- SPDX-License-Identifier: GPL-3.0-or-later
-- The published and recomputed numbers of METHODS 11, typed in by hand.
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")
local x11 = qs.tensor { -1.9, -1.1, -.75, -.4, -.1, .05, .3, .62, .9, 1.4, 2.6 }

local g = tap.group("11.8: exact step of eleven values")
for fmt, want in pairs { int2 = { 1.58, .279763636364 }, int3 = { .846190476190, .0475086580087 },
                         int4 = { .370265486726, .00613563958166 },
    ["int2:flip"] = { -1.187, .13361 }, ["int3:flip"] = { -.642432, .0262526 }, ["int4:flip"] = { -.328056,
        .00564141 } } do
  local q = qs.init("mse", x11, qs.format(fmt))
  g:near(q.step, want[1], 2e-6, fmt .. " step")     -- printed with six digits
  g:near(q:error(x11).mse, want[2], 2e-5, fmt .. " mse")
end
for b, want in pairs { [2] = { 1.84, 1.930296 }, [3] = { 1.062324, .965148 }, [4] = { .695455, .482574 } } do
  g:near(qs.init("lsq", x11, qs.format("int" .. b)).step, want[1], 1e-6, "lsq " .. b)
  g:near(qs.init("lsq+", x11, qs.format("int" .. b)).step, want[2], 1e-6, "lsq+ " .. b)
end
g:near(qs.init("octav", x11, qs.format "int2").step * 2, 2.151724, 1e-6, "octav clip, 2 bits")
g:near(qs.init("octav", x11, qs.format "int4").step * 8, 2.566581, 1e-6, "octav clip, 4 bits")
local lloyd = { ["codebook(-1;1)"] = .524449351, ["int2:narrow"] = .232643939, int2 = .11492197 }
for fmt, want in pairs(lloyd) do g:near(qs.init("lloyd", x11, qs.format(fmt)):error(x11).mse, want, 1e-6,
                                        "k-means " .. fmt) end
g:done()

g = tap.group("11.10: gradients")
local x = qs.tensor { -2.3, -1.26, -.74, -.3, .2, .37, .9, 1.6 }
local up = qs.tensor { .5, -1, .25, 2, -.75, 1.5, -.4, .8 }
local function list(t, want, where) for i, v in ipairs(t:totable()) do g:near(v, want[i], 1e-6, where .. " " .. i,
    1e-7) end end
local q = qs.quantizer(qs.format "int3", { step = .5 })
list(q:quantize(x), { -2, -1.5, -.5, -.5, 0, .5, 1, 1.5 }, "int3 xh")
local dx, ds = q:grad(x, up, { learn = "lsq", scale = false, mask = "paper" })
list(dx, { 0, -1, .25, 2, -.75, 1.5, -.4, 0 }, "int3 dx")
g:near(ds, .81, 1e-6, "int3 dL/ds")
dx, ds = q:grad(x, up, { learn = "lsq", scale = true })
g:near(ds, .16534055763786457, 1e-6, "int3 dL/ds, scaled")
q = qs.quantizer(qs.format "int2", { step = .8 })
list(q:quantize(x), { -1.6, -1.6, -.8, 0, 0, 0, .8, .8 }, "int2 xh")
dx, ds = q:grad(x, up, { learn = "lsq", scale = true })
g:near(ds, .0176776695, 1e-5, "int2 dL/ds, scaled")
q = qs.quantizer(qs.format "uint3+offset", { step = .45, offset = -1.3 })
list(q:quantize(x), { -1.3, -1.3, -.85, -.4, .05, .5, .95, 1.4 }, "uint3+offset xh")
local db
dx, ds, db = q:grad(x, up, { learn = "lsq+", scale = false })
g:near(ds, -.1333333333, 1e-5, "lsq+ dL/ds")
g:near(db, .5, 1e-6, "lsq+ dL/dbeta")
g:done()

g = tap.group("11.11: fp4 with saturation and ties")
x = qs.tensor { .11, -.42, .9, -1.7, 2.4, -3.1, 5.2, -7.9 }
list(qs.quantizer(qs.format "fp4", { step = 1 }):quantize(x), { 0, -.5, 1, -1.5, 2, -3, 6, -6 }, "fp4")
g:done()

g = tap.group("11.9: initializations on 1000 Gaussian quantiles, error over the optimum (METHODS 10)")
local gauss, laplace = {}, {}
-- The normal quantile by bisection, its distribution function by Simpson's rule.
local function probit(p)
  local lo, hi = -9, 9
  while hi - lo > 1e-9 do
    local mid = (lo + hi) / 2
    local n, s = 400, 0
    local h = (mid + 9) / n
    for i = 0, n do
      local z = -9 + i * h
      s = s + math.exp(-z * z / 2) * ((i == 0 or i == n) and 1 or i % 2 == 1 and 4 or 2)
    end
    if s * h / 3 / math.sqrt(2 * math.pi) < p then lo = mid else hi = mid end
  end
  return (lo + hi) / 2
end
for i = 0, 499 do
  local p = (i + .5) / 1000
  gauss[i + 1] = probit(p)
  gauss[1000 - i] = -gauss[i + 1]
  laplace[i + 1] = math.log(2 * p)
  laplace[1000 - i] = -laplace[i + 1]
end
gauss, laplace = qs.tensor(gauss), qs.tensor(laplace)
local function ratio(init, t, fmt)
  local f = qs.format(fmt)
  return qs.init(init, t, f):error(t).mse / qs.init("mse", t, f):error(t).mse
end
for _, r in ipairs { -- table of METHODS 10: minmax, lsq, lsq+, aciq-gauss, aciq-laplace, sawb, octav
  { gauss, "int2", 4.88, 1.48, 1.34, 1.09, 1.01, 1.01, 1.08 }, { gauss, "int3", 2.50, 1.77, 1.22, 1.06, 1.29, 1.01,
                                                                 1.06 },
  { gauss, "int4", 1.60, 2.65, 1.08, 1.02, 1.83, 1.01, 1.03 }, { gauss, "int8", 1.02, 30.3, 4.18, 1.42, 5.82, 1.36,
                                                                 1.02 },
  { laplace, "int2", 3.85, 1.04, 1.07, 1.17, 1.05, 1.01, 1.05 }, { laplace, "int4", 1.72, 1.10, 1.22, 1.73, 1.01, 1.01,
                                                                   1.01 } } do
  for i, init in ipairs { "minmax", "lsq", "lsq+", "aciq-gauss", "aciq-laplace", "sawb", "octav" } do
    g:near(ratio(init, r[1], r[2]), r[i + 2], 0, (r[1] == gauss and "Gauss " or "Laplace ") .. r[2] .. " " .. init,
           .0051 + .003 * r[i + 2])
  end
end
for b, want in pairs { [2] = 1.04795, [4] = .33682, [8] = .02570 } do
  g:near(qs.init("mse", gauss, qs.format("int" .. b)).step, want, 3e-4, "optimal step, bits " .. b)
end
g:done()

g = tap.group("11.3 and 11.7b: optimal step and error on 10^5 Gaussian values, within sampling")
local t = qs.randn { 100000, seed = 5 }
local scale = t:summary().std
for fmt, want in pairs { int2 = { 1.04839, .149431 }, int3 = { .60182, .0406382 }, int4 = { .33861, .0118640 },
                         ["int4:narrow"] = { .35341, .0128894 },
    apot3 = { 2.07251, .0475602 }, apot4 = { 2.62791, .0120995 }, nf4 = { 2.86306,
        .00989932 }, ["codebook(-1;0;1)"] = { 1.22401, .190174 } } do
  q = qs.init("mse", t, qs.format(fmt))
  g:near(q.step / scale, want[1], .02, fmt .. " step")
  g:near(q:error(t).mse / scale ^ 2, want[2], .015, fmt .. " mse")
end
g:done()
tap.done()
