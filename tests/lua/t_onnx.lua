-- SPDX-License-Identifier: GPL-3.0-or-later
-- The bundled ONNX model through the binding: axes, counts.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq = tap.ok, tap.eq

local path = os.getenv "top_srcdir" .. "/data/blazeface_front.onnx"
local m = assert(qs.load(path))
ok(#m > 0, "tensors")
eq(m.path, path, "path")
eq(m.format, "onnx", "found by content")
ok(m.weights > 0 and m.weights <= #m, "weights")
ok(m.values > 90000, "values")
local names = m:names()
eq(#names, #m, "a name each")
local n, same, sum, weights = 0, true, 0, 0
for name, t in m:tensors() do
    n = n + 1
    same = same and name == names[n] and t.name == name and m:get(name) == t and rawequal(m[n], t)
    if not t.reason then sum, weights = sum + #t, weights + 1 end
end
eq(n, #m, "tensors() gives all")
ok(same, "in order, and the same objects as m[name], m:get and m[i]")
eq(sum, m.values, "values counts the elements of the weights")
eq(weights, m.weights, "weights counts them")
n = 0
for _ in pairs(m) do n = n + 1 end
eq(n, #m, "pairs does the same")
ok(rawequal(qs.load(path), m), "the same path, the same model")
ok(tostring(m):find "onnx", "tostring")
local conv
for _, t in m:tensors() do if t.use == "Conv" and not t.reason then conv = t break end end
ok(conv and conv.out_axis == 0 and #conv.in_axes > 0, "axes come from the node that uses the tensor")
ok(qs.pretty(m):find "more: m:names", "printed in short")
tap.done()
