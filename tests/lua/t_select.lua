-- SPDX-License-Identifier: GPL-3.0-or-later
-- The selection: what the panes show.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, fails, raises = tap.ok, tap.eq, tap.near, tap.fails, tap.raises

local path = tap.path "sel.safetensors"
assert(qs.save(path, {a = qs.randn{4, 50, seed = 1}, b = qs.randn{4, 60, seed = 2}}))
fails("ESTATE", "no model", "no tensor without a model", qs.select{tensor = "a"})
local s = assert(qs.select{model = path, tensor = "a", format = "int4", init = "lsq"})
eq(s.model, path, "model")
eq(s.tensor, "a", "tensor")
eq(s.format, "int4", "format")
eq(s.init, "lsq", "init")
eq(qs.current().tensor, "a", "current")
local m = assert(qs.load(path))
assert(qs.select{tensor = "b"})
eq(qs.current().format, "int4", "a new tensor keeps the format")
eq(qs.current().init, "lsq", "and the init")
assert(qs.select{format = "int8@channel"})
eq(qs.current().init, "lsq", "a new format keeps the init")
eq(qs.current().tensor, "b", "and the tensor")
assert(qs.select{model = m, tensor = m.a, format = qs.format "int4"})
eq(qs.current().tensor, "a", "objects do as well")
assert(qs.select{step = 0.25})
eq(qs.current().init, "by hand", "a step by hand")
eq(qs.current().step, 0.25, "is the step")
assert(qs.undo())
eq(qs.current().init, "lsq", "undo")
assert(qs.pin())
assert(qs.pin())
assert(qs.select{channel = -1, view = "curve"})
eq(qs.current().view, "curve", "view")

-- nothing changes if anything is wrong
local before = qs.pretty(qs.current())
fails("EARG", "nosuch", "no such tensor", qs.select{tensor = "nosuch"})
fails("EFORMAT", "", "a bad format", qs.select{tensor = "b", format = "int99"})
fails("EARG", "", "no such init", qs.select{tensor = "b", init = "nosuch"})
fails("EIO", "", "no such file", qs.select{model = tap.path "nosuch"})
fails("EARG", "", "a step of 0", qs.select{step = 0})
fails("EARG", "", "no such view", qs.select{tensor = "b", view = "nosuch"})
fails("EARG", "no option", "an unknown option", qs.select{tensr = "b"})
fails("EARG", "too long", "a name that is too long", qs.select{tensor = ("x"):rep(1000)})
eq(qs.pretty(qs.current()), before, "and the selection is what it was")
raises("tensor", "a number for a tensor", qs.select, {tensor = 5})
raises("format", "a tensor for a format", qs.select, {format = qs.tensor{1}})
raises("step", "a string for a step", qs.select, {step = "x"})
raises("table", "no table", qs.select)
for _ = 1, 1000 do
    local got, _, code = qs.undo()
    if not got then eq(code, "ESTATE", "undo ends with a word") break end
end
fails("ESTATE", "qs.plot", "a picture of a screen that is not there", qs.export("hist", "a.svg"))
fails("EARG", "none of screen", "a pane that is none", qs.export("pie", "a.svg"))
fails("EARG", "has no option", "an option that is none", qs.export("hist", "a.svg", {force = true}))
raises("string", "no path", qs.export, "hist")

-- results of sweeps: kept as asked for; a wider choice takes what depends on it back to the default
fails("ESTATE", "sweep: no results database is open", "a sweep of no database", qs.select{sweep = "race"})
local r = qs.select{view = "results", results = "none.db", sweep = "race", by = "init,bits", metric = "loss", baseline = "init=mse"}
eq(table.concat({r.view, r.results, r.sweep, r.by, r.metric, r.baseline}, " "), "results none.db race init,bits loss init=mse",
   "what is looked at of results, in one call; a file that is not there yet is no error")
r = qs.select{group = "init=lsq,bits=2", by = "bits"}
eq(r.group, "init=lsq,bits=2", "a group named with its parameters is kept")
r = qs.select{by = "init"}
eq(tostring(r.group) .. tostring(r.baseline) .. r.metric, "nilnilloss", "other groups: no baseline, the same metric")
r = qs.select{sweep = "walk"}
eq(tostring(r.by) .. tostring(r.metric) .. r.results, "nilnilnone.db", "another sweep: its own defaults")
r = qs.select{results = "other.db"}
eq(r.results .. tostring(r.sweep), "other.dbnil", "another file: its newest sweep")
fails("EARG", "by is too long", "a list that is too long", qs.select{by = ("x"):rep(1000)})
tap.done()
