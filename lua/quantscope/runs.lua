-- SPDX-License-Identifier: GPL-3.0-or-later
-- What is pleasanter in Lua about runs: a run's history as a file.

local core = require "quantscope.core"

local M = {methods = {}}

local function fail(code, fmt, ...)
    return nil, code .. ": " .. fmt:format(...), code
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

-- Any value as JSON text; what JSON has no word for (NaN, infinity, functions) is null.
function M.json(v)
    local out = {}
    json(out, v)
    return table.concat(out)
end

local function json_text(run)
    local h = run.history
    for _, q in pairs(h.quantizers) do local _ = q.histograms end   -- made when asked for
    return M.json {name = run.name, data = run.data.note, state = run.state, reason = run.reason, step = run.step,
                   total = run.total, batch = run.batch, seed = run.seed, seconds = run.seconds,
                   init_seconds = run.init_seconds, before = run.before, float = run.float, last = run.last, history = h}
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
