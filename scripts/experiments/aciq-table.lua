-- SPDX-License-Identifier: GPL-3.0-or-later
-- Puts what aciq.lua measured into EXPERIMENTS.md, between its own marks, and its cells into results/aciq.csv.
--
--     quantscope run scripts/experiments/aciq-table.lua aciq.db
local qs = require "quantscope"

local top = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/../.."
local report = dofile(top .. "/scripts/experiments/report.lua")
local BITS, NETS = { 2, 3, 4 }, { "mlp", "smallcnn", "resnet8", "depthwise" }
local ARMS = { "none", "clip", "clip+allocate", "clip+correct", "clip+allocate+correct", "published", "mse", "mse+allocate+correct" }
local WHAT = { weights = "Weights only", acts = "Inputs only", both = "Weights and inputs" }
local METRICS = { { "accuracy", "batch normalization re-estimated" }, { "raw", "the float net's own statistics" } }

local path = arg[1] or "aciq.db"
local cells = assert(assert(qs.results(path)):cells { sweep = "aciq" })

local sum, count, left, floats, draws = {}, {}, 0, {}, {}
for _, c in ipairs(cells) do
  local p, m = c.params, c.metrics
  if c.status ~= "done" then left = left + 1 else
    local key = table.concat({ p.what, p.bits, p.net, p.arm }, " ")
    for _, metric in ipairs { "accuracy", "raw", "moved" } do
      sum[metric .. key] = (sum[metric .. key] or 0) + (m[metric] or 0)
    end
    count[key], floats[p.net], draws[p.draw] = (count[key] or 0) + 1, m.float, true
  end
end

local function at(metric, what, bits, net, arm)
  local key = table.concat({ what, bits, net, arm }, " ")
  return count[key] and sum[metric .. key] / count[key]
end

local lines = { "## ACIQ, a part at a time, before any training", "",
  "Accuracy (per cent) of the bundled float nets on 2500 validation images right after initialization, one step a channel, first and last layer",
  "8 bits by `mse`; the float nets have " .. table.concat((function()
    local out = {}
    for _, net in ipairs(NETS) do out[#out + 1] = floats[net] and ("%s %.1f"):format(net, 100 * floats[net]) end
    return out
  end)(), ", ") .. ". none: min-max steps; clip: init `aciq`; allocate, correct: `quant.allocate`,",
  "`quant.correct`; published: as the paper is reported to have it, inputs clipped, weights min-max, both with bits allocated, weights",
  "corrected; mse: least squares in place of ACIQ's clip. A column's best in bold. Where two arms disagree on 3 % of the images, 0.7 points",
  "are two standard errors of their difference.", "" }
local function add(fmt, ...) lines[#lines + 1] = fmt:format(...) end

local function best(metric, what, bits, net)
  local most = 0
  for _, arm in ipairs(ARMS) do most = math.max(most, at(metric, what, bits, net, arm) or 0) end
  return most
end

-- One row an arm, one column a net and number of bits. An arm nobody measured has no row.
local function block(metric, title, what)
  local head, rule = { ("| %s; %s"):format(WHAT[what], title) }, { "|---" }
  for _, bits in ipairs(BITS) do
    for _, net in ipairs(NETS) do head[#head + 1], rule[#rule + 1] = (" %d %s"):format(bits, net), "---" end
  end
  add("%s |", table.concat(head, " |"))
  add("%s|", table.concat(rule, "|"))
  for _, arm in ipairs(ARMS) do
    local row, any = { "| " .. arm }, false
    for _, bits in ipairs(BITS) do
      for _, net in ipairs(NETS) do
        local a = at(metric, what, bits, net, arm)
        local text = a and ("%.1f"):format(100 * a) or "-"
        any = any or a
        row[#row + 1] = " " .. (a and a >= best(metric, what, bits, net) - 5e-5 and "**" .. text .. "**" or text)
      end
    end
    if any then add("%s |", table.concat(row, " |")) end
  end
  lines[#lines + 1] = ""
end
for _, what in ipairs { "weights", "acts", "both" } do
  for _, metric in ipairs(METRICS) do block(metric[1], metric[2], what) end
end

-- What a part adds: the mean over all cells where both are there.
local PARTS = { { "clip", "none", "clip, over min-max" }, { "clip+allocate", "clip", "bits allocated, over clip" },
  { "clip+correct", "clip", "corrected, over clip" }, { "clip+allocate+correct", "clip+correct", "bits allocated, over clip and corrected" },
  { "mse", "clip", "mse, over clip" }, { "mse+allocate+correct", "mse", "bits allocated and corrected, over mse" } }
add "Points that a part adds, mean over the cells (worst and best of them):"
add ""
add "| part | re-estimated | worst | best | float's statistics | worst | best | cells |"
add "|---|---|---|---|---|---|---|---|"
for _, part in ipairs(PARTS) do
  local row = { "| " .. part[3] }
  local n
  for _, metric in ipairs(METRICS) do
    local total, worst, most = 0, math.huge, -math.huge
    n = 0
    for what in pairs(WHAT) do
      for _, bits in ipairs(BITS) do
        for _, net in ipairs(NETS) do
          local a, b = at(metric[1], what, bits, net, part[1]), at(metric[1], what, bits, net, part[2])
          if a and b then
            total, n = total + a - b, n + 1
            worst, most = math.min(worst, a - b), math.max(most, a - b)
          end
        end
      end
    end
    if n > 0 then row[#row + 1] = (" %+.1f | %+.1f | %+.1f"):format(100 * total / n, 100 * worst, 100 * most) end
  end
  if n > 0 then add("%s | %d |", table.concat(row, " |"), n) end
end
add ""
local moved, channels = 0, 0
for key in pairs(count) do
  if key:find("allocate", 1, true) or key:find("published", 1, true) then
    moved, channels = moved + sum["moved" .. key] / count[key], channels + 1
  end
end
if channels > 0 then
  add("Where bits are allocated, %.1f %% of the channels get another number than the average. Mean and deviation of weights are corrected", 100 * moved / channels)
  add "for the output channels; re-estimated batch normalization takes out most of what the correction would, so the two columns differ."
  add ""
end
local n = 0
for _ in pairs(draws) do n = n + 1 end
if left > 0 then add("%d of %d cells are not done: `quantscope sweep scripts/experiments/aciq.lua --db %s` goes on.", left, #cells, path:match "[^/]*$"); add "" end
add("One run a cell and draw of the calibration images (%d). Commands: `quantscope sweep scripts/experiments/aciq.lua --db aciq.db`, then", n)
add "`quantscope run scripts/experiments/aciq-table.lua aciq.db`."
add("Version %s, %s. Machine: %s. Cells: `scripts/experiments/results/aciq.csv`.", qs.version, os.date "!%Y-%m-%d", report.machine())
report.put(top .. "/EXPERIMENTS.md", "aciq-table", lines)
report.csv(top .. "/scripts/experiments/results/aciq.csv", cells)
