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

-- "value (5 beyond)": what is not in sight is said.
local function beyond(what, n) return n > 0 and ("%s (%d beyond)"):format(what, n) or what end

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
    d[#d + 1] = {x = {}, y = {}, name = ("%s %s"):format(tostring(q.format), q.init ~= "" and q.init or "by hand"), color = color}   -- for the legend
    if #d.rulers > 1 then return true end
    d.limits = {{x = levels[1], name = ("clip %.4g"):format(levels[1]), color = "clipping"},
                {x = levels[#levels], name = ("clip %.4g"):format(levels[#levels]), color = "clipping"}}
    return true
end

local function hist(o, t, q)
    if kind_of(t) ~= "qs.tensor" and kind_of(t) ~= "qs.index" then wrong("hist", "a tensor or an index", t) end
    local h, message, code = t:histogram {bins = o.bins or 200, lo = o.lo, hi = o.hi, log = o.log}
    if not h then return nil, message, code end
    local d = {{kind = "bars", y = h.count, color = "bars", name = "values"}, rulers = {}, xlabel = beyond("value", h.under + h.over), ylabel = "count",
               xmin = h.lo, xmax = h.hi, xlog = o.log or false, ylog = true}
    for _, one in ipairs(as_list(q, "qs.quantizer")) do
        local fine, why, short = quantizer_marks(d, one, "hist")
        if not fine then return nil, why, short end
    end
    d.title = label(t, "Weights")
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

-- A row of qs.race as its run, under the name of the initialization; one that never started is left out.
local function is_row(v) return type(v) == "table" and v.init ~= nil and (kind_of(v.run) == "qs.run" or v.error ~= nil) end

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
    for i, one in ipairs(v) do
        if is_row(one) then
            if one.run then put(type(one.init) == "string" and one.init or one.run.name, one.run) end
        else
            put(kind_of(one) == "qs.run" and one.name or tostring(i), one)
        end
    end
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

local said = {interval = "mean, 95 % interval", range = "mean, least to most", std = "mean, standard deviation"}

-- Adds a curve to d for each group {name=, track, ...}, with a band where it has several tracks {x=, y=}.
local function put_groups(d, list, band, quantity)
    local lines, several = {}, false
    for i, g in ipairs(list) do
        local x, mean, lo, hi = combine(g, band)
        local color = "run" .. (i - 1) % 8 + 1
        if #g > 1 then
            several = true
            d[#d + 1] = {kind = "band", x = x, y = lo, y2 = hi, color = color}
        end
        lines[i] = {x = x, y = mean, name = #g > 1 and ("%s (%d)"):format(g.name, #g) or g.name, color = color}
        for k = 1, #mean do d.ylog = d.ylog and not (mean[k] <= 0 or lo[k] <= 0) end
    end
    table.move(lines, 1, #lines, #d + 1, d)      -- over all bands
    d.ylabel = several and ("%s (%s)"):format(quantity, said[band]) or quantity
    return d
end

local function bad_band(o) return fail("EARG", "qs.plot: band \"%s\" is none of interval, range, std", tostring(o.band)) end

local function train(o, v)
    local metric = o.metric or "loss"
    if o.band and not bands[o.band] then return bad_band(o) end
    if metric ~= "loss" and metric ~= "accuracy" then return fail("EARG", "qs.plot: metric \"%s\" is none of loss, accuracy", tostring(metric)) end
    local list = groups(v)
    for _, g in ipairs(list) do
        for k, one in ipairs(g) do g[k] = track(one, metric, o) end
    end
    if #list == 0 then return fail("ERANGE", "qs.plot: there is no run") end
    return put_groups({xlabel = "step", title = "Training", ylog = metric == "loss" and not (o.ymin and o.ymin <= 0)}, list, o.band or "interval", metric)
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

-- ---- sweeps ------------------------------------------------------------------------------------------------

-- A results database, and the name of the sweep o asks for.
local function open(o, v, kind)
    if type(v) ~= "string" and kind_of(v) ~= "qs.results" then wrong(kind, "a results database or its path", v) end
    local r, message, code = v, nil, nil
    if type(v) == "string" then r, message, code = core.results(v) end
    if not r or o.sweep then return r, message or o.sweep, code end
    local sweeps
    sweeps, message, code = r:sweeps()
    if not sweeps then return nil, message, code end
    return r, sweeps[1] and sweeps[1].name      -- where there are several, the next call says so
end

-- The cells o.where chooses; the parameters they differ in but the seed, sorted; "bits=2": in which they agree.
local function look(o, r)
    local cells, message, code = r:cells {sweep = o.sweep, where = o.where}
    if not cells then return nil, message, code end
    local values, names, same = {}, {}, {}
    for _, cell in ipairs(cells) do
        for name, value in pairs(cell.params) do
            values[name] = values[name] or {n = 0}
            if not values[name][value] then values[name][value], values[name].n = true, values[name].n + 1 end
        end
    end
    for name, v in pairs(values) do
        if v.n > 1 and name ~= "seed" then names[#names + 1] = name end
        if v.n == 1 then same[#same + 1] = name .. "=" .. tostring(cells[1].params[name]) end
    end
    table.sort(names)
    table.sort(same)
    return {cells = cells, values = values, names = names, same = table.concat(same, ", ")}
end

-- The parameters of the groups: as asked for, else those they differ in; x stands along the axis and makes no groups.
local function by_list(o, seen, kind, x)
    local by = type(o.by) == "string" and {o.by} or o.by
    if not by then
        by = {}
        for _, name in ipairs(seen.names) do
            if name ~= x then by[#by + 1] = name end
        end
    end
    if type(by) ~= "table" then wrong(kind, "by: a name or a list of names", o.by) end
    for _, name in ipairs(by) do
        if not seen.values[name] then
            local all = {}
            for known in pairs(seen.values) do all[#all + 1] = known end
            table.sort(all)
            return fail("EARG", "qs.plot(\"%s\"): no cell has a parameter \"%s\"; there are: %s", kind, tostring(name), table.concat(all, ", "))
        end
    end
    return by
end

-- "lsq, bits=2": a text says by itself what it is.
local function group_name(params, by)
    local out = {}
    for i, name in ipairs(by) do
        local v = params[name]
        out[i] = type(v) == "string" and v or ("%s=%s"):format(name, v == nil and "-" or tostring(v))
    end
    return #out > 0 and table.concat(out, ", ") or "all"
end

-- Groups in the order in which they come up: put(list, name, what) adds.
local function put(list, name, what)
    if not list[name] then
        list[name] = {name = name}
        list[#list + 1] = list[name]
    end
    if what then table.insert(list[name], what) end
    return list[name]
end

-- The list without the groups that are empty. More than there are colours could not be told apart.
local MOST = 8

local function readable(list, by, kind)
    local some = {}
    for _, g in ipairs(list) do
        if #g > 0 then some[#some + 1] = g end
    end
    if #some <= MOST then return some end
    return fail("ERANGE", "qs.plot(\"%s\"): %d curves by %s; at most %d can be told apart: group by less, or choose with where (--filter)", kind,
                #some, table.concat(by, ", "), MOST)
end

local function titled(sweep, what, seen)
    return ("%s  %s%s"):format(sweep, what, seen.same ~= "" and "  " .. seen.same or "")
end

-- Without gaps at their places: x of each cell by its key, where another series holds it.
local function places(o, r)
    if not o.x then return {} end
    local list, message, code = r:series(o.x, {sweep = o.sweep, where = o.where})
    if not list then return nil, message, code end
    if #list == 0 then return fail("EARG", "qs.plot(\"series\"): no cell has a series \"%s\"", tostring(o.x)) end
    local out = {}
    for _, one in ipairs(list) do out[one.key] = one.x end
    return out
end

local function series_name(o, r)
    local names, message, code = r:series_names {sweep = o.sweep}
    if not names then return nil, message, code end
    for i = #names, 1, -1 do
        if names[i] == o.series then return o.series end
        if names[i] == o.x then table.remove(names, i) end
    end
    if o.series then return fail("EARG", "qs.plot(\"series\"): no cell has a series \"%s\"; there are: %s", tostring(o.series), table.concat(names, ", ")) end
    if #names == 1 then return names[1] end
    if #names == 0 then return fail("ERANGE", "qs.plot(\"series\"): no cell that is done has a series") end
    return fail("EARG", "qs.plot(\"series\"): several series, choose one (--series): %s", table.concat(names, ", "))
end

-- All above 0, and far apart: that shows on a logarithmic axis only.
local function wide(list)
    local least, most = math.huge, 0
    for _, g in ipairs(list) do
        for _, t in ipairs(g) do
            for _, v in ipairs(t.y) do
                if v == v then least, most = math.min(least, v), math.max(most, v) end
            end
        end
    end
    return least > 0 and most < math.huge and most / least > 30
end

local function series(o, v)
    if o.band and not bands[o.band] then return bad_band(o) end
    local r, sweep, code = open(o, v, "series")
    if not r then return nil, sweep, code end
    local seen, by, name, xs, list, message
    seen, message, code = look(o, r)
    if seen then by, message, code = by_list(o, seen, "series") end
    if by then name, message, code = series_name(o, r) end
    if name then xs, message, code = places(o, r) end
    if xs then list, message, code = r:series(name, {sweep = o.sweep, where = o.where}) end
    if not list then return nil, message, code end
    local all, window = {}, 1
    for _, cell in ipairs(seen.cells) do put(all, group_name(cell.params, by)) end
    for _, one in ipairs(list) do
        local n = o.smooth or math.max(1, #one.x // 50)
        window = math.max(window, n)
        if #one.x > 0 then put(all, group_name(one.params, by), track({x = xs[one.key], y = smoothed(one.x, n)})) end
    end
    all, message, code = readable(all, by, "series")
    if not all then return nil, message, code end
    if #all == 0 then return fail("ERANGE", "qs.plot(\"series\"): no cell that is done has a value of it") end
    local d = {title = titled(sweep, name, seen), xlabel = o.x or "place in the series", ylog = wide(all)}
    if window > 1 then d.xlabel = ("%s (running mean of %d)"):format(d.xlabel, window) end
    return put_groups(d, all, o.band or "interval", name)
end

-- What a row of r:table says of the edges of its band.
local edges = {
    interval = function(row) return row.lo, row.hi end,
    std = function(row) return row.std and row.mean - row.std, row.std and row.mean + row.std end,
    range = function(row) return row.min, row.max end,
}

-- The parameter along the axis: the one that is named, or the only one whose values are numbers.
local function axis_of(o, seen)
    local fits = {}
    for name, values in pairs(seen.values) do
        local numbers = values.n > 1 and name ~= "seed" or name == o.x
        for value in pairs(values) do numbers = numbers and (value == "n" or type(value) == "number") end
        if numbers then fits[#fits + 1] = name end
        if numbers and name == o.x then return name end
    end
    if o.x and seen.values[o.x] then return fail("EARG", "qs.plot(\"metric\"): the values of %s are no numbers; \"grid\" shows such", o.x) end
    if o.x then return by_list({by = o.x}, seen, "metric") end
    if #fits == 1 then return fits[1] end
    table.sort(fits)
    if #fits == 0 then return fail("EARG", "qs.plot(\"metric\"): no parameter has several numbers as values: what is to be along the axis?") end
    return fail("EARG", "qs.plot(\"metric\"): along the axis, x (--x), could be: %s", table.concat(fits, ", "))
end

local function metric(o, v)
    local band = o.band or "interval"
    if not bands[band] then return bad_band(o) end
    local r, sweep, code = open(o, v, "metric")
    if not r then return nil, sweep, code end
    local seen, x, by, rows, message
    seen, message, code = look(o, r)
    if seen then x, message, code = axis_of(o, seen) end
    if x then by, message, code = by_list(o, seen, "metric", x) end
    if by then rows, message, code = r:table {sweep = o.sweep, where = o.where, metric = o.metric, by = {x, table.unpack(by)}} end
    if not rows then return nil, message, code end
    local list, d = {}, {xlabel = x}
    for _, row in ipairs(rows) do
        if row.mean and type(row[x]) == "number" then put(list, group_name(row, by), row) end
    end
    list, message, code = readable(list, by, "metric")
    if not list then return nil, message, code end
    if #list == 0 then return fail("ERANGE", "qs.plot(\"metric\"): no cell that is done has a value of it") end
    local cells, lines = 1, {}
    for i, g in ipairs(list) do
        local line, lo, hi, color = {x = {}, y = {}}, {}, {}, "run" .. i
        table.sort(g, function(a, b) return a[x] < b[x] end)
        for k, row in ipairs(g) do
            line.x[k], line.y[k] = row[x], row.mean
            lo[k], hi[k] = edges[band](row)
            lo[k], hi[k] = lo[k] or 0 / 0, hi[k] or 0 / 0
            cells = math.max(cells, row.n)
        end
        if cells > 1 then d[#d + 1] = {kind = "band", x = line.x, y = lo, y2 = hi, color = color} end
        lines[#lines + 1] = {x = line.x, y = line.y, name = g.name, color = color}
        lines[#lines + 1] = {kind = "points", x = line.x, y = line.y, color = color}
    end
    table.move(lines, 1, #lines, #d + 1, d)
    d.ylabel = cells > 1 and ("%s (%s, %s%d cells)"):format(rows[1].metric, said[band], "up to ", cells) or rows[1].metric
    d.title = titled(sweep, rows[1].metric, seen)
    return d
end

local function grid(o, v)
    local r, sweep, code = open(o, v, "grid")
    if not r then return nil, sweep, code end
    local seen, by, rows, message
    seen, message, code = look(o, r)
    if seen then by, message, code = by_list(o, seen, "grid") end
    if by and #by ~= 2 then
        return fail("EARG", "qs.plot(\"grid\"): by: two parameters, the rows and the columns, not %d%s", #by, by[1] and " (" .. table.concat(by, ", ") .. ")" or "")
    end
    if by then rows, message, code = r:table {sweep = o.sweep, where = o.where, metric = o.metric, by = by} end
    if not rows then return nil, message, code end
    local down, across, d, some = {}, {}, {heat = {}, rows = {}, columns = {}, xlabel = by[2], lo = o.lo, hi = o.hi, log = o.log}, false
    for _, row in ipairs(rows) do
        local a, b = group_name(row, {by[1]}), tostring(row[by[2]])
        for list, name in pairs {[down] = a, [across] = b} do
            if not list[name] then
                list[#list + 1] = name
                list[name] = #list
            end
        end
        some = some or row.mean
    end
    if not some then return fail("ERANGE", "qs.plot(\"grid\"): no cell that is done has a value of it") end
    for i, name in ipairs(down) do
        d.heat[i], d.rows[i] = {}, name
        for k = 1, #across do d.heat[i][k] = 0 / 0 end
    end
    for _, row in ipairs(rows) do
        d.heat[down[group_name(row, {by[1]})]][across[tostring(row[by[2]])]] = row.mean or 0 / 0
    end
    d.columns = table.move(across, 1, #across, 1, {})
    d.high_is_best = o.high_is_best
    if d.high_is_best == nil then d.high_is_best = not core.private.less_is_better(rows[1].metric) end
    d.title, d.ylabel = titled(sweep, rows[1].metric, seen), "mean " .. rows[1].metric
    return d
end

-- ---- matrices ------------------------------------------------------------------------------------------------

local function heat(o, matrix)
    local d = {heat = matrix, rows = o.rows, columns = o.columns, lo = o.lo, hi = o.hi, log = o.log, high_is_best = o.high_is_best}
    if kind_of(matrix) == "qs.tensor" then
        d.title = label(matrix)
        d.xlabel, d.ylabel = "input", "value"
        if o.lo or o.hi or o.log then return d end
        -- An outlier would take all colours for itself.
        local h, message, code = matrix:histogram {bins = 1}
        if not h then return nil, message, code end
        local far = math.max(math.abs(h.lo), math.abs(h.hi))
        d.lo, d.hi = h.lo < 0 and -far or h.lo, h.lo < 0 and far or h.hi
        h, message, code = matrix:histogram {bins = 1, lo = d.lo, hi = d.hi}
        if not h then return nil, message, code end
        d.ylabel = beyond("value", h.under + h.over)
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

-- "bits=2,init=lsq|mse" as {bits = {"2"}, init = {"lsq", "mse"}}.
local function conditions(text)
    local where = {}
    for part in text:gmatch "[^,]+" do
        local name, values = part:match "^([^=]+)=(.*)$"
        if not name then return fail("EARG", "--filter: \"%s\" is no NAME=VALUE|VALUE,...", part) end
        where[name] = {}
        for value in values:gmatch "[^|]+" do table.insert(where[name], value) end
    end
    return where
end

local function of_sweep(a, o)
    o.sweep, o.by = a.sweep, a.by and cut(a.by)
    if not a.filter then return {a.file} end
    local message, code
    o.where, message, code = conditions(a.filter)
    if not o.where then return nil, message, code end
    return {a.file}
end

function from_command.series(a, o)
    o.series, o.x = a.series, a.x
    return of_sweep(a, o)
end

function from_command.metric(a, o)
    o.metric, o.x = a.metric, a.x
    return of_sweep(a, o)
end

function from_command.grid(a, o)
    o.metric = a.metric
    return of_sweep(a, o)
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
    {name = "series", doc = "a series of a sweep's cells, a curve a group with a band: qs.plot(\"series\", \"results.db\", {by=\"init\"})",
     make = series, args = 1, options = {"sweep", "where", "by", "series", "x", "band", "smooth"}},
    {name = "metric", doc = "a metric along a parameter, a curve a group with a band: qs.plot(\"metric\", \"results.db\", {x=\"bits\"})",
     make = metric, args = 1, options = {"sweep", "where", "by", "metric", "x", "band"}},
    {name = "grid", doc = "a metric over two parameters as colours: qs.plot(\"grid\", \"results.db\", {by={\"init\", \"bits\"}})",
     make = grid, args = 1, options = {"sweep", "where", "by", "metric", "lo", "hi", "log", "high_is_best"}},
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
