-- SPDX-License-Identifier: GPL-3.0-or-later
-- ACIQ as a whole post-training method (Banner et al. 2019), a part at a time: the bundled float nets, one step a channel, no
-- training. Accuracy on 2500 validation images right after initialization, with batch normalization re-estimated and with the statistics of the
-- float net. First and last layer have 8 bits by least squares throughout. full Fashion-MNIST.
--
--     quantscope sweep scripts/experiments/aciq.lua --db aciq.db          (resumable: the same command goes on)
--     quantscope run scripts/experiments/aciq-table.lua aciq.db           writes the table into EXPERIMENTS.md
--
-- arms: none       min-max steps
--       clip       ACIQ's clip, by the better of a normal and a Laplace distribution
--       allocate   bits shared out between channels, the same number on average
--       correct    mean and deviation of every output channel's weights given back
--       published  activations clipped, weights not; both with bits allocated, weights corrected
--       mse        least-squares steps instead of ACIQ's clip
local qs = require "quantscope"

local ARMS = {
  none = { init = "minmax" },
  clip = { init = "aciq" },
  ["clip+allocate"] = { init = "aciq", allocate = true },
  ["clip+correct"] = { init = "aciq", correct = true },
  ["clip+allocate+correct"] = { init = "aciq", allocate = true, correct = true },
  published = { init = { weights = "minmax", acts = "aciq" }, allocate = true, correct = true },
  mse = { init = "mse" },
  ["mse+allocate+correct"] = { init = "mse", allocate = true, correct = true },
}

return qs.sweep {
  name = "aciq",
  grid = {
    draw = { 1 },   -- of the calibration images
    bits = { 4, 3, 2 },
    net = { "mlp", "smallcnn", "resnet8", "depthwise" },
    what = { "weights", "acts", "both" },
    arm = { "none", "clip", "clip+allocate", "clip+correct", "clip+allocate+correct", "published", "mse", "mse+allocate+correct" },
  },
  -- without quantized weights there is nothing to correct, and the published method is clip+allocate
  where = function(c) return not (c.what == "acts" and (c.arm:find("clip.*correct") or c.arm == "published")) end,
  run = function(cell, job)
    local d = assert(qs.dataset("fashion-mnist", { val = 5000 }))
    local quant = { learn = "none" }
    for k, v in pairs(ARMS[cell.arm]) do quant[k] = v end
    quant.weights = cell.what ~= "acts" and ("int%d@channel"):format(cell.bits)
    quant.acts = cell.what ~= "weights" and ("%d@channel"):format(cell.bits)
    local run = assert(qs.train(assert(qs.bundled(cell.net)), d, { steps = 1, seed = cell.draw, val_limit = 2500, quant = quant }))
    local moved, channels = 0, 0   -- channels whose bits are not the average
    for _, q in pairs(run.history.quantizers) do
      for _, b in ipairs(q.bits or {}) do
        channels, moved = channels + 1, moved + (b ~= cell.bits and 1 or 0)
      end
    end
    return { accuracy = run.before.accuracy, raw = run.before.accuracy_raw, loss = run.before.loss, float = run.float.accuracy,
             seconds = run.init_seconds, moved = channels > 0 and moved / channels or nil }
  end,
}
