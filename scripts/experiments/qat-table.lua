-- SPDX-License-Identifier: GPL-3.0-or-later
-- One epoch of LSQ on full Fashion-MNIST, from the bundled float smallcnn: W4A4, W3A3, W2A2, three seeds, `mse` start. Puts
-- the table into EXPERIMENTS.md, between its own marks.
--
--     quantscope run scripts/experiments/qat-table.lua          measures and writes (test images, once a run)
--     quantscope run scripts/experiments/qat-table.lua tune     tries learning rates, seed 1, on the validation images
--
-- Validation are the last 5000 training images, which neither the float net nor these runs were trained on. The rates below
-- were chosen with `tune`; the test images had no say.
local qs = require "quantscope"

local NET, VAL, SEEDS = "smallcnn", 5000, { 1, 2, 3 }
local ROWS = { -- bits of weights and activations; first and last layer have 8
  { bits = 4, lr = 0.02, step_rate = 1, within = 0.5 },
  { bits = 3, lr = 0.01, step_rate = 1, within = 1 },
  { bits = 2, lr = 0.03, step_rate = 1, within = 2 },
}
local LRS, RATES = { 0.01, 0.03 }, { 1 }

local top = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/../.."

local report = dofile(top .. "/scripts/experiments/report.lua")
local percent = report.percent

local function mean_std(v)
  local m, s = 0, 0
  for _, x in ipairs(v) do m = m + x / #v end
  for _, x in ipairs(v) do s = s + (x - m) ^ 2 / (#v - 1) end
  return m, math.sqrt(s)
end

local function start(net, d, bits, lr, step_rate, seed)
  return assert(qs.train(net, d, { epochs = 1, batch = 128, lr = lr, step_rate = step_rate, weight_decay = 1e-4, seed = seed,
    record = 50, quant = { weights = bits, acts = bits, init = "mse", learn = "lsq" } }))
end

local function tune(net, d)
  print(("float: validation %s %%"):format(percent(net:evaluate(d, "val").accuracy)))
  for _, row in ipairs(ROWS) do
    for _, lr in ipairs(LRS) do
      for _, rate in ipairs(RATES) do
        local run = start(net, d, row.bits, lr, rate, 1):finish()
        print(("W%dA%d lr %g step_rate %g: validation %s %% (before %s %%), %.0f s"):format(row.bits, row.bits, lr, rate,
              percent(run:validate().accuracy), percent(run.before.accuracy), run.seconds))
      end
    end
  end
end

local function measure(net, d)
  local float = assert(net:evaluate(d, "test"))
  local out = { "| format | before | seed 1 | seed 2 | seed 3 | mean | std | below float | promised | lr | seconds |",
                "|---|---|---|---|---|---|---|---|---|---|---|",
                ("| float | | | | | %s | | | at least 91 | | |"):format(percent(float.accuracy)) }
  for _, row in ipairs(ROWS) do
    local acc, before, seconds = {}, {}, 0
    for i, seed in ipairs(SEEDS) do
      local run = assert(start(net, d, row.bits, row.lr, row.step_rate, seed):finish())
      acc[i], before[i], seconds = run:test().accuracy, run.before.accuracy, seconds + run.seconds / #SEEDS
      print(("W%dA%d seed %d: %s %%"):format(row.bits, row.bits, seed, percent(acc[i])))
    end
    local mean, std = mean_std(acc)
    out[#out + 1] = ("| W%dA%d | %s | %s | %s | %s | **%s** | %.2f | %.2f | at most %g | %g | %.0f |"):format(row.bits, row.bits,
      percent((mean_std(before))), percent(acc[1]), percent(acc[2]), percent(acc[3]), percent(mean), 100 * std,
      100 * (float.accuracy - mean), row.within, row.lr, seconds)
  end
  return out
end

local d = assert(qs.dataset("fashion-mnist", { val = VAL }))
if d.slice then
  io.stderr:write("qat-table: the whole of Fashion-MNIST is needed (package dataset-fashion-mnist)\n")
  os.exit(1)
end
local net = assert(qs.bundled(NET))
if arg[1] == "tune" then return tune(net, d) end

local lines = { "## One epoch of LSQ: W4A4, W3A3, W2A2", "",
  ("The bundled float `%s`, trained further for one epoch with 4-, 3- and 2-bit weights and activations (first and last layer"):
    format(NET),
  "8 bits): init `mse`, learn `lsq`, SGD with momentum 0.9, batch 128, cosine schedule, weight decay 1e-4, no augmentation.",
  "Test accuracy in per cent, batch-normalization statistics re-estimated on 2048 training images. before: validation accuracy",
  "after initialization, before the first step. Learning rates were chosen on validation images (`tune`).", "" }
table.move(measure(net, d), 1, 100, #lines + 1, lines)
for _, l in ipairs{ "", "Command: `quantscope run scripts/experiments/qat-table.lua`. Version " .. qs.version .. ", " ..
                        os.date "!%Y-%m-%d" .. ". Machine: " .. report.machine() .. ".", "Data: " .. d.note .. "." } do
  lines[#lines + 1] = l
end
report.put(top .. "/EXPERIMENTS.md", "qat-table", lines)
