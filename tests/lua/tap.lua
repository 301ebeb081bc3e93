-- SPDX-License-Identifier: GPL-3.0-or-later
-- The Test Anything Protocol for the Lua tests, and what the conventions of the binding look like as checks.

local tap = {}
local n, bad = 0, 0

function tap.ok(condition, what, ...)
    n = n + 1
    if not condition then bad = bad + 1 end
    print(("%sok %d - %s"):format(condition and "" or "not ", n, what))
    if not condition then
        print("# at " .. (debug.traceback("", 2):match "\n%s*([^\n]*t_[%w_]*%.lua:%d+)" or "?"))
        for _, v in ipairs {...} do print("# " .. tostring(v)) end
    end
    return condition
end

function tap.eq(got, want, what)
    return tap.ok(got == want, what, "got " .. tostring(got), "want " .. tostring(want))
end

function tap.near(got, want, rel, what)
    local fine = type(got) == "number" and math.abs(got - want) <= rel * math.abs(want) + 1e-300
    return tap.ok(fine, what, "got " .. tostring(got), "want " .. tostring(want))
end

-- A list of numbers, each within rel.
function tap.list(got, want, rel, what)
    local fine = type(got) == "table" and #got == #want
    for i = 1, fine and #want or 0 do fine = fine and math.abs(got[i] - want[i]) <= rel * math.abs(want[i]) + 1e-12 end
    return tap.ok(fine, what, "got " .. (type(got) == "table" and table.concat(got, " ") or tostring(got)),
                  "want " .. table.concat(want, " "))
end

-- What fails in the world: nil, "CODE: message", "CODE", and the message holds a word of what is wrong.
function tap.fails(code, word, what, value, message, got_code)
    local fine = value == nil and got_code == code and type(message) == "string" and
                 message:sub(1, #code + 2) == code .. ": " and message:find(word, 1, true)
    return tap.ok(fine, what, tostring(value), tostring(message), tostring(got_code))
end

-- A wrong Lua type raises.
function tap.raises(word, what, fn, ...)
    local fine, message = pcall(fn, ...)
    return tap.ok(not fine and tostring(message):find(word, 1, true), what, tostring(message))
end

-- A file of this name that goes away after the test.
function tap.path(name)
    return (os.getenv "QS_TMP" or ".") .. "/" .. name
end

function tap.done()
    print("1.." .. n)
    if bad > 0 then error(bad .. " failed", 0) end
end

return tap
