-- SPDX-License-Identifier: GPL-3.0-or-later
-- Puts what starts.lua measured into EXPERIMENTS.md, between its own marks, and its cells into results/starts.csv.
--
--     quantscope run scripts/experiments/starts-table.lua starts.db
local qs = require "quantscope"

local top = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/../.."
local report = dofile(top .. "/scripts/experiments/report.lua")
local METHODS, AXES, BITS = { "lsq", "lsq+", "apot" }, { "tensor", "channel" }, { 2, 3, 4 }
local NETS = { "mlp", "smallcnn", "resnet8", "depthwise", "folded" }
local INITS = { "own", "minmax", "lsq", "lsq+", "aciq", "octav", "pact", "mse", "lapq", "norm3", "norms", "adaptive" }

local path = arg[1] or "starts.db"
local r = assert(qs.results(path))
local cells = assert(r:cells{ sweep = "starts" })

-- mean["method axis bits net init"]: over the draws; a method's own rule is not there a second time under its name
local mean, counts, draws, left, cost = {}, {}, {}, 0, {}
for i = #cells, 1, -1 do -- before any training pact differs from lsq in its own start alone
  if cells[i].params.method == "pact" and cells[i].params.init ~= "own" then table.remove(cells, i) end
end
for _, c in ipairs(cells) do
  local p, m = c.params, c.metrics
  if c.status ~= "done" then left = left + 1 else
    local key = table.concat({ p.method, p.axis, p.bits, p.net, p.init }, " ")
    mean[key] = (mean[key] or 0) + m.accuracy
    counts[key] = (counts[key] or 0) + 1
    draws[p.draw] = true
    if m.cost then
      cost[p.init] = cost[p.init] or { n = 0, steps = 0, seconds = 0 }
      local k = cost[p.init]
      k.n, k.steps, k.seconds = k.n + 1, k.steps + m.cost, k.seconds + m.seconds
    end
  end
end
local function at(method, axis, bits, net, init)
  if init == method then init = "own" end
  if init == "pact" then -- its formats are lsq's
    if method ~= "lsq" then return end
    method, init = "pact", "own"
  end
  local key = table.concat({ method, axis, bits, net, init }, " ")
  return counts[key] and mean[key] / counts[key]
end

local function each_cell(f)
  for _, method in ipairs(METHODS) do
    for _, axis in ipairs(AXES) do
      for _, bits in ipairs(BITS) do
        for _, net in ipairs(NETS) do f(method, axis, bits, net) end
      end
    end
  end
end

local function best(method, axis, bits, net)
  local most = 0
  for _, init in ipairs(INITS) do most = math.max(most, at(method, axis, bits, net, init) or 0) end
  return most
end

-- How far an init stays behind the best one, over all cells.
local function shortfall(init)
  local sum, n, worst, where = 0, 0, -1, ""
  each_cell(function(method, axis, bits, net)
    local a = at(method, axis, bits, net, init)
    if not a then return end
    local behind = best(method, axis, bits, net) - a
    sum, n = sum + behind, n + 1
    if behind > worst then worst, where = behind, ("%s %d bits %s a %s"):format(method, bits, net, axis) end
  end)
  return n > 0 and sum / n, worst, where, n
end

local lines = { "## Where quantizers start, before any training", "",
  "Validation accuracy (5000 images, per cent) of the bundled float nets right after initialization, mean of the draws of the calibration",
  ("images that are done (up to %d); first and last layer 8 bits, `mse`. own: the method's own rule. norm3: `adaptive` as it is where steps are learned; norms: with the norms the loss chooses; adaptive: and with factors, as it is where nothing is learned. folded: depthwise, batch normalization folded. One step a tensor, or one a channel of the weights. Best of a column in bold."):format(#draws), "" }
local function add(fmt, ...) lines[#lines + 1] = fmt:format(...) end
local function table_of(method, axis)
  local columns, head, rule = {}, { ("| %s, a %s"):format(method, axis) }, { "|---" }
  for _, bits in ipairs(BITS) do
    for _, net in ipairs(NETS) do
      if best(method, axis, bits, net) > 0 then
        columns[#columns + 1] = { bits, net }
        head[#head + 1], rule[#rule + 1] = (" %d %s"):format(bits, net), "---"
      end
    end
  end
  if #columns == 0 then return end
  add("%s |", table.concat(head, " |"))
  add("%s|", table.concat(rule, "|"))
  for _, init in ipairs(INITS) do
    local row = { "| " .. init }
    for _, c in ipairs(columns) do
      local a = at(method, axis, c[1], c[2], init)
      local text = a and ("%.1f"):format(100 * a) or "-"
      row[#row + 1] = " " .. (a and a >= best(method, axis, c[1], c[2]) - 5e-5 and "**" .. text .. "**" or text)
    end
    if init ~= method and (init ~= "pact" or method == "lsq") then add("%s |", table.concat(row, " |")) end
  end
  lines[#lines + 1] = ""
end
for _, method in ipairs(METHODS) do
  for _, axis in ipairs(AXES) do table_of(method, axis) end
end
add "Points behind the best start of each cell, over all cells:"
add ""
add "| start | mean | worst | where | cells | cost in training steps | seconds |"
add "|---|---|---|---|---|---|---|"
for _, init in ipairs(INITS) do
  local m, w, where, n = shortfall(init)
  local k = cost[init]
  if m then
    add("| %s | %.1f | %.1f | %s | %d | %s | %s |", init, 100 * m, 100 * w, where, n, k and ("%.0f"):format(k.steps / k.n) or "",
        k and ("%.1f"):format(k.seconds / k.n) or "")
  end
end
add ""
if left > 0 then add("%d of %d cells are not done: `quantscope sweep scripts/experiments/starts.lua --db %s` goes on.", left, #cells, path:match "[^/]*$"); add "" end
add("Commands: `quantscope sweep scripts/experiments/starts.lua --db starts.db`, then `quantscope run scripts/experiments/starts-table.lua starts.db`.")
add("Version %s, %s. Machine: %s. Cells: `scripts/experiments/results/starts.csv`.", qs.version, os.date "!%Y-%m-%d", report.machine())
report.put(top .. "/EXPERIMENTS.md", "starts-table", lines)
report.csv(top .. "/scripts/experiments/results/starts.csv", cells)
