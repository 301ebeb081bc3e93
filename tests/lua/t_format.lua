-- SPDX-License-Identifier: GPL-3.0-or-later
-- Formats: the grammar, fields, printing back.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, list, fails, raises = tap.ok, tap.eq, tap.near, tap.list, tap.fails, tap.raises

for _, text in ipairs {"int4", "int8:narrow", "uint4", "uint8+zp", "uint4+offset", "apot4", "uapot3", "pot4", "nf4",
                       "fp4", "fp8e4m3",
                       "fp8e5m2", "int4@channel", "int4@channel1", "int4@group32", "int4:flip@group32",
                           "codebook(-1;0;1)", "int16"} do
    eq(tostring(assert(qs.format(text))), text, "canonical: " .. text)
end
for name, text in pairs {q4_0 = "int4:flip:scale=f16@group32", q4_1 = "uint4:scale=f16+offset@group32", q8_0 = "int8:scale=f16@group32",
                         mxfp4 = "fp4:scale=e8m0@group32", nvfp4 = "fp4:scale=e4m3@group16"} do
    eq(tostring(assert(qs.format(name))), text, "a name for " .. text)
    eq(qs.format(name).scale, text:match "scale=(%w+)", "and what its steps are kept in")
end
eq(qs.format "int4@group32".scale, nil, "float32 has no name")
eq(tostring(qs.format "int4@tensor"), "int4", "defaults are left out")
local f = qs.format "int4@channel"
eq(f.bits, 4, "bits")
eq(f.base, "int", "base")
eq(#f.codebook, 16, "levels")
eq(f.codebook[1], -8, "from")
eq(f.codebook[16], 7, "to")
eq(f.granularity, "channel", "granularity")
eq(qs.format "int4".granularity, "tensor", "of the tensor")
eq(qs.format "int4@channel1".granularity, "channel1", "along an axis")
eq(qs.format "int4@group32".granularity, "group32", "in groups")
eq(f.signed, true, "signed")
eq(qs.format "uint4".signed, false, "unsigned")
eq(f.offset, nil, "no offset")
eq(qs.format "uint4+zp".offset, "zp", "zero point")
eq(qs.format "uint4+offset".offset, "offset", "offset")
list(qs.format "codebook(1;-1;0)".codebook, {-1, 0, 1}, 0, "a codebook is sorted")
list(qs.format "fp4".codebook, {-6, -4, -3, -2, -1.5, -1, -.5, 0, .5, 1, 1.5, 2, 3, 4, 6}, 0, "fp4")
eq(f:bpw(), 4, "without a tensor: the bits of a code")
near(f:bpw(qs.tensor({2, 100}, qs.randn{200}:totable())), 4 + 2 * 32 / 200, 1e-12, "with its scales")
eq(qs.format "q8_0":bpw(qs.tensor({2, 64}, qs.randn{128}:totable())), 8.5, "with scales in half precision")
fails("EFORMAT", "@groupN", "scales of blocks need blocks", qs.format "int4:scale=f16")
fails("EFORMAT", "f16, e8m0 or e4m3", "and a type", qs.format "int4:scale=f8@group32")
ok(qs.format "int4" == qs.format "int4@tensor", "equal by canonical string")
ok(qs.format "int4" ~= qs.format "int5", "or not")
eq("f " .. qs.format "int4", "f int4", "joined with a string")
ok(qs.format(f) == f, "a format is a format")
fails("EFORMAT", "int99", "no such number of bits", qs.format "int99")
fails("EFORMAT", "", "nothing", qs.format "")
fails("EFORMAT", "", "garbage", qs.format "int4@@")
fails("EUNSUP", "", "what the literature does not define", qs.format "apot8")
raises("string", "a number", qs.format, 5)
raises("string", "nothing at all", qs.format)
raises("tensor", "bits a weight of something else", f.bpw, f, 5)
tap.done()
