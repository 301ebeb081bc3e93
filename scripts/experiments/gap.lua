-- SPDX-License-Identifier: GPL-3.0-or-later
-- Where the network's loss would have each step, against least squares: ln(s_task / s_mse) of every quantizer at 2 bits, no
-- training; s_task as adaptive chooses it when the loss is asked for norms and factors, s_mse on the same calibration images.
--
--     quantscope sweep scripts/experiments/gap.lua --db gap.db          (float nets: as for main.lua)
--     quantscope run scripts/experiments/more-tables.lua gap gap.db
local qs = require "quantscope"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local design = dofile(here .. "design.lua")

local function steps(cell, init)
  local quant = design.methods.lsq(2)
  quant.init, quant.adapt = init, { norms = true, factors = true }
  local run, out = design.train(cell, 0, quant), {}
  for name, h in pairs(run.history.quantizers) do
    if not h.format:find "int8" then out[name] = h.step[1] end
  end
  return out, run
end

return qs.sweep {
  name = "gap",
  inputs = { here .. "design.lua" },
  grid = { block = qs.range(1, 4), net = { "mlp", "smallcnn", "resnet8", "depthwise" } },
  run = function(cell)
    local least = steps(cell, "mse")
    local task, run = steps(cell, "adaptive")
    local out = { first = run.history.adapted.first, last = run.history.adapted.last, cost = run.history.adapted.steps }
    for name, s in pairs(task) do out[name] = math.log(s / least[name]) end
    return out
  end,
}
