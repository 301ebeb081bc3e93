-- SPDX-License-Identifier: GPL-3.0-or-later
-- The facade: `local qs = require "quantscope"`. The engine's functions come from quantscope.core (C); what is
-- pleasanter in Lua is here and in the files beside it. The same file serves the console, headless runs and stock Lua.

local core = require "quantscope.core"
local nets = require "quantscope.nets"
local runs = require "quantscope.runs"
local races = require "quantscope.races"
local plots = require "quantscope.plots"
local sweeps = require "quantscope.sweeps"
local reports = require "quantscope.reports"

local qs = {}
for name, value in pairs(core) do
    if name ~= "types" and name ~= "private" then qs[name] = value end
end
for _, part in ipairs {nets, races.functions, plots.functions, sweeps, reports.functions} do
    for name, value in pairs(part) do qs[name] = value end
end
for name, method in pairs(runs.methods) do core.types.run.__methods[name] = method end

-- From the source tree, the data that comes with the program lies beside this folder.
local top = debug.getinfo(1, "S").source:match "^@(.*)lua/quantscope/init%.lua$"
local probe = top and io.open(top .. "data/fashion-mnist/t10k-labels-idx1-ubyte.gz")
if probe then
    probe:close()
    core.private.data(top .. "data")
end

-- The index of what a file, a tensor or an index holds.
local function index_of(x)
    if type(x) ~= "string" then return x.index and x:index() or x end
    local m, message, code = qs.load(x)
    if not m then return nil, message, code end
    if #m ~= 1 then return nil, ("EARG: %s holds %d tensors, one is wanted"):format(x, #m), "EARG" end
    return m[1]:index()
end

-- Recorded activations: {name = index}, with a model under the names of the weights they meet.
function qs.activations(from, model)
    local found, set = from, {}
    if type(from) == "string" then
        local m, message, code = qs.load(from)
        if not m then return nil, message, code end
        found = {}
        for name, t in m:tensors() do found[name] = t end
    end
    for name, x in pairs(found) do
        local weight = not model and name or core.private.match(model, name)
        if weight then
            local index, message, code = index_of(x)
            if not index then return nil, message, code end
            set[weight] = index
        end
    end
    if model and not next(set) then return nil, ("EARG: nothing here is called like a layer of %s"):format(model.path), "EARG" end
    return set
end

-- help and pretty are loaded when they are asked for: every cell of a sweep has a Lua state of its own.

-- The text print would show for these values: tensors summarized, tables bounded.
function qs.pretty(...)
    return require "quantscope.pretty".text(...)
end

-- Prints what is known about x: a function, an object, or a name in a string.
function qs.help(x)
    print(require "quantscope.help".text(x, qs, core.types))
end

return qs
