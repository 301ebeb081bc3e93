-- SPDX-License-Identifier: GPL-3.0-or-later
-- Puts what main.lua measured into EXPERIMENTS.md, between its own marks, and its cells into results/main.csv.
--
--     quantscope run scripts/experiments/main-table.lua main.db
--
-- Two arms are compared over the blocks in which both are done. At 3 bits and more adaptive is mse, step for step. Tests: exact sign flips of the paired differences, one-sided,
-- with Holm's correction over the cells; intervals: 95 %, Student's t.
local qs = require "quantscope"

local top = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/../.."
local report = dofile(top .. "/scripts/experiments/report.lua")
local ARMS = { "own", "own+follow", "mse", "mse+follow", "lapq", "random", "norms", "adaptive" }
local MARGIN = 0.002
local ENOUGH = 8 -- blocks, for a cell to be reported as won or lost

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
    local block = under(under(under(by, name), p.steps), p.block)
    block[p.arm] = c.metrics
    if p.arm == "mse" and p.bits > 2 then block.adaptive = c.metrics end
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

local function complete(block, arms)
  for _, a in ipairs(arms) do
    if not block[a] then return false end
  end
  return true
end

-- {arm = {value, ...}} over the blocks in which all these arms are done, in one order
local function values(name, steps, arms, metric)
  local out, n = {}, 0
  for _, b in ipairs(sorted(by[name][steps] or {})) do
    local block = by[name][steps][b]
    if complete(block, arms) then
      n = n + 1
      for _, a in ipairs(arms) do under(out, a)[n] = block[a][metric or "accuracy"] end
    end
  end
  return out, n
end

-- the same for one arm
local function values_of(name, steps, arm, metric)
  local v, n = values(name, steps, { arm }, metric)
  return v[arm] or {}, n
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
local STAY = { own = true, mse = true, lapq = true, norms = true, adaptive = true }
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
      if complete(block, ARMS) then
        local before, after = {}, {}
        for _, a in ipairs(ARMS) do before[#before + 1], after[#after + 1] = block[a].before, block[a].accuracy end
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

-- A column a length, T = 0 first: what every run says before it trains. An arm with fewer blocks than the column says so.
local function table_of_means(name)
  local head, rule, cols = { "| " .. name }, { "|---" }, {}
  local function column(title, steps, metric)
    local most = 0
    for _, a in ipairs(ARMS) do most = math.max(most, select(2, values_of(name, steps, a))) end
    if most == 0 then return end
    cols[#cols + 1] = { steps = steps, metric = metric, n = most }
    head[#head + 1], rule[#rule + 1] = (" %s (%d %s)"):format(title, most, most == 1 and "block" or "blocks"), "---"
  end
  for _, t in ipairs(steps) do
    if #cols == 0 then column("T = 0", t, "before") end
    if t > 0 then column(("T = %d"):format(t), t) end
  end
  add("%s | cost |", table.concat(head, " |"))
  add("%s|---|", table.concat(rule, "|"))
  for _, a in ipairs(ARMS) do
    local row, cost, any = { "| " .. a }, 0, false
    for _, c in ipairs(cols) do
      local v, n = values_of(name, c.steps, a, c.metric)
      local text = " "
      if n > 0 then
        local m, d = mean_std(v)
        text = (d and " %.2f ± %.2f" or " %.2f"):format(100 * m, 100 * (d or 0)) .. (n < c.n and (" (%d)"):format(n) or "")
        cost, any = mean_std(values_of(name, c.steps, a, "cost")), true
      end
      row[#row + 1] = text
    end
    if any then add("%s | %s |", table.concat(row, " |"), cost > 0 and ("%.0f"):format(cost) or "") end
  end
  add ""
end

-- adaptive against one arm after t steps: a row a cell
local function compare(other, t, count)
  local rows, better, worse = {}, {}, {}
  for _, name in ipairs(names) do
    local v, n = values(name, t, { "adaptive", other })
    local same = other == "mse" and not name:find "2 bits"
    if n >= 2 and not same then
      local d = minus(v.adaptive, v[other])
      local m, s = mean_std(d)
      rows[#rows + 1] = { name, t, n, m, (T975[n - 1] or 1.96) * s / math.sqrt(n) }
      if n >= ENOUGH then
        better[#better + 1], worse[#worse + 1] = flips(d, 0), flips(d, MARGIN)
        rows[#rows].test = #better
      end
    end
  end
  better, worse = holm(better), holm(worse)
  for _, w in ipairs(rows) do
    local p, q, verdict = better[w.test], worse[w.test], "few blocks"
    if p then verdict = p < 0.05 and "better" or q < 0.05 and "not inferior" or w[4] + w[5] < -MARGIN and "**inferior**" or "open" end
    count[verdict] = (count[verdict] or 0) + 1
    add("| %s | %s | %d | %d | %+.2f | %+.2f to %+.2f | %s | %s | %s |", other, w[1], w[2], w[3], 100 * w[4], 100 * (w[4] - w[5]),
        100 * (w[4] + w[5]), p and ("%.3f"):format(p) or " ", q and ("%.3f"):format(q) or " ", verdict)
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
  local points = {}
  for _, t in ipairs(steps) do
    local v, n = values_of(name, t, arm)
    local cost = n > 0 and mean_std(values_of(name, t, arm, "cost")) or 0
    if n > 0 and #points == 0 then points[1] = { x = cost, y = mean_std(values_of(name, t, arm, "before")) } end
    if n > 0 and t > 0 then points[#points + 1] = { x = t + cost, y = mean_std(v) } end
  end
  return points
end

local function median(v)
  table.sort(v)
  return #v % 2 == 1 and v[#v // 2 + 1] or (v[#v // 2] + v[#v // 2 + 1]) / 2
end

-- Seconds of a step of this net, and of a start beyond what its looks cost in steps: means of all runs there are.
local function seconds_of(name)
  local s, n, start, m = 0, 0, 0, 0
  for _, t in ipairs(steps) do
    for _, a in ipairs(ARMS) do
      for _, x in ipairs(values_of(name, t, a, "seconds")) do
        if t > 0 then s, n = s + x, n + t end
      end
    end
    for _, x in ipairs(values_of(name, t, "mse", "init_seconds")) do start, m = start + x, m + 1 end
  end
  return n > 0 and s / n or 0, m > 0 and start / m or 0
end

local function speed()
  local WHO = { "mse", "lapq", "norms", "adaptive" }
  local ratios = {}
  add "Steps, the start's own among them, until the mean accuracy is what the method's own rule reaches after T (straight lines over"
  add "ln(1 + T) between the lengths that were run); seconds: of adaptive, with its start, as a part of those of the own rule."
  add ""
  add("| cell | T | own reaches | %s | seconds |", table.concat(WHO, " | "))
  add("|---|---|---|%s---|", ("---|"):rep(#WHO))
  for _, name in ipairs(names) do
    local step, start = seconds_of(name)
    for _, q in ipairs(curve(name, "own")) do
      if q.x > 0 then
        local row, n = {}, nil
        for _, arm in ipairs(WHO) do
          n = steps_to(curve(name, arm), q.y)
          row[#row + 1] = n and ("%.0f"):format(n) or #curve(name, arm) > 0 and "not reached" or " "
        end
        local part = n and (start + n * step) / (start + q.x * step)
        if q.x >= 50 and q.x <= 150 then under(ratios, q.x)[#under(ratios, q.x) + 1] = part or 1.001 end
        add("| %s | %d | %.2f | %s | %s |", name, q.x, 100 * q.y, table.concat(row, " | "), part and ("%.2f"):format(part) or "more than 1")
      end
    end
  end
  add ""
  for _, t in ipairs(sorted(ratios)) do
    add("In the median of the %d cells adaptive takes %.2f of the seconds of the own rule to what that reaches after %d steps.", #ratios[t], median(ratios[t]), t)
  end
end

-- The spread over blocks: the mean over cells of ln(variance of adaptive / variance of the other), as a ratio of deviations.
local function spread(other)
  local sum, n = 0, 0
  for _, name in ipairs(names) do
    for _, t in ipairs(steps) do
      local v, blocks = values(name, t, { "adaptive", other })
      if blocks >= 3 and not (other == "mse" and not name:find "2 bits") then
        local _, a = mean_std(v.adaptive)
        local _, b = mean_std(v[other])
        if a > 0 and b > 0 then sum, n = sum + math.log(a / b), n + 1 end
      end
    end
  end
  return n > 0 and math.exp(sum / n) or nil, n
end

-- The first version of adaptive against own and mse, pairs of one block, from the cells that are kept.
local function first_version()
  local at, head = {}, nil
  for line in io.lines(top .. "/scripts/experiments/results/first-version.csv") do
    local row, i = {}, 0
    for field in (line .. ","):gmatch "(.-)," do
      i = i + 1
      row[head and head[i] or i] = field
    end
    if not head then head = row else
      local cell = under(under(at, row.net), tonumber(row.steps))
      under(cell, row.block)[row.arm] = tonumber(row.accuracy)
    end
  end
  add "The first version of adaptive asked the loss for norms wherever steps were learned, too, which cost 11 training steps, and followed the inputs;"
  add "points on validation, mean ± standard error over pairs of one block (`results/first-version.csv`; since then one update"
  add "cannot throw a step far away, in all arms; the runs above were bounded to half and twice, the program now to half and four times):"
  add ""
  add "| net | T | blocks | against own | against mse | against mse with 11 more steps |"
  add "|---|---|---|---|---|---|"
  for _, net in ipairs(sorted(at)) do
    for _, t in ipairs(sorted(at[net])) do
      local row, n = {}, 0
      for _, other in ipairs { "own", "mse", "mse+steps" } do
        local d = {}
        for _, block in pairs(at[net][t]) do
          if block.adaptive and block[other] then d[#d + 1] = block.adaptive - block[other] end
        end
        local m, s = mean_std(d)
        n, row[#row + 1] = #d, ("%+.2f ± %.2f"):format(100 * m, 100 * (s or 0) / math.sqrt(#d))
      end
      add("| %s | %d | %d | %s |", net, t, n, table.concat(row, " | "))
    end
  end
  add ""
end

add "## Does the start matter after training, and for how long?"
add ""
add "Validation accuracy (5000 images, per cent, mean ± deviation over blocks) after separate, fully decayed runs of T steps. A block is a float"
add "net, an order of batches and a draw of calibration images; arms, hypotheses and the design: `scripts/experiments/main.lua`, written before"
add "the runs. cost: what looks at the loss took, in training steps. adaptive takes none, so mse is also least squares with the same"
add "compute spent on more training; at 3 bits and more adaptive is mse. norms: adaptive told to ask the loss. A number in brackets:"
add "blocks, where an arm has fewer."
add ""
for _, name in ipairs(names) do table_of_means(name) end
add("Adaptive against the others, in pairs of one block; points, 95 %% intervals; one-sided exact sign flips, corrected by Holm over the cells of an arm and a T that have %d blocks (margin of not inferior: %.1f points):", ENOUGH, 100 * MARGIN)
add ""
add "| against | cell | T | blocks | difference | interval | p better | p not inferior | |"
add "|---|---|---|---|---|---|---|---|---|"
local verdicts = {}
for _, a in ipairs(ARMS) do
  if a ~= "adaptive" then
    local n = {}
    for _, t in ipairs(steps) do compare(a, t, n) end
    verdicts[#verdicts + 1] = ("| %s | %d | %d | %d | %d | %d |"):format(a, n.better or 0, n["not inferior"] or 0, n.open or 0, n["**inferior**"] or 0, n["few blocks"] or 0)
  end
end
add ""
add "In short, rows of the table above in which adaptive is"
add ""
add "| against | better | not inferior | open | inferior | few blocks |"
add "|---|---|---|---|---|---|"
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
    add("After %d steps %.2f of a difference between starts is left in the steps (slope of ln s_T on ln s_0 over own, mse, lapq, norms, adaptive; %d steps)%s.", t,
        slope, n, slope > 0 and slope < 1 and (": half of it after about %.0f steps"):format(-t * math.log(2) / math.log(slope)) or "")
  end
end
for _, t in ipairs(steps) do
  local rho, n = foretells(t)
  if rho and t > 0 then add("Rank correlation of the accuracy before training with that after %d steps, over the arms of a block: %.2f (mean of %d blocks with all arms).", t, rho, n) end
end
add ""
first_version()
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
