-- SPDX-License-Identifier: GPL-3.0-or-later
-- Models: opening, names, iteration, identity, errors.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, fails, raises = tap.ok, tap.eq, tap.fails, tap.raises

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
eq(m["no such tensor"], nil, "no such tensor")
eq(m[0], nil, "no such number")
eq(m[#m + 1], nil, "nor this one")
fails("EARG", "no such tensor", "get says why", m:get "no such tensor")
ok(rawequal(qs.load(path), m), "the same path, the same model")
ok(tostring(m):find "onnx", "tostring")
local conv
for _, t in m:tensors() do if t.use == "Conv" and not t.reason then conv = t break end end
ok(conv and conv.out_axis == 0 and #conv.in_axes > 0, "axes come from the node that uses the tensor")

fails("EIO", "no/such/file", "a missing file", qs.load "no/such/file.onnx")
fails("EIO", "", "a folder", qs.load(tap.path "."))
local function put(name, bytes)
    local f = assert(io.open(tap.path(name), "wb"))
    f:write(bytes)
    f:close()
    return tap.path(name)
end
fails("EFORMAT", "text.safetensors", "a file of text", qs.load(put("text.safetensors", "hello, this is no model")))
fails("EFORMAT", "", "an empty file", qs.load(put("empty.npy", "")))
raises("string", "no path", qs.load)
raises("string", "a table for a path", qs.load, {})
raises("qs.model expected", "a method on something else", m.names, qs.tensor{1})

-- Names of methods and fields as tensor names.
local odd = tap.path "odd.safetensors"
assert(qs.save(odd, {names = qs.tensor{1}, path = qs.tensor{2}, ["a.b/c"] = qs.tensor{3}, ["ö"] = qs.tensor{4}}))
m = assert(qs.load(odd))
eq(m:get "names"[1], 1, "get reaches a tensor with the name of a method")
eq(type(m.names), "function", "which stays a method")
eq(m.path[1], 2, "a tensor hides a field")
eq(m["a.b/c"][1], 3, "any name")
eq(m["ö"][1], 4, "UTF-8")
eq(m.format, "safetensors", "the format is found by content")

-- The tensors outlive their model.
local t
do
    local other = tap.path "gone.safetensors"
    assert(qs.save(other, {x = qs.tensor{1, 2, 3}}))
    t = assert(qs.load(other)).x
    os.remove(other)
end
collectgarbage()
collectgarbage()
eq(t[3], 3, "a tensor keeps its file mapped")
tap.done()
