-- SPDX-License-Identifier: GPL-3.0-or-later
-- What the scripts that write EXPERIMENTS.md share.
local qs = require "quantscope"

local M = {}

function M.percent(x) return ("%.2f"):format(100 * x) end

-- Of one value the deviation is nil.
function M.mean_std(v)
  local sum, sq = 0, 0
  for _, x in ipairs(v) do sum = sum + x end
  local m = sum / #v
  for _, x in ipairs(v) do sq = sq + (x - m) ^ 2 end
  return m, #v > 1 and math.sqrt(sq / (#v - 1)) or nil
end

-- "AMD EPYC, 2 CPUs, 2 threads"
function M.machine()
  local f, model, n = io.open("/proc/cpuinfo"), "unknown", 0
  for line in f and f:lines() or function() end do
    model = line:match("^model name%s*:%s*(.-)%s*$") or model
    if line:find("^processor") then n = n + 1 end
  end
  return ("%s, %d CPUs, %d threads"):format(model, n, qs.threads())
end

-- Replaces what stands between the marks of a name, or appends it. script: that made it, if it is called otherwise.
function M.put(path, name, lines, script)
  local from, to = ("<!-- %s: made by scripts/experiments/%s.lua -->"):format(name, script or name), ("<!-- /%s -->"):format(name)
  local f = io.open(path)
  local text = f and f:read "a" or "# Experiments\n\nEvery table was written by the script that is named with it.\n"
  if f then f:close() end
  local new = from .. "\n" .. table.concat(lines, "\n") .. "\n" .. to
  local a, b = text:find(from, 1, true), select(2, text:find(to, 1, true))
  text = a and b and text:sub(1, a - 1) .. new .. text:sub(b + 1) or text .. "\n" .. new .. "\n"
  f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
end

-- Every cell of a sweep that is done, as CSV: parameters, then metrics, in alphabetical order.
function M.csv(path, cells)
  local function keys(field)
    local seen, out = {}, {}
    for _, c in ipairs(cells) do
      for k in pairs(c[field]) do
        if not seen[k] then seen[k], out[#out + 1] = true, k end
      end
    end
    table.sort(out)
    return out
  end
  local params, metrics = keys "params", keys "metrics"
  local f = assert(io.open(path, "w"))
  f:write(table.concat(params, ","), ",", table.concat(metrics, ","), "\n")
  for _, c in ipairs(cells) do
    local row = {}
    if c.status == "done" then
      for i, k in ipairs(params) do row[i] = tostring(c.params[k] == nil and "" or c.params[k]) end
      for _, k in ipairs(metrics) do row[#row + 1] = c.metrics[k] and ("%.9g"):format(c.metrics[k]) or "" end
      f:write(table.concat(row, ","), "\n")
    end
  end
  f:close()
end

return M
