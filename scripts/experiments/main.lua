-- SPDX-License-Identifier: GPL-3.0-or-later
-- Does the start matter after training, and for how long? Separate, fully decayed runs of T = 0, 15, 50, 150, 469 steps (an epoch)
-- from the same float net, batches and calibration images, differing only in where the quantizers start (and whether they are
-- followed). Full Fashion-MNIST, batch 128, SGD 0.01 cosine, first and last layer 8 bits by least squares in every arm,
-- batch normalization re-estimated at every evaluation.
--
--     for s in 2 3 4; do quantscope run scripts/train-bundled.lua --seed $s --to floats; done      (once: 3 more float nets of each)
--     quantscope sweep scripts/experiments/main.lua --db main.db                                   (resumable)
--
-- A block is a float net (the bundled one and three others), an order of batches and a draw of calibration images. Arms:
--   own, own+follow     the method's own rule; the same, its steps followed
--   mse, mse+follow     least squares
--   mse+steps           least squares, and the training steps that the adaptive start costs on top (of T)
--   lapq                its nearest published relative, with labels
--   random              adaptive's norms, its factors drawn at random, as many looks
--   adaptive            follows its inputs' steps, as it does unless told otherwise
--
-- Hypotheses (validation accuracy, paired by block): adaptive is not inferior to own and to mse in any cell (margin 0.2 points,
-- one-sided 95 %, Holm over cells); at 2 bits better than own for every T up to 150, and than mse+steps at T = 50 and 150;
-- its spread over blocks is not larger; no run diverges.
local qs = require "quantscope"

local CELLS = { -- 16, weighted to 2 bits
  { net = "mlp", method = "lsq", bits = 2 }, { net = "mlp", method = "lsq+", bits = 2 }, { net = "mlp", method = "apot", bits = 3 },
  { net = "smallcnn", method = "lsq", bits = 2 }, { net = "smallcnn", method = "lsq+", bits = 2 },
  { net = "smallcnn", method = "apot", bits = 3 }, { net = "smallcnn", method = "lsq", bits = 3 },
  { net = "resnet8", method = "lsq", bits = 2 }, { net = "resnet8", method = "lsq+", bits = 2 },
  { net = "resnet8", method = "apot", bits = 3 }, { net = "resnet8", method = "lsq", bits = 3 },
  { net = "depthwise", method = "lsq", bits = 2 }, { net = "depthwise", method = "lsq+", bits = 2 },
  { net = "depthwise", method = "apot", bits = 3 }, { net = "depthwise", method = "lsq", bits = 3 },
  { net = "depthwise", method = "lsq", bits = 4 },
}
local METHODS = {
  lsq = function(b) return { weights = "int" .. b, acts = b, learn = "lsq" }, "lsq" end,
  ["lsq+"] = function(b) return { weights = "int" .. b, acts = ("uint%d+offset"):format(b), learn = "lsq+" }, "lsq+" end,
  apot = function(b) return { weights = "apot" .. b, acts = "uapot" .. b, learn = "rcf" }, "apot" end,
}
-- What adaptive cost in starts.lua, in training steps, rounded up.
local COST = { mlp = 20, smallcnn = 60, resnet8 = 85, depthwise = 105 }
local ARMS = {
  own = {}, ["own+follow"] = { follow = true }, mse = { init = "mse" }, ["mse+follow"] = { init = "mse", follow = true },
  ["mse+steps"] = { init = "mse", more = true }, lapq = { init = "lapq" },
  random = { init = "adaptive", adapt = { factors = "random" }, follow = true }, adaptive = { init = "adaptive", follow = true },
}

local cells = {}
for block = 1, 8 do
  for _, c in ipairs(CELLS) do
    for _, steps in ipairs { 0, 15, 50, 150, 469 } do
      for _, arm in ipairs { "own", "own+follow", "mse", "mse+follow", "mse+steps", "lapq", "random", "adaptive" } do
        cells[#cells + 1] = { block = block, net = c.net, method = c.method, bits = c.bits, arm = arm, steps = steps }
      end
    end
  end
end

local function float_net(name, block)
  local k = (block - 1) % 4 + 1
  if k == 1 then return assert(qs.bundled(name)) end
  return assert(qs.nets[name]():load(assert(qs.load(("floats/%s-%d.safetensors"):format(name, k)))))
end

return qs.sweep {
  name = "main",
  grid = cells,
  run = function(cell, job)
    local d = assert(qs.dataset("fashion-mnist", { val = 5000 }))
    local arm, quant, own = ARMS[cell.arm], METHODS[cell.method](cell.bits)
    quant.init, quant.adapt, quant.follow = arm.init or own, arm.adapt, arm.follow or false
    local steps = cell.steps + (arm.more and COST[cell.net] or 0)
    local run = assert(qs.train(float_net(cell.net, cell.block), d, { steps = math.max(1, steps), seed = cell.block, quant = quant }))
    local score = run.before
    if steps > 0 then
      for s in run:steps() do job.progress(s.step / run.total) end
      score = run:validate()
    end
    local a = run.history.adapted
    return { accuracy = score.accuracy, loss = score.loss, before = run.before.accuracy, float = run.float.accuracy,
             diverged = run.state == "diverged" and 1 or 0, init_seconds = run.init_seconds, seconds = run.seconds,
             cost = a and a.steps or 0 }
  end,
}
