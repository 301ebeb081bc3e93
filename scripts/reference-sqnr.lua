-- SPDX-License-Identifier: GPL-3.0-or-later
-- The signal-to-noise ratio of a whole model, in dB weighted by energy: every weight of two or more dimensions, symmetric
-- narrow range, step from the largest magnitude, one step a tensor and one a channel along axis 0.
--     quantscope run scripts/reference-sqnr.lua MODEL...
local qs = require "quantscope"
for _, path in ipairs(arg) do
  local m = assert(qs.load(path))
  for _, name in ipairs{"int8:narrow", "int8:narrow@channel0", "int4:narrow", "int4:narrow@channel0"} do
    local f, energy, noise = qs.format(name), 0, 0
    for _, t in m:tensors() do
      if not t.reason and t:summary().absmax > 0 then
        energy = energy + #t * t:index():moments().mean_sq
        noise = noise + #t * qs.init("minmax", t, f):error(t).mse
      end
    end
    print(("%-24s %5.1f dB  %s"):format(name, 10 * math.log(energy / noise, 10), path))
  end
end
