-- SPDX-License-Identifier: GPL-3.0-or-later
-- Initializations written in Lua.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, list, fails, raises = tap.ok, tap.eq, tap.near, tap.list, tap.fails, tap.raises

local t = qs.randn{3, 500, seed = 9}
local calls, seen = 0
eq(qs.register_init{name = "twice", doc = "twice the mean magnitude", fn = function(ix, f, role)
    calls, seen = calls + 1, {ix, f, role}
    return 2 * ix:mean_abs()
end}, true, "register")
local q = qs.init("twice", t, "int4")
near(q.step, 2 * t:index():mean_abs(), 1e-12, "it runs")
eq(q.init, "twice", "init")
eq(calls, 1, "once for one part")
eq(tostring(seen[2]), "int4", "with the format")
eq(#seen[1], 1500, "with the index")
eq(seen[3], "weight", "with the role")
qs.init("twice", t, "int4", {role = "act"})
eq(seen[3], "act", "for activations")
eq(#qs.init("twice", t, "int4@channel").step, 3, "a step a part")
near(qs.init("twice", t:index(), "int4").step, q.step, 1e-12, "from an index")

local function find(rows, name)
    for _, row in ipairs(rows) do if row.init == name or row.name == name then return row end end
end
local row = find(qs.compare(t, "int4"), "twice")
ok(row and row.step_ratio > 0 and row.mse_ratio >= 1, "it is in the comparison at once")
eq(find(qs.inits(), "twice").doc, "twice the mean magnitude", "and in the list")

-- offsets, notes, flips
qs.register_init{name = "moved", fn = function(ix, f) return (ix.max - ix.min) / 15, ix.min, "a remark" end}
q = qs.init("moved", t, "uint4+offset")
near(q.offset, t:summary().min, 1e-6, "an offset")
ok(q.note:find("a remark", 1, true), "a note")
qs.register_init{name = "turned", fn = function(ix) return -ix.absmax / 8 end}
ok(qs.init("turned", t, "int4:flip").step < 0, "flip: a step below 0")

-- what goes wrong
local bad = {
    {"raises", function() error "broken" end, "broken"},
    {"calls nil", function() nosuch.x = 1 end, "nil value"},
    {"returns nothing", function() end, "no step"},
    {"returns nil and why", function() return nil, "too few values" end, "too few values"},
    {"returns a string", function() return "x" end, "string"},
    {"returns 0", function() return 0 end, "greater than 0"},
    {"returns less than 0", function() return -1 end, "greater than 0"},
    {"returns NaN", function() return 0 / 0 end, "finite"},
    {"returns infinity", function() return 1 / 0 end, "finite"},
    {"underflows", function() return 1e-60 end, "greater than 0"},
    {"returns an offset for a format without", function() return 1, 1 end, "offset"},
    {"returns a bad offset", function() return 1, {} end, "offset"},
    {"raises a table", function() error {} end, ""},
    {"yields", function() coroutine.yield() end, "yield"},
}
for _, case in ipairs(bad) do
    qs.register_init{name = "bad", fn = case[2]}
    fails("EARG", case[3], "init: " .. case[1], qs.init("bad", t, "int4"))
    local failed = find(qs.compare(t, "int4", {"mse", "bad"}), "bad")
    ok(failed.error and failed.error:find(case[3], 1, true), "compare: " .. case[1], failed.error)
end
ok(find(qs.compare(t, "int4"), "mse"), "the others go on")

-- calling each other, from coroutines, for ever
qs.register_init{name = "inner", fn = function(ix, f) return qs.init("mse", ix, f).step end}
qs.register_init{name = "outer", fn = function(ix, f) return 2 * qs.init("inner", ix, f).step end}
near(qs.init("outer", t, "int4").step, 2 * qs.init("mse", t, "int4").step, 1e-9, "one calls another")
near(coroutine.wrap(function() return qs.init("outer", t, "int4").step end)(), qs.init("outer", t, "int4").step, 0,
     "in a coroutine")
qs.register_init{name = "cowrap", fn = function(ix, f) return coroutine.wrap(function() return qs.init("inner", ix,
                                                            f).step end)() end}
near(qs.init("cowrap", t, "int4").step, qs.init("mse", t, "int4").step, 1e-9, "a coroutine inside")
qs.register_init{name = "endless", fn = function(ix, f) return assert(qs.init("endless", ix, f)).step end}
fails("EARG", "too deep", "itself", qs.init("endless", t, "int4"))
near(qs.init("inner", t, "int4").step, qs.init("mse", t, "int4").step, 1e-9, "and works again")

qs.register_init{name = "changing", fn = function() return 1 end}
qs.register_init{name = "changing", fn = function() return 2 end}
eq(qs.init("changing", t, "int4").step, 2, "the same name replaces")
qs.register_init{name = "changing", fn = function()
    qs.register_init{name = "changing", fn = function() return 4 end}
    collectgarbage()
    return 3
end}
eq(qs.init("changing", t, "int4").step, 3, "replaced while it runs")
eq(qs.init("changing", t, "int4").step, 4, "then the new one")

fails("EARG", "built in", "a built-in name", qs.register_init{name = "lsq", fn = print})
fails("EARG", "name", "no proper name", qs.register_init{name = "a b", fn = print})
fails("EARG", "no option", "an unknown key", qs.register_init{name = "x", fn = print, fnn = print})
raises("name", "no name", qs.register_init, {fn = print})
raises("fn", "no function", qs.register_init, {name = "x"})
raises("fn", "a string for a function", qs.register_init, {name = "x", fn = "y"})
raises("table", "no table", qs.register_init, "x")
tap.done()
