-- SPDX-License-Identifier: GPL-3.0-or-later
-- Declaring sweeps, and running them from Lua: by worker processes where the sweep is in a file, else here.
local qs = require "quantscope"
local tap = require "tap"

local function run() return {} end
local function declare(grid, where) return qs.sweep{name = "t", grid = grid, run = run, where = where} end

-- ---- qs.range
tap.list(qs.range(1, 5), {1, 2, 3, 4, 5}, 0, "qs.range")
tap.ok(math.type(qs.range(1, 2)[2]) == "integer", "of integers")
tap.list(qs.range(0, 1, 0.1), {0, 0.1, 0.2, 3 * 0.1, 0.4, 0.5, 6 * 0.1, 7 * 0.1, 0.8, 0.9, 1}, 0, "its end is in it")
tap.list(qs.range(3, 1, -1), {3, 2, 1}, 0, "downwards")
tap.eq(#qs.range(3, 1), 0, "nothing lies the other way")
tap.fails("EARG", "step", "a step of 0", qs.range(1, 2, 0))
tap.raises("numbers", "a range of text", qs.range, "a", 2)

-- ---- declaring
local s = declare({seed = qs.range(1, 3), bits = {4, 2}, init = "lsq", on = {true, false}})
tap.eq(#s, 12, "all combinations")
local function text(c)
    local names, out = {}, {}
    for k in pairs(c) do names[#names + 1] = k end
    table.sort(names)
    for i, k in ipairs(names) do out[i] = k .. "=" .. tostring(c[k]) end
    return table.concat(out, " ")
end
local cells = s:cells()
tap.eq(text(cells[1]), "bits=4 init=lsq on=true seed=1", "names sorted, values as given")
tap.eq(text(cells[2]), "bits=4 init=lsq on=true seed=2", "the last name is the fastest")
tap.eq(text(cells[12]), "bits=2 init=lsq on=false seed=3", "the last cell")
tap.eq(s.name, "t", "its name")
tap.ok(s.file and s.file:find "t_sweep.lua$", "its file")
tap.eq(tostring(s), "sweep t: 12 cells", "tostring")
s = declare({bits = {2, 3, 4}, init = {"lsq", "mse"}}, function(c) return c.bits > 2 or c.init == "mse" end)
tap.eq(#s, 5, "where leaves cells out")
tap.eq(text(s:cells()[1]), "bits=2 init=mse", "and keeps the others")
s = declare{{format = "apot4", k = 2}, {format = "int4"}}
tap.eq(text(s:cells()[1]) .. "; " .. text(s:cells()[2]), "format=apot4 k=2; format=int4", "explicit cells")
tap.eq(math.type(declare{x = {2.0}}:cells()[1].x), "integer", "a whole number is an integer")
tap.eq(declare{x = {0.1}}:cells()[1].x, 0.1, "others keep their bits")

tap.fails("EARG", "x has a value twice", "a value twice", declare{x = {1, 1.0}})
tap.fails("EARG", "there twice", "a cell twice", declare{{x = 1}, {x = 1}})
tap.fails("EARG", "empty", "an empty grid", declare{})
tap.fails("EARG", "x: an empty list", "an empty list", declare{x = {}})
tap.fails("EARG", "finite", "NaN", declare{x = {0 / 0}})
tap.fails("EARG", "table", "a table in a list", declare{x = {{}}})
tap.fails("EARG", "function", "a function", declare{x = print})
tap.fails("EARG", "where", "where leaves nothing", declare({x = 1}, function() return false end))
tap.fails("EARG", "name", "a name that is a path", qs.sweep{name = "a/b", grid = {x = 1}, run = run})
tap.fails("EARG", "it has: name, grid", "another option", qs.sweep{name = "t", grid = {x = 1}, run = run, jobs = 2})
tap.raises("'run'", "no function", qs.sweep, {name = "t", grid = {x = 1}})
tap.raises("'grid'", "no grid", qs.sweep, {name = "t", run = run})
tap.raises("boom", "where raises", declare, {x = 1}, function() error "boom" end)

-- ---- running here: typed, not in a file
-- The other face was here before.
for _, name in ipairs {"here", "part", "bad", "l", "filed"} do
    for _, ending in ipairs {"", "-wal", "-shm"} do os.remove(tap.path(name .. ".db" .. ending)) end
end
local db = tap.path "here.db"
local chunk = [[
local qs, mark = ...
return qs.sweep{name = "here", grid = {x = {1, 2, 3, 4}}, run = function(cell, job)
    mark(cell, job)
    job.progress(0.5, "half")
    if cell.x == 3 then error "boom" end
    return {y = cell.x / 3, note = "n", good = true, inf = math.huge, series = {loss = {1, 2, 0/0}}}
end}]]
local seen = {}
local here = load(chunk, "=typed")(qs, function(cell, job) seen[#seen + 1] = {cell, job} end)
tap.eq(here.file, nil, "what is typed has no file")
local t = assert(here:run{db = db, quiet = true})
tap.eq(t.done .. " " .. t.failed .. " " .. t.cells .. " " .. t.before, "3 1 4 0", "one cell failed, the others are done")
tap.eq(t.db, db, "where the results are")
tap.eq(#seen, 4, "each ran once")
tap.ok(math.type(seen[1][2].seed) == "integer" and seen[1][2].seed > 0 and seen[1][2].seed < 2 ^ 53, "job.seed")
tap.eq(seen[1][2].key, '{"x":1}', "job.key")
tap.eq(seen[1][2].sweep, "here", "job.sweep")
tap.eq(seen[1][2].threads, qs.threads(), "job.threads")
local seed = seen[1][2].seed
tap.ok(pcall(seen[1][2].progress, 1), "progress after the end does nothing")
t = assert(here:run{db = db, quiet = true})
tap.eq(t.before .. " " .. t.failed .. " " .. #seen, "3 1 5", "again: only what failed")
t = assert(here:run{db = db, quiet = true, keep_failed = true})
tap.eq(t.failed .. " " .. #seen, "1 5", "or not even that")
local rows = here:run{db = db, dry_run = true}
tap.eq(rows[3].status .. tostring(rows[3].runs) .. rows[1].status .. tostring(rows[1].runs), "failedtruedonefalse", "dry_run")
t = assert(here:run{db = db, quiet = true, fresh = true, filter = nil})
tap.eq(t.before .. " " .. t.done .. " " .. #seen, "0 3 9", "fresh: all of it")
tap.eq(seen[9][2].seed == seen[4][2].seed and seen[6][2].seed, seed, "the seed is the cell's")
t = assert(here:run{db = tap.path "part.db", filter = "x=1|2", quiet = true})
tap.eq(t.cells, 2, "a filter")
tap.fails("EARG", "there are: x", "a filter of nothing", here:run{db = db, filter = "y=1", quiet = true})
tap.fails("EARG", "I/N", "no shard", here:run{db = db, shard = "3/2", quiet = true})
tap.fails("EARG", "wal or delete", "no journal", here:run{db = db, journal = "x", quiet = true})
tap.fails("EARG", "time limit", "a limit needs a process", here:run{db = tap.path "l.db", limit_seconds = 1, quiet = true})
tap.fails("EIO", "nowhere", "a database that cannot be", here:run{db = tap.path "nowhere/x.db", quiet = true})

-- What run returns and should not.
for what, value in pairs{["a table of metrics"] = "return 1", ["returned nothing"] = "return", ["list"] = "return {1, 2}",
                         ["a function as f"] = "return {f = print}", ["the metric y is not a number"] = "return {y = 0/0}",
                         ["EARG: no"] = "return nil, 'EARG: no', 'EARG'", ["series a"] = "return {series = {a = {1, 'x'}}}"} do
    local bad = load("local qs = ... return qs.sweep{name='bad', grid={x=1}, run=function() " .. value .. " end}", "=typed")(qs)
    local r = assert(bad:run{db = tap.path "bad.db", quiet = true, fresh = true})
    tap.eq(r.failed, 1, "a cell fails that gives: " .. value)
end

-- ---- run by worker processes: this file would be run by them, so the sweep is in one of its own
if os.getenv "QUANTSCOPE_PROGRAM" then
    local path = tap.path "filed.lua"
    local f = assert(io.open(path, "w"))
    f:write [[
local qs = require "quantscope"
leak = (leak or 0) + 1
local other = qs.sweep{name = "other", grid = {x = 1}, run = function() return {x = 1} end}
local s = qs.sweep{name = "filed", grid = {x = {1, 2, 3, 4, 5}}, run = function(cell, job)
    leak = leak + 1
    if cell.x == 4 then os.exit(3) end
    return {y = later(cell.x), leak = leak, seed = job.seed % 1000, args = #arg, thread = job.threads, p = qs.threads()}
end}
function later(x) return x * x end
if ... == "run" then
    assert(other:run{db = (...) .. ".db", quiet = true})
    pcall(function() table.unpack{s:run{db = arg[2], jobs = 2, quiet = true}} end)
    error "not in a worker"
end
return s
]]
    f:close()
    local filed = dofile(path)
    tap.eq(filed.file, path, "declared in a file")
    db = tap.path "filed.db"
    t = assert(filed:run{db = db, jobs = 2, quiet = true})
    tap.eq(t.done .. " " .. t.failed .. " " .. t.cells, "4 1 5", "os.exit costs one cell")
    t = assert(filed:run{db = db, jobs = 2, quiet = true})
    tap.eq(t.before .. " " .. t.failed, "4 1", "it runs again")
    f = assert(io.open(path, "a"))
    f:write "-- changed\n"
    f:close()
    tap.fails("ESTATE", "the script", "a script that changed", filed:run{db = db, quiet = true})
    t = assert(filed:run{db = db, jobs = 2, quiet = true, accept_changes = true})
    tap.eq(t.before, 4, "is accepted")
end
tap.done()
