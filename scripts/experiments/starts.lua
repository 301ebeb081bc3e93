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
--          pact  int weights (LSQ), inputs clipped at a learned alpha; own start: LSQ's rule, alpha = 10
-- axis:    one step a tensor, or one an output channel of the weights
-- folded   depthwise, its batch normalization folded into the convolutions
-- norm3: the adaptive start as it is where steps are learned, no loss asked; norms: with the norms the loss chooses; adaptive: and
-- with factors, as it is where nothing is learned.
local qs = require "quantscope"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local design = dofile(here .. "design.lua")

-- One step a tensor, the four nets, first; then the rest: what is there when time runs out is balanced.
local cells = {}
for part = 1, 2 do
  for draw = 1, 2 do
    for _, method in ipairs { "lsq", "lsq+", "apot", "pact" } do
      for bits = 2, 4 do
        for _, net in ipairs { "mlp", "smallcnn", "resnet8", "depthwise", "folded" } do
          for _, axis in ipairs { "tensor", "channel" } do
            local first = axis == "tensor" and net ~= "folded" and draw == 1
            for _, init in ipairs { "own", "minmax", "lsq", "lsq+", "aciq", "octav", "mse", "lapq", "norm3", "norms", "adaptive" } do
              -- A method's own start is there under its own name; before any training pact differs from lsq in that alone.
              if init ~= method and (method ~= "pact" or init == "own") and first == (part == 1) then
                cells[#cells + 1] = { method = method, bits = bits, net = net, axis = axis, init = init, draw = draw }
              end
            end
          end
        end
      end
    end
  end
end

return qs.sweep {
  name = "starts",
  inputs = { here .. "design.lua" },
  grid = cells,
  run = function(cell, job)
    local quant, own = design.methods[cell.method](cell.bits)
    local init = cell.init == "own" and own or cell.init
    local asks = ({ norm3 = {}, norms = { norms = true, factors = false }, adaptive = { norms = true, factors = true } })[init]
    if asks then quant.adapt, init = asks, "adaptive" end
    if cell.axis == "channel" then quant.weights = quant.weights .. "@channel" end
    quant.init, quant.follow = init, false
    local net = assert(qs.bundled(cell.net == "folded" and "depthwise" or cell.net))
    if cell.net == "folded" then net = net:fold() end
    local run = assert(qs.train(net, design.data(), { steps = 1, seed = cell.draw, quant = quant }))
    local a = run.history.adapted
    return { accuracy = run.before.accuracy, loss = run.before.loss, float = run.float.accuracy, seconds = run.init_seconds,
             cost = a and a.steps or nil, p_weights = a and a.p_weights or nil, p_acts = a and a.p_acts or nil,
             first = a and a.first or nil, last = a and a.last or nil }
  end,
}
