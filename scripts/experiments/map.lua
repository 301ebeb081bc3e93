-- SPDX-License-Identifier: GPL-3.0-or-later
-- The surroundings of least squares, after training: the steps of all weights times one factor, those of all inputs times another.
-- LSQ at 2 bits, 50 steps, nothing followed. Where is the best place to start, and how much does a miss cost?
--
--     quantscope sweep scripts/experiments/map.lua --db map.db          (float nets: as for main.lua)
--     quantscope run scripts/experiments/more-tables.lua map map.db
local qs = require "quantscope"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local design = dofile(here .. "design.lua")

local FACTORS = { 0.7, 0.85, 1, 1.2, 1.45 }
local function name_of(factor) return ("mse-times-%g"):format(factor):gsub("%.", "-") end
for _, factor in ipairs(FACTORS) do
  qs.register_init { name = name_of(factor), doc = "least squares, times a factor", formula = "factor * argmin E|x - Q(x)|^2",
    source = "scripts/experiments/map.lua",
    fn = function(index, format, role) return factor * assert(qs.init("mse", index, format, { role = role })).step end }
end

local cells = {}
for block = 1, 4 do
  for _, net in ipairs { "mlp", "smallcnn", "resnet8", "depthwise" } do
    for _, f in ipairs(FACTORS) do
      cells[#cells + 1] = { block = block, net = net, weights = f, acts = 1, steps = 50 }
      if f ~= 1 then cells[#cells + 1] = { block = block, net = net, weights = 1, acts = f, steps = 50 } end
    end
  end
end

return qs.sweep {
  name = "map",
  inputs = { here .. "design.lua" },
  grid = cells,
  run = function(cell, job)
    local quant = design.methods.lsq(2)
    quant.init = { weights = name_of(cell.weights), acts = name_of(cell.acts) }
    local run, score = design.train(cell, cell.steps, quant, nil, job)
    return { accuracy = score.accuracy, before = run.before.accuracy }
  end,
}
