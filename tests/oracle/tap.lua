-- SPDX-License-Identifier: GPL-3.0-or-later
-- The Test Anything Protocol for tests that compare many numbers: a group is one point, and shows its first failures.
local tap = { n = 0, bad = 0 }

function tap.ok(cond, what)
  tap.n = tap.n + 1
  if not cond then tap.bad = tap.bad + 1 end
  print((cond and "ok " or "not ok ") .. tap.n .. " - " .. what)
  return cond
end

local group = {}
group.__index = group

-- A group of comparisons that make one point.
function tap.group(what) return setmetatable({ what = what, checks = 0, failed = 0 }, group) end

function group:check(cond, ...)
  self.checks = self.checks + 1
  if not cond then
    self.failed = self.failed + 1
    if self.failed <= 8 then print("# " .. self.what .. ": " .. string.format(...)) end
  end
  return cond
end

function group:near(got, want, rel, where, abs)
  local fine = type(got) == "number" and (got == want or math.abs(got - want) <= rel * math.abs(want) + (abs or 0))
  return self:check(fine, "%s: got %s, want %.17g", where, type(got) == "number" and ("%.17g"):format(got)
                    or tostring(got), want)
end

function group:done()
  tap.ok(self.failed == 0 and self.checks > 0, ("%s (%d comparisons%s)"):format(self.what, self.checks,
    self.failed > 0 and ", " .. self.failed .. " failed" or ""))
end

function tap.done()
  print("1.." .. tap.n)
  os.exit(tap.bad == 0)
end

-- Golden files lie beside this one.
tap.dir = debug.getinfo(1, "S").source:match("^@(.*)tap%.lua$")
function tap.rows(name) return assert(loadfile(tap.dir .. "golden/" .. name .. ".lua"))() end
function tap.tensors(qs, name) return assert(qs.load(tap.dir .. "golden/" .. name .. ".safetensors")) end

-- The numbers of a table that may be nested, in order.
function tap.flat(a, out)
  out = out or {}
  for _, v in ipairs(a) do
    if type(v) == "table" then tap.flat(v, out) else out[#out + 1] = v end
  end
  return out
end

return tap
