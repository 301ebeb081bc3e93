-- SPDX-License-Identifier: GPL-3.0-or-later
-- Which part of the adaptive initialization does what, at 2 bits, after 50 steps?
--
--     quantscope sweep scripts/experiments/ablation.lua --db ablation.db      (float nets: as for main.lua)
local qs = require "quantscope"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local design = dofile(here .. "design.lua")
local BOTH, WEIGHTS, NONE = { acts = true, weights = true }, { acts = false, weights = true }, false
local VARIANTS = { -- init (both, or {weights=, acts=}), follow, adapt
  mse = { "mse", NONE },
  full = { "adaptive", true },
  ["norms only"] = { "adaptive", NONE },
  ["follow only"] = { "mse", true },
  ["follow weights only"] = { "mse", WEIGHTS },
  ["follow both only"] = { "mse", BOTH },
  ["follow both"] = { "adaptive", BOTH },
  ["follow upto 0.3"] = { "adaptive", { acts = true, upto = 0.3 } },
  ["follow upto 1"] = { "adaptive", { acts = true, upto = 1 } },
  ["with factors"] = { "adaptive", true, { factors = true } },
  ["factors only"] = { "adaptive", true, { norms = false, factors = true } },
  labels = { "adaptive", true, { labels = true } },
  ["weights only"] = { { weights = "adaptive", acts = "mse" }, true },
  ["acts only"] = { { weights = "mse", acts = "adaptive" }, true },
  ["64 images"] = { "adaptive", true, { images = 64 } },
  ["1024 images"] = { "adaptive", true, { images = 1024 } },
  ["4096 images"] = { "adaptive", true, { images = 4096, cost = 1000 } },
}
local names = {}
for name in pairs(VARIANTS) do names[#names + 1] = name end
table.sort(names)

local cells = {}
for block = 1, 4 do
  for _, net in ipairs { "smallcnn", "resnet8", "depthwise" } do
    for _, name in ipairs(names) do cells[#cells + 1] = { block = block, net = net, variant = name, steps = 50 } end
  end
end

return qs.sweep {
  name = "ablation",
  inputs = { here .. "design.lua" },
  grid = cells,
  run = function(cell, job)
    local v, quant = VARIANTS[cell.variant], design.methods.lsq(2)
    quant.init, quant.follow, quant.adapt = v[1], v[2], v[3]
    local run, score = design.train(cell, cell.steps, quant, nil, job)
    local a = run.history.adapted
    return { accuracy = score.accuracy, raw = score.accuracy_raw, before = run.before.accuracy, before_raw = run.before.accuracy_raw,
             before_loss = run.before.loss, cost = a and a.steps or 0 }
  end,
}
