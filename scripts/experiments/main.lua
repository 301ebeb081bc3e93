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
--   own, own+follow     the method's own rule; the same, its inputs' steps followed
--   mse, mse+follow     least squares
--   lapq                its nearest published relative, with labels (100 training steps)
--   random              factors around least squares drawn at random, as many looks at the loss as 11 steps buy; followed
--   norms               adaptive told to ask the loss (4 steps): adapt = {norms = true}
--   adaptive            as it is by default (version 2): where steps learn, weights of 2 bits start where E|x - Q(x)|^3 is least,
--                       all else at least squares, nothing is followed; it costs nothing, so that mse is also "mse with the
--                       same compute spent on more training". At 3 bits and more it is mse, step for step, and is not run again.
--
-- The first version asked the loss everywhere and followed the inputs; what it gave is in EXPERIMENTS.md. The second was chosen on
-- blocks 21 to 28, which are not used here, at T = 15, 50 and 150.
--
-- Hypotheses (validation accuracy, paired by block): adaptive is not inferior to own and to mse in any cell (margin 0.2 points,
-- one-sided 95 %, Holm over cells); at 2 bits better than own for every T up to 150, and than mse at T = 15 and 50 (at 150 the
-- exploration showed nothing); its spread over blocks is not larger; half the steps of own to the same accuracy in the median
-- of the cells; no run diverges. Asking the loss (norms) and following gain nothing that pays for them at T = 50 and 150.
local qs = require "quantscope"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local design = dofile(here .. "design.lua")

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
local ARMS = {
  own = {}, ["own+follow"] = { follow = true }, mse = { init = "mse" }, ["mse+follow"] = { init = "mse", follow = true },
  lapq = { init = "lapq" }, random = { init = "adaptive", adapt = { norms = false, factors = "random", cost = 11 }, follow = true },
  norms = { init = "adaptive", adapt = { norms = true } }, adaptive = { init = "adaptive" },
}
local FEW, ALL = { "own", "mse", "adaptive" }, { "own", "own+follow", "mse", "mse+follow", "lapq", "random", "norms", "adaptive" }

-- What matters most is done first, block by block, so that what is there when time runs out is balanced: LSQ at 2 bits, the four
-- nets, T = 15 to 150; all arms in the first four blocks. Then the other cells, then an epoch, then everything.
local cells, there = {}, {}
local function add(block, c, steps, arms)
  for _, arm in ipairs(arms) do
    local key = table.concat({ block, c.net, c.method, c.bits, steps, arm }, " ")
    if not there[key] and not (arm == "adaptive" and c.bits > 2) then
      there[key] = true
      cells[#cells + 1] = { block = block, net = c.net, method = c.method, bits = c.bits, arm = arm, steps = steps }
    end
  end
end
local function part(from, to, lengths, arms, which)
  for block = from, to do
    for _, c in ipairs(CELLS) do
      if which(c) then
        for _, steps in ipairs(lengths) do add(block, c, steps, arms) end
      end
    end
  end
end
local function first(c) return c.method == "lsq" and c.bits == 2 end
local function other(c) return not first(c) end
part(1, 4, { 50, 150, 15 }, ALL, first)
part(5, 8, { 50, 150, 15 }, FEW, first)
part(1, 4, { 50 }, FEW, other)
part(1, 2, { 469 }, FEW, first)
part(1, 8, { 0, 15, 50, 150, 469 }, ALL, function() return true end)

return qs.sweep {
  name = "main",
  inputs = { here .. "design.lua" },
  grid = cells,
  run = function(cell, job)
    local arm, quant, own = ARMS[cell.arm], design.methods[cell.method](cell.bits)
    quant.init, quant.adapt, quant.follow = arm.init or own, arm.adapt, arm.follow or false
    local run, score = design.train(cell, cell.steps, quant, nil, job)
    local a = run.history.adapted
    return { accuracy = score.accuracy, loss = score.loss, before = run.before.accuracy, float = run.float.accuracy,
             diverged = run.state == "diverged" and 1 or 0, init_seconds = run.init_seconds, seconds = run.seconds,
             cost = a and a.steps or 0, series = design.log_steps(run) }
  end,
}
