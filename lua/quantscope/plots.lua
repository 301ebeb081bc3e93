-- SPDX-License-Identifier: GPL-3.0-or-later
-- What there is to plot: each kind turns objects of ours into the description that core.private.plot draws. To add a
-- kind: one function(o, ...) -> description, one row of `kinds`. Knows no picture; src/plot does.

local core = require "quantscope.core"

local M = {functions = {}, kinds = {}}

local function fail(code, fmt, ...)
    return nil, code .. ": " .. fmt:format(...), code
end

local function kind_of(v)
    local mt = type(v) == "userdata" and getmetatable(v)
    return type(mt) == "table" and mt.__name or type(v)
end

local function wrong(kind, what, v)
    error(("qs.plot(\"%s\"): %s expected, got %s"):format(kind, what, kind_of(v)), 0)
end

local function merge(into, from)
    for k, v in pairs(from) do into[k] = v end
    return into
end

-- A tensor's name in a title: what is long loses its middle, since names differ at their ends.
local function label(t, otherwise)
    local name = kind_of(t) == "qs.tensor" and t.name or ""
    if name == "" then return otherwise end
    return #name <= 44 and name or name:sub(1, 10) .. "…" .. name:sub(-32)
end

-- ---- histograms ------------------------------------------------------------------------------------------

local function as_list(v, name)
    if v == nil then return {} end
    return kind_of(v) == name and {v} or v
end

local function quantizer_marks(d, q, kind)
    if kind_of(q) ~= "qs.quantizer" then wrong(kind, "a quantizer or a list of them", q) end
    local color = q.init ~= "" and "init:" .. q.init or "level"
    if q.parts > 1 then return fail("EARG", "qs.plot: %s has %d steps, and levels are of one; look at one channel", tostring(q.format), q.parts) end
    local levels, thresholds = q:levels(), q:thresholds()
    d.rulers[#d.rulers + 1] = {levels = levels, thresholds = thresholds, color = color}
    if #d.rulers > 1 then return true end
    d.limits = {{x = levels[1], name = ("clip %.4g"):format(levels[1]), color = "clipping"},
                {x = levels[#levels], name = ("clip %.4g"):format(levels[#levels]), color = "clipping"}}
    return true
end

local function hist(o, t, q)
    if kind_of(t) ~= "qs.tensor" and kind_of(t) ~= "qs.index" then wrong("hist", "a tensor or an index", t) end
    local h, message, code = t:histogram {bins = o.bins or 200, lo = o.lo, hi = o.hi, log = o.log}
    if not h then return nil, message, code end
    local what = {}
    local d = {{kind = "bars", y = h.count, color = "bars", name = "values"}, rulers = {}, xlabel = "value", ylabel = "count",
               xmin = h.lo, xmax = h.hi, xlog = o.log or false, ylog = true}
    for _, one in ipairs(as_list(q, "qs.quantizer")) do
        local fine, why, short = quantizer_marks(d, one, "hist")
        if not fine then return nil, why, short end
        what[#what + 1] = ("%s %s"):format(tostring(one.format), one.init ~= "" and one.init or "by hand")
    end
    d.title = label(t, "Weights") .. (what[1] and "  " .. table.concat(what, ", ") or "")
    return d
end

-- ---- error curves ----------------------------------------------------------------------------------------

local function curve(o, t, format, inits)
    local c, message, code = core.curve(t, format, {points = o.points, lo = o.lo, hi = o.hi, part = o.part})
    if not c then return nil, message, code end
    local d = {xlabel = "step", ylabel = "mean squared error", xlog = true, ylog = true, markers = {},
               {x = c.step, y = c.clip, name = "clipping", color = "clipping"},
               {x = c.step, y = c.round, name = "rounding", color = "rounding"},
               {x = c.step, y = c.error, name = "error", color = "error", bold = true}}
    local least, most = math.huge, 0
    for _, v in ipairs(c.error) do
        if v > 0 then least, most = math.min(least, v), math.max(most, v) end
    end
    if most > 0 then d.ymin, d.ymax = least / 2.5, most * 1.3 end
    d.xmin, d.xmax = c.step[1], c.step[#c.step]
    d.title = ("%s  %s"):format(label(t, "Error"), tostring(core.format(format)))
    if kind_of(t) ~= "qs.tensor" or o.part then return d end
    local rows
    rows, message, code = core.compare(t, format, inits)
    if not rows then return nil, message, code end
    for _, row in ipairs(rows) do
        if row.step and row.step > 0 then
            d.markers[#d.markers + 1] = {x = row.step, name = row.init, color = "init:" .. row.init, strong = row.init == (o.strong or "mse")}
        end
    end
    return d
end

-- ---- runs --------------------------------------------------------------------------------------------------

-- Two-sided 95 % quantiles of Student's t, 1 .. 30 degrees of freedom.
local T95 = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
             2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042}

local bands = {
    interval = function(mean, var, n) local by = (T95[n - 1] or 1.96) * math.sqrt(var / n) return mean - by, mean + by end,
    std = function(mean, var) return mean - math.sqrt(var), mean + math.sqrt(var) end,
    range = function(_, _, _, least, most) return least, most end,
}

local function smoothed(y, n)
    local out, sum, have, window = {}, 0, 0, {}
    for i = 1, #y do
        window[#window + 1] = y[i]
        sum, have = sum + y[i], have + 1
        if have > n then sum, have = sum - window[i - n], n end
        out[i] = sum / have
    end
    return out
end

-- {x=, y=} of a run or of a table of numbers.
local function track(v, metric, o)
    if kind_of(v) ~= "qs.run" then
        if type(v) ~= "table" then wrong("train", "runs or tables of numbers", v) end
        local y = v.y or v
        local x = v.x or {}
        for i = #x + 1, #y do x[i] = i end
        return {x = x, y = y}
    end
    local h = v.history
    if metric == "accuracy" then return {x = h.accuracy_step, y = h.accuracy} end
    return {x = h.step, y = smoothed(h.loss, o.smooth or math.max(1, #h.loss // 50))}
end

-- Mean and band of several tracks, as far as all of them go.
local function combine(tracks, band)
    local n, x, mean, lo, hi = math.huge, {}, {}, {}, {}
    for _, t in ipairs(tracks) do n = math.min(n, #t.y, #t.x) end
    for i = 1, n do
        local sum, square, least, most, k = 0, 0, math.huge, -math.huge, #tracks
        for _, t in ipairs(tracks) do
            if type(t.y[i]) ~= "number" then error(("qs.plot(\"train\"): value %d is no number"):format(i), 0) end
            sum, least, most = sum + t.y[i], math.min(least, t.y[i]), math.max(most, t.y[i])
        end
        for _, t in ipairs(tracks) do square = square + (t.y[i] - sum / k) ^ 2 end
        x[i], mean[i] = tracks[1].x[i], sum / k
        lo[i], hi[i] = bands[band](sum / k, k > 1 and square / (k - 1) or 0, k, least, most)
    end
    return x, mean, lo, hi
end

-- Groups in order: a list of runs falls into those of one name; {name = {...}} is taken as it is.
local function groups(v)
    local list, by = {}, {}
    local function put(name, one)
        if not by[name] then
            by[name] = {name = name}
            list[#list + 1] = by[name]
        end
        table.insert(by[name], one)
    end
    if kind_of(v) == "qs.run" then v = {v} end
    if type(v) ~= "table" then wrong("train", "a run, a list of runs or {name = {...}}", v) end
    for i, one in ipairs(v) do put(kind_of(one) == "qs.run" and one.name or tostring(i), one) end
    local names = {}
    for name in pairs(v) do
        if type(name) == "string" then names[#names + 1] = name end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local one = v[name]
        local many = type(one) == "table" and (type(one[1]) == "table" or kind_of(one[1]) == "qs.run")
        for _, each in ipairs(many and one or {one}) do put(name, each) end
    end
    return list
end

local function train(o, v)
    local metric, band = o.metric or "loss", o.band or "interval"
    if not bands[band] then return fail("EARG", "qs.plot: band \"%s\" is none of interval, range, std", tostring(band)) end
    if metric ~= "loss" and metric ~= "accuracy" then return fail("EARG", "qs.plot: metric \"%s\" is none of loss, accuracy", tostring(metric)) end
    local d, list, several = {xlabel = "step", ylabel = metric, title = "Training", ylog = metric == "loss" and not (o.ymin and o.ymin <= 0)}, groups(v), false
    for i, g in ipairs(list) do
        local tracks = {}
        for k, one in ipairs(g) do tracks[k] = track(one, metric, o) end
        local x, mean, lo, hi = combine(tracks, band)
        local color = "run" .. (i - 1) % 8 + 1
        if #tracks > 1 then
            several = true
            d[#d + 1] = {kind = "band", x = x, y = lo, y2 = hi, color = color}
        end
        d[#d + 1] = {x = x, y = mean, name = #tracks > 1 and ("%s (%d)"):format(g.name, #tracks) or g.name, color = color}
        for k = 1, #mean do d.ylog = d.ylog and mean[k] > 0 end
    end
    if #list == 0 then return fail("ERANGE", "qs.plot: there is no run") end
    local said = {interval = "mean, 95 % interval", range = "mean, least to most", std = "mean, standard deviation"}
    if several then d.ylabel = ("%s (%s)"):format(metric, said[band]) end
    return d
end

local function steps(o, run)
    if kind_of(run) ~= "qs.run" then wrong("steps", "a run", run) end
    local d = {xlabel = "training step", ylabel = o.relative and "quantizer step, against the first" or "quantizer step", ylog = true,
               title = "Steps  " .. run.name}
    local history = run.history
    for _, name in ipairs(run:names()) do
        local q = history.quantizers[name]
        local y = {}
        for i = 1, q.step and #q.step or 0 do y[i] = o.relative and q.step[i] / q.step[1] or q.step[i] end
        if #y > 0 and (not o.only or name:find(o.only, 1, true)) then d[#d + 1] = {x = q.t, y = y, name = name} end
    end
    if #d == 0 then return fail("ERANGE", "qs.plot: %s has recorded no step", run.name) end
    return d
end

-- ---- matrices ------------------------------------------------------------------------------------------------

local function heat(o, matrix)
    local d = {heat = matrix, rows = o.rows, columns = o.columns, lo = o.lo, hi = o.hi, log = o.log, high_is_best = o.high_is_best}
    if kind_of(matrix) == "qs.tensor" then
        d.title = label(matrix)
        d.xlabel, d.ylabel = "input", "value"
    elseif type(matrix) ~= "table" then
        wrong("heat", "a tensor or a list of rows", matrix)
    end
    return d
end

-- ---- columns of a file ---------------------------------------------------------------------------------------

local function fields(line)
    local out, at = {}, 1
    while at <= #line + 1 do
        local quoted, after = line:match('^"(.-)"()[,]', at)
        if not quoted then quoted, after = line:match('^"(.-)"()$', at) end
        if quoted then
            out[#out + 1], at = quoted, after + 1
        else
            local stop = line:find(",", at, true) or #line + 1
            out[#out + 1], at = line:sub(at, stop - 1), stop + 1
        end
    end
    return out
end

-- {names}, {[name] = {values, any=}}: what is no number is a gap.
local function read_csv(path)
    local f, message = io.open(path)
    if not f then return fail("EIO", "%s", message) end
    local head = f:read "l"
    if not head then
        f:close()
        return fail("EFORMAT", "%s: there is no first line with the names of columns", path)
    end
    local names, columns, n = fields((head:gsub("\r$", ""):gsub("^\239\187\191", ""))), {}, 0
    for _, name in ipairs(names) do columns[name] = {any = false} end
    for line in f:lines() do
        n = n + 1
        local row = fields((line:gsub("\r$", "")))
        for i, name in ipairs(names) do
            local v = tonumber(row[i])
            columns[name][n] = v or 0 / 0
            columns[name].any = columns[name].any or v ~= nil
        end
    end
    f:close()
    if n == 0 then return fail("ERANGE", "%s: there is no row", path) end
    return names, columns
end

local function csv(o, path)
    if type(path) ~= "string" then wrong("csv", "the path of a file", path) end
    local names, columns, code = read_csv(path)
    if not names then return nil, columns, code end
    local x = o.x or names[1]
    local ys = type(o.y) == "string" and {o.y} or o.y
    if not ys then
        ys = {}
        for _, name in ipairs(names) do
            if name ~= x and columns[name].any then ys[#ys + 1] = name end
        end
    end
    local d = {title = path:match "[^/]*$", xlabel = x}
    for _, name in ipairs {x, table.unpack(ys)} do
        if not columns[name] then return fail("EARG", "%s: there is no column \"%s\"; there are %s", path, name, table.concat(names, ", ")) end
        if not columns[name].any then return fail("ERANGE", "%s: column %s holds no number", path, name) end
    end
    for _, name in ipairs(ys) do
        local xs, values = {}, {}
        for i, v in ipairs(columns[name]) do       -- rows without a value are no gap: columns are recorded at different steps
            if v == v then xs[#xs + 1], values[#values + 1] = columns[x][i], v end
        end
        d[#d + 1] = {x = xs, y = values, name = name, kind = o.kind}
    end
    if #ys == 0 then return fail("ERANGE", "%s: there is no column of numbers beside %s", path, x) end
    if #ys == 1 then d.ylabel, d[1].name = ys[1], nil end
    return d
end

-- ---- from the command line --------------------------------------------------------------------------------------

local function cut(list)
    local out = {}
    for name in (list or ""):gmatch "[^,]+" do out[#out + 1] = name end
    return out
end

-- The tensor a command names: by its whole name, or the only one whose name ends so.
local function find_tensor(a)
    local m, message, code = core.load(a.file)
    if not m then return nil, message, code end
    if not a.tensor then return fail("EARG", "plot %s needs --tensor NAME; `quantscope list %s` shows the names", a.kind, a.file) end
    local whole = m:get(a.tensor)
    if whole then return whole end
    local hits = {}
    local pattern = "^" .. a.tensor:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
    for name, t in m:tensors() do
        if name:find(pattern) then hits[#hits + 1] = t end
    end
    if #hits == 1 then return hits[1] end
    if #hits == 0 then return fail("EARG", "%s: no tensor matches --tensor %s; `quantscope list %s` shows the names", a.file, a.tensor, a.file) end
    return fail("EARG", "--tensor %s matches %d tensors, as %s and %s: a plot is of one", a.tensor, #hits, hits[1].name, hits[2].name)
end

-- What the options of a command say for a kind: its arguments.
local from_command = {}

function from_command.hist(a, o)
    local t, message, code = find_tensor(a)
    if not t then return nil, message, code end
    o.lo, o.hi, o.bins = tonumber(a.lo), tonumber(a.hi), tonumber(a.points)
    if not a.format and not a.init then return {t} end
    local format, on, quantizers = a.format or "int4", t, {}
    if a.channel then
        on, message, code = t:index {format = format, part = tonumber(a.channel) + 1}
        if not on then return nil, message, code end
        format = format:gsub("@.*", "")
    end
    for i, name in ipairs(cut(a.init or "mse")) do
        quantizers[i], message, code = core.init(name, on, format)
        if not quantizers[i] then return nil, message, code end
    end
    return {on, quantizers}
end

function from_command.curve(a, o)
    local t, message, code = find_tensor(a)
    if not t then return nil, message, code end
    o.points, o.lo, o.hi = tonumber(a.points), tonumber(a.lo), tonumber(a.hi)
    o.part = a.channel and tonumber(a.channel) + 1
    return {t, a.format or "int4", a.init and cut(a.init) or nil}
end

function from_command.heat(a)
    local t, message, code = find_tensor(a)
    if not t then return nil, message, code end
    return {t}
end

function from_command.csv(a, o)
    o.x, o.y = a.x, a.y and cut(a.y)
    return {a.file}
end

-- ---- the table -------------------------------------------------------------------------------------------------

-- name, what it shows, the function, how many arguments stand before the options, options of its own.
M.kinds = {
    {name = "hist", doc = "the histogram of a tensor, with the levels of quantizers: qs.plot(\"hist\", t, q)", make = hist, args = 2,
     options = {"bins", "lo", "hi", "log"}},
    {name = "curve", doc = "the error at every step, each initialization marked: qs.plot(\"curve\", t, \"int4\")", make = curve, args = 3,
     options = {"points", "lo", "hi", "part", "strong"}},
    {name = "train", doc = "loss or accuracy of runs, with a band over seeds: qs.plot(\"train\", {run, ...})", make = train, args = 1,
     options = {"metric", "band", "smooth"}},
    {name = "steps", doc = "how the steps of a run moved: qs.plot(\"steps\", run)", make = steps, args = 1, options = {"relative", "only"}},
    {name = "heat", doc = "a matrix as colours: qs.plot(\"heat\", {{1, 2}, {3, 4}})", make = heat, args = 1,
     options = {"rows", "columns", "lo", "hi", "log", "high_is_best"}},
    {name = "csv", doc = "columns of a CSV file with a head: qs.plot(\"csv\", \"run.csv\", {x=\"step\", y={\"loss\"}})", make = csv, args = 1,
     options = {"x", "y", "kind"}},
}

-- What every kind lets itself be told about its axes.
local COMMON = {"title", "xlabel", "ylabel", "xmin", "xmax", "ymin", "ymax", "xlog", "ylog", "limits"}

local function find(name)
    local all = {}
    for i, k in ipairs(M.kinds) do
        if k.name == name then return k end
        all[i] = k.name
    end
    return fail("EARG", "qs.plot: there is no kind \"%s\"; there are %s", name, table.concat(all, ", "))
end

local function check(kind, o)
    local known, list = {}, {}
    for _, part in ipairs {kind.options, COMMON} do
        for _, name in ipairs(part) do
            known[name] = true
            list[#list + 1] = name
        end
    end
    for key in pairs(o) do
        if not known[key] then
            return fail("EARG", "qs.plot(\"%s\") has no option '%s'; it has: %s", kind.name, tostring(key), table.concat(list, ", "))
        end
    end
    return true
end

local function is_options(v) return type(v) == "table" and #v == 0 and next(v) ~= nil end

function M.functions.plot(what, ...)
    if type(what) == "table" then return core.private.plot(what) end
    if type(what) ~= "string" then error("qs.plot: a table that describes the plot, or the name of a kind, expected, got " .. kind_of(what), 2) end
    local kind, message, code = find(what)
    if not kind then return nil, message, code end
    local args, n = {...}, select("#", ...)
    local o = {}
    if n > 1 and n <= kind.args + 1 and (n > kind.args or is_options(args[n])) then o, args[n] = args[n] or o, nil end
    if type(o) ~= "table" then error(("qs.plot(\"%s\"): a table of options expected, got %s"):format(what, kind_of(o)), 2) end
    local fine
    fine, message, code = check(kind, o)
    if not fine then return nil, message, code end
    local worked, d, why, short = pcall(kind.make, o, table.unpack(args, 1, kind.args))
    if not worked then error(d, 2) end
    if not d then return nil, why, short end
    for _, key in ipairs(COMMON) do
        if o[key] ~= nil then d[key] = o[key] end
    end
    return core.private.plot(d)
end

function M.functions.plots()
    local out = {}
    for i, k in ipairs(M.kinds) do out[i] = {name = k.name, doc = k.doc} end
    return out
end

-- `quantscope plot`: a, what was typed, all texts. Returns what is to be printed ("" once a file is written).
function M.command(a)
    local kind, message, code = find(a.kind)
    if not kind then return nil, message, code end
    local takes = from_command[a.kind]
    if not takes then return fail("EARG", "plot %s: only in Lua, as %s", a.kind, kind.doc:match "qs%.plot.*") end
    local o = {title = a.title}
    if a.log then o.xlog, o.ylog = a.log:find "x" ~= nil, a.log:find "y" ~= nil end
    local args
    args, message, code = takes(a, o)
    if not args then return nil, message, code end
    args[kind.args + 1] = next(o) and o or nil
    local p
    p, message, code = M.functions.plot(a.kind, table.unpack(args, 1, kind.args + 1))
    if not p then return nil, message, code end
    if not a.output then return tostring(p) end
    local saved
    saved, message, code = p:save(a.output, {width = tonumber(a.width), height = tonumber(a.height), font = tonumber(a.font)})
    if not saved then return nil, message, code end
    return ""
end

return M
