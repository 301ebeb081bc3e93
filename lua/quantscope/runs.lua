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

-- One run: its row, and a failure's three values where all would fail alike.
local function race_one(net, d, o, init)
    local row = {init = init}
    local options = copy(o)
    options.inits = nil
    options.quant = copy(o.quant)
    options.quant.init = init
    local run, message, code = core.train(net, d, options)
    if not run then
        row.error, row.code = message, code
        return row
    end
    row.run = run
    row.before = run.before and run.before.accuracy
    run:advance(math.maxinteger)
    row.state, row.reason = run.state, run.reason
    local after
    after, message, code = run:validate(o.val_limit)
    if not after then return nil, message, code end
    row.after, row.loss, row.accuracy_raw = after.accuracy, after.loss, after.accuracy_raw
    row.seconds, row.init_seconds, row.steps = run.seconds, run.init_seconds, run.step
    return row
end

function M.functions.race(net, d, o)
    if type(o) ~= "table" then error("qs.race takes a table of options: qs.race(net, d, {inits={...}, steps=100})", 2) end
    local inits = o.inits
    if type(inits) ~= "table" then error("bad option 'inits' (an array of names expected)", 2) end
    if o.quant == nil then return fail("EARG", "qs.race: quant={weights=, acts=} is missing: what should be quantized?") end
    if type(o.quant) ~= "table" then error("bad option 'quant' (table expected)", 2) end
    if #inits == 0 then return fail("EARG", "qs.race: inits={...} is empty") end
    local rows = {}
    for i, init in ipairs(inits) do
        local message, code
        rows[i], message, code = race_one(net, d, o, init)
        if not rows[i] then return nil, message, code end
    end
    return rows
end

-- ---- export --------------------------------------------------------------------------------------------------

local function number(v)
    if math.type(v) == "integer" then return tostring(v) end
    if v ~= v or v == math.huge or v == -math.huge then return nil end
    return (("%.17g"):format(v):gsub(",", "."))
end

local function quote(s)
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

return M
