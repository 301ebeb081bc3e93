-- SPDX-License-Identifier: GPL-3.0-or-later
-- Block formats by their own rules against NumPy (make_blocks.py): bit for bit, ties and the ends of half precision included.
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")

local m = assert(qs.load(tap.dir .. "golden/blocks.gguf"))
for _, c in ipairs { { "q4_0", "ggml" }, { "q4_1", "ggml" }, { "q5_0", "ggml" }, { "q5_1", "ggml" }, { "q8_0", "ggml" },
                     { "mxfp4", "ocp" }, { "nvfp4", "minmax" } } do
  local format, init = c[1], c[2]
  local x = format == "nvfp4" and m.small or m.x
  local q = assert(qs.init(init, x, format))
  local got, want, from = q:quantize(x):totable(), m[format]:totable(), x:totable()
  local g, sum = tap.group(("%s by %s"):format(format, init)), 0
  for i = 1, #want do
    g:near(got[i], want[i], 0, ("value %d, x %.9g"):format(i, from[i]))
    sum = sum + (want[i] - from[i]) ^ 2
  end
  g:done()
  local e = tap.group(format .. ": its error, and codes that are numbers of levels")
  e:near(q:error(x).mse, sum / #want, 1e-9, "mean squared error")
  local code, levels = q:encode(x):totable(), q:levels(3)
  e:check(#levels == #q.format.codebook, "%d levels", #levels)
  for i = 65, 96 do e:check(code[i] == math.floor(code[i]), "code %d is %s", i, code[i]) end
  for _, part in ipairs { 1, 100, 190 } do
    local cut = q:thresholds(part)
    for k = 2, #cut do e:check(cut[k] >= cut[k - 1], "thresholds of part %d ascend", part) end
  end
  e:done()
  -- The same rounding elsewhere: a comparison of all rules measures what this quantizer does.
  for _, row in ipairs(assert(qs.compare(x, format, { init }))) do
    local r = tap.group(format .. ": compared")
    r:near(row.mse, sum / #want, 1e-9, "mean squared error")
    r:done()
  end
end
tap.done()
