-- SPDX-License-Identifier: GPL-3.0-or-later
-- The accuracy that is stated for every bundled net (data/nets/accuracy.lua), counted again on all test images.
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")

local d, message, code = qs.dataset("fashion-mnist", { val = 5000 })
if code == "EIO" or d and d.slice then
  print("1..0 # SKIP the whole of Fashion-MNIST is not installed (package dataset-fashion-mnist)")
  os.exit(0)
end
assert(d, message)

local top = os.getenv "top_srcdir" or tap.dir .. "../.."
local stated = assert(loadfile(top .. "/data/nets/accuracy.lua"))()
local names = {}
for name in pairs(stated) do names[#names + 1] = name end
table.sort(names)
-- A sanitized build (its LUA_STOCK is "-") looks at the first images only: the count is the plain build's.
local few = os.getenv "LUA_STOCK" == "-" and 256 or nil
local near = few and 0.06 or 0.002
tap.ok(#names == 4, "mlp, smallcnn, resnet8, depthwise: " .. table.concat(names, " "))
for _, name in ipairs(names) do
  local net, said = assert(qs.bundled(name)), stated[name]
  local got = assert(net:evaluate(d, "test", few))
  tap.ok(got.n == (few or d.test), name .. ": every test image asked for")
  tap.ok(math.abs(got.accuracy - said.accuracy) <= near, ("%s: %.4f, stated %.4f"):format(name, got.accuracy, said.accuracy))
  tap.ok(math.abs(got.accuracy_raw - said.raw) <= near, ("%s, raw: %.4f, stated %.4f"):format(name, got.accuracy_raw,
                                                                                               said.raw))
  local path = ("%s/data/nets/%s.safetensors"):format(top, name)
  local f = assert(io.open(path, "rb"))
  local size = f:seek "end"
  f:close()
  tap.ok(size < 500000, ("%s: %d bytes"):format(name, size))
  tap.ok(net.note and net.note:find("%d"), name .. ": says how well: " .. tostring(net.note))
end
tap.ok(stated.smallcnn.accuracy >= 0.91, "smallcnn reaches 91 %")
tap.done()
