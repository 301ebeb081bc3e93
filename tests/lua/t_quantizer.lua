-- SPDX-License-Identifier: GPL-3.0-or-later
-- Quantizers: parameters, codes, levels, gradients.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, list, fails, raises = tap.ok, tap.eq, tap.near, tap.list, tap.fails, tap.raises

local q = qs.quantizer("int4", {step = 0.5, offset = 0})
eq(q.step, 0.5, "step")
eq(q.offset, 0, "offset")
eq(q.clip, 4, "clip")
list(q.range, {-4, 3.5}, 0, "range")
eq(q.init, "by hand", "init")
eq(tostring(q.format), "int4", "format")
eq(q.note, nil, "no note")
eq(q.parts, 1, "parts")
ok(tostring(q):find("step 0.5", 1, true), "tostring")
local t = qs.tensor{-9, -0.26, -0.25, 0.25, 0.75, 1.1, 9, 0 / 0}
list(q:encode(t):totable(), {-8, -1, 0, 0, 2, 2, 7, q:encode(t)[8]}, 0, "codes: half to even, clipped")
eq(math.type(q:encode(t)[1]), "integer", "codes are integers")
eq(q:encode(t).dtype, "I32", "of type I32")
local x = q:quantize(t)
eq(x[1], -4, "quantized")
eq(x[6], 1, "quantized")
ok(x[8] ~= x[8], "NaN stays NaN")
eq(#q:levels(), 16, "levels")
eq(q:levels()[1], -4, "the lowest")
eq(#q:thresholds(), 15, "thresholds")
eq(q:thresholds()[1], -3.75, "midpoints")
fails("EARG", "no part 2", "no such part", q:levels(2))
list(qs.quantizer("nf4", {step = 2}):levels(), qs.init("minmax", qs.tensor{2, -2}, "nf4"):levels(), 0,
     "a codebook times the step")

-- several parts
local two = qs.tensor({2, 2}, {1, 2, 10, 20})
local qc = qs.quantizer("int4@channel", {step = {0.5, 5}})
list(qc.step, {0.5, 5}, 0, "a step a channel")
list(qc.clip, {4, 40}, 0, "clips")
list(qc.offset, {0, 0}, 0, "offsets")
list(qc.range[2], {-40, 35}, 0, "ranges")
list(qc:encode(two):totable(), {2, 4, 2, 4}, 0, "codes by channel")
eq(qc:levels(2)[1], -40, "levels of a part")
fails("EARG", "", "parts that do not fit", qc:quantize(qs.tensor({3, 2}, {1, 2, 3, 4, 5, 6})))
fails("EARG", "", "parts that do not fit", qc:error(qs.tensor({3, 2}, {1, 2, 3, 4, 5, 6})))
fails("EARG", "one part", "an index is one part", qc:error(two:index()))
fails("EARG", "one step", "an array for @tensor", qs.quantizer("int4", {step = {1, 2}}))
fails("EARG", "offsets", "arrays of unequal length", qs.quantizer("uint4+offset@channel", {step = {1, 2},
                                                            offset = {1}}))

-- offsets
local qo = qs.quantizer("uint2+offset", {step = 0.5, offset = -1})
list(qo:levels(), {-1, -0.5, 0, 0.5}, 0, "an offset moves the levels")
local qz = qs.quantizer("uint2+zp", {step = 0.5, offset = -1})
list(qz:levels(), {-1, -0.5, 0, 0.5}, 0, "so does a zero point")
list(qz:encode(qs.tensor{-1, 0, 0.5}):totable(), {0, 2, 3}, 0, "codes as they are stored")
eq(qs.quantizer("int4:flip", {step = -1}).step, -1, "flip: a step below 0")

fails("EARG", "step", "no step", qs.quantizer("int4", {}))
fails("EARG", "", "a step of 0", qs.quantizer("int4", {step = 0}))
fails("EARG", "", "a step below 0", qs.quantizer("int4", {step = -1}))
fails("EARG", "", "an infinite step", qs.quantizer("int4", {step = 1 / 0}))
fails("EARG", "", "an offset for a format without", qs.quantizer("int4", {step = 1, offset = 1}))
fails("EARG", "no option", "an unknown option", qs.quantizer("int4", {stp = 1}))
fails("EFORMAT", "", "a bad format", qs.quantizer("int", {step = 1}))
raises("step", "a step that is a string", qs.quantizer, "int4", {step = "x"})
raises("step", "a step in an array that is a string", qs.quantizer, "int4@channel", {step = {"x"}})
raises("table", "no table", qs.quantizer, "int4")
raises("qs.tensor", "codes of something else", q.encode, q, 5)
raises("qs.quantizer expected", "a method of something else", q.encode, t, t)

-- gradients: METHODS 11.10
local gx = qs.tensor{-2.3, -1.26, -.74, -.3, .2, .37, .9, 1.6}
local up = {.5, -1, .25, 2, -.75, 1.5, -.4, .8}
local g = qs.quantizer("int3", {step = .5})
local dx, ds, doff = g:grad(gx, up, {learn = "lsq", scale = false})
list(dx:totable(), {0, -1, .25, 2, -.75, 1.5, -.4, 0}, 1e-6, "dx")
near(ds, .81, 1e-6, "dL/ds")
eq(doff, nil, "no offset, no gradient of it")
local _, scaled = g:grad(gx, qs.tensor(up))
near(scaled, .16534055763786457, 1e-6, "scaled by 1/sqrt(N Qp); lsq, upstream a tensor")
local lp = qs.quantizer("uint3+offset", {step = .45, offset = -1.3})
local _, s3, o3 = lp:grad(gx, up, {learn = "lsq+", scale = false})
near(s3, -.1333333333, 1e-5, "LSQ+: dL/ds")
near(o3, .5, 1e-6, "LSQ+: dL/dbeta")
for _, mask in ipairs {"paper", "clamp", "code", "none"} do ok(g:grad(gx, up, {mask = mask}), "mask " .. mask) end
for _, row in ipairs(qs.learns()) do
    if row.name ~= "none" then ok(select("#", g:grad(gx, up, {learn = row.name})) == 3, "learn " .. row.name) end
end
local cdx, cds = qc:grad(two, {1, 1, 1, 1})
eq(#cds, 2, "a gradient a part")
eq(#cdx, 4, "and one an element")
fails("EARG", "8 elements", "upstream of another size", g:grad(gx, {1}))
fails("EARG", "", "no such learn", g:grad(gx, up, {learn = "x"}))
fails("EARG", "", "no such mask", g:grad(gx, up, {mask = "x"}))
fails("EARG", "no option", "an unknown option", g:grad(gx, up, {msk = "x"}))
raises("array", "no upstream", g.grad, g, gx)
raises("number", "upstream that is no number", g.grad, g, gx, {"x", 1, 1, 1, 1, 1, 1, 1})
tap.done()
