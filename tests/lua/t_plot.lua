-- SPDX-License-Identifier: GPL-3.0-or-later
-- qs.plot: what is described becomes text and pictures, what is wrong is named.
local qs = require "quantscope"
local tap = require "tap"

local base = (os.getenv "QS_TMP" or ".") .. "/plot"

local function refused(what, code, pattern, ...)
    local p, message, short = ...
    tap.ok(p == nil and short == code and message:find(pattern), what, tostring(message))
end

local function read(path)
    local f = io.open(path, "rb")
    local s = f and f:read "a"
    if f then f:close() end
    return s
end

local t = qs.randn {400, 25, seed = 1}
local q = qs.init("mse", t, "int4")

-- Text.
local p = qs.plot("hist", t, q)
local text = p:text {width = 60, height = 16, charset = "ascii"}
tap.ok(text:find "int4 mse" and text:find "# values" and text:find "count", "a histogram says what it shows", text)
tap.ok(not text:find "[^\n -~]", "in ASCII")
local longest, lines = 0, 0
for line in (text .. "\n"):gmatch "(.-)\n" do longest, lines = math.max(longest, #line), lines + 1 end
tap.ok(longest <= 60 and lines == 16, "in the size that was asked for", longest .. " x " .. lines)
tap.eq(tostring(p), p:text(), "tostring is its text")
tap.ok(text:find "=%+", "the levels stand under it", text)
refused("a size that is none", "EARG", "plot:text: from 24 x 8", p:text {width = 3})
refused("a charset that is none", "EARG", "none of braille", p:text {charset = "latin"})

-- The curve: every initialization that applies has its sign.
local c = qs.plot("curve", t, "int4")
text = c:text {charset = "ascii", width = 100, height = 30}
tap.ok(text:find "%*mse" and text:find "%^lsq" and text:find "%- error" and text:find "%- clipping", "an error curve with its markers", text)
tap.ok(qs.plot("curve", t, "int4", {"lsq", "mse"}):text {charset = "ascii"}:find "lsq", "only those that are named")
refused("a curve of no format", "EFORMAT", "int1", qs.plot("curve", t, "int1x"))

-- Several of one name are a mean with a band; the interval is Student's.
local b = qs.plot("train", {lsq = {{1, 2, 3}, {3, 4, 5}}, mse = {1, 1, 1}}, {ymin = 0})
text = b:text {charset = "ascii"}
tap.ok(text:find "lsq %(2%)" and text:find "%- mse" and text:find "95 %% interval", "a band over seeds", text)
tap.ok(qs.plot("train", {a = {{1, 2}, {2, 3}}}, {band = "range"}):text {charset = "ascii"}:find "least to most", "or their range")
refused("a band that is none", "EARG", "interval, range, std", qs.plot("train", {a = {1, 2}}, {band = "wide"}))
refused("a metric that is none", "EARG", "loss, accuracy", qs.plot("train", {a = {1, 2}}, {metric = "speed"}))

-- Matrices.
tap.ok(qs.plot("heat", {{1, 2}, {3, 4}}, {rows = {"first", "second"}}):text {charset = "ascii"}:find "second", "a heat map names its rows")
tap.ok(qs.plot("heat", t):text {height = 14}:find " 381 ", "a tensor is one by its first axis")
refused("rows of different lengths", "EARG", "heat%[2%] has 1 values, the first row 2", qs.plot("heat", {{1, 2}, {3}}))
refused("no value", "ERANGE", "no value", qs.plot("heat", {}))
refused("names that do not fit", "EARG", "rows: a list of 2 names", qs.plot("heat", {{1}, {2}}, {rows = {"a"}}))

-- Hostile values: a sound picture, or a named error.
local hostile = {
    {"no series", {}}, {"an empty series", {{y = {}}}}, {"one point", {{y = {1}}}}, {"only NaN", {{y = {0 / 0, 0 / 0}}}},
    {"infinities", {{y = {1, math.huge, -math.huge, 2}}}}, {"huge values", {{y = {-1e308, 1e308}}}}, {"tiny values", {{y = {5e-324, 1e-320}}}},
    {"a constant", {{y = {3, 3, 3}}}}, {"large and nearly equal", {{y = {1e16, 1e16 + 2}}}},
    {"a log axis with zeros", {{y = {0, 1, 10, 0, 100}}, ylog = true}}, {"a huge log range", {{y = {1e-300, 1e300}}, ylog = true}},
    {"gaps", {{y = {1, false, 3}}}}, {"x that goes back", {{x = {3, 1, 2}, y = {1, 2, 3}}}}, {"bars that are no number", {{y = {0 / 0, 1}, kind = "bars"}}},
    {"a band with a gap", {{y = {1, 0 / 0, 2}, y2 = {2, 3, 4}, kind = "band"}}}, {"points outside", {{y = {1, 2}, kind = "points"}, ymin = 5, ymax = 6}},
    {"a heat map of NaN", {heat = {{0 / 0}}}}, {"a heat map of infinities", {heat = {{math.huge, 1}, {-math.huge, 2}}}},
    {"a name in strange characters", {{y = {1, 2}, name = "\xff\x01<&>"}, title = "\27[2J"}},
    {"many labels", (function() local d = {} for i = 1, 60 do d[i] = {y = {i, 2 * i}, name = "series number " .. i} end return d end)()},
}
for i, case in ipairs(hostile) do
    local one, message = qs.plot(case[2])
    local svg, pdf = base .. i .. ".svg", base .. i .. ".pdf"
    local fine = one and one:save(svg) and one:save(pdf, {width = 200, height = 100}) and one:text() and one:text {charset = "ascii"}
    local s = fine and read(svg)
    tap.ok(s and s:find "</svg>%s*$" and not s:find "[Nn]a[Nn]" and not s:find "[^%a]inf[^%a]" and not s:find "[\0-\8\27]", case[1], message)
    os.remove(svg)
    os.remove(pdf)
end

-- Named errors.
refused("nothing above 0 on a log axis", "ERANGE", "y: a logarithmic axis, and no value above 0", qs.plot {{y = {0, -1}}, ylog = true})
refused("a log axis from 0", "ERANGE", "both ends above 0", qs.plot {{y = {1}}, ylog = true, ymin = 0})
refused("an axis turned round", "ERANGE", "x: an axis from 2 to 1", qs.plot {{y = {1}}, xmin = 2, xmax = 1})
refused("x and y of different lengths", "EARG", "series 1: 1 values of x and 2 of y", qs.plot {{x = {1}, y = {1, 2}}})
refused("a value that is no number", "EARG", "series 2%.y%[2%]: a number expected, got string", qs.plot {{y = {1}}, {y = {1, "a"}}})
refused("a band without its other edge", "EARG", "needs y2", qs.plot {{y = {1}, kind = "band"}})
refused("a kind of series that is none", "EARG", "none of line", qs.plot {{y = {1}, kind = "pie"}})
refused("a color that is none", "EARG", "none of run1", qs.plot {{y = {1}, color = "red"}})
refused("an option that is none", "EARG", "has no option 'tittle'", qs.plot {{y = {1}}, tittle = "x"})
refused("a field that is none", "EARG", "series 1 has no option 'z'", qs.plot {{y = {1}, z = {1}}})
refused("a marker without a place", "EARG", "markers%[1%]: x is missing", qs.plot {{y = {1}}, markers = {{name = "a"}}})
refused("a kind that is none", "EARG", 'no kind "nix"; there are hist, curve', qs.plot "nix")
refused("an option of another kind", "EARG", "has no option 'points'", qs.plot("hist", t, nil, {points = 3}))
refused("levels of many steps", "EARG", "levels are of one", qs.plot("hist", t, qs.init("mse", t, "int4@channel")))
tap.ok(not pcall(qs.plot, 12), "a wrong type raises")
tap.ok(not pcall(qs.plot, "hist", 12), "in a kind too")

-- Files.
refused("an ending that is none", "EARG", "%.svg, %.pdf or %.png", p:save(base .. ".gif"))
refused("no such folder", "EIO", "No such file or directory", p:save(base .. "/no/a.svg"))
refused("a size that is none", "EARG", "width should be 64 to 16384, got 3", p:save(base .. ".svg", {width = 3}))
refused("a font that is none", "EARG", "font should be 4 to 400", p:save(base .. ".svg", {font = 1e9}))
tap.ok(p:save(base .. ".PNG", {width = 320, height = 180}), "endings in capitals")
local png = read(base .. ".PNG")
tap.ok(png and png:sub(1, 8) == "\137PNG\r\n\26\n" and (">I4>I4"):unpack(png, 17) == 320, "a PNG of the size that was asked for")
refused("fresh keeps what is there", "ESTATE", "is there already", p:save(base .. ".PNG", {fresh = true}))
tap.eq(read(base .. ".PNG"), png, "as it was")
os.remove(base .. ".PNG")

-- Many points: those that lie on each other are drawn once.
local many = qs.randn {1000000, seed = 3}
tap.ok(qs.plot {{y = many, kind = "points"}, {y = many}}:save(base .. ".svg"), "a million points and a line through them")
tap.ok(#read(base .. ".svg") < 2e7, "are a file that can be opened", #read(base .. ".svg"))
os.remove(base .. ".svg")

-- Columns.
local path = base .. ".csv"
local f = assert(io.open(path, "w"))
f:write 'step,"loss, raw",note\n1,0.5,a\n2,0.25,b\n4,,c\n'
f:close()
text = qs.plot("csv", path):text {charset = "ascii"}
tap.ok(text:find "loss, raw" and text:find "step", "columns of a CSV file", text)
refused("a column that is none", "EARG", 'no column "x"; there are step', qs.plot("csv", path, {x = "x"}))
refused("a column without numbers", "ERANGE", "column note holds no number", qs.plot("csv", path, {y = {"note"}}))
os.remove(path)
refused("a file that is none", "EIO", "No such file", qs.plot("csv", path))

-- Runs: real ones.
local d = assert(qs.dataset("fashion-mnist", {slice = true, val = 50}))
local function trained(init, seed)
    local net = assert(qs.net {input = {1, 28, 28}, qs.linear {8}, qs.relu(), qs.linear {8}, qs.relu(), qs.linear {10}, seed = 1})
    local quant = {weights = "int2", acts = "uint2", init = init, learn = "lsq"}
    local run = assert(qs.train(net, d, {steps = 6, batch = 10, seed = seed, record = 2, evaluate = 3, quant = quant}))
    return assert(run:finish())
end
local a1, a2, other = trained("lsq", 1), trained("lsq", 2), trained("mse", 1)
text = qs.plot("train", {a1, a2, other}):text {charset = "ascii"}
tap.ok(text:find(a1.name .. " (2)", 1, true) and text:find("- " .. other.name, 1, true) and text:find "loss %(mean, 95 %% interval%)",
       "runs of one name are one curve with a band", text)
tap.ok(text:find "%f[%d]6%f[%D]" and text:find "step%s*$", "the loss of every step", text)
text = qs.plot("train", {lsq = {a1, a2}, mse = other}, {metric = "accuracy"}):text {charset = "ascii"}
tap.ok(text:find "lsq %(2%)" and text:find "%- mse" and text:find "accuracy %(mean", "accuracy, by names of one's own", text)
text = qs.plot("steps", a1):text {charset = "ascii"}
local all, sites = true, a1:names()
for _, name in ipairs(sites) do all = all and text:find(name, 1, true) end
tap.ok(#sites > 1 and all and text:find "quantizer step" and text:find "training step", "the steps of all quantizers, named", text)
text = qs.plot("steps", a1, {relative = true, only = sites[1]}):text {charset = "ascii"}
tap.ok(text:find "against the first" and not text:find(sites[2], 1, true), "of one, against its first", text)

-- Sweeps: the golden database.
local db = assert(qs.results(os.getenv "top_srcdir" .. "/tests/golden/results/v1.db"))
text = qs.plot("series", db, {sweep = "race", by = "init"}):text {charset = "ascii"}
tap.ok(text:find "mse %(10%)" and text:find "lsq %(9%)" and text:find "race  loss  n=0.1", "the series of a sweep, a curve a group", text)
text = qs.plot("metric", db, {sweep = "race", x = "bits", by = "init", where = {init = {"lsq", "mse"}}, band = "range"}):text {charset = "ascii"}
tap.ok(text:find "%- lsq" and not text:find "adaptive" and text:find "least to most, up to 5 cells", "a metric along a parameter", text)
text = qs.plot("grid", db, {sweep = "race", by = {"bits", "init"}, metric = "accuracy"}):text {charset = "ascii"}
tap.ok(text:find "bits=2" and text:find "adaptive" and text:find " 0%.91 ", "a metric over two parameters", text)
refused("a series that is none", "EARG", "there are: loss", qs.plot("series", db, {sweep = "race", series = "x"}))
refused("a series along the axis that is none", "EARG", "no cell has a series \"x\"", qs.plot("series", db, {sweep = "race", x = "x"}))
refused("a sweep without cells", "ERANGE", "no cell", qs.plot("series", db, {sweep = "empty"}))
refused("a database that is none", "EIO", "nix%.db", qs.plot("metric", "nix.db"))
refused("too many curves", "ERANGE", "at most 8", qs.plot("metric", db, {sweep = "race", by = {"init", "seed"}, x = "bits"}))
tap.ok(not pcall(qs.plot, "grid", 12), "no database raises")

tap.ok(#qs.plots() >= 9 and qs.plots()[1].name == "hist", "qs.plots() lists the kinds")
tap.ok(qs.pretty(p):find "values", "the console shows the plot")
tap.done()
