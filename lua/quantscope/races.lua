-- SPDX-License-Identifier: GPL-3.0-or-later
-- Races: runs from several initializations of one net, side by side; as a picture while they run, as a table at the end, as
-- a file, and played from one. The race object of the engine (core.private.race_new) watches the runs; the rows hold it.

local core = require "quantscope.core"
local private = core.private

local M = {functions = {}}

local function fail(code, fmt, ...)
    return nil, code .. ": " .. fmt:format(...), code
end

-- ---- the table at the end ----------------------------------------------------------------------------------

-- Of the steps at which all that started were validated, those nearest to a tenth and a third of the run.
local function milestones(rows, total)
    local at, started, out = {}, 0, {}
    for _, row in ipairs(rows) do
        if row.series then
            started = started + 1
            for _, t in ipairs(row.series.step) do at[t] = (at[t] or 0) + 1 end
        end
    end
    for _, want in ipairs {total / 10, total / 3} do
        local best
        for t, n in pairs(at) do
            local near = n == started and t > (out[1] or 0) and t < total
            if near and (not best or math.abs(t - want) < math.abs(best - want) or math.abs(t - want) == math.abs(best - want) and t < best) then best = t end
        end
        out[#out + 1] = best
    end
    return out
end

local function accuracy_at(row, step)
    for i, t in ipairs(row.series and row.series.step or {}) do
        if t == step then return row.series.accuracy[i] end
    end
end

-- What the start cost, in training steps of the same run.
local function start_steps(row)
    local some = row.seconds and row.seconds > 0 and row.steps > 0 and row.init_seconds
    return some and row.init_seconds / (row.seconds / row.steps) or nil
end

local function cell(format, v, by) return v and format:format(v * (by or 1)) or "" end

-- An initialization as a legend calls it.
local function label(init)
    if type(init) ~= "table" then return tostring(init) end
    return ("%s/%s"):format(init.weights or "-", init.acts or "-")
end

local function table_text(rows, about)
    local at = milestones(rows, about.steps or 0)
    local lines = {("%-16s %7s"):format("init", "before")}
    for _, t in ipairs(at) do lines[1] = lines[1] .. (" %7s"):format("@" .. math.tointeger(t)) end
    lines[1] = lines[1] .. (" %7s %8s %8s %7s %8s  %s"):format("after", "loss", "start s", "=steps", "train s", "state")
    for i, row in ipairs(rows) do
        local line = ("%d %-14s %7s"):format(i, label(row.init), cell("%.2f", row.before, 100))
        for _, t in ipairs(at) do line = line .. (" %7s"):format(cell("%.2f", accuracy_at(row, t), 100)) end
        line = line .. (" %7s %8s %8s %7s %8s  %s"):format(cell("%.2f", row.after, 100), cell("%.4f", row.loss), cell("%.2f", row.init_seconds),
                                                          cell("%.0f", start_steps(row)), cell("%.2f", row.seconds), row.state or "refused")
        if row.state ~= "done" and row.steps then line = line .. " at " .. row.steps end
        lines[#lines + 1] = row.error and ("%d %-14s %s"):format(i, label(row.init), row.error) or line
    end
    return lines
end

local function about_lines(about)
    local lines = {}
    if about.net then
        lines[1] = ("%s on %s, %s: %d steps of %d images, seed %d, float net %s %%"):format(about.net, about.set, about.name, about.steps,
                                                                                     about.batch, about.seed, cell("%.2f", about.float, 100))
    end
    if about.recorded then lines[#lines + 1] = ("recorded %s by %s on %s"):format(about.when, about.program, about.machine) end
    return lines
end

-- What rows of a race can do. The engine's object is behind them, so that they stay a plain array for everybody else.
local function dress(rows, object)
    local methods = {}
    function methods.save(_, path)
        if type(path) ~= "string" then error("race:save: a path", 2) end
        return object:save(path)
    end
    local function text()
        local about = object:about()
        local lines = about_lines(about)
        for _, line in ipairs(table_text(rows, about)) do lines[#lines + 1] = line end
        return table.concat(lines, "\n")
    end
    return setmetatable(rows, {__index = methods, __tostring = text})
end

-- ---- racing ------------------------------------------------------------------------------------------------

local function copy(t)
    local out = {}
    for k, v in pairs(t or {}) do out[k] = v end
    return out
end

-- Options of the race itself; all others are those of qs.train.
local OWN = {"inits", "turn", "progress", "milestones"}

local function name_of(init) return type(init) == "string" and init or nil end

-- A run at its start, and its row: the row says why where there is none.
local function enter(net, d, o, init)
    local row, options = {init = init}, copy(o)
    for _, key in ipairs(OWN) do options[key] = nil end
    options.quant = copy(o.quant)
    options.quant.init = init
    private.who(name_of(init))
    local run, message, code = core.train(net, d, options)
    if not run then
        row.error, row.code = message, code
        return row
    end
    row.run, row.before, row.steps = run, run.before and run.before.accuracy, run.step
    row.state, row.init_seconds = run.state, run.init_seconds
    return row
end

local function update(row)
    local run = row.run
    row.steps, row.state, row.reason, row.seconds = run.step, run.state, run.reason, run.seconds
end

-- Steps until the next milestone, at most n of them.
local function until_next(o, step, n)
    for _, t in ipairs(o.milestones or {}) do
        if t > step then n = math.min(n, t - step) end
    end
    return n
end

local function is_milestone(o, step)
    for _, t in ipairs(o.milestones or {}) do
        if t == step then return true end
    end
    return false
end

-- All make `turn` steps, one after the other, until all are over. A run does not see the others: what it computes is what
-- it would compute alone. True, or a failure's three values.
local function go(rows, o)
    local going, step = {}, 0
    for _, row in ipairs(rows) do going[#going + 1] = row.run and row or nil end
    if o.progress then o.progress(rows, 0) end
    while #going > 0 do
        local left = {}
        for _, row in ipairs(going) do
            private.who(name_of(row.init))
            local more = row.run:advance(until_next(o, row.run.step, o.turn or math.max(1, row.run.total // 10)))
            update(row)
            step = math.max(step, row.steps)
            if more then
                left[#left + 1] = row
                if is_milestone(o, row.steps) then
                    local score, message, code = row.run:validate(o.val_limit)
                    if not score then return nil, message, code end
                end
            end
        end
        if o.progress then o.progress(rows, step) end
        going = left
    end
    return true
end

-- The validations of a run along its steps; the first is of step 0.
local function series(run)
    local out = {step = {}, loss = {}, accuracy = {}}
    for _, e in ipairs(run.history.evaluations) do
        local n = #out.step
        if e.part == "val" and out.step[n] ~= e.step then
            out.step[n + 1], out.loss[n + 1], out.accuracy[n + 1] = e.step, e.loss, e.accuracy
        end
    end
    return out
end

-- How a run came in. One that made its last step was validated there. True, or a failure's three values.
local function finish(row, o)
    local after, message, code
    if row.state == "done" then after = row.run.last end
    if not after then after, message, code = row.run:validate(o.val_limit) end
    if not after then return nil, message, code end
    row.after, row.loss, row.accuracy_raw = after.accuracy, after.loss, after.accuracy_raw
    if o.evaluate or o.milestones then row.series = series(row.run) end
    return true
end

local function check_milestones(list)
    if list == nil then return true end
    if type(list) ~= "table" then error("bad option 'milestones' (an array of steps expected)", 4) end
    for _, t in ipairs(list) do
        if math.type(t) ~= "integer" then error("bad option 'milestones' (an array of steps expected)", 4) end
        if t < 1 then return fail("EARG", "qs.race: a milestone is a step from 1 on, not %d", t) end
    end
    return true
end

local function check_race(d, o)
    if type(o) ~= "table" then error("qs.race takes a table of options: qs.race(net, d, {inits={...}, steps=100})", 3) end
    if type(o.inits) ~= "table" then error("bad option 'inits' (an array of names expected)", 3) end
    if o.progress ~= nil and type(o.progress) ~= "function" then error("bad option 'progress' (function expected)", 3) end
    if o.turn ~= nil and math.type(o.turn) ~= "integer" then error("bad option 'turn' (integer expected)", 3) end
    if o.quant == nil then return fail("EARG", "qs.race: quant={weights=, acts=} is missing: what should be quantized?") end
    if type(o.quant) ~= "table" then error("bad option 'quant' (table expected)", 3) end
    if #o.inits == 0 then return fail("EARG", "qs.race: inits={...} is empty") end
    if o.turn and o.turn < 1 then return fail("EARG", "qs.race: turn is 1 step or more, not %d", o.turn) end
    if d.val == 0 then return fail("ESTATE", "qs.race: %s has no validation images, and they decide", d.name) end
    return check_milestones(o.milestones)
end

-- Where there is a screen it shows the race, and steps are made in short turns, so that all are seen to move.
local function on_screen(object, o)
    if not object:show() then return o end
    core.select {view = "race"}
    o = copy(o)
    o.turn = o.turn or 1
    return o
end

local last      -- the rows of the newest race, one that was cancelled too

function M.functions.race(net, d, o)
    if net == nil then return last end
    local fine, message, code = check_race(d, o)
    if not fine then return nil, message, code end
    local names = {}
    for i, init in ipairs(o.inits) do names[i] = label(init) end
    local object
    object, message, code = private.race_new(names)
    if not object then return nil, message, code end
    local rows, quiet <close> = dress({}, object), setmetatable({}, {__close = function() private.who() end})
    last = rows
    o = on_screen(object, o)
    object:going(true)
    for i, init in ipairs(o.inits) do
        rows[i] = enter(net, d, o, init)
        object:enter(i, rows[i].run or rows[i].error)
    end
    fine, message, code = go(rows, o)
    object:going(false)
    for _, row in ipairs(fine and rows or {}) do
        private.who(name_of(row.init))
        if row.run then fine, message, code = finish(row, o) end
        if not fine then break end
    end
    if not fine then return nil, message, code end
    return rows
end

-- ---- recorded ones -----------------------------------------------------------------------------------------

-- Those that come with the program, in data/races; scripts/record-races.lua made them.
local BUNDLED = {
    {name = "smallcnn-2bit", doc = "smallcnn, 2 bits, LSQ: four starts, 150 steps"},
    {name = "depthwise-2bit", doc = "depthwise, 2 bits, LSQ: four starts, 150 steps"},
    {name = "resnet8-apot3", doc = "resnet8, APoT at 3 bits: four starts, 150 steps"},
}

local function path_of(name) return ("%s/races/%s.json"):format(private.data(), name) end

function M.functions.races()
    local out = {}
    for i, one in ipairs(BUNDLED) do out[i] = {name = one.name, doc = one.doc, path = path_of(one.name)} end
    return out
end

local function load_race(what)
    for _, one in ipairs(BUNDLED) do
        if one.name == what then return private.race_load(path_of(what)) end
    end
    if what:find "[/.]" then return private.race_load(what) end
    local names = {}
    for i, one in ipairs(BUNDLED) do names[i] = one.name end
    return fail("EARG", "no recorded race is called \"%s\"; there are %s, and files by a name with a dot or slash", what, table.concat(names, ", "))
end

-- The clock of a race: seconds since it began -> steps made by all, or -k while k racers wait for their start.
local function clock(rows, total)
    local starts, train = {}, 0
    for i, row in ipairs(rows) do
        starts[i] = (starts[i - 1] or 0) + (row.init_seconds or 0)
        train = train + (row.seconds or 0)
    end
    local all = starts[#starts] + train
    return function(seconds)
        for i, start in ipairs(starts) do
            if seconds < start then return i - 1 - #starts end
        end
        return train > 0 and math.min(total, (seconds - starts[#starts]) / train * total) or total
    end, all
end

local function play(object, rows, about, o)
    local at, all = clock(rows, about.steps)
    local begun, now, speed = private.now(), 0, o.speed or 1
    while speed > 0 and now < all do
        object:show(at(now))
        if o.progress then o.progress(rows, at(now)) end
        private.wait(0.05, now / all)
        now = (private.now() - begun) * speed
    end
    object:show()
    if o.progress then o.progress(rows, about.steps) end
end

function M.functions.play(what, o)
    if type(what) ~= "string" then error("qs.play: the name of a recorded race (qs.races()), or a file", 2) end
    if o ~= nil and type(o) ~= "table" then error("qs.play takes a table of options: qs.play(name, {speed=1})", 2) end
    o = o or {}
    for key in pairs(o) do
        if key ~= "speed" and key ~= "progress" then return fail("EARG", "qs.play has no option '%s'; it has: progress, speed", tostring(key)) end
    end
    if o.speed ~= nil and type(o.speed) ~= "number" then error("bad option 'speed' (number expected)", 2) end
    if o.progress ~= nil and type(o.progress) ~= "function" then error("bad option 'progress' (function expected)", 2) end
    if o.speed and not (o.speed >= 0 and o.speed <= 1e9) then return fail("EARG", "qs.play: speed is 0 (at once) to 1e9, 1 as it was, not %s", o.speed) end
    local object, message, code = load_race(what)
    if not object then return nil, message, code end
    local rows = dress(object:rows(), object)
    if object:show(-#rows) then core.select {view = "race"} end
    play(object, rows, object:about(), o)
    return rows
end

-- ---- quantscope race -------------------------------------------------------------------------------------------

-- Who runs where nobody is named: rules that are used at so many bits, as far as they are there.
local USUAL = {
    {upto = 4, "lsq", "lsq+", "aciq", "mse", "lapq", "adaptive"},
    {upto = 16, "minmax", "percentile", "kl", "lsq", "lsq+", "mse"},
}

local function known_inits()
    local known, list = {}, {}
    for i, one in ipairs(core.inits()) do known[one.name], list[i] = true, one.name end
    return known, table.concat(list, ", ")
end

local function usual(bits)
    local known, out = known_inits(), {}
    for _, row in ipairs(USUAL) do
        if bits <= row.upto then
            for _, name in ipairs(row) do out[#out + 1] = known[name] and name or nil end
            return out
        end
    end
    return USUAL[1]      -- bits no format has: the runs say so
end

-- "lsq,mse": a misspelled name is said before anybody has waited for the others.
local function named(text)
    local known, list = known_inits()
    local out = {}
    for name in text:gmatch "[^,]+" do
        if not known[name:match "^[^:]*"] then return fail("EARG", "--init: no initialization is called \"%s\"; there are %s", name, list) end
        out[#out + 1] = name
    end
    if #out == 0 then return fail("EARG", "--init is empty") end
    return out
end

-- The slice is small: a quarter of it tells more than the tenth that is usual.
local function race_data(slice)
    local d, message, code = core.dataset("fashion-mnist", {slice = slice})
    if d and d.slice then return core.dataset("fashion-mnist", {slice = true, val = 500}) end
    return d, message, code
end

-- The best first; behind them who did not come in, as they were named.
local function rank(rows)
    local place = {}
    for i, row in ipairs(rows) do place[row] = i end
    local function score(row) return row.state == "diverged" and -1 or row.after or -2 end
    table.sort(rows, function(a, b)
        if score(a) ~= score(b) then return score(a) > score(b) end
        return place[a] < place[b]
    end)
end

-- The accuracy at a tenth and at a third of the steps, and the price of the start, as columns.
local function add_columns(rows, total)
    local at = milestones(rows, total)
    for _, row in ipairs(rows) do
        row.tenth, row.third, row.start_steps = accuracy_at(row, at[1]), accuracy_at(row, at[2]), start_steps(row)
    end
    return at
end

-- Returns what raced and its rows; nil and why.
local function compute(a)
    local inits, d, rows, message, code
    local bits, steps = tonumber(a.bits or 2), tonumber(a.steps or 100)
    local net
    net, message, code = require "quantscope.nets".bundled(a.net or "smallcnn")
    if not net then return nil, message, code end
    inits = usual(bits)
    if a.init then inits, message, code = named(a.init) end
    if inits then d, message, code = race_data(a.slice ~= nil) end
    if not d then return nil, message, code end
    local at = {}
    for _, t in ipairs {steps // 10, steps // 3} do at[#at + 1] = t > 0 and t or nil end
    rows, message, code = M.functions.race(net, d, {inits = inits, steps = steps, seed = tonumber(a.seed or 1), milestones = at,
                                                    quant = {weights = bits, acts = bits, learn = a.learn or "lsq"}})
    if not rows then return nil, message, code end
    local first
    for _, row in ipairs(rows) do first = first or row.run end
    if not first then return nil, rows[1].error, rows[1].code end
    if a.record then
        local fine
        fine, message, code = rows:save(a.record)
        if not fine then return nil, message, code end
    end
    local about = {net = net.name, data = d.note, set = d.name, slice = d.slice, images = first.last.n, steps = first.total, batch = first.batch,
                   seed = first.seed, bits = bits, learn = a.learn or "lsq", float = first.float.accuracy, rows = rows}
    for _, row in ipairs(rows) do row.name, row.run = row.run and row.run.name, nil end
    return about
end

-- A line a start and a validation, as they come.
local function teller(rows)
    local told, step = 0, 0
    return function(_, at)
        local started = at < 0 and #rows + math.floor(at) or #rows
        for i = told + 1, started do
            local row = rows[i]
            print(row.error and ("%-14s cannot start: %s"):format(row.init, row.error)
                  or ("%-14s starts at %s %%, after %s s"):format(row.init, cell("%.2f", row.before, 100), cell("%.2f", row.init_seconds)))
        end
        told = math.max(told, started)
        local times, seen = {}, {}
        for _, row in ipairs(rows) do
            for _, t in ipairs(row.series and row.series.step or {}) do
                if t > step and t <= at and not seen[t] then times[#times + 1], seen[t] = t, true end
            end
        end
        table.sort(times)
        for _, t in ipairs(times) do
            local line = ("step %5d"):format(math.tointeger(t))
            for _, row in ipairs(rows) do
                local v = accuracy_at(row, t)
                line = line .. (v and ("   %s %.2f %%"):format(row.init, 100 * v) or "")
            end
            print(line)
        end
        step = times[#times] or step
        io.stdout:flush()
    end
end

local function replay(a)
    local speed = tonumber(a.speed or 1)
    if not speed or not (speed >= 0 and speed <= 1e9) then return fail("EARG", "--speed: a number from 0 (at once) to 1e9, not \"%s\"", a.speed) end
    local object, message, code = load_race(a.play)
    if not object then return nil, message, code end
    local rows = dress(object:rows(), object)
    local about = object:about()
    if a.lines then
        for _, line in ipairs(about_lines(about)) do print(line) end
        print()
    end
    play(object, rows, about, {speed = speed, progress = a.lines and teller(rows)})
    if a.lines then print() end
    for _, row in ipairs(rows) do row.name = not row.error and ("%s %s"):format(about.name, row.init) or nil end
    about.rows = rows
    return about
end

-- `quantscope race`: a, what was typed, all texts. Returns JSON: what raced, and its rows.
function M.command(a)
    local about, message, code
    if a.play then about, message, code = replay(a) else about, message, code = compute(a) end
    if not about then return nil, message, code end
    rank(about.rows)
    about.at = add_columns(about.rows, about.steps)
    return require "quantscope.runs".json(about)
end

return M
