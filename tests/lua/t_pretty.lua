-- SPDX-License-Identifier: GPL-3.0-or-later
-- Values as text: bounded, whatever they are.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq = tap.ok, tap.eq

eq(qs.pretty(1, "a", nil), "1\ta\tnil", "plain values on one line")
eq(qs.pretty(), "", "nothing")
eq(qs.pretty(0.1), "0.1", "numbers in full")
eq(qs.pretty{1, 2.5, "x"}, '{1, 2.5, "x"}', "an array")
eq(qs.pretty{b = 1, a = 2}, "{a=2, b=1}", "a map, sorted")
eq(qs.pretty{["not a name"] = 1}, '{["not a name"]=1}', "other keys")
local text = qs.pretty(qs.randn{1000000, seed = 1})
ok(text:find("tensor normal [1000000] F32", 1, true) and text:find "std" and #text < 400, "a tensor is summarized",
   text)
ok(qs.pretty(qs.tensor{1, 2, 3}):find("{1, 2, 3}", 1, true), "a small one is shown")
ok(qs.pretty(qs.tensor{0 / 0, 1}):find "1 NaN", "NaN is mentioned")
ok(#qs.pretty(qs.tensor{}) > 0, "an empty one")
ok(qs.pretty(qs.format "int4"):find "16 levels", "a format")
local q = qs.init("lsq", qs.randn{100}, "int4")
ok(qs.pretty(q):find "Esser", "a quantizer with its source")
ok(qs.pretty(qs.randn{100}:index()):find "n=100", "an index")
local rows = qs.compare(qs.randn{1000}, "int4")
local lines = select(2, qs.pretty(rows):gsub("\n", ""))
eq(lines, #rows, "a comparison is a table with a head")
for line in qs.pretty(rows):gmatch "[^\n]+" do ok(utf8.len(line) <= 110, "no line is wider than 110", line) end
local many = {}
for i = 1, 100000 do many[i] = {name = "row" .. i, x = i} end
ok(#qs.pretty(many) < 4000, "many rows are bounded")
local deep = {}
for _ = 1, 1000 do deep = {deep} end
ok(#qs.pretty(deep) < 100, "depth is bounded")
local long = {}
for i = 1, 1000 do long["k" .. i] = ("x"):rep(10000) end
ok(#qs.pretty(long) < 20000, "length is bounded")
local self = {}
self.self = self
ok(qs.pretty(self):find("…", 1, true), "a table inside itself")
eq(qs.pretty(setmetatable({}, {__tostring = function() return "mine" end})), "mine", "__tostring is honoured")
ok(qs.pretty{("\xff\xfe"):rep(100)}, "bytes that are no text")
tap.done()
