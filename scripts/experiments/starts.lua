-- SPDX-License-Identifier: GPL-3.0-or-later
-- Where should the quantizers of a network start? No training: the loss and accuracy of the bundled float nets on 5000 validation
-- images right after initialization, every initialization in every cell of net x method x bits, with several draws of the
-- calibration images. First and last layer have 8 bits by least squares throughout. full Fashion-MNIST.
--
--     quantscope sweep scripts/experiments/starts.lua --db starts.db          (resumable: the same command goes on)
--     quantscope run scripts/experiments/starts-table.lua starts.db           writes the table into EXPERIMENTS.md
--
-- methods: lsq   int weights and inputs; own start: LSQ's rule
--          lsq+  int weights, inputs with an offset; own start: 3 sigma, (s, beta) search
--          apot  APoT levels, normalized weights; own start: clip 3 and 8
local qs = require "quantscope"

local METHODS = {
  lsq = function(b) return { weights = "int" .. b, acts = b, learn = "lsq" }, "lsq" end,
  ["lsq+"] = function(b) return { weights = "int" .. b, acts = ("uint%d+offset"):format(b), learn = "lsq+" }, "lsq+" end,
  apot = function(b) return { weights = "apot" .. b, acts = "uapot" .. b, learn = "rcf" }, "apot" end,
}

return qs.sweep {
  name = "starts",
  grid = {
    method = { "lsq", "lsq+", "apot" },
    bits = { 2, 3, 4 },
    net = { "mlp", "smallcnn", "resnet8", "depthwise" },
    init = { "own", "minmax", "lsq", "lsq+", "aciq", "octav", "mse", "lapq", "norms", "adaptive" },
    draw = { 1, 2 },
  },
  -- a method's own start is there under its own name
  where = function(c) return not (c.init == c.method) end,
  run = function(cell, job)
    local d = assert(qs.dataset("fashion-mnist", { val = 5000 }))
    local quant, own = METHODS[cell.method](cell.bits)
    local init = cell.init == "own" and own or cell.init
    if init == "norms" then init, quant.adapt = "adaptive", { factors = false } end
    quant.init, quant.follow = init, false
    local run = assert(qs.train(assert(qs.bundled(cell.net)), d, { steps = 1, seed = cell.draw, quant = quant }))
    local a = run.history.adapted
    return { accuracy = run.before.accuracy, loss = run.before.loss, float = run.float.accuracy, seconds = run.init_seconds,
             cost = a and a.steps or nil, p_weights = a and a.p_weights or nil, p_acts = a and a.p_acts or nil,
             first = a and a.first or nil, last = a and a.last or nil }
  end,
}
