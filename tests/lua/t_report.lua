-- SPDX-License-Identifier: GPL-3.0-or-later
-- qs.report: rows for scripts, budgets, options, the page.
local qs = require "quantscope"
local tap = require "tap"

local base = (os.getenv "QS_TMP" or ".") .. "/report"
local path = base .. ".safetensors"
local tensors = {}
for i = 1, 6 do tensors["layer" .. i] = qs.randn {8 * i, 32, seed = i, dist = i % 2 == 0 and "laplace" or "normal", scale = 1 / i} end
assert(qs.save(path, tensors))
local m = assert(qs.load(path))

local r = assert(qs.report(m, {formats = {"int3", qs.format "int4@channel"}, inits = {"lsq", "mse"}}))
tap.eq(#r, 12, "a row a tensor and format")
for i, row in ipairs(r) do
    local t = m[row.tensor]
    local best = qs.compare(t, row.format, {"lsq", "mse"})
    tap.ok(row.init == best[1].init and row.mse == best[1].mse and row.step == best[1].step and row.rule == "lsq" and
           row.bpw == qs.format(row.format):bpw(t), ("row %d is what qs.compare says"):format(i))
    tap.ok(row.std == t:summary().std and row.n == #t and row.shape[2] == 32 and row.outliers == 0 and row.outlier_channel >= 1 and row.suggested == nil,
           "and t:summary()")
end
local noise, n, bits = 0, 0, 0
for _, row in ipairs(r) do
    if row.format == "int3" then noise, n, bits = noise + row.nmse * row.n, n + row.n, bits + row.bpw * row.n end
end
local total = r.totals[1]
tap.ok(total.format == "int3" and total.tensors == 6 and total.n == n and math.abs(total.nmse - noise / n) < 1e-12 and
       math.abs(total.bpw - bits / n) < 1e-12 and math.abs(total.bytes - bits / 8) < 1e-6, "totals add up")
tap.ok(r.budget == nil and r.stored_bytes == 4 * n, "no budget, four bytes a value")
tap.ok(#r.curve.bpw == #r.curve.sqnr_db and r.curve.bpw[1] < 3.2 and r.curve.sqnr_db[#r.curve.bpw] > r.curve.sqnr_db[1], "the best for every size")

r = assert(qs.report(m, {budget = 3.5, inits = "mse"}))
local spent, count = 0, 0
for _, row in ipairs(r) do
    if row.suggested then spent, count = spent + row.bpw * row.n, count + 1 end
end
tap.ok(count == 6 and spent <= 3.5 * n and math.abs(r.budget.bpw - spent / n) < 1e-9 and r.budget.bound_db >= r.budget.sqnr_db - 1e-9,
       "a budget of bits", ("%s %s"):format(spent / n, r.budget.bound_db))
r = assert(qs.report(m, {sqnr = 20, inits = {"mse"}, formats = {"int3", "int4", "int6"}}))
tap.ok(r.budget.sqnr_db >= 20 and r.budget.bound_bpw <= r.budget.bpw + 1e-9, "an SQNR")
tap.eq(#assert(qs.report(m, {tensors = {"layer[12]", "layer6"}, formats = "int4"})), 3, "names and patterns")

-- A row that has no answer.
local bad = assert(qs.save(base .. "2.safetensors", {nothing = qs.tensor({2, 2}, {0 / 0, 0 / 0, 0 / 0, 0 / 0}), some = tensors.layer1}))
r = assert(qs.report(assert(qs.load(base .. "2.safetensors")), {formats = {"int4"}, budget = 5}))
tap.ok(bad and r[1].tensor == "nothing" and r[1].code == "ERANGE" and r[1].mse == nil and r[1].min == nil and r[2].suggested, "a tensor without a finite value")

-- Registered initializations take part, on this thread.
assert(qs.register_init {name = "reported", doc = "", fn = function(ix, f) return ix:moments().std / f.bits end})
r = assert(qs.report(m, {inits = {"reported"}, formats = {"int4"}}))
tap.eq(r[1].init, "reported", "an initialization in Lua")

local function refused(what, code, pattern, ...)
    local v, message, short = ...
    tap.ok(v == nil and short == code and message:find(pattern), what, tostring(message))
end
refused("an option that is none", "EARG", "qs.report", qs.report(m, {format = "int4"}))
refused("a format that is none", "EFORMAT", "int9", qs.report(m, {formats = {"int9"}}))
refused("an init that is none", "EARG", "nosuch", qs.report(m, {inits = {"nosuch"}}))
refused("no tensor of that name", "ERANGE", "matches", qs.report(m, {tensors = "none"}))
refused("two budgets", "EARG", "one of them", qs.report(m, {budget = 3, sqnr = 20}))
refused("a budget below 0", "EARG", "above 0", qs.report(m, {budget = -1}))
refused("a budget that cannot be met", "ERANGE", "smallest formats take", qs.report(m, {budget = 1, inits = "mse"}))
refused("a page that cannot be written", "EIO", "nowhere", qs.report(m, {inits = "mse", formats = "int4", html = base .. "-nowhere/x.html"}))
tap.raises("qs.model", "a tensor is no model", function() qs.report(tensors.layer1) end)
tap.raises("table", "options are a table", function() qs.report(m, 3) end)

assert(qs.report(m, {inits = {"mse", "lsq"}, budget = 4, html = base .. ".html"}))
local f = assert(io.open(base .. ".html", "rb"))
local page = f:read "a"
f:close()
tap.ok(page:find("<!DOCTYPE html>", 1, true) == 1 and page:find("layer6", 1, true) and page:find "data:image/svg%+xml," and not page:find "<script", "a page")
tap.ok(qs.plot {{y = {1, 3, 2}}}:svg {width = 400, height = 300}:find "^<%?xml.*<svg", "plot:svg is the text of an SVG")
refused("a size that is none", "EARG", "width", qs.plot {{y = {1, 3, 2}}}:svg {width = 3})

tap.done()
