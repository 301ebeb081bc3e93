-- SPDX-License-Identifier: GPL-3.0-or-later
-- Bits allocated between channels and weights corrected, against make_aciq.py: a linear layer of the golden weights, as a run
-- initializes it.
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")
local golden = tap.tensors(qs, "allot")
local w = golden.w

local d = assert(qs.dataset("fashion-mnist", { slice = true, val = 0 }))
local net = assert(qs.net { input = { 1, 28, 28 }, qs.flatten(), qs.linear { w.shape[2] }, qs.relu(), qs.linear { w.shape[1] }, qs.relu(),
  qs.linear { 10 } })
local path = os.tmpname() .. ".safetensors"
assert(net:save(path))
local all = {}
for name, t in assert(qs.load(path)):tensors() do all[name] = t end
all["fc2.weight"] = w
assert(qs.save(path, all))
assert(net:load(assert(qs.load(path))))
os.remove(path)

local function quantizer(options)
  local run = assert(qs.train(net, d, { steps = 1, quant = { weights = options, learn = "none" } }))
  return run:quantizers()["fc2.weight"]
end

local function compare(what, q, want)
  local g, got = tap.group(what), q:quantize(w)
  for i = 1, #w do g:near(got[i], want[i], 2e-6, "weight " .. i, 1e-6) end
  g:done()
end

for _, row in ipairs(tap.rows "allot") do
  local g, b = tap.group(("%d bits on average: bits and steps of every channel"):format(row.mean)), row.mean
  local base = { format = ("int%d@channel"):format(b), init = "minmax", allocate = true }
  local q = quantizer(base)
  for c, bits in ipairs(row.bits) do
    g:check(q.bits[c] == bits, "channel %d: %s bits, want %d", c, q.bits[c], bits)
    if bits > 0 then g:near(q.step[c], row.step[c], 1e-6, "step " .. c) end
  end
  g:done()
  compare(("%d bits on average: quantized"):format(b), q, golden["q" .. b])
  for _, how in ipairs { "mean", "both" } do
    base.correct = how
    compare(("%d bits on average: %s corrected"):format(b, how), quantizer(base), golden[how .. b])
  end
end
tap.done()
