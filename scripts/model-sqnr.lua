-- SPDX-License-Identifier: GPL-3.0-or-later
-- The signal-to-noise ratio of a whole model, energy-weighted over its weights:
--     quantscope run scripts/model-sqnr.lua MODEL [FORMAT...]
local qs = require "quantscope"
local m = assert(qs.load(arg[1]))
local formats = { table.unpack(arg, 2) }
if #formats == 0 then formats = { "int8:narrow", "int8:narrow@channel0", "int4:narrow", "int4:narrow@channel0" } end
for _, format in ipairs(formats) do
  local noise, energy = 0, 0
  for _, t in m:tensors() do
    local q = #t.shape > 1 and t.dtype:match "F" and qs.init("minmax", t, assert(qs.format(format)))
    local s = t:summary()
    noise = noise + (q and q:error(t).mse * #t or 0)
    energy = energy + (q and s.std ^ 2 * (#t - 1) + s.mean ^ 2 * #t or 0)
  end
  print(("%-24s %.1f dB"):format(format, -10 * math.log(noise / energy, 10)))
end
