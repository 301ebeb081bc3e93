-- SPDX-License-Identifier: GPL-3.0-or-later
-- Codes against ONNX Runtime's QuantizeLinear, ties included: equal, every one (make_ort.py).
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")

local m = tap.tensors(qs, "ort")
for _, r in ipairs(tap.rows "ort") do
  local g = tap.group(("%s: %s, step %g"):format(r.runtime, r.format, r.steps[1]))
  local one = #r.steps == 1
  local q = assert(qs.quantizer(qs.format(r.format), { step = one and r.steps[1] or r.steps, offset = r.zp and
                                                       -r.steps[1] * r.zp or nil }))
  local t = m["x" .. r.case]
  local x, got = tap.flat(t:totable()), tap.flat(q:quantize(t):totable())
  local value = tap.flat(m["value" .. r.case]:totable())
  local codes = m["code" .. r.case]
  local want, code = codes and tap.flat(codes:totable()), tap.flat(q:encode(t):totable())
  for i = 1, #x do
    if want then g:near(code[i], want[i], 0, ("code %d, x %.9g"):format(i, x[i])) end
    g:near(got[i], value[i], 0, ("value %d, x %.9g"):format(i, x[i]))
  end
  g:done()
end
tap.done()
