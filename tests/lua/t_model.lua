-- SPDX-License-Identifier: GPL-3.0-or-later
-- Models: opening, names, iteration, identity, errors.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, fails, raises, near = tap.ok, tap.eq, tap.fails, tap.raises, tap.near

local path = tap.path "some.safetensors"
local some = {}
for i = 1, 20 do some["w" .. i] = qs.randn{3, 4, seed = i} end
some.bias, some.scalar = qs.tensor{1, 2}, qs.tensor({}, {3})
assert(qs.save(path, some))
local m = assert(qs.load(path))
eq(#m, 22, "tensors")
eq(m.path, path, "path")
eq(m.format, "safetensors", "found by content")
eq(m.weights, 20, "weights")
eq(m.values, 240, "values")
local names = m:names()
eq(#names, #m, "a name each")
local n, same = 0, true
for name, t in m:tensors() do
    n = n + 1
    same = same and name == names[n] and t.name == name and m:get(name) == t and rawequal(m[n], t)
end
eq(n, #m, "tensors() gives all")
ok(same, "in order, and the same objects as m[name], m:get and m[i]")
n = 0
for _ in pairs(m) do n = n + 1 end
eq(n, #m, "pairs does the same")
eq(m["no such tensor"], nil, "no such tensor")
eq(m[0], nil, "no such number")
eq(m[#m + 1], nil, "nor this one")
fails("EARG", "no such tensor", "get says why", m:get "no such tensor")
ok(rawequal(qs.load(path), m), "the same path, the same model")
ok(tostring(m):find "22 tensors", "tostring")
ok(qs.pretty(m):find "more: m:names", "printed in short")

-- Written quantized: the rows, the values, what cannot be.
local rows = assert(qs.quantize(m, tap.path "q.safetensors", {format = "int3@channel", init = "minmax", tensors = {"w2", "w7"}}))
eq(#rows, 2, "a row a quantized tensor")
eq(rows[2].tensor, "w7", "in the order of the model")
local quantized, written = qs.init("minmax", m.w7, "int3@channel"):quantize(m.w7):totable(), qs.load(tap.path "q.safetensors")
same = #written == #m
for i, v in ipairs(written.w7:totable()) do same = same and v == quantized[i] end
for i, v in ipairs(written.w8:totable()) do same = same and v == m.w8[i] end
ok(same, "the values of q:quantize, and the other tensors as they were")
eq(#assert(qs.quantize(m, tap.path "c.safetensors", {codes = true})), 20, "by default all that are quantized")
local codes = qs.load(tap.path "c.safetensors")
eq(codes.w3.dtype, "int4", "as codes, which are one tensor again")
eq(#codes, #m, "and no other")
-- What that cost: rows, a total, two tensors.
local diff, total = qs.diff(m, codes)
eq(#diff, 20, "a pair a tensor of two dimensions")
eq(total.tensors, 20, "all are counted")
eq(diff[3].levels, 16, "levels of the codes")
ok(total.sqnr_db > 10 and total.bpw > 8, "and what they are together")
local one = qs.diff(m.w2, written.w2)
near(one.mse, qs.init("minmax", m.w2, "int3@channel"):error(m.w2).mse, 1e-9, "the error of the quantizer")
fails("EARG", "shapes differ", "two shapes", qs.diff(m.w2, m.bias))
-- What layers get, recorded: an index a layer; as importance of its weight.
assert(qs.save(tap.path "acts.safetensors", {w2 = qs.randn{50, 4, seed = 9}, nobody = qs.randn{5, 4}}))
local recorded = assert(qs.load(tap.path "acts.safetensors"))
local acts = assert(qs.activations(tap.path "acts.safetensors"))
ok(acts.w2 and acts.nobody, "activations of every layer there is")
assert(qs.save(tap.path "acts.npy", recorded.w2))
acts = assert(qs.activations({w2 = recorded.w2, nobody = recorded.nobody, w3 = tap.path "acts.npy"}, m))
ok(acts.w2 and acts.w3 and not acts.nobody, "of layers of a model, from tensors and files")
ok(qs.init("lsq", acts.w2, "uint4", {role = "act"}).step > 0, "for initializations")
fails("EARG", "layer", "of none of them", qs.activations({nobody = recorded.nobody}, m))
fails("EIO", "none", "a file that is not there", qs.activations(tap.path "none.npz"))
local w, square = assert(qs.importance(recorded, m.w2)), 0
for i = 1, #recorded.w2, 4 do square = square + recorded.w2[i] ^ 2 / 50 end
near(w[1], square, 1e-6, "importance: mean squares of a column")
eq(w[5], w[1], "for every row")
ok(qs.init("mse", m.w2, "int3", {weights = w}).step ~= qs.init("mse", m.w2, "int3").step, "another step")
fails("EARG", "no importance", "of a tensor it does not have", qs.importance(recorded, m.w3))
ok(qs.save_steps(m, tap.path "steps.json", {importance = recorded}), "steps with importance")
ok(qs.save_steps(m, tap.path "steps.json"), "steps")
fails("EARG", "no tensor 'none'", "a tensor that is not there", qs.quantize(m, tap.path "n.safetensors", {tensors = {"none"}}))
fails("EUNSUP", "lloyd", "levels of its own as codes", qs.quantize(m, tap.path "n.safetensors", {init = "lloyd", codes = true}))
fails("EARG", "formt", "an option there is not", qs.save_steps(m, tap.path "n.json", {formt = "int4"}))
raises("tensors", "names are strings", qs.quantize, m, tap.path "n.safetensors", {tensors = {1}})

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

-- Codes with scales are read as numbers and saved as such.
do
    local top = os.getenv "top_srcdir"
    local blocks = assert(qs.load(top .. "/tests/oracle/golden/gguf_blocks.gguf"))
    local q, path = blocks.Q5_K, tap.path "blocks.safetensors"
    eq(blocks.format, "gguf", "a GGUF file")
    eq(q.dtype, "Q5_K", "the type is its kind")
    eq(q.reason, "already quantized", "and it says why it is left alone")
    eq(q[300], blocks["Q5_K.values"][300], "one value")
    eq(q:totable()[511], blocks["Q5_K.values"][511], "all values")
    assert(qs.save(path, {w = q}))
    local w = assert(qs.load(path)).w
    eq(w.dtype, "F32", "saved as float32")
    eq(w[300], q[300], "with its values")
end

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

-- A file that is cut short while it is open; what else is open is unharmed.
local function bytes_of(path)
    local f = assert(io.open(path, "rb"))
    return f:read "a", f:close()
end
local top = os.getenv "top_srcdir"
local whole = bytes_of(top .. "/data/sample.safetensors")
local lost = put("lost.safetensors", whole)
local fine, name = qs.load(top .. "/data/sample.safetensors"), "conv.weight"
m = assert(qs.load(lost))
for n, x in m:tensors() do if not x.reason and #x > 4096 then name = n end end
local std = m:get(name):summary().std
put("lost.safetensors", whole:sub(1, -2))
for n, x in pairs{summary = {m:get(name):summary()}, index = {m:get(name):index()}, save = {qs.save(tap.path "saved.safetensors", {x = m:get(name)})}} do
    fails("EIO", "lost.safetensors: was cut short", "cut by a byte while it is open: " .. n, table.unpack(x, 1, 3))
end
put("lost.safetensors", "")
for n, fn in pairs{
    summary = function(x) return x:summary() end, totable = function(x) return x:totable() end,
    compare = function(x) return qs.compare(x, "int4") end, apply = function(x) return qs.quantizer("int4", {step = 0.1}):quantize(x) end,
} do
    fails("EIO", "lost.safetensors: was cut short", "cut to nothing: " .. n, fn(m:get(name)))
end
raises("was cut short", "cut to nothing: an element", function() return m:get(name)[1] end)
eq(fine:get(name):summary().std, std, "another open model is unharmed")
tap.done()
