-- SPDX-License-Identifier: GPL-3.0-or-later
-- Errors and curves.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, list, fails, raises = tap.ok, tap.eq, tap.near, tap.list, tap.fails, tap.raises

local x = qs.tensor{-9, -0.3, 0, 0.3, 0.5, 1.2, 6}
local q = qs.quantizer("int4", {step = 0.5})
local e = q:error(x)
local keys = {"mse", "nmse", "sqnr_db", "clip_mse", "round_mse", "clipped", "max_abs", "bias", "entropy",
              "occupancy", "skipped"}
for _, k in ipairs(keys) do ok(e[k] ~= nil, k .. " is there") end
local d = {5, .2, 0, .2, 0, .2, 2.5}
local sum, energy, bias = 0, 0, 0
for i = 1, 7 do
    sum, energy = sum + d[i] ^ 2, energy + x[i] ^ 2
    bias = bias + q:quantize(x)[i] - x[i]
end
near(e.mse, sum / 7, 1e-6, "mse")
near(e.nmse, sum / energy, 1e-6, "nmse")
near(e.sqnr_db, -10 * math.log(sum / energy, 10), 1e-6, "sqnr_db")
near(e.clip_mse, (25 + 6.25) / 7, 1e-6, "clip_mse: all of what is beyond")
near(e.round_mse, .12 / 7, 1e-5, "round_mse: the rest")
near(e.clipped, 2 / 7, 1e-12, "clipped")
near(e.max_abs, 5, 1e-6, "max_abs")
near(e.bias, bias / 7, 1e-6, "bias")
local total = 0
for _, c in ipairs(e.occupancy) do total = total + c end
eq(total, 7, "occupancy counts all")
eq(e.occupancy[1], 1, "the lowest level")
eq(e.skipped, 0, "nothing skipped")
eq(q:error(qs.tensor{1, 0 / 0, 1 / 0}).skipped, 2, "NaN and infinity are skipped")
local exact = q:error(qs.tensor{0, 0.5, -1})
eq(exact.mse, 0, "an error of 0")
eq(exact.sqnr_db, math.huge, "has infinite SQNR")
local zero = q:error(qs.tensor{0, 0})
eq(zero.mse, 0, "zeros")
ok(zero.nmse == 0, "have nmse 0")
fails("ERANGE", "", "all NaN", q:error(qs.tensor{0 / 0}))
fails("ERANGE", "", "empty", q:error(qs.tensor{}))
raises("qs.tensor", "of a number", q.error, q, 5)

-- curves
local t = qs.randn{20000, seed = 4}
local c = qs.curve(t, "int4", {points = 200})
for _, k in ipairs {"step", "error", "clip", "round"} do eq(#c[k], 200, k .. " has a number a point") end
eq(c.p, 2, "the norm")
local fine = true
for i = 1, 200 do
    fine = fine and math.abs(c.error[i] - c.clip[i] - c.round[i]) <= 1e-9 * c.error[i]
    if i % 20 == 0 then fine = fine and math.abs(t:index():error("int4", c.step[i]).mse / c.error[i] - 1) < 1e-6 end
end
ok(fine, "exact at every point, and the sum of its parts")
near(c.step[2] / c.step[1], c.step[200] / c.step[199], 1e-6, "steps are geometric")
local best = qs.init("mse", t, "int4")
ok(c.step[1] < best.step and best.step < c.step[200], "the range holds the minimum")
ok(c.best_error >= best:error(t).mse * (1 - 1e-9), "no point is better than the optimum")
eq(#qs.curve(t, "int4").step, 512, "512 points unless said otherwise")
local r = qs.curve(t, "int4", {points = 3, lo = 0.1, hi = 0.4})
list(r.step, {0.1, 0.2, 0.4}, 1e-6, "a range")
local p1 = qs.curve(t, "int4", {points = 50, p = 1})
eq(p1.p, 1, "another norm")
eq(p1.clip, nil, "has no parts")
ok(p1.best_error > 0, "and an error")
near(qs.curve(t:index(), "int4", {points = 3, lo = .1, hi = .4}).error[2], r.error[2], 1e-12, "of an index")
local rows = qs.tensor({2, 3}, {1, 2, 3, 10, 20, 30})
local part = qs.curve(rows, "int4@channel", {points = 2, lo = 1, hi = 2, part = 2})
near(part.error[1], rows:index{format = "int4@channel", part = 2}:error("int4", 1).mse, 1e-12, "of a part")
near(qs.curve(qs.tensor{1, 2, 4}, "uint4+offset", {points = 2, lo = .5, hi = 1, offset = 1}).error[1],
     qs.quantizer("uint4+offset", {step = .5, offset = 1}):error(qs.tensor{1, 2, 4}).mse, 1e-9, "with an offset")
fails("EARG", "points", "one point", qs.curve(t, "int4", {points = 1}))
fails("EARG", "", "a range upside down", qs.curve(t, "int4", {lo = 2, hi = 1}))
fails("EARG", "no option", "an unknown option", qs.curve(t, "int4", {pts = 1}))
fails("EARG", "no part", "no such part", qs.curve(rows, "int4@channel", {part = 3}))
fails("ERANGE", "", "only zeros", qs.curve(qs.tensor{0, 0}, "int4"))
fails("EFORMAT", "", "a bad format", qs.curve(t, "int"))
raises("qs.tensor", "of a string", qs.curve, "x", "int4")
raises("points", "points that are no number", qs.curve, t, "int4", {points = "x"})
tap.done()
