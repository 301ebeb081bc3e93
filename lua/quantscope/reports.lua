-- SPDX-License-Identifier: GPL-3.0-or-later
-- The report of a model as a page: one file of HTML with its pictures inside, no script, nothing from elsewhere. The numbers
-- come from core.private.report (C), the pictures from core.private.plot; names from files are escaped wherever they stand.

local core = require "quantscope.core"

local M = {functions = {}}

local function fail(code, fmt, ...)
    return nil, code .. ": " .. fmt:format(...), code
end

-- ---- text that may stand in a page --------------------------------------------------------------------------

local ENTITIES = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;"}

-- A name from a file need not be UTF-8, nor harmless.
local function escape(s)
    s = tostring(s)
    if not utf8.len(s) then s = s:gsub("[\128-\255]", "?") end
    return (s:gsub("%c", "?"):gsub("[&<>\"']", ENTITIES))
end

local function number(v, fmt)
    if not v or v ~= v then return "–" end
    if v == math.huge then return "∞" end
    return (fmt or "%.4g"):format(v)
end

local function count(n)
    local s = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
    return (s:gsub("^,", ""))
end

-- ---- pictures -----------------------------------------------------------------------------------------------

-- A plot as an image of its own: its parts cannot be taken for those of another one.
local function picture(d, alt)
    local p = core.private.plot(d)
    local svg = p and p:svg {width = 900, height = 420, font = 13}
    if not svg then return "" end
    local text = svg:gsub("[%%\"#<>&?\r\n\t\128-\255]", function(c) return ("%%%02X"):format(c:byte()) end)
    return ('<img alt="%s" src="data:image/svg+xml,%s">\n'):format(escape(alt), text)
end

local MOST_POINTS, MOST_LINES = 1500, 8

-- Of more points than can be told apart, the least of every so many neighbours.
local function thinned(y)
    local by = math.ceil(#y / MOST_POINTS)
    if by <= 1 then return y, nil, by end
    local out, x = {}, {}
    for i = 1, #y, by do
        local least
        for k = i, math.min(i + by - 1, #y) do
            if y[k] and (not least or y[k] < least) then least = y[k] end
        end
        out[#out + 1], x[#x + 1] = least or false, i
    end
    return out, x, by
end

local function finite(v) return v and v == v and v < math.huge and v > -math.huge and v or false end

-- Rows by tensor: {{row of the first format, row of the second, ...}, ...}
local function by_tensor(report)
    local out, nf = {}, #report.totals
    for i = 1, #report, nf do out[#out + 1] = table.move(report, i, i + nf - 1, 1, {}) end
    return out
end

local function plot_tensors(report, tensors)
    local d = {title = "SQNR of every tensor", xlabel = "tensor, in the order of the file", ylabel = "SQNR, dB"}
    for k = 1, math.min(#report.totals, MOST_LINES) do
        local y = {}
        for i, rows in ipairs(tensors) do y[i] = finite(rows[k].sqnr_db) end
        local thin, x, by = thinned(y)
        if by > 1 then d.xlabel = ("tensor, in the order of the file (the least of every %d)"):format(by) end
        d[#d + 1] = {x = x, y = thin, name = report.totals[k].format, kind = #tensors > 400 and "points" or "line"}
    end
    return picture(d, "SQNR of every tensor in every format")
end

local function plot_rate(report)
    local d = {title = "Error against size", xlabel = "bits a weight, with scales", ylabel = "SQNR of the whole, dB"}
    local x, y = {}, {}
    for i, bits in ipairs(report.curve.bpw) do x[i], y[i] = bits, finite(report.curve.sqnr_db[i]) end
    if #x > 1 then d[1] = {x = x, y = y, name = "a format for each tensor, at best", bold = true} end
    x, y = {}, {}
    for i, t in ipairs(report.totals) do x[i], y[i] = t.bpw or 0, finite(t.sqnr_db) end
    d[#d + 1] = {x = x, y = y, kind = "points", name = "one format for all"}
    if report.budget then
        d[#d + 1] = {x = {report.budget.bpw}, y = {finite(report.budget.sqnr_db)}, kind = "points", name = "suggested", color = "error"}
    end
    return picture(d, "Error against size")
end

local function plot_tails(report, tensors)
    local k = (#report.totals + 1) // 2
    local x, y = {}, {}
    for _, rows in ipairs(tensors) do
        local r = rows[k]
        if finite(r.sqnr_db) and (r.kurtosis or 0) > 0 then x[#x + 1], y[#y + 1] = r.kurtosis, r.sqnr_db end
    end
    if #x < 3 or #x > 20000 then return "" end
    return picture({title = "Heavy tails cost  " .. report.totals[k].format, xlabel = "kurtosis (normal: 3)", xlog = true,
                    ylabel = "SQNR, dB", {x = x, y = y, kind = "points", name = "tensors"}}, "SQNR against kurtosis")
end

-- ---- tables ------------------------------------------------------------------------------------------------

-- Pale red to pale blue from the worst to the best of a column.
local function shade(v, lo, hi)
    if not finite(v) or not (hi > lo) then return "" end
    local p = (v - lo) / (hi - lo)
    return (' style="background:hsl(%d 75%% %d%%)"'):format(p < 0.5 and 12 or 212, 100 - math.floor(28 * math.abs(p - 0.5)))
end

local function row(cells) return "<tr>" .. table.concat(cells) .. "</tr>\n" end
local function td(text, class, more) return ("<td%s%s>%s</td>"):format(class and (' class="%s"'):format(class) or "", more or "", text) end
local function th(text) return ("<th>%s</th>"):format(text) end

local function totals_table(report)
    local out = {row {th "format", th "bits a weight", th "MB", th "of the file's", th "SQNR, dB", th "tensors"}}
    local function add(name, t)
        out[#out + 1] = row {td(name), td(number(t.bpw, "%.3f"), "n"), td(number(t.bytes / 1e6, "%.4g"), "n"),
                             td(report.stored_bytes and report.stored_bytes > 0 and number(100 * t.bytes / report.stored_bytes, "%.1f %%") or "–", "n"),
                             td(number(t.sqnr_db, "%.2f"), "n"), td(count(t.tensors), "n")}
    end
    for _, t in ipairs(report.totals) do add(escape(t.format), t) end
    if report.budget then add("<b>suggested</b>", report.budget) end
    return "<table>\n" .. table.concat(out) .. "</table>\n"
end

local function ranges(report, tensors)
    local out = {}
    for k = 1, #report.totals do
        local lo, hi = math.huge, -math.huge
        for _, rows in ipairs(tensors) do
            local v = finite(rows[k].sqnr_db)
            if v then lo, hi = math.min(lo, v), math.max(hi, v) end
        end
        out[k] = {lo, hi}
    end
    return out
end

local function outlier_text(r)
    if not r.outliers then return "–" end
    if r.outliers == 0 then return "0" end
    return ('%d <span class="dim">(%d: %.3g×)</span>'):format(r.outliers, r.outlier_channel - 1, r.outlier_ratio or 0)
end

local function tensor_row(report, rows, range)
    local r = rows[1]
    local rule, seen, suggested = {}, {}, nil
    local cells = {td(escape(r.tensor), "name"), td(escape(r.dtype)), td("[" .. table.concat(r.shape, ",") .. "]"), td(count(r.n), "n"),
                   td(number(r.std), "n"), td(number(r.kurtosis), "n"), td(outlier_text(r), "n")}
    for k, one in ipairs(rows) do
        local why = one.error and (' title="%s"'):format(escape(one.error)) or one.note and (' title="%s"'):format(escape(one.note)) or ""
        cells[#cells + 1] = td(number(one.sqnr_db, "%.2f"), "n", shade(one.sqnr_db, range[k][1], range[k][2]) .. why)
        if one.rule and not seen[one.rule] then rule[#rule + 1], seen[one.rule] = escape(one.rule), true end
        if one.suggested then suggested = one.format end
    end
    cells[#cells + 1] = td(table.concat(rule, ", "))
    if report.budget then cells[#cells + 1] = td(suggested and "<b>" .. escape(suggested) .. "</b>" or "–") end
    return row(cells)
end

local function tensors_table(report, tensors)
    local head = {th "tensor", th "type", th "shape", th "values", th "std", th "kurtosis", th "outliers"}
    for _, t in ipairs(report.totals) do head[#head + 1] = th(escape(t.format)) end
    head[#head + 1] = th "best rule"
    if report.budget then head[#head + 1] = th "suggested" end
    local out, range = {row(head)}, ranges(report, tensors)
    for _, rows in ipairs(tensors) do out[#out + 1] = tensor_row(report, rows, range) end
    return "<table>\n" .. table.concat(out) .. "</table>\n"
end

-- ---- the page -----------------------------------------------------------------------------------------------

local STYLE = [[
body{font:15px/1.45 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.5em;overflow-wrap:anywhere}h2{font-size:1.15em;margin-top:2em}img{max-width:100%;height:auto}
table{border-collapse:collapse;font-size:13px}th,td{padding:.15em .6em;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
th{position:sticky;top:0;background:#f4f4f4}td.n{text-align:right;font-variant-numeric:tabular-nums}
td.name{max-width:34em;overflow-wrap:anywhere;font-family:ui-monospace,monospace}.dim{color:#777}]]

local NOTES = [[
<p class="dim">A column a format: SQNR in dB of its best initialization. <i>best rule</i>: the least error but for exact least squares (mse).
<i>outliers</i>: output channels that reach beyond 3 times the median channel (in brackets the widest, counted from 0, and how far).
The whole: the mean over values of each tensor's error against its own energy. Bits a weight count scales. A format for each tensor:
by marginal gain over these very errors.</p>
]]

local function budget_text(report, o)
    local b = report.budget
    if not b then return "" end
    local asked = o.budget and ("%g bits a weight"):format(o.budget) or ("an SQNR of %g dB"):format(o.sqnr)
    local limit = b.bound_db and ("no choice of these formats within that reaches more than %s dB"):format(number(b.bound_db, "%.2f"))
        or ("no choice of these formats reaches that with less than %s bits"):format(number(b.bound_bpw, "%.3f"))
    return ("<p>Suggested for %s: %s bits a weight, %s dB; %s.</p>\n"):format(asked, number(b.bpw, "%.3f"), number(b.sqnr_db, "%.2f"), limit)
end

-- The whole page as text.
function M.page(model, report, o)
    local tensors = by_tensor(report)
    local values = 0
    for _, rows in ipairs(tensors) do values = values + rows[1].n end
    local title = "quantscope report: " .. escape(model.path:match "[^/]*$")
    local out = {
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; style-src \'unsafe-inline\'">\n',
        '<meta name="viewport" content="width=device-width">\n<title>', title, "</title>\n<style>\n", STYLE, "\n</style></head><body>\n",
        "<h1>", title, "</h1>\n",
        ("<p>%s, %s tensors with %s values, %s MB as stored. Initializations: %s. quantscope %s.</p>\n"):format(
            escape(model.format), count(#tensors), count(values), number((report.stored_bytes or 0) / 1e6),
            o.inits and escape(table.concat(o.inits, ", ")) or "all that apply", escape(core.version)),
        model.note and "<p>" .. escape(model.note) .. "</p>\n" or "",
        "<h2>The whole</h2>\n", totals_table(report), budget_text(report, o), plot_rate(report),
        "<h2>Tensors</h2>\n", plot_tensors(report, tensors), plot_tails(report, tensors), tensors_table(report, tensors), NOTES,
        "</body></html>\n",
    }
    return table.concat(out)
end

function M.functions.report(model, o)
    if o ~= nil and type(o) ~= "table" then error("qs.report: a table of options expected, got " .. type(o), 2) end
    local rest, html = {}, nil
    for k, v in pairs(o or {}) do
        if k == "html" then html = v else rest[k] = v end
    end
    if html ~= nil and type(html) ~= "string" then error("qs.report: html: the name of a file expected, got " .. type(html), 2) end
    local report, message, code = core.private.report(model, rest)
    if not report or not html then return report, message, code end
    if type(rest.inits) == "string" then rest.inits = {rest.inits} end
    local fine
    fine, message, code = core.private.file_write(html, M.page(model, report, rest))
    if not fine then return nil, message, code end
    return report
end

-- A list with commas, but for those within brackets.
local function cut(s)
    local out, depth, from = {}, 0, 1
    for i = 1, #s + 1 do
        local c = s:sub(i, i)
        depth = depth + (c == "(" and 1 or c == ")" and -1 or 0)
        if (c == "," and depth == 0) or c == "" then out[#out + 1], from = s:sub(from, i - 1), i + 1 end
    end
    return out
end

local function lines(s)
    local out = {}
    for line in s:gmatch "[^\n]+" do out[#out + 1] = line end
    return out
end

-- `quantscope report --html`: a, what was typed, all texts. Returns what is to be printed.
function M.command(a)
    local model, message, code = core.load(a.file)
    if not model then return fail("EIO", "%s", (message:gsub("^%u+: ", ""))) end
    local o = {formats = cut(a.format), inits = a.init and cut(a.init), tensors = a.tensor and lines(a.tensor),
               budget = tonumber(a.budget), sqnr = tonumber(a.sqnr), html = a.output}
    local report
    report, message, code = M.functions.report(model, o)
    if not report then return nil, message, code end
    return ""
end

return M
