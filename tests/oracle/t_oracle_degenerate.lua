-- SPDX-License-Identifier: GPL-3.0-or-later
-- Data without a good answer: every initialization on every format gives a step that is finite, positive and a float32,
-- says so in the note, and no number anywhere is NaN; or it refuses with a named error. Never a Lua error.
local qs = require "quantscope"
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")

local sub, big = 2 ^ -149, (2 - 2 ^ -23) * 2 ^ 127
local function fill(n, v)
  local out = {}
  for i = 1, n do out[i] = v end
  return out
end
local data = {
  { "zeros", fill(20, 0), note = true },
  { "minus zeros", fill(5, -0.0), note = true },
  { "constant", fill(20, 3.5), note = true },
  { "negative constant", fill(20, -2), note = true },
  { "one value", { 1e-20 }, note = true },
  { "one negative value", { -7 }, note = true },
  { "smallest subnormals", { sub, -sub, 0, sub, 3 * sub }, note = true },
  { "subnormals", { 1e-41, -3e-40, 2e-39, 5e-42, 0, -1e-38 }, note = true },
  { "largest float", fill(9, big), note = true },
  { "both largest", { big, -big, 1, 0 } },
  { "huge range", { 1e-38, 3e38, -1e-20, 1, -5e30, 0 } },
  { "infinite", { 1 / 0, -1 / 0, 1, -2, .5, 1.25 }, note = true },
  { "NaN among values", { 0 / 0, 1, -2, .5, 1.25 }, note = true },
  { "two values", { -1, 1, 1, -1 } },
  { "one outlier", table.move({ 1e30 }, 1, 1, 51, fill(50, 1e-3)) },
}
local formats = { "int2", "int4", "int8", "int4:narrow", "int4:away", "uint1", "uint4", "int4:flip",
                  "uint4+zp", "int4+zp",
  "uint4+offset", "apot3", "apot4", "uapot4", "pot4", "nf4", "fp4", "fp8e4m3", "fp8e5m2", "codebook(-1;1)",
  "codebook(2;3)", "codebook(1)", "codebook(0)", "int4@channel", "int4@group7" }

local function finite(v) return type(v) == "number" and v == v and v ~= 1 / 0 and v ~= -1 / 0 end

local function float32(v) return v == string.unpack("<f", string.pack("<f", v)) or string.unpack("<f",
    string.pack("<f", v)) ~= 0 end

local function no_nan(g, where, v)
  if type(v) == "table" then
    for k, x in pairs(v) do
      if type(x) == "table" then no_nan(g, where .. "." .. tostring(k), x) end
      if x ~= x then return g:check(false, "%s.%s is NaN", where, tostring(k)) end
    end
  end
  g:check(true)
end

local function each(v, f) if type(v) == "table" then for _, x in ipairs(v) do f(x) end elseif v then f(v) end end

local inits = {}
for _, r in ipairs(qs.inits()) do if not r.network then inits[#inits + 1] = r.name end end

for _, d in ipairs(data) do
  local g = tap.group(d[1] .. ": defined results")
  local notes = tap.group(d[1] .. ": the note says what is odd")
  local t = qs.tensor({ 1, #d[2] }, d[2])
  no_nan(g, "summary", t:summary())
  for _, fmt in ipairs(formats) do
    local f = qs.format(fmt)
    if g:check(f, "%s is a format", fmt) then
      for _, init in ipairs(inits) do
        for _, role in ipairs(fmt:match "^u" and { "weight", "act" } or { "weight" }) do
          local where = ("%s %s %s"):format(init, fmt, role)
          local fine, q, why, code = pcall(qs.init, init, t, f, { role = role })
          g:check(fine, "%s: Lua error %s", where, tostring(q))
          if fine and q then
            each(q.step, function(s)
              g:check(finite(s) and (s > 0 or f.codebook and fmt:match "flip" and s ~= 0) and float32(s),
                      "%s: step %s", where, tostring(s))
            end)
            each(q.offset, function(b) g:check(finite(b), "%s: offset %s", where, tostring(b)) end)
            no_nan(g, where .. " error", q:error(t))
            for i, v in ipairs(tap.flat(q:quantize(t):totable())) do
              g:check(v == v or d[2][i] ~= d[2][i], "%s: Q(%s) = %s", where, tostring(d[2][i]), tostring(v))
            end
            if d.note then notes:check(q.note, "%s: no note", where) end
          elseif fine then
            g:check(code == "EUNSUP" or code == "ERANGE" and why, "%s: %s", where, tostring(why))
          end
        end
      end
    end
  end
  for _, fmt in ipairs { "int4", "nf4", "uint4" } do
    local rows, why = qs.compare(t, qs.format(fmt))
    if g:check(rows or why:match "^ERANGE", "compare %s: %s", fmt, tostring(why)) and rows then no_nan(g,
        "compare " .. fmt, rows) end
    local c, no = qs.curve(t, qs.format(fmt), { points = 20 })
    if g:check(c or no:match "^ERANGE", "curve %s: %s", fmt, tostring(no)) and c then no_nan(g, "curve " .. fmt, c) end
  end
  g:done()
  if d.note then notes:done() end
end

local g = tap.group("all NaN, all infinite and empty data: ERANGE from every initialization")
for what, list in pairs { ["all NaN"] = fill(4, 0 / 0), ["all infinite"] = { 1 / 0, -1 / 0 }, empty = {} } do
  local t = what == "empty" and qs.tensor({ 0, 3 }, {}) or qs.tensor({ 1, #list }, list)
  if g:check(t, "%s: a tensor", what) then
    for _, init in ipairs(inits) do
      local q, why, code = qs.init(init, t, qs.format "int4")
      g:check(q == nil and (code == "ERANGE" and why:match "^ERANGE: " or code == "EUNSUP"), "%s %s: %s", what, init,
              tostring(q or why))
    end
    local rows, why = qs.compare(t, qs.format "int4")
    g:check(rows == nil and why:match "^ERANGE: ", "%s compare: %s", what, tostring(rows and "rows" or why))
  end
end
g:done()
tap.done()
