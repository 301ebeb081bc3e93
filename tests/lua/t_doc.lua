-- SPDX-License-Identifier: GPL-3.0-or-later
-- Every name that is registered has a documentation entry, and every entry a name; the manual page is the one made
-- from it.
local qs = require "quantscope"
local core = require "quantscope.core"
local help = require "quantscope.help"
local tap = require "tap"

local function sorted(set)
    local list = {}
    for name in pairs(set) do list[#list + 1] = name end
    table.sort(list)
    return list
end

local registered = {}
for name in pairs(qs) do registered["qs." .. name] = true end
for kind, mt in pairs(core.types) do
    registered[kind] = true
    for name in pairs(mt.__methods) do registered[kind .. ":" .. name] = true end
    for name in pairs(mt.__fields) do registered[kind .. "." .. name] = true end
end

local missing, extra = {}, {}
for _, name in ipairs(sorted(registered)) do if not help.entries[name] then missing[#missing + 1] = name end end
for _, name in ipairs(sorted(help.entries)) do if not registered[name] then extra[#extra + 1] = name end end
tap.eq(table.concat(missing, " "), "", "every name has an entry")
tap.eq(table.concat(extra, " "), "", "every entry has a name")

-- Names of later chapters do not exist yet.
for _, name in ipairs {"lesson"} do
    tap.eq(qs[name], nil, "there is no qs." .. name)
end

-- help prints; each kind of argument.
local said
local function catch(x)
    local old = print
    said = {}
    print = function(...) said[#said + 1] = table.concat({...}, "\t") end
    local fine, message = pcall(qs.help, x)
    print = old
    said = table.concat(said, "\n")
    return fine and said or "raised " .. tostring(message)
end

for _, name in ipairs(sorted(help.entries)) do
    local text = catch(name)
    local first = help.entries[name][2]
    tap.ok(text:find(first, 1, true), "help " .. name, text)
end
tap.ok(catch(nil):find("qs.load", 1, true), "help() lists what there is")
tap.ok(catch(qs.curve):find("qs.curve(t | index", 1, true), "help of a function")
tap.ok(catch(qs.nets.lenet):find("qs.nets.mlp{", 1, true), "help of a ready net")
tap.ok(catch(qs.tensor{1}.summary):find("t:summary()", 1, true), "help of a method")
tap.ok(catch(qs.tensor{1}):find("t:histogram", 1, true), "help of an object")
tap.ok(catch "lsq":find("Esser", 1, true), "help of an initialization")
tap.ok(catch "int4":find("integers", 1, true), "help of a format")
tap.ok(catch "nf4@channel":find("@granularity", 1, true), "help of a format string")
tap.ok(catch "quantile":find("index:quantile_abs", 1, true), "help searches")
tap.ok(catch "no such thing":find("nothing is known", 1, true), "help of nothing")
tap.ok(catch(print):find("not one of", 1, true), "help of another function")
tap.ok(catch(12):find("number", 1, true), "help of a number")
for _, list in ipairs {"inits", "formats", "learns", "readers", "datasets"} do
    local fine = #qs[list]() > 0
    for _, row in ipairs(qs[list]()) do
        fine = fine and type(row.name) == "string" and type(row.doc) == "string"
        fine = fine and catch(row.name):find(row.doc:sub(1, 10), 1, true)
    end
    tap.ok(fine, "qs." .. list .. "() names and explains, and help knows each")
end

-- The manual page.
local top = os.getenv "top_srcdir"
local page = io.open(top .. "/man/quantscope-lua.7")
local made = {}
local out = io.write
local env = setmetatable({arg = {[1] = top .. "/lua/quantscope/help.lua"},
                          io = {write = function(...) made[#made + 1] = table.concat {...} end}}, {__index = _G})
assert(loadfile(top .. "/lua/mkman.lua", "t", env))()
tap.ok(page and page:read "a" == table.concat(made),
       "man/quantscope-lua.7 is what lua/mkman.lua makes of lua/quantscope/help.lua")
tap.done()
