-- SPDX-License-Identifier: GPL-3.0-or-later
-- Initializations and comparison.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, list, fails, raises = tap.ok, tap.eq, tap.near, tap.list, tap.fails, tap.raises

local x = qs.tensor{-1.9, -1.1, -.75, -.4, -.1, .05, .3, .62, .9, 1.4, 2.6} -- METHODS 11.8
near(qs.init("lsq", x, "int2").step, 1.84, 1e-6, "lsq, 2 bits")
near(qs.init("lsq", x, "int3").step, 1.062324, 1e-6, "lsq, 3 bits")
near(qs.init("lsq+", x, "int4").step, .482574, 1e-6, "lsq+, the paper's divisor")
near(qs.init("lsq+", x, "int4", {divisor = "2^b-1"}).step, .482574 * 8 / 15, 1e-5, "another divisor")
near(qs.init("lsq+:2^b-1", x, "int4").step, .482574 * 8 / 15, 1e-5, "as a variant")
near(qs.init("mse", x, "int3").step, .846190476190, 1e-6, "mse, exact")
near(qs.init("mse", x, "int3:flip").step, -.642432, 1e-5, "either sign")
near(qs.init("mse", x:index(), "int3").step, .846190476190, 1e-6, "from an index")

local q = qs.init("lsq", x, "int4")
eq(q.init, "lsq", "init")
eq(tostring(q.format), "int4", "format")
near(q.clip, 8 * q.step, 1e-12, "clip")
list(q.range, {-8 * q.step, 7 * q.step}, 1e-6, "range")
eq(q.offset, 0, "offset")
eq(q.note, nil, "nothing to note")
ok(q.formula and q.formula:find "Qp", "formula")
ok(q.source and q.source:find "Esser", "source")
ok(q.ms >= 0, "ms")
local iq = qs.init("lsq", x:index(), "int4")
eq(iq.formula, q.formula, "from an index: formula")
eq(iq.source, q.source, "from an index: source")

-- parts
local t = qs.tensor({2, 4}, {1, 2, 3, 4, -10, 20, -30, 40})
local qc = qs.init("minmax", t, "int4@channel")
list(qc.step, {4 / 7, 40 / 7}, 1e-6, "a step a channel")
eq(qc.parts, 2, "parts")
eq(#qs.init("minmax", t, "int4@group2").step, 4, "a step a group")

-- lloyd changes the format
local l = qs.init("lloyd", x, "int2")
eq(#l.format.codebook, 4, "lloyd: four levels")
ok(tostring(l.format):find "^codebook", "lloyd: a codebook")
near(l:error(x).mse * 11, .11492197 * 11, 1e-5, "lloyd: the optimum of METHODS 11.8")

-- weights and roles
local w = qs.tensor{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
near(qs.init("mse", x, "int4", {weights = w}):error(x).max_abs >= 0 and
     qs.init("mse", x, "int4", {weights = w}):quantize(x)[11], 2.6, 1e-5, "only the last value counts")
local act = qs.randn{5000, seed = 2}
ok(qs.init("lsq+", act, "uint4+offset", {role = "act"}).offset < 0, "lsq+ for activations finds an offset")
near(qs.init("percentile", act, "int8", {percentile = 50}).step, qs.init("percentile:50", act, "int8").step, 1e-12,
     "percentile")

-- data without an answer, and with a strange one
fails("ERANGE", "", "empty", qs.init("lsq", qs.tensor{}, "int4"))
fails("ERANGE", "", "all NaN", qs.init("lsq", qs.tensor{0 / 0}, "int4"))
local strange = {zeros = {0, 0, 0}, constant = {3, 3, 3}, single = {-2}, subnormal = {1e-42, -2e-42, 1e-45},
                 huge = {3e38, -3e38, 1e-30},
                 infinite = {1 / 0, 1, -1, -1 / 0}}
for _, row in ipairs(qs.inits()) do
    if row.network then fails("ESTATE", "needs a network and calibration data", row.name, qs.init(row.name, x, "int4")) end
    for name, values in pairs(row.network and {} or strange) do
        for _, f in ipairs {"int4", "uint4", "nf4", "uint4+zp", "int4@channel"} do
            local got, why, code = qs.init(row.name, qs.tensor({1, #values}, values), f)
            local fine
            if got then
                local s = got.step
                fine = s == s and s > 0 and s < math.huge and got.offset == got.offset
                local e = got:error(qs.tensor({1, #values}, values))
                fine = fine and e.mse == e.mse
                if name == "zeros" then fine = fine and got.note end
            else
                fine = code == "EUNSUP"
            end
            if not fine then ok(false, row.name .. " of " .. name .. " data in " .. f, got and got.step, why) end
        end
    end
end
ok(true, "every init on every kind of strange data")
ok(qs.init("lsq", qs.tensor{0, 0}, "int4").note, "zeros are noted")

fails("EARG", "nosuch", "no such init", qs.init("nosuch", x, "int4"))
fails("EARG", "", "no such variant", qs.init("lsq+:x", x, "int4"))
fails("EARG", "role", "no such role", qs.init("lsq", x, "int4", {role = "x"}))
fails("EARG", "no option", "an unknown option", qs.init("lsq", x, "int4", {rol = "x"}))
fails("EUNSUP", "", "not for this format", qs.init("sawb", x, "int6"))
fails("EFORMAT", "", "a bad format", qs.init("lsq", x, "int"))
raises("string", "no name", qs.init)
raises("qs.tensor", "no tensor", qs.init, "lsq", 5, "int4")
raises("table", "options no table", qs.init, "lsq", x, "int4", 5)

-- comparison
local r = qs.randn{4, 2000, seed = 3}
local rows = qs.compare(r, "int4")
ok(#rows >= 10, "many rows")
local by, sorted, complete = {}, true, true
for i, row in ipairs(rows) do
    by[row.init] = row
    sorted = sorted and (i == 1 or rows[i - 1].mse <= row.mse)
    for _, k in ipairs {"step", "offset", "clip", "mse", "nmse", "sqnr_db", "step_ratio", "mse_ratio", "clipped",
                        "ms"} do
        complete = complete and type(row[k]) == "number"
    end
    complete = complete and type(row.formula) == "string" and type(row.source) == "string"
end
ok(sorted, "sorted by mse")
ok(complete, "every row has every field")
near(by.mse.mse_ratio, 1, 1e-9, "mse is the optimum")
near(by.mse.step_ratio, 1, 1e-9, "and its step")
ok(not by.lloyd, "what changes the format is not there unless named")
near(by.lsq.step, qs.init("lsq", r, "int4").step, 1e-12, "the same as qs.init")
near(by.lsq.mse, qs.init("lsq", r, "int4"):error(r).mse, 1e-9, "the same as q:error")
near(by.lsq.quantizer.step, by.lsq.step, 1e-12, "the quantizer itself")
eq(by.lsq.steps, nil, "one part: no arrays")
rows = qs.compare(r, "int4@channel", {"lsq", "minmax"})
eq(#rows, 2, "named ones only")
for _, row in ipairs(rows) do
    ok(#row.steps == 4 and #row.offsets == 4 and #row.clips == 4, row.init .. ": arrays by channel")
end
rows = qs.compare(r, "int4", {"mse", "nosuch", "lsq+:2^b"})
eq(#rows, 3, "named, with a variant")
eq(rows[3].init, "nosuch", "one that cannot run comes last")
ok(rows[3].error:find "^EARG: ", "and says why")
eq(rows[3].code, "EARG", "with its code")
eq(rows[3].step, nil, "and has no numbers")
eq(#qs.compare(r, "int2", {"lloyd"}), 1, "lloyd when named")
eq(#qs.compare(r, "int4", {}), 0, "no names, no rows")
fails("ERANGE", "", "empty", qs.compare(qs.tensor{}, "int4"))
fails("EFORMAT", "", "a bad format", qs.compare(r, "int"))
raises("qs.tensor", "no tensor", qs.compare, 5, "int4")
raises("string", "a name that is none", qs.compare, r, "int4", {5})
tap.done()
