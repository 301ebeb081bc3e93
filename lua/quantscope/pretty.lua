-- SPDX-License-Identifier: GPL-3.0-or-later
-- Values as text for people: bounded in width, depth and length, whatever they hold. Knows our objects by their
-- metatables' names; changes nothing and calls no metamethod but __tostring.

local pretty = {}

local WIDTH, LINES, DEPTH, ITEMS = 110, 40, 3, 12
local SUMMARY_MOST = 1 << 24 -- values; more are not summarized just for a print

-- Columns of a table of rows come in this order, then the others by name.
local ORDER = {"name", "init", "step", "step_ratio", "offset", "clip", "mse", "mse_ratio", "nmse", "sqnr_db", "clipped",
               "ms", "before", "after", "seconds", "error", "doc", "note", "formula", "source"}
local rank = {}
for i, name in ipairs(ORDER) do rank[name] = i end
-- Statistics of a group come after what the group is.
for i, name in ipairs {"metric", "n", "mean", "std", "min", "max", "lo", "hi", "diff", "diff_lo", "diff_hi", "pairs", "p",
                       "undefined", "failed", "left"} do
    rank[name] = 1000 + i
end

local function number(v)
    if math.type(v) == "integer" then return tostring(v) end
    return string.format("%.6g", v)
end

-- At most n characters of UTF-8 text, on one line.
local function short(s, n)
    s = s:gsub("[%c]", " ")
    local length = utf8.len(s)
    if not length then return #s <= n and s or s:sub(1, n - 1) .. "…" end
    if length <= n then return s end
    return s:sub(1, utf8.offset(s, n) - 1) .. "…"
end

local function width(s) return utf8.len(s) or #s end

local function kind(v)
    local mt = type(v) == "userdata" and getmetatable(v)
    return type(mt) == "table" and rawget(mt, "__name") or nil
end

local function has_tostring(v)
    local mt = getmetatable(v)
    return type(mt) == "table" and rawget(mt, "__tostring") ~= nil
end

-- ---- our objects ------------------------------------------------------------------------------------

local function tensor_lines(t)
    local lines = {tostring(t)}
    local s = #t > 0 and #t <= SUMMARY_MOST and t:summary()
    if s and s.mean then
        lines[2] = string.format("  n %d  min %.6g  max %.6g  mean %.6g  std %.6g  kurtosis %.4g", s.n, s.min, s.max,
                                 s.mean, s.std, s.kurtosis)
        if s.nans + s.infs > 0 then lines[3] = string.format("  %d NaN, %d infinite", s.nans, s.infs) end
    end
    if #t > 0 and #t <= ITEMS then
        local values = {}
        for i = 1, #t do values[i] = number(t[i]) end
        lines[#lines + 1] = "  {" .. table.concat(values, ", ") .. "}"
    end
    if t.reason then lines[#lines + 1] = "  left as it is: " .. t.reason end
    return lines
end

local function model_lines(m)
    local lines = {tostring(m)}
    for i = 1, math.min(#m, ITEMS) do lines[#lines + 1] = "  " .. tostring(m[i]):gsub("^tensor ", "") end
    if #m > ITEMS then lines[#lines + 1] = string.format("  … %d more: m:names()", #m - ITEMS) end
    if m.note then lines[#lines + 1] = "  " .. m.note end
    return lines
end

local function quantizer_lines(q)
    local lines = {tostring(q)}
    for _, key in ipairs {"formula", "source", "note"} do
        if q[key] then lines[#lines + 1] = "  " .. q[key] end
    end
    return lines
end

local function format_lines(f)
    local c = f.codebook
    return {string.format("format %s  %d bits  %d levels  %s .. %s", tostring(f), f.bits, #c, number(c[1]),
                          number(c[#c]))}
end

local function run_lines(r)
    local lines = {tostring(r)}
    for _, row in ipairs {{"float", r.float}, {"before", r.before}, {"now", r.last}} do
        if row[2] then
            lines[#lines + 1] = string.format("  %-7s accuracy %.2f %%  loss %.4f", row[1], 100 * row[2].accuracy,
                                              row[2].loss)
        end
    end
    lines[#lines + 1] = "  " .. r.data.note
    return lines
end

local objects = {["qs.run"] = run_lines,
                 ["qs.tensor"] = tensor_lines, ["qs.model"] = model_lines, ["qs.quantizer"] = quantizer_lines,
                 ["qs.format"] = format_lines}

-- ---- tables -------------------------------------------------------------------------------------------

local inline

local function scalar(v)
    local t = type(v)
    if t == "number" then return number(v) end
    if t == "string" then return '"' .. short(v, 60) .. '"' end
    return nil
end

-- Does t hold only 1..n, n > 0?
local function is_array(t)
    local n = #t
    if n == 0 then return false end
    local count = 0
    for _ in next, t do count = count + 1 end
    return count == n
end

local function key_text(k)
    if type(k) == "string" and k:match "^[%a_][%w_]*$" then return k end
    return "[" .. (scalar(k) or tostring(k)) .. "]"
end

-- The keys: the array part first, then names in order, then the rest as they come.
local function sorted_keys(t)
    local keys = {}
    for k in next, t do keys[#keys + 1] = k end
    table.sort(keys, function(a, b)
        local ta, tb = type(a), type(b)
        if ta ~= tb then return ta == "number" or (ta == "string" and tb ~= "number") end
        if ta == "number" or ta == "string" then
            local ra, rb = rank[a], rank[b]
            if ra or rb then return (ra or 99) < (rb or 99) end
            return a < b
        end
        return tostring(a) < tostring(b)
    end)
    return keys
end

local function inline_table(t, depth, seen)
    if seen[t] then return "{…}" end
    if next(t) == nil then return "{}" end
    if depth >= DEPTH then return "{…}" end
    seen[t] = true
    local parts, n = {}, 0
    local array = is_array(t)
    local keys = array and t or sorted_keys(t)
    for i = 1, #keys do
        if i > ITEMS then
            parts[#parts + 1] = string.format("… %d more", #keys - ITEMS)
            break
        end
        local k = keys[i]
        local text = array and inline(k, depth + 1, seen) or key_text(k) .. "=" .. inline(rawget(t, k), depth + 1, seen)
        parts[#parts + 1] = text
        n = n + width(text)
        if n > 4 * WIDTH then
            if i < #keys then parts[#parts + 1] = string.format("… %d more", #keys - i) end
            break
        end
    end
    seen[t] = nil
    return "{" .. table.concat(parts, ", ") .. "}"
end

function inline(v, depth, seen)
    if type(v) == "table" and not has_tostring(v) then return inline_table(v, depth, seen) end
    return scalar(v) or short(tostring(v), 80)
end

-- Rows that share their columns, as a table; nil where t is nothing of the kind.
local function rows(t)
    if not is_array(t) or #t < 2 and not (type(t[1]) == "table" and (t[1].init or t[1].name)) then return nil end
    local columns = {}
    for i = 1, math.min(#t, LINES) do
        local row = t[i]
        if type(row) ~= "table" or has_tostring(row) or next(row) == nil or #row > 0 then return nil end
        for k, v in next, row do
            if type(k) ~= "string" then return nil end
            local said = k == "error" and row.init -- gets a line of its own
            if type(v) ~= "table" and type(v) ~= "userdata" and not said then columns[k] = true end
        end
    end
    return sorted_keys(columns)
end

local function cell(v)
    if v == nil then return "" end
    if type(v) == "number" then return number(v) end
    return short(tostring(v), 70)
end

local function table_lines(t, columns)
    local shown, wide, total = {}, {}, 0
    for _, c in ipairs(columns) do
        local w = width(c)
        for i = 1, math.min(#t, LINES) do w = math.max(w, width(cell(t[i][c]))) end
        if total + w + 2 <= WIDTH or #shown == 0 then
            shown[#shown + 1], wide[c], total = c, w, total + w + 2
        end
    end
    local lines = {}
    local function line(text)
        local cells = {}
        for _, c in ipairs(shown) do
            local s = text(c)
            cells[#cells + 1] = s .. (" "):rep(wide[c] - width(s))
        end
        lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
    end
    line(function(c) return c end)
    for i = 1, math.min(#t, LINES) do
        local row = t[i]
        if row.init and row.error then lines[#lines + 1] = cell(row.init) .. "  " .. short(tostring(row.error), WIDTH)
        else line(function(c) return cell(row[c]) end) end
    end
    if #t > LINES then lines[#lines + 1] = string.format("… %d more rows", #t - LINES) end
    return lines
end

local function map_lines(t)
    local one = inline_table(t, 0, {})
    if width(one) <= WIDTH or is_array(t) then return {one} end
    local lines, keys = {"{"}, sorted_keys(t)
    for i, k in ipairs(keys) do
        if i > LINES then
            lines[#lines + 1] = string.format("  … %d more", #keys - LINES)
            break
        end
        local v = rawget(t, k)
        local text = type(v) == "string" and '"' .. v .. '"' or inline(v, 1, {[t] = true})
        lines[#lines + 1] = "  " .. short(key_text(k) .. " = " .. text, WIDTH)
    end
    lines[#lines + 1] = "}"
    return lines
end

-- ---- values ------------------------------------------------------------------------------------------------

local function lines_of(v)
    local object = objects[kind(v)]
    if object then return object(v) end
    if type(v) == "table" and not has_tostring(v) then
        local columns = rows(v)
        return columns and table_lines(v, columns) or map_lines(v)
    end
    return {tostring(v)}
end

-- Several values: on one line where all are plain, else one after the other.
function pretty.text(...)
    local n, plain, out = select("#", ...), true, {}
    for i = 1, n do
        local v = select(i, ...)
        plain = plain and type(v) ~= "table" and not objects[kind(v)]
    end
    for i = 1, n do
        local v = select(i, ...)
        if plain then out[i] = tostring(v)
        else out[i] = table.concat(lines_of(v), "\n") end
    end
    return table.concat(out, plain and "\t" or "\n")
end

return pretty
