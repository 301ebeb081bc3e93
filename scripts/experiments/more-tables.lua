-- SPDX-License-Identifier: GPL-3.0-or-later
-- Puts what rate.lua, ablation.lua, gap.lua, map.lua and heldback.lua measured into EXPERIMENTS.md, and their cells into results/.
--
--     quantscope run scripts/experiments/more-tables.lua rate rate.db
--     quantscope run scripts/experiments/more-tables.lua ablation ablation.db      (gap, map, heldback: likewise)
local qs = require "quantscope"

local top = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/../.."
local report = dofile(top .. "/scripts/experiments/report.lua")
local NETS = { "smallcnn", "resnet8", "depthwise" }

local mean_std = report.mean_std

local function blocks_text(n) return n == 1 and "1 block" or n .. " blocks" end

local function percent(v)
  if not v or #v == 0 then return " " end
  local m, s = mean_std(v)
  return s and ("%.2f ± %.2f"):format(100 * m, 100 * s) or ("%.2f"):format(100 * m)
end

-- values of a metric of the cells that are done: {[key] = {value, ...}}, in the order of the cells; the number of blocks
local function collect(cells, metric, key)
  local out, blocks = {}, {}
  for _, c in ipairs(cells) do
    if c.status == "done" and c.metrics[metric] then
      local k = key(c.params)
      out[k] = out[k] or {}
      table.insert(out[k], c.metrics[metric])
      blocks[c.params.block] = true
    end
  end
  local n = 0
  for _ in pairs(blocks) do n = n + 1 end
  return out, n
end

local lines
local function add(fmt, ...) lines[#lines + 1] = select("#", ...) > 0 and fmt:format(...) or fmt end

local function rate(cells)
  local key = function(p) return ("%s %s %g"):format(p.net, p.arm, p.rate) end
  local val, n = collect(cells, "accuracy", key)
  local test = collect(cells, "test", key)
  local RATES, ARMS = { 0, 0.1, 1, 10, 30 }, { "own", "mse", "adaptive" }
  add "## Start, or the rate at which steps learn?"
  add ""
  add("Validation accuracy (5000 images, per cent, mean ± deviation over %s) at 2 bits (LSQ) after 50 steps, by the steps'", blocks_text(n))
  add "learning rate as a multiple of the weights'; 0: frozen where they started. Last column: test accuracy (10,000 images) at the rate"
  add "that was best on validation."
  add ""
  add "| net | start | frozen | 0.1 | 1 | 10 | 30 | best: test |"
  add "|---|---|---|---|---|---|---|---|"
  for _, net in ipairs(NETS) do
    for _, arm in ipairs(ARMS) do
      local row, best, most = {}, nil, -1
      for _, r in ipairs(RATES) do
        local k = ("%s %s %g"):format(net, arm, r)
        row[#row + 1] = percent(val[k])
        local m = val[k] and mean_std(val[k]) or -1
        if m > most and r > 0 then best, most = k, m end
      end
      add("| %s | %s | %s | %s |", net, arm, table.concat(row, " | "), best and (best:match "[^ ]*$" .. ": " .. percent(test[best])) or "")
    end
  end
end

local function ablation(cells)
  local key = function(p) return p.net .. " " .. p.variant end
  local after, n = collect(cells, "accuracy", key)
  local raw, before, cost = collect(cells, "raw", key), collect(cells, "before", key), collect(cells, "cost", function(p) return p.variant end)
  local names, seen = {}, {}
  for _, c in ipairs(cells) do
    if not seen[c.params.variant] then seen[c.params.variant], names[#names + 1] = true, c.params.variant end
  end
  add "## What in the adaptive initialization does what"
  add ""
  add("Validation accuracy (per cent, up to %s; without ± one) at 2 bits (LSQ) before training and after 50 steps; full: adaptive as it is by default, mse:", blocks_text(n))
  add "least squares, not followed. raw: with the batch normalization's running statistics as training left them, not re-estimated. cost in training steps."
  add ""
  add "| variant | smallcnn T = 0 | T = 50 | raw | resnet8 T = 0 | T = 50 | raw | depthwise T = 0 | T = 50 | raw | cost |"
  add "|---|---|---|---|---|---|---|---|---|---|---|"
  for _, name in ipairs(names) do
    local row = {}
    for _, net in ipairs(NETS) do
      local k = net .. " " .. name
      local b, w = before[k] and ("%.1f"):format(100 * mean_std(before[k])) or " ", raw[k] and ("%.1f"):format(100 * mean_std(raw[k])) or " "
      row[#row + 1] = b .. " | " .. percent(after[k]) .. " | " .. w
    end
    add("| %s | %s | %s |", name, table.concat(row, " | "), cost[name] and ("%.0f"):format((mean_std(cost[name]))) or "")
  end
end

-- Of each net the quantizers in the order of their gap, as far as all blocks agree about its sign.
local function gap(cells)
  add "## Where least squares and the loss disagree, before training"
  add ""
  add "ln(s_task / s_mse) of every quantizer at 2 bits, mean ± deviation over the blocks: where the loss of the network would have the step"
  add "(norms and factors, `adaptive` asked), against least squares. loss: the divergence from the float outputs, with all that was chosen"
  add "as a part of that at least squares."
  add ""
  add "| net | blocks | loss | weights, mean | inputs, mean | each |"
  add "|---|---|---|---|---|---|"
  for _, net in ipairs { "mlp", "smallcnn", "resnet8", "depthwise" } do
    local by, names, loss, kind = {}, {}, {}, { weight = {}, input = {} }
    for _, c in ipairs(cells) do
      if c.status == "done" and c.params.net == net then
        loss[#loss + 1] = c.metrics.last / c.metrics.first
        for name, x in pairs(c.metrics) do
          local k = name:match "%.(%a+)$"
          if kind[k] then
            if not by[name] then by[name], names[#names + 1] = {}, name end
            table.insert(by[name], x)
            table.insert(kind[k], x)
          end
        end
      end
    end
    table.sort(names, function(a, b) return mean_std(by[a]) < mean_std(by[b]) end)
    local each = {}
    for _, name in ipairs(names) do
      local m, s = mean_std(by[name])
      each[#each + 1] = ("%s %+.2f ± %.2f"):format(name, m, s or 0)
    end
    if #loss > 0 then
      add("| %s | %d | %.2f | %+.2f | %+.2f | %s |", net, #loss, mean_std(loss), mean_std(kind.weight), mean_std(kind.input), table.concat(each, ", "))
    end
  end
end

local function heldback(cells)
  local key = function(p) return ("%s %d %s"):format(p.task, p.steps, p.arm) end
  local val, n = collect(cells, "accuracy", key)
  local test, before, at = collect(cells, "test", key), collect(cells, "before", key), {}
  for _, c in ipairs(cells) do
    if c.status == "done" then at[key(c.params) .. " " .. c.params.block] = c.metrics.accuracy end
  end
  local function against(task, steps, other)
    local d = {}
    for block = 1, 99 do
      local a, b = at[("%s %d adaptive %d"):format(task, steps, block)], at[("%s %d %s %d"):format(task, steps, other, block)]
      if a and b then d[#d + 1] = a - b end
    end
    local m, s = mean_std(d)
    return #d > 1 and ("%+.2f ± %.2f"):format(100 * m, 100 * s / math.sqrt(#d)) or " "
  end
  add "## What was held back"
  add ""
  add("LeNet on Fashion-MNIST, and smallcnn on MNIST, LSQ at 2 bits: nothing of them was looked at while the adaptive initialization was made. Per cent, mean ± deviation over %s;", blocks_text(n))
  add "last columns: adaptive less that arm on validation, points, mean ± standard error over pairs of one block."
  add ""
  add "| task | T | start | before | validation | test | against own | against mse |"
  add "|---|---|---|---|---|---|---|---|"
  for _, task in ipairs { "lenet", "mnist" } do
    for _, steps in ipairs { 50, 150 } do
      for _, arm in ipairs { "own", "mse", "adaptive" } do
        local k = ("%s %d %s"):format(task, steps, arm)
        local last = arm == "adaptive"
        add("| %s | %d | %s | %s | %s | %s | %s | %s |", task, steps, arm, percent(before[k]), percent(val[k]), percent(test[k]),
            last and against(task, steps, "own") or "", last and against(task, steps, "mse") or "")
      end
    end
  end
end

-- Least squares times a factor, of all weights or of all inputs: what training is left with, against least squares.
local function map(cells)
  local FACTORS, at, n = { 0.7, 0.85, 1.2, 1.45 }, {}, 0
  local function key(net, block, w, a) return ("%s %d %g %g"):format(net, block, w, a) end
  for _, c in ipairs(cells) do
    local p = c.params
    if c.status == "done" then
      at[key(p.net, p.block, p.weights, p.acts)] = c.metrics.accuracy
      n = math.max(n, p.block)
    end
  end
  add "## Around least squares, after training"
  add ""
  add("All weights' steps, or all inputs', times a factor at the start; LSQ at 2 bits, 50 steps, nothing followed. Points on validation more than from")
  add("least squares, mean ± standard error over up to %s; without ± one.", blocks_text(n))
  add ""
  add "| net | weights x 0.7 | 0.85 | 1.2 | 1.45 | inputs x 0.7 | 0.85 | 1.2 | 1.45 |"
  add "|---|---|---|---|---|---|---|---|---|"
  for _, net in ipairs { "mlp", "smallcnn", "resnet8", "depthwise" } do
    local row = {}
    for _, of in ipairs { "weights", "inputs" } do
      for _, f in ipairs(FACTORS) do
        local d = {}
        for block = 1, n do
          local x, base = at[key(net, block, of == "weights" and f or 1, of == "inputs" and f or 1)], at[key(net, block, 1, 1)]
          if x and base then d[#d + 1] = x - base end
        end
        local m, s = 0, nil
        if #d > 0 then m, s = mean_std(d) end
        row[#row + 1] = #d == 0 and " " or s and ("%+.2f ± %.2f"):format(100 * m, 100 * s / math.sqrt(#d)) or ("%+.2f"):format(100 * m)
      end
    end
    add("| %s | %s |", net, table.concat(row, " | "))
  end
end

local TABLES = { rate = rate, ablation = ablation, gap = gap, heldback = heldback, map = map }
local what, path = arg[1], arg[2]
local make = assert(TABLES[what], "more-tables: rate, ablation, gap, map or heldback, and a database")
local r = assert(qs.results(path or what .. ".db"))
local cells, left = assert(r:cells{ sweep = what }), 0
for _, c in ipairs(cells) do left = left + (c.status ~= "done" and 1 or 0) end
lines = {}
make(cells)
add ""
if left > 0 then add("%d of %d cells are not done: `quantscope sweep scripts/experiments/%s.lua --db %s.db` goes on.", left, #cells, what, what) add "" end
add("Commands: `quantscope sweep scripts/experiments/%s.lua --db %s.db`, then `quantscope run scripts/experiments/more-tables.lua %s %s.db`.", what, what, what, what)
add("Version %s, %s. Machine: %s. Cells: `scripts/experiments/results/%s.csv`.", qs.version, os.date "!%Y-%m-%d", report.machine(), what)
report.put(top .. "/EXPERIMENTS.md", what, lines, "more-tables")
report.csv(("%s/scripts/experiments/results/%s.csv"):format(top, what), cells)
