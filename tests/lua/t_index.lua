-- SPDX-License-Identifier: GPL-3.0-or-later
-- Indexes: quantiles, moments, errors, weights, parts.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, fails, raises = tap.ok, tap.eq, tap.near, tap.fails, tap.raises

local x = qs.tensor{-1.9, -1.1, -.75, -.4, -.1, .05, .3, .62, .9, 1.4, 2.6} -- METHODS 11.8
local ix = x:index()
eq(#ix, 11, "#ix")
eq(ix.skipped, 0, "nothing skipped")
eq(ix.distinct, 11, "distinct")
eq(ix.kind, "sorted", "kind")
eq(ix.weighted, false, "no weights")
near(ix.min, -1.9, 1e-7, "min")
near(ix.max, 2.6, 1e-7, "max")
near(ix.absmax, 2.6, 1e-7, "absmax")
near(ix:mean_abs(), .92, 1e-6, "mean |x|")
local m = ix:moments()
near(m.mean, .1472727, 1e-6, "mean")
near(m.std, 1.2377729, 1e-6, "std, n-1")
eq(m.n, 11, "n")
near(m.mean_abs, .92, 1e-6, "mean_abs")
eq(ix:quantile(0), ix.min, "the 0-quantile")
eq(ix:quantile(1), ix.max, "the 1-quantile")
near(ix:quantile(.5), .05, 1e-6, "the median")
near(ix:quantile(.05), -1.5, 1e-6, "between ranks")
near(ix:quantile_abs(1), 2.6, 1e-6, "of |x|")
fails("EARG", "0 to 1", "p beyond 1", ix:quantile(1.5))
fails("EARG", "0 to 1", "p NaN", ix:quantile(0 / 0))
raises("number", "p no number", ix.quantile, ix, "x")

local e = ix:error("int4", .370265486726)
near(e.mse, .00613563958166, 1e-6, "the error of METHODS 11.8")
near(e.mse, e.clip_mse + e.round_mse, 1e-12, "two parts")
eq(#e.occupancy, 16, "a count a level")
near(qs.quantizer("int4", {step = .370265486726}):error(ix).mse, e.mse, 1e-15, "q:error of an index")
near(ix:error("int4@channel", .370265486726).mse, e.mse, 1e-15, "granularity does not matter to an index")
near(ix:error(qs.format "uint4+offset", .3, -1.9).mse, qs.quantizer("uint4+offset", {step = .3,
                                                            offset = -1.9}):error(x).mse, 1e-12,
     "with an offset")
fails("EARG", "", "a step of 0", ix:error("int4", 0))
fails("EARG", "", "a step below 0", ix:error("int4", -1))
fails("EARG", "", "NaN for a step", ix:error("int4", 0 / 0))
fails("EARG", "", "an offset for a format without", ix:error("int4", 1, 1))
fails("EFORMAT", "int99", "a bad format", ix:error("int99", 1))
raises("number", "no step", ix.error, ix, "int4")
raises("format", "no format", ix.error, ix, 5, 1)

-- weights
local w = qs.tensor{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3}
local wix = x:index{weights = w}
eq(wix.weighted, true, "weights")
near(wix:mean_abs(), (.92 * 11 + 2 * 2.6) / 13, 1e-6, "a weighted mean")
eq(wix:moments().n, 11, "n counts the values")
fails("EARG", "", "weights of another shape", x:index{weights = qs.tensor{1, 2}})
raises("weights", "weights that are no tensor", x.index, x, {weights = 5})

-- parts
local two = qs.tensor({2, 3}, {1, 2, 3, -10, -20, -30})
eq(two:index{format = "int4@channel", part = 2}.min, -30, "a channel")
eq(#two:index{format = "int4@channel", part = 1}, 3, "and its length")
eq(#two:index{format = "int4@group2", part = 2}, 1, "a short last group")
fails("EARG", "no part 3", "no such part", two:index{format = "int4@channel", part = 3})
fails("EARG", "no option", "an unknown option", two:index{chanel = 3})
fails("EFORMAT", "", "a bad format", two:index{format = "x"})
ok(#two:index() == 6, "the whole")

-- nothing finite
fails("ERANGE", "", "empty", qs.tensor{}:index())
fails("ERANGE", "", "all NaN", qs.tensor{0 / 0, 0 / 0}:index())
local some = qs.tensor{1, 0 / 0, 1 / 0, 2}:index()
eq(#some, 2, "the finite ones")
eq(some.skipped, 2, "the others are counted")

-- density: METHODS 11.14, standard normal quantiles
local function normal_quantile(p)
    local lo, hi = -10, 10
    local function erf(v) -- Abramowitz and Stegun 7.1.5, enough for a bisection
        local sum, term = v, v
        for k = 1, 200 do
            term = -term * v * v / k
            sum = sum + term / (2 * k + 1)
        end
        return sum * 2 / math.sqrt(math.pi)
    end
    for _ = 1, 60 do
        local mid = (lo + hi) / 2
        if math.abs(mid) > 5 then if mid > 0 then hi = mid else lo = mid end
        elseif 0.5 * (1 + erf(mid / math.sqrt(2))) < p then lo = mid else hi = mid end
    end
    return (lo + hi) / 2
end
local v = {}
for i = 0, 999 do v[i + 1] = normal_quantile((i + .5) / 1000) end
local d = qs.tensor(v):index():density{points = 401, lo = -4, hi = 4}
near(d.bandwidth, .2260357480, 1e-6, "bandwidth")
near(d.x[201], 0, 1e-12, "the middle")
near(d.density[201], .3891254784, 1e-3, "f(0)")
near(d.density[251], .2418230300, 1e-3, "f(1)")
fails("ERANGE", "", "a constant has no density", qs.tensor{2, 2}:index():density{lo = 1, hi = 3})
fails("EARG", "points", "one point", ix:density{points = 1})
ok(tostring(ix):find "n=11", "tostring")
tap.done()
