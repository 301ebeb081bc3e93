-- SPDX-License-Identifier: GPL-3.0-or-later
-- Codes, values and gradients against PyTorch (make_torch.py).
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")

-- Does v lie within one unit in the last place of a threshold k + 1/2? (v is about |q|, so an ulp is below |v| 2^-23.)
local function on_threshold(v)
  local d = math.abs(v - math.floor(v) - .5)
  return d <= math.max(math.abs(v), .5) * 2 ^ -22
end

local m = tap.tensors(qs, "torch_codes")
for _, r in ipairs(tap.rows "torch_codes") do
  local g = tap.group(("torch fake_quantize: %s"):format(r.format))
  local t = m["x" .. r.case]
  local q = assert(qs.quantizer(qs.format(r.format), { step = r.steps or r.step, offset = r.zp and -r.step * r.zp
                                                       or nil }))
  local x, value = tap.flat(t:totable()), tap.flat(m["value" .. r.case]:totable())
  local want = tap.flat(m["code" .. r.case]:totable())
  local code, got = tap.flat(q:encode(t):totable()), tap.flat(q:quantize(t):totable())
  local shape, differ = t.shape, 0
  local function step_of(i)
    if not r.steps then return r.step end
    local inner = r.format:match "0$" and shape[2] * shape[3] or shape[3]
    local axis = r.format:match "0$" and 1 or 2
    return r.steps[(i - 1) // inner % shape[axis] + 1]
  end
  for i = 1, #x do
    local s = step_of(i)
    if code[i] == want[i] then
      g:near(got[i], value[i], 0, ("value %d, x %.9g"):format(i, x[i]))
    else
      differ = differ + 1
      g:check(math.abs(code[i] - want[i]) == 1 and on_threshold(x[i] / s), "code %d, x/s %.9g: got %d, torch %d", i,
              x[i] / s, code[i], want[i])
    end
  end
  -- A quarter of the data lies within two floats of a threshold; torch's reciprocal may turn less than a third of it.
  g:check(differ <= #x / 12, "%d of %d codes differ", differ, #x)
  print(("# %s: %d of %d codes differ, all within one ulp of a threshold"):format(r.format, differ, #x))
  g:done()
end

m = tap.tensors(qs, "torch_gradients")
for _, r in ipairs(tap.rows "torch_gradients") do
  local g = tap.group(("torch gradients: %s learn=%s mask=%s%s"):format(r.format, r.learn, r.mask, r.scale and
      " scaled" or ""))
  local q = assert(qs.quantizer(qs.format(r.format), { step = r.steps or r.step, offset = r.offset }))
  local t, up = m["x" .. r.case], m["up" .. r.case]
  local dx, dstep, doffset = q:grad(t, up, { learn = r.learn, scale = r.scale, mask = r.mask })
  local d, want = tap.flat(dx:totable()), tap.flat(m["dx" .. r.case]:totable())
  for i = 1, #want do g:near(d[i], want[i], 1e-6, "dx " .. i) end
  -- Terms of both signs cancel. What is left is judged against them: torch's kernel sums in float32; ours sums in
  -- double, but v = x/s is a float32.
  local slack = (r.mask == "code" and 1e-6 or 1e-7) * r.terms
  for i, w in ipairs(r.dstep) do
    g:near(type(dstep) == "table" and dstep[i] or dstep, w, 1e-6, "dstep " .. i, slack)
  end
  if r.doffset then g:near(type(doffset) == "table" and doffset[1] or doffset, r.doffset[1], 1e-6, "doffset") end
  g:done()
end
tap.done()
