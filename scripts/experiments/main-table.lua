-- SPDX-License-Identifier: GPL-3.0-or-later
-- Puts what main.lua measured into EXPERIMENTS.md, between its own marks, and its cells into results/main.csv.
--
--     quantscope run scripts/experiments/main-table.lua main.db
--
-- Only blocks in which every arm of a cell is done are compared. Tests: exact sign flips of the paired differences, one-sided,
-- with Holm's correction over the cells; intervals: 95 %, Student's t.
local qs = require "quantscope"

local top = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/../.."
local report = dofile(top .. "/scripts/experiments/report.lua")
local ARMS = { "own", "own+follow", "mse", "mse+follow", "mse+steps", "lapq", "random", "adaptive" }
local MARGIN = 0.002

local path = arg[1] or "main.db"
local r = assert(qs.results(path))
local cells = assert(r:cells{ sweep = "main" })

-- ---- what is there -------------------------------------------------------------------------------------------
-- by[cell][steps][block][arm] = metrics; cell: "net method bits"
local by, names, all_steps, left, diverged, runs = {}, {}, {}, 0, 0, 0
local function under(t, k)
  t[k] = t[k] or {}
  return t[k]
end
for _, c in ipairs(cells) do
  local p = c.params
  if c.status ~= "done" then left = left + 1 else
    local name = ("%s %s %d bits"):format(p.net, p.method, p.bits)
    if not by[name] then names[#names + 1] = name end
    under(under(under(by, name), p.steps), p.block)[p.arm] = c.metrics
    all_steps[p.steps] = true
    runs, diverged = runs + 1, diverged + (c.metrics.diverged or 0)
  end
end

local function sorted(t)
  local out = {}
  for k in pairs(t) do out[#out + 1] = k end
  table.sort(out)
  return out
end

local function complete(block)
  for _, a in ipairs(ARMS) do
    if not block[a] then return false end
  end
  return true
end

-- {arm = {value, ...}} over the blocks that are complete, in one order; "before" stands for no training
local function values(name, steps, metric)
  local out, n = {}, 0
  for _, b in ipairs(sorted(by[name][steps] or {})) do
    local block = by[name][steps][b]
    if complete(block) then
      n = n + 1
      for _, a in ipairs(ARMS) do under(out, a)[n] = block[a][metric or "accuracy"] end
    end
  end
  return out, n
end

-- ---- statistics ------------------------------------------------------------------------------------------------
local T975 = { 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09,
               2.09, 2.08, 2.07, 2.07 }

local mean_std = report.mean_std

local function minus(a, b)
  local d = {}
  for i = 1, #a do d[i] = a[i] - b[i] end
  return d
end

-- How often a mean at least as high would come about if the signs of d + shift were by chance. 2^n sums.
local function flips(d, shift)
  local n, seen, most = #d, 0, 0
  for i = 1, n do seen = seen + d[i] + shift end
  for signs = 0, (1 << n) - 1 do
    local s = 0
    for i = 1, n do s = s + ((signs >> (i - 1)) & 1 == 1 and d[i] + shift or -(d[i] + shift)) end
    if s >= seen - 1e-12 then most = most + 1 end
  end
  return most / (1 << n)
end

-- p values of a family, corrected (Holm 1979); in the order they came
local function holm(p)
  local order, out, most = {}, {}, 0
  for i in ipairs(p) do order[i] = i end
  table.sort(order, function(a, b) return p[a] < p[b] end)
  for k, i in ipairs(order) do
    most = math.max(most, math.min(1, p[i] * (#p - k + 1)))
    out[i] = most
  end
  return out
end

-- How much of a start is left: the slope of ln s_T on ln s_0 over the arms that do not follow, within a block and a quantizer.
local STAY = { own = true, mse = true, lapq = true }
local function memory(steps)
  local first, last = {}, {}
  local function gather(series, into)
    for _, c in ipairs(assert(r:series(series, { sweep = "main", where = { steps = steps } }))) do
      local p = c.params
      if STAY[p.arm] then
        local key = table.concat({ p.net, p.method, p.bits, p.block }, " ")
        for i, x in ipairs(c.x) do under(under(into, key), i)[p.arm] = x end
      end
    end
  end
  gather("start_steps", first)
  gather("end_steps", last)
  local xy, xx, n = 0, 0, 0
  for key, sites in pairs(first) do
    for i, s in pairs(sites) do
      local e, mx, my, k = last[key][i], 0, 0, 0
      for arm in pairs(s) do mx, my, k = mx + s[arm], my + e[arm], k + 1 end
      for arm in pairs(s) do xy, xx, n = xy + (s[arm] - mx / k) * (e[arm] - my / k), xx + (s[arm] - mx / k) ^ 2, n + 1 end
    end
  end
  return xx > 0 and xy / xx or nil, n
end

local function ranks(v)
  local r = {}
  for i, x in ipairs(v) do
    local below, same = 0, 0
    for _, y in ipairs(v) do below, same = below + (y < x and 1 or 0), same + (y == x and 1 or 0) end
    r[i] = below + (same + 1) / 2
  end
  return r
end

-- Does the accuracy before training order the arms as the accuracy after it does? Spearman's rho, its mean over blocks and cells.
local function foretells(t)
  local sum, n = 0, 0
  for _, name in ipairs(names) do
    for _, block in pairs(by[name][t] or {}) do
      if complete(block) then
        local before, after = {}, {}
        for _, a in ipairs(ARMS) do
          if a ~= "mse+steps" then before[#before + 1], after[#after + 1] = block[a].before, block[a].accuracy end
        end
        local x, y, m, xy, xx, yy = ranks(before), ranks(after), (#before + 1) / 2, 0, 0, 0
        for i = 1, #x do xy, xx, yy = xy + (x[i] - m) * (y[i] - m), xx + (x[i] - m) ^ 2, yy + (y[i] - m) ^ 2 end
        if xx > 0 and yy > 0 then sum, n = sum + xy / math.sqrt(xx * yy), n + 1 end
      end
    end
  end
  return n > 0 and sum / n or nil, n
end

-- ---- tables ------------------------------------------------------------------------------------------------------
local lines = {}
local function add(fmt, ...) lines[#lines + 1] = select("#", ...) > 0 and fmt:format(...) or fmt end

local steps = sorted(all_steps)

local function table_of_means(name)
  local head, rule, cols = { "| " .. name }, { "|---" }, {}
  local zero, n0 = values(name, steps[1], "before")
  zero["mse+steps"] = nil
  if n0 > 0 then cols[1] = { "T = 0", zero, n0 } end
  for _, t in ipairs(steps) do
    local v, n = values(name, t)
    if n > 0 then cols[#cols + 1] = { ("T = %d"):format(t), v, n } end
  end
  if #cols == 0 then return end
  for _, c in ipairs(cols) do head[#head + 1], rule[#rule + 1] = (" %s (%d %s)"):format(c[1], c[3], c[3] == 1 and "block" or "blocks"), "---" end
  add("%s | cost |", table.concat(head, " |"))
  add("%s|---|", table.concat(rule, "|"))
  local cost = values(name, steps[1], "cost")
  for _, a in ipairs(ARMS) do
    local row = { "| " .. a }
    for _, c in ipairs(cols) do
      local m, s
      if c[2][a] then m, s = mean_std(c[2][a]) end
      row[#row + 1] = s and (" %.2f ± %.2f"):format(100 * m, 100 * s) or m and (" %.2f"):format(100 * m) or " "
    end
    local k = cost[a] and mean_std(cost[a]) or 0
    add("%s | %s |", table.concat(row, " |"), k > 0 and ("%.0f"):format(k) or "")
  end
  add ""
end

-- adaptive against one arm after t steps: a row a cell
local function compare(other, t, count)
  local rows, better, worse = {}, {}, {}
  for _, name in ipairs(names) do
    local v, n = values(name, t)
    if n >= 2 then
      local d = minus(v.adaptive, v[other])
      local m, s = mean_std(d)
      rows[#rows + 1] = { name, t, n, m, (T975[n - 1] or 1.96) * s / math.sqrt(n) }
      better[#rows], worse[#rows] = flips(d, 0), flips(d, MARGIN)
    end
  end
  better, worse = holm(better), holm(worse)
  for i, w in ipairs(rows) do
    local verdict = better[i] < 0.05 and "better" or worse[i] < 0.05 and "not inferior" or w[4] + w[5] < -MARGIN and "**inferior**" or "open"
    count[verdict] = (count[verdict] or 0) + 1
    add("| %s | %s | %d | %d | %+.2f | %+.2f to %+.2f | %.3f | %.3f | %s |", other, w[1], w[2], w[3], 100 * w[4], 100 * (w[4] - w[5]),
        100 * (w[4] + w[5]), better[i], worse[i], verdict)
  end
end

-- Steps after which an arm reaches an accuracy, its cost among them: straight lines over ln(1 + T) between the lengths there are.
local function steps_to(points, accuracy)
  for i, q in ipairs(points) do
    if q.y >= accuracy then
      local o = points[i - 1]
      if not o then return q.x end
      local a, b = math.log(1 + o.x), math.log(1 + q.x)
      return math.exp(a + (b - a) * (accuracy - o.y) / (q.y - o.y)) - 1
    end
  end
end

local function curve(name, arm)
  local points, cost = {}, mean_std(values(name, steps[1], "cost")[arm] or { 0 })
  local zero = values(name, steps[1], "before")[arm]
  if zero then points[1] = { x = cost, y = mean_std(zero) } end
  for _, t in ipairs(steps) do
    local v, n = values(name, t)
    if n > 0 and t > 0 then points[#points + 1] = { x = t + cost, y = mean_std(v[arm]) } end
  end
  return points
end

local function speed()
  add "Steps, the start's own among them, until the mean accuracy is what the method's own rule reaches after T (straight lines over"
  add "ln(1 + T) between the lengths that were run):"
  add ""
  add "| cell | T | own reaches | mse | lapq | adaptive |"
  add "|---|---|---|---|---|---|"
  for _, name in ipairs(names) do
    for _, q in ipairs(curve(name, "own")) do
      if q.x > 0 then
        local row = {}
        for _, arm in ipairs { "mse", "lapq", "adaptive" } do
          local n = steps_to(curve(name, arm), q.y)
          row[#row + 1] = n and ("%.0f"):format(n) or "not reached"
        end
        add("| %s | %d | %.2f | %s |", name, q.x, 100 * q.y, table.concat(row, " | "))
      end
    end
  end
  add ""
end

-- The spread over blocks: the mean over cells of ln(variance of adaptive / variance of the other), as a ratio of deviations.
local function spread(other)
  local sum, n = 0, 0
  for _, name in ipairs(names) do
    for _, t in ipairs(steps) do
      local v, blocks = values(name, t)
      if blocks >= 3 then
        local _, a = mean_std(v.adaptive)
        local _, b = mean_std(v[other])
        if a > 0 and b > 0 then sum, n = sum + math.log(a / b), n + 1 end
      end
    end
  end
  return n > 0 and math.exp(sum / n) or nil, n
end

add "## Does the start matter after training, and for how long?"
add ""
add "Validation accuracy (5000 images, per cent, mean ± deviation over blocks) after separate, fully decayed runs of T steps. A block is a float"
add "net, an order of batches and a draw of calibration images; arms, hypotheses and the design: `scripts/experiments/main.lua`, written before"
add "the runs. cost: what the start took, in training steps; **mse+steps** trains that much longer instead."
add ""
for _, name in ipairs(names) do table_of_means(name) end
add("Adaptive against the others, in pairs of one block; points, 95 %% intervals; one-sided exact sign flips, corrected by Holm over the cells of an arm and a T (margin of not inferior: %.1f points):", 100 * MARGIN)
add ""
add "| against | cell | T | blocks | difference | interval | p better | p not inferior | |"
add "|---|---|---|---|---|---|---|---|---|"
local verdicts = {}
for _, a in ipairs(ARMS) do
  if a ~= "adaptive" then
    local n = {}
    for _, t in ipairs(steps) do compare(a, t, n) end
    verdicts[#verdicts + 1] = ("| %s | %d | %d | %d | %d |"):format(a, n.better or 0, n["not inferior"] or 0, n.open or 0, n["**inferior**"] or 0)
  end
end
add ""
add "In short, rows of the table above in which adaptive is"
add ""
add "| against | better | not inferior | open | inferior |"
add "|---|---|---|---|---|"
for _, v in ipairs(verdicts) do add("%s", v) end
add ""
speed()
for _, a in ipairs { "own", "mse", "lapq" } do
  local ratio, n = spread(a)
  if ratio then add("Spread over blocks, adaptive to %s: %.2f (pooled over %d cells and lengths).", a, ratio, n) end
end
for _, t in ipairs(steps) do
  local slope, n = memory(t)
  if slope and t > 0 then
    add("After %d steps %.2f of a difference between starts is left in the steps (slope of ln s_T on ln s_0 over own, mse, lapq; %d steps)%s.", t,
        slope, n, slope > 0 and slope < 1 and (": half of it after about %.0f steps"):format(-t * math.log(2) / math.log(slope)) or "")
  end
end
for _, t in ipairs(steps) do
  local rho, n = foretells(t)
  if rho and t > 0 then add("Rank correlation of the accuracy before training with that after %d steps, over the arms of a block: %.2f (mean of %d blocks).", t, rho, n) end
end
add("%d of %d runs diverged (95 %% limit: %.2f %%).", diverged, runs, diverged == 0 and 100 * (1 - 0.05 ^ (1 / math.max(runs, 1))) or 100 * diverged / runs)
add ""
if left > 0 then
  add("%d of the %d cells of the whole design are not done: `quantscope sweep scripts/experiments/main.lua --db %s` goes on.", left, #cells, path:match "[^/]*$")
  add ""
end
add("Commands: `quantscope sweep scripts/experiments/main.lua --db main.db`, then `quantscope run scripts/experiments/main-table.lua main.db`.")
add("Version %s, %s. Machine: %s. Cells: `scripts/experiments/results/main.csv`.", qs.version, os.date "!%Y-%m-%d", report.machine())
report.put(top .. "/EXPERIMENTS.md", "main-table", lines)
report.csv(top .. "/scripts/experiments/results/main.csv", cells)
