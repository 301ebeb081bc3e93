-- SPDX-License-Identifier: GPL-3.0-or-later
-- An example of a sweep, about a minute on two cores: does it matter after a few steps where a quantizer starts? The bundled
-- smallcnn at 2 and 3 bits, three initializations, three seeds, on the bundled slice of Fashion-MNIST (for demonstration:
-- conclusions need the whole of it, and more steps).
--
--     quantscope sweep scripts/experiments/init-race.lua
--     quantscope results init-race.db --by bits,init --metric after --baseline init=lsq
local qs = require "quantscope"

return qs.sweep {
  name = "init-race",
  grid = { bits = { 2, 3 }, init = { "lsq", "mse", "minmax" }, seed = qs.range(1, 3) },
  run = function(cell, job)
    local d = assert(qs.dataset("fashion-mnist", { slice = true, val = 500 }))
    local run = assert(qs.train(assert(qs.bundled "smallcnn"), d, { steps = 60, batch = 64, lr = 0.01, seed = cell.seed,
      quant = { weights = cell.bits, acts = cell.bits, init = cell.init, learn = "lsq" } }))
    for s in run:steps() do job.progress(s.step / run.total, ("loss %.3f"):format(s.loss)) end
    local score = assert(run:validate())
    return { before = run.before.accuracy, after = score.accuracy, loss = score.loss, series = { loss = run.history.loss } }
  end,
}
