-- SPDX-License-Identifier: GPL-3.0-or-later
-- A results database in Lua: the golden one (tests/golden/results.py), which says what is in it.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, fails = tap.ok, tap.eq, tap.near, tap.fails

local golden = os.getenv "top_srcdir" .. "/tests/golden/results/v1.db"
local r = assert(qs.results(golden))
eq(r.path, golden, "results.path")
eq(tostring(r), "results " .. golden, "tostring")

local sweeps = r:sweeps()
eq(#sweeps, 2, "two sweeps")
local s = sweeps[1]
eq(table.concat({s.name, s.cells, s.done, s.failed, s.running, s.left, s.script, s.program, s.made}, " "),
   "race 30 28 1 0 1 race.lua quantscope 0 2024-05-31T12:00:00.000Z", "a sweep with its counts")

local cells = r:cells{sweep="race"}
eq(#cells, 30, "every cell")
local c = cells[1]
eq(c.params.init, "mse", "a text")
eq(math.type(c.params.bits), "integer", "a whole number")
eq(c.params.n, 0.1, "a number")
eq(c.status .. " " .. c.seconds, "done 1.5", "how it went")
near(c.metrics.accuracy, 0.77, 1e-12, "a metric")
eq(c.key, '{"bits":2,"init":"mse","n":0.1,"seed":1}', "the key")
eq(cells[30].status, "none", "not begun")
eq(cells[30].metrics.accuracy, nil, "has no metric")
local some = r:cells{sweep="race", where={bits=2, init="lsq", seed=3}}
eq(#some, 1, "where")
eq(#r:cells{sweep="race", where={bits=2, init={"lsq", "mse"}}}, 10, "where with a list")
eq(#r:cells{sweep="race", where={bits="2", n="0.1"}}, 15, "numbers as one writes them")
eq(#r:cells{sweep="race", where={init={}}}, 0, "none of no value")
eq(some[1].status .. ": " .. some[1].error, "failed: no convergence", "why it failed")
eq(r:cells{sweep="race", where={seed=5}}[1].metrics.loss, math.huge, "an infinite metric")
eq(r:cells{sweep="race", where={seed=4, bits=4, init="mse"}}[1].metrics.accuracy, nil, "one that is NaN")

local rows = r:table{sweep="race", by={"init", "bits"}, baseline={init="mse"}}
eq(#rows, 6, "groups")
local function row(list, init, bits)
    for _, g in ipairs(list) do if g.init == init and g.bits == bits then return g end end
end
local a, m, l = row(rows, "adaptive", 2), row(rows, "mse", 2), row(rows, "lsq", 2)
eq(a.n .. " " .. a.pairs .. " " .. a.metric, "5 5 accuracy", "counts")
near(a.mean, 0.935, 1e-9, "mean")
near(a.diff, 0.025, 1e-9, "difference from the baseline")
near(a.diff_lo + a.diff_hi, 0.05, 1e-9, "its interval is around it")
eq(a.p, 2 / 32, "sign flips")
eq(m.diff, nil, "the baseline has no difference")
eq(l.failed .. " " .. l.n, "1 4", "failed cells are counted")
eq(row(rows, "mse", 4).undefined, 1, "so are undefined values")
eq(row(rows, "adaptive", 4).left, 1, "and what is left")
near(row(r:table{sweep="race", by={"init", "bits"}, baseline="init=mse"}, "adaptive", 2).diff, 0.025, 1e-9, "baseline as text")
near(row(r:table{sweep="race", by={"init", "bits"}, baseline={init="mse", bits=2}}, "mse", 4).diff, 0.2, 1e-9, "of two parameters")
eq(#r:table{sweep="race", by="init"}, 3, "by one name")
eq(r:table{sweep="race"}[1].by_n, 0.1, "by all but the seed; a parameter that is called as a column")
eq(#r:table{sweep="race", by={}, metric="loss"}, 1, "by nothing")
eq(r:table{sweep="race", by={}, metric="loss"}[1].undefined, 5, "infinite values are counted, not averaged")
eq(#r:table{sweep="empty"}, 0, "no cells, no groups")

eq(#r:table{sweep="race", where={bits=2}, by="init"}, 3, "groups of some cells only")
near(row(r:table{sweep="race", where={bits=2}, by={"init", "bits"}, baseline="init=mse"}, "lsq", 2).diff, -0.05, 1e-9, "with a baseline")
eq(table.concat(r:series_names{sweep="race"}, " "), "loss", "the names of series")
eq(#r:series_names{sweep="empty"}, 0, "none")
fails("EARG", "rice", "no such sweep", r:series_names{sweep="rice"})
local series = r:series("loss", {sweep="race", where={init="mse"}})
eq(#series, 10, "series of the cells that have it")
eq(series[1].params.seed, 1, "with their parameters")
eq(#series[1].x, 4, "all numbers")
ok(series[1].x[3] ~= series[1].x[3] and series[1].x[4] == math.huge, "also those that are none")
eq(#r:series("lost", {sweep="race"}), 0, "no such series, none")

fails("EARG", "race, empty", "several sweeps, none named", r:table())
fails("EARG", "rice", "no such sweep", r:cells{sweep="rice"})
fails("EARG", "bits, init, n, seed", "no such parameter", r:table{sweep="race", by={"inits"}})
fails("EARG", "bits = 3", "no such value", r:cells{sweep="race", where={bits=3}})
fails("EARG", "byte", "no such option", r:table{sweep="race", byte=1})
fails("EARG", "init = mze", "no such baseline", r:table{sweep="race", baseline={init="mze"}})
fails("EARG", "accuracy, loss", "no such metric", r:table{sweep="race", metric="x"})
fails("EIO", "nowhere.db", "no such file", qs.results "nowhere.db")
fails("EFORMAT", "not a results database", "another kind of file", qs.results(os.getenv "top_srcdir" .. "/README.md"))
tap.raises("list of names", "by of a wrong type", r.table, r, {sweep="race", by={1}})
tap.raises("where is a table", "where of a wrong type", r.cells, r, {sweep="race", where=1})
do local gone <close> = assert(qs.results(golden)); s = gone end
tap.raises("closed", "a closed one", r.sweeps, s)
tap.done()
