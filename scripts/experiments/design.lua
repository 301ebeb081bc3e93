-- SPDX-License-Identifier: GPL-3.0-or-later
-- What the experiments with training share: data, float nets, methods, and a decayed run of T steps from a block's float net.
--
-- Full Fashion-MNIST, batch 128, SGD 0.01 cosine, first and last layer 8 bits by least squares in every arm, batch
-- normalization re-estimated at every evaluation. A block is a float net (the bundled one and three others), an order of
-- batches and a draw of calibration images.
local qs = require "quantscope"

local M = {}

-- quant options without init and follow, and the method's own rule
M.methods = {
  lsq = function(b) return { weights = "int" .. b, acts = b, learn = "lsq" }, "lsq" end,
  ["lsq+"] = function(b) return { weights = "int" .. b, acts = ("uint%d+offset"):format(b), learn = "lsq+" }, "lsq+" end,
  apot = function(b) return { weights = "apot" .. b, acts = "uapot" .. b, learn = "rcf" }, "apot" end,
  pact = function(b)
    return { weights = "int" .. b, acts = "uint" .. b, learn = { weights = "lsq", acts = "pact" } }, { weights = "lsq", acts = "pact" }
  end,
}

function M.data() return assert(qs.dataset("fashion-mnist", { val = 5000 })) end

function M.float_net(name, block)
  local k = (block - 1) % 4 + 1
  if k == 1 then return assert(qs.bundled(name)) end
  return assert(qs.nets[name]():load(assert(qs.load(("floats/%s-%d.safetensors"):format(name, k)))))
end

-- A run of cell = {net=, block=, ...}, and where it ended: {accuracy, loss, accuracy_raw}. steps 0: as it started.
function M.train(cell, steps, quant, opts, job)
  local o = { steps = math.max(1, steps), seed = cell.block, quant = quant }
  for k, v in pairs(opts or {}) do o[k] = v end
  local run = assert(qs.train(M.float_net(cell.net, cell.block, cell), M.data(cell), o))
  if steps == 0 then return run, run.before end
  for s in run:steps() do job.progress(s.step / run.total) end
  return run, run:validate()
end

-- Logarithms of the steps of all quantizers that are compared, in one order: where they started, and where they ended.
function M.log_steps(run)
  local q, names, out = run.history.quantizers, {}, { start_steps = {}, end_steps = {} }
  for name, h in pairs(q) do
    if not h.format:find "int8" then names[#names + 1] = name end
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local step = q[name].step
    out.start_steps[i], out.end_steps[i] = math.log(step[1]), math.log(step[#step])
  end
  return out
end

return M
