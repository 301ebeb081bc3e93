-- SPDX-License-Identifier: GPL-3.0-or-later
-- What is pleasanter in Lua about runs: races of several from one start, and a run's history as a file.

local core = require "quantscope.core"

local M = {functions = {}, methods = {}}

local function fail(code, fmt, ...)
    return nil, code .. ": " .. fmt:format(...), code
end

-- ---- races ------------------------------------------------------------------------------------------------

local function copy(t)
    local out = {}
    for k, v in pairs(t or {}) do out[k] = v end
    return out
end

-- Options of the race itself; all others are those of qs.train.
local OWN = {"inits", "turn", "progress"}

local function name_of(init) return type(init) == "string" and init or nil end

-- A run at its start, and its row: the row says why where there is none.
local function enter(net, d, o, init)
    local row, options = {init = init}, copy(o)
    for _, key in ipairs(OWN) do options[key] = nil end
    options.quant = copy(o.quant)
    options.quant.init = init
    core.private.who(name_of(init))
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

-- All make `turn` steps, one after the other, until all are over. A run does not see the others: what it computes is what
-- it would compute alone.
local function go(rows, o)
    local going, step, turn = {}, 0, o.turn
    for _, row in ipairs(rows) do going[#going + 1] = row.run and row or nil end
    if o.progress then o.progress(rows, 0) end
    while #going > 0 do
        local left = {}
        for _, row in ipairs(going) do
            core.private.who(name_of(row.init))
            local more = row.run:advance(turn or math.max(1, row.run.total // 10))
            update(row)
            step = math.max(step, row.steps)
            if more then left[#left + 1] = row end
        end
        if o.progress then o.progress(rows, step) end
        going = left
    end
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
    if o.evaluate then row.series = series(row.run) end
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
    return true
end

function M.functions.race(net, d, o)
    local fine, message, code = check_race(d, o)
    if not fine then return nil, message, code end
    local rows, quiet <close> = {}, setmetatable({}, {__close = function() core.private.who() end})
    for i, init in ipairs(o.inits) do rows[i] = enter(net, d, o, init) end
    go(rows, o)
    for _, row in ipairs(rows) do
        core.private.who(name_of(row.init))
        if row.run then fine, message, code = finish(row, o) end
        if not fine then return nil, message, code end
    end
    return rows
end

-- ---- export --------------------------------------------------------------------------------------------------

local function number(v)
    if math.type(v) == "integer" then return tostring(v) end
    if v ~= v or v == math.huge or v == -math.huge then return nil end
    return (("%.17g"):format(v):gsub(",", "."))
end

-- A path or name need not be UTF-8; JSON must.
local function quote(s)
    if not utf8.len(s) then s = s:gsub("[\128-\255]", "?") end
    s = s:gsub('[%c"\\]', function(c)
        return c == '"' and '\\"' or c == "\\" and "\\\\" or ("\\u%04x"):format(c:byte())
    end)
    return '"' .. s .. '"'
end

local function json(out, v)
    local t = type(v)
    if t == "number" then out[#out + 1] = number(v) or "null"
    elseif t == "string" then out[#out + 1] = quote(v)
    elseif t == "boolean" then out[#out + 1] = tostring(v)
    elseif t ~= "table" then out[#out + 1] = "null"
    elseif #v > 0 or next(v) == nil then
        out[#out + 1] = "["
        for i = 1, #v do
            if i > 1 then out[#out + 1] = "," end
            json(out, v[i])
        end
        out[#out + 1] = "]"
    else
        local keys = {}
        for k in pairs(v) do keys[#keys + 1] = k end
        table.sort(keys)
        out[#out + 1] = "{"
        for i, k in ipairs(keys) do
            out[#out + 1] = (i > 1 and "," or "") .. quote(k) .. ":"
            json(out, v[k])
        end
        out[#out + 1] = "}\n"
    end
end

local function json_text(run)
    local out, h = {}, run.history
    for _, q in pairs(h.quantizers) do local _ = q.histograms end   -- made when asked for
    json(out, {name = run.name, data = run.data.note, state = run.state, reason = run.reason, step = run.step,
               total = run.total, batch = run.batch, seed = run.seed, seconds = run.seconds,
               init_seconds = run.init_seconds, before = run.before, float = run.float, last = run.last, history = h})
    return table.concat(out)
end

local COLUMNS = {"step", "offset", "gradient", "offset_gradient", "raw_gradient", "ratio", "oscillating", "clipped",
                 "entropy", "mse", "used"}

-- Values by step: {[step] = {[column] = text}}, and the columns in order.
local function csv_cells(run)
    local h, cells, columns = run.history, {}, {"step", "loss", "lr", "accuracy"}
    local function put(step, column, v)
        cells[step] = cells[step] or {step = tostring(step)}
        cells[step][column] = number(v)
    end
    for i = 1, #h.step do
        put(h.step[i], "loss", h.loss[i])
        put(h.step[i], "lr", h.lr[i])
    end
    for i = 1, #h.accuracy do put(h.accuracy_step[i], "accuracy", h.accuracy[i]) end
    for _, name in ipairs(run:names()) do
        local q = h.quantizers[name]
        for _, column in ipairs(COLUMNS) do
            local full = name .. "." .. column
            if q[column] then columns[#columns + 1] = full end
            for i = 1, q[column] and #q[column] or 0 do put(q.t[i], full, q[column][i]) end
        end
    end
    return cells, columns
end

local function csv_text(run)
    local cells, columns = csv_cells(run)
    local steps, lines = {}, {table.concat(columns, ",")}
    for step in pairs(cells) do steps[#steps + 1] = step end
    table.sort(steps)
    for _, step in ipairs(steps) do
        local row = {}
        for i, column in ipairs(columns) do row[i] = cells[step][column] or "" end
        lines[#lines + 1] = table.concat(row, ",")
    end
    return table.concat(lines, "\n") .. "\n"
end

local endings = {csv = csv_text, json = json_text}

function M.methods.export(run, path)
    if type(path) ~= "string" then error("run:export: a path that ends in .csv or .json", 2) end
    local text = endings[path:match "%.(%a+)$" or ""]
    if not text then return fail("EARG", "%s: the name must end in .csv or .json", path) end
    return core.private.file_write(path, text(run))
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

-- `quantscope race`: a, what was typed, all texts. Returns JSON: what raced, and its rows.
function M.command(a)
    local net, inits, d, rows, message, code
    local bits = tonumber(a.bits or 2)
    net, message, code = require "quantscope.nets".bundled(a.net or "smallcnn")
    if not net then return nil, message, code end
    inits = usual(bits)
    if a.init then inits, message, code = named(a.init) end
    if inits then d, message, code = race_data(a.slice ~= nil) end
    if not d then return nil, message, code end
    rows, message, code = M.functions.race(net, d, {inits = inits, steps = tonumber(a.steps or 100), seed = tonumber(a.seed or 1),
                                                    quant = {weights = bits, acts = bits, learn = a.learn or "lsq"}})
    if not rows then return nil, message, code end
    local first
    for _, row in ipairs(rows) do first = first or row.run end
    if not first then return nil, rows[1].error, rows[1].code end
    rank(rows)
    local about = {net = net.name, data = d.note, set = d.name, slice = d.slice, images = first.last.n, steps = first.total, batch = first.batch,
                   seed = first.seed, bits = bits, learn = a.learn or "lsq", float = first.float.accuracy, rows = rows}
    for _, row in ipairs(rows) do row.name, row.run = row.run and row.run.name, nil end
    local out = {}
    json(out, about)
    return table.concat(out)
end

return M
