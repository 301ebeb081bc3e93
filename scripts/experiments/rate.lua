-- SPDX-License-Identifier: GPL-3.0-or-later
-- Is what a better start gains an effect of how fast the steps learn? The arms own, mse and adaptive, with the steps' learning
-- rate x 0.1, 1, 10, 30 of the weights', and frozen (0). The best rate of a cell and an arm is chosen by validation accuracy; the
-- test accuracy is then compared. A gain that vanishes at the best rates is an effect of the rate; one equal with
-- frozen steps is one of quantizing, not of learning.
--
--     quantscope sweep scripts/experiments/rate.lua --db rate.db      (float nets: as for main.lua)
local qs = require "quantscope"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local design = dofile(here .. "design.lua")
local ARMS = { own = { "lsq", false }, mse = { "mse", false }, adaptive = { "adaptive", false } }

local cells = {}
for block = 1, 4 do
  for _, net in ipairs { "smallcnn", "resnet8", "depthwise" } do
    for _, rate in ipairs { 0, 0.1, 1, 10, 30 } do
      for _, arm in ipairs { "own", "mse", "adaptive" } do
        cells[#cells + 1] = { block = block, net = net, rate = rate, arm = arm, steps = 50 }
      end
    end
  end
end

return qs.sweep {
  name = "rate",
  inputs = { here .. "design.lua" },
  grid = cells,
  run = function(cell, job)
    local arm, quant = ARMS[cell.arm], design.methods.lsq(2)
    quant.init, quant.follow, quant.adapt = arm[1], arm[2], arm[3]
    if cell.rate == 0 then quant.learn = "none" end
    local run, score = design.train(cell, cell.steps, quant, { step_rate = cell.rate > 0 and cell.rate or 1 }, job)
    return { accuracy = score.accuracy, test = run:test().accuracy, diverged = run.state == "diverged" and 1 or 0 }
  end,
}
