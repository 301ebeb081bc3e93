-- SPDX-License-Identifier: GPL-3.0-or-later
-- Tensors: making, reading, saving, random numbers.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, list, fails, raises = tap.ok, tap.eq, tap.near, tap.list, tap.fails, tap.raises

eq(type(qs.version), "string", "qs.version")
eq(math.type(qs.api), "integer", "qs.api")

local t = qs.tensor({3, 2}, {1, 2, 3, 4, 5, 6})
list(t.shape, {3, 2}, 0, "shape")
eq(#t, 6, "#t")
eq(t[1], 1, "the first")
eq(t[6], 6, "the last")
eq(t[0], nil, "none before")
eq(t[7], nil, "none after")
eq(t[1.5], nil, "none between")
eq(t.nonsense, nil, "an unknown field is nil")
eq(t.dtype, "F32", "dtype")
eq(t.out_axis, nil, "no output axis is known")
eq(t.in_axes, nil, "no input axes are known")
eq(t.use, nil, "no node uses it")
eq(t.reason, nil, "a weight")
eq(type(qs.tensor{1, 2}.reason), "string", "one dimension: why it is not quantized")
list(t:totable(), {1, 2, 3, 4, 5, 6}, 0, "totable is flat")
local one = qs.tensor{1.5, -2}
list(one.shape, {2}, 0, "without a shape: one dimension")
list(one:totable(), {1.5, -2}, 0, "its values")
near(qs.tensor{0.1}[1], 0.1, 1e-7, "values are float32")
ok(qs.tensor{0.1}[1] ~= 0.1, "and not double")
eq(#qs.tensor{}, 0, "an empty tensor")
eq(#qs.tensor({}, {7}), 1, "a scalar has one element")
ok(qs.tensor{0 / 0}[1] ~= qs.tensor{0 / 0}[1], "NaN is kept")
eq(tostring(t), "tensor tensor [3,2] F32", "tostring")

fails("EARG", "6 elements", "sizes that differ", qs.tensor({3, 2}, {1, 2, 3}))
fails("EARG", "negative", "a negative dimension", qs.tensor({-1}, {}))
fails("EARG", "8 dimensions", "too many dimensions", qs.tensor({1, 1, 1, 1, 1, 1, 1, 1, 1}, {1}))
fails("ENOMEM", "elements", "an impossible shape", qs.tensor({1 << 40, 1 << 40}, {}))
raises("number", "values that are no numbers", qs.tensor, {1}, {"x"})
raises("table", "no table", qs.tensor, 5)
raises("integer", "a dimension that is no integer", qs.tensor, {1.5}, {1})

local s = t:summary()
eq(s.n, 6, "n")
eq(s.min, 1, "min")
eq(s.max, 6, "max")
eq(s.absmax, 6, "absmax")
near(s.mean, 3.5, 1e-15, "mean")
near(s.std, math.sqrt(3.5), 1e-15, "std divides by n-1")
eq(s.zeros, 0, "zeros")
eq(s.nans, 0, "nans")
eq(s.infs, 0, "infs")
eq(s.distinct, nil, "distinct is not known before the index")
t:index()
eq(t:summary().distinct, 6, "and is after it")
local odd = qs.tensor{0, -0.0, 1 / 0, 0 / 0, 2}:summary()
eq(odd.zeros, 2, "both zeros count")
eq(odd.infs, 1, "one infinity")
eq(odd.nans, 1, "one NaN")
eq(odd.max, 2, "infinity is no maximum")
local none = qs.tensor{0 / 0}:summary()
eq(none.nans, 1, "only NaN: counted")
eq(none.mean, nil, "only NaN: no mean")
eq(qs.tensor{}:summary().min, nil, "empty: no minimum")

-- random numbers
local a, b = qs.randn{1000, seed = 7}, qs.randn{1000, seed = 7}
list(a:totable(), b:totable(), 0, "the same seed, the same numbers")
ok(a[1] ~= qs.randn{1000, seed = 8}[1], "another seed, others")
list(qs.randn{2, 3}.shape, {2, 3}, 0, "a shape")
eq(qs.randn{3}[1], qs.randn{3, seed = 1}[1], "the seed is 1 unless it is given")
near(qs.randn{5, seed = 2, scale = 3}[4], 3 * qs.randn{5, seed = 2}[4], 1e-6, "scale")
local variance = {normal = 1, laplace = 2, uniform = 1 / 3, student4 = 2, bimodal = 1 + 1 / 16}
for dist, v in pairs(variance) do
    local m = qs.randn{200000, seed = 5, dist = dist}:summary()
    ok(math.abs(m.mean) < 0.02 and math.abs(m.std ^ 2 / v - 1) < (dist == "student4" and 0.1 or 0.02), dist ..
       ": mean and variance",
       m.mean, m.std ^ 2)
end
near(qs.randn{200000, dist = "laplace"}:index():mean_abs(), 1, 0.02, "laplace: b = 1")
local u = qs.randn{100000, dist = "uniform"}:summary()
ok(u.min >= -1 and u.max <= 1 and u.min < -0.999 and u.max > 0.999, "uniform: -1 to 1")
fails("EARG", "no distribution", "no such distribution", qs.randn{3, dist = "cauchy"})
fails("EARG", "how many", "no size", qs.randn{})
fails("EARG", "no option", "an unknown option", qs.randn{3, sed = 1})
fails("EARG", "negative", "a negative size", qs.randn{-3})
raises("seed", "a seed that is no number", qs.randn, {3, seed = "x"})
raises("table", "no table", qs.randn, 3)

-- histograms: NumPy's rule
local h = qs.tensor{0, 0.5, 1, 1, 2, 3, 4}:histogram{bins = 4, lo = 0, hi = 4}
list(h.count, {2, 2, 1, 2}, 0, "bins are [edge, next), the last one closed")
list(h.edge, {0, 1, 2, 3, 4}, 1e-15, "edges")
h = qs.tensor{-1, 0, 1, 5, 0 / 0}:histogram{bins = 2, lo = 0, hi = 2}
eq(h.under, 1, "under")
eq(h.over, 1, "over")
eq(h.skipped, 1, "skipped")
list(qs.tensor{-1, 0, 1, 5}:index():histogram{bins = 2, lo = 0, hi = 2}.count, h.count, 0, "the same from the index")
h = qs.tensor{0.1, 1, 10, -10, 0}:histogram{bins = 2, lo = 0.1, hi = 10, log = true}
list(h.count, {1, 3}, 0, "a logarithmic axis: of |x|")
fails("EARG", "bins", "no bins", t:histogram{bins = 0})
fails("EARG", "", "an empty range", t:histogram{lo = 1, hi = 1})
raises("bins", "bins that are no number", t.histogram, t, {bins = "x"})

-- saving and loading
local path = tap.path "two.safetensors"
eq(qs.save(path, {b = t, a = one}), true, "save")
local m = assert(qs.load(path))
eq(#m, 2, "two tensors")
eq(table.concat(m:names(), " "), "a b", "sorted by name")
list(m.b:totable(), t:totable(), 0, "the values come back")
list(m.b.shape, {3, 2}, 0, "and the shape")
qs.save(path, {c = one})
eq(table.concat(assert(qs.load(path)):names(), " "), "c", "a file that was replaced is read anew")
eq(m.b[2], 2, "and the old one is still what it was")
local npy = tap.path "one.npy"
eq(qs.save(npy, {x = t}), true, "npy")
list(assert(qs.load(npy))[1]:totable(), t:totable(), 0, "npy comes back")
eq(qs.save(npy, t), true, "a tensor by itself")
local copy = tap.path "copy.safetensors"
eq(qs.save(copy, m), true, "a model by itself")
eq(#assert(qs.load(copy)), 2, "all of it")
fails("EARG", "", "another ending", qs.save(tap.path "x.txt", {x = t}))
fails("EARG", "", "two tensors in a .npy", qs.save(npy, {x = t, y = t}))
fails("EIO", "", "a folder that is not there", qs.save(tap.path "no/such/x.npy", t))
raises("table", "something else than tensors", qs.save, path, 5)
raises("tensors", "a table of something else", qs.save, path, {x = 5})
raises("string", "no path", qs.save)

-- garbage
do
    local kept = qs.randn{10}
    for i = 1, 2000 do qs.randn{1000}:index() end
    collectgarbage()
    eq(#kept, 10, "what is held stays")
end
do
    local closed
    do
        local x <close> = qs.randn{4}
        closed = x
    end
    raises("closed", "a tensor that was closed", function() return closed:summary() end)
end
raises("qs.tensor expected", "a method on something else", t.summary, 5)
raises("qs.tensor expected", "a method on another object", t.summary, qs.format "int4")
eq(qs.threads(2), 2, "threads")
eq(qs.threads(), 2, "how many")
fails("EARG", "1 to 256", "no threads", qs.threads(0))
tap.done()
