-- SPDX-License-Identifier: GPL-3.0-or-later
-- Which part of the adaptive initialization does what, at 2 bits, after 50 steps?
--
--     quantscope sweep scripts/experiments/ablation.lua --db ablation.db      (float nets: as for main.lua)
local qs = require "quantscope"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local design = dofile(here .. "design.lua")
local ACTS, WEIGHTS, BOTH, NONE = { acts = true }, { acts = false, weights = true }, { acts = true, weights = true }, false
local function weights(init) return { weights = init, acts = "mse" } end
local function acts(init) return { weights = "mse", acts = init } end
local VARIANTS = { -- init (both, or {weights=, acts=}), follow, adapt
  mse = { "mse", NONE },
  full = { "adaptive", NONE },
  ["weights p=2.5"] = { weights "lp:2.5", NONE }, ["weights p=4"] = { weights "lp:4", NONE },
  ["inputs p=3"] = { acts "lp:3", NONE }, ["inputs p=1.5"] = { acts "lp:1.5", NONE },
  ["and follow"] = { "adaptive", ACTS }, ["and follow upto 0.3"] = { "adaptive", { acts = true, upto = 0.3 } },
  ["and follow weights"] = { "adaptive", WEIGHTS }, ["and follow both"] = { "adaptive", BOTH },
  ["norms by the loss"] = { "adaptive", NONE, { norms = true } },
  ["by the loss, weights only"] = { { weights = "adaptive", acts = "mse" }, NONE, { norms = true } },
  ["by the loss, inputs only"] = { { weights = "mse", acts = "adaptive" }, NONE, { norms = true } },
  ["by the loss, labels"] = { "adaptive", NONE, { norms = true, labels = true } },
  ["by the loss, 64 images"] = { "adaptive", NONE, { norms = true, images = 64 } },
  ["by the loss, 1024 images"] = { "adaptive", NONE, { norms = true, images = 1024 } },
  ["by the loss, 4096 images"] = { "adaptive", NONE, { norms = true, images = 4096, cost = 1000 } },
  ["norms and factors"] = { "adaptive", NONE, { norms = true, factors = true } },
  ["factors alone"] = { "adaptive", NONE, { norms = false, factors = true } },
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
