-- SPDX-License-Identifier: GPL-3.0-or-later
-- The facade: `local qs = require "quantscope"`. The engine's functions come from quantscope.core (C); what is
-- pleasanter in Lua is here and in the files beside it. The same file serves the console, headless runs and stock Lua.

local core = require "quantscope.core"
local help = require "quantscope.help"
local pretty = require "quantscope.pretty"

local qs = {}
for name, value in pairs(core) do
    if name ~= "types" then qs[name] = value end
end

-- The text print would show for these values: tensors summarized, tables bounded.
function qs.pretty(...)
    return pretty.text(...)
end

-- Prints what is known about x: a function, an object, or a name in a string.
function qs.help(x)
    print(help.text(x, qs, core.types))
end

return qs
