-- SPDX-License-Identifier: GPL-3.0-or-later
-- Networks as descriptions: layers (qs.conv{...}), how a list of them becomes a net (qs.net{...}), and the ready
-- ones (qs.nets.NAME, qs.bundled). A layer is a plain value that says what is wanted; what it comes to (channels,
-- shapes, names, parameters) is found when the net is made, and so is what is wrong with it.

local core = require "quantscope.core"
local private = core.private

local M = {nets = {}}

local function fail(code, fmt, ...)
    return nil, code .. ": " .. fmt:format(...), code
end

-- ---- layers ---------------------------------------------------------------------------------------------

local Layer = {__name = "qs.layer"}

-- What each kind takes: the first value of the table, the rest by name with their Lua types.
local WINDOW = {kernel = "integer", stride = "integer", pad = "integer", name = "string"}
local kinds = {
    conv = {first = "out", default = {kernel = 3},
            options = {out = "integer", kernel = "integer", stride = "integer", pad = "integer", groups = "groups",
                       bias = "boolean", name = "string"}},
    linear = {first = "out", options = {out = "integer", bias = "boolean", name = "string"}},
    batchnorm = {options = {name = "string"}},
    relu = {options = {name = "string"}},
    relu6 = {options = {name = "string"}},
    silu = {options = {name = "string"}},
    maxpool = {first = "kernel", default = {kernel = 2}, options = WINDOW},
    avgpool = {first = "kernel", default = {kernel = 2}, options = WINDOW},
    globalpool = {options = {name = "string"}},
    flatten = {options = {name = "string"}},
    residual = {options = {shortcut = "shortcut", name = "string"}},
}

local function is_layer(v) return getmetatable(v) == Layer end

local function type_of(v)
    return math.type(v) == "integer" and "integer" or type(v)
end

-- Is v of the type an option wants? Texts that are wrong are the business of qs.net.
local fits = {
    groups = function(v) return math.type(v) == "integer" or type(v) == "string" end,
    shortcut = function(v) return type(v) == "string" or type(v) == "table" end,
}

local function names_of(options)
    local list = {}
    for name in pairs(options) do list[#list + 1] = name end
    table.sort(list)
    return table.concat(list, ", ")
end

local function check_option(kind, row, key, v)
    local want = row.options[key]
    if not want then
        return ("qs.%s has no option '%s'; it has: %s"):format(kind, tostring(key), names_of(row.options))
    end
    local good = fits[want]
    if good and not good(v) or not good and type_of(v) ~= want then
        error(("bad option '%s' of qs.%s (%s expected, got %s)"):format(key, kind, good and key or want, type_of(v)), 3)
    end
end

-- Raises unless t's array part is layers, without holes.
local function check_list(t, what)
    local n, most = 0, 0
    for k, v in pairs(t) do
        if math.type(k) == "integer" then
            n, most = n + 1, math.max(most, k)
            if not is_layer(v) then
                error(("%s: layer %d should be a layer (qs.conv{...}, qs.relu(), ...), got %s"):format(what, k,
                                                                                                     type_of(v)), 3)
            end
        end
    end
    for i = 1, n ~= most and most or 0 do
        if t[i] == nil then error(("%s: layer %d is nil"):format(what, i), 3) end
    end
end

local function make(kind, t)
    local row, layer = kinds[kind], {kind = kind, options = {}}
    if t ~= nil and type(t) ~= "table" then
        error(("qs.%s takes a table, as in qs.%s{%s}; got %s"):format(kind, kind, row.first and "16" or "", type_of(t)), 2)
    end
    t = t or {}
    for key, v in pairs(t) do
        if key == 1 and row.first then key = row.first end
        if kind ~= "residual" or math.type(key) ~= "integer" then
            layer.wrong = layer.wrong or check_option(kind, row, key, v)
            layer.options[key] = v
        end
    end
    for key, v in pairs(row.default or {}) do
        if layer.options[key] == nil then layer.options[key] = v end
    end
    if kind ~= "residual" then return setmetatable(layer, Layer) end
    check_list(t, "qs.residual")
    layer.list = table.move(t, 1, #t, 1, {})
    local s = t.shortcut
    if is_layer(s) then layer.options.shortcut = {s}
    elseif type(s) == "table" then
        check_list(s, "qs.residual: shortcut")
    elseif s ~= nil and s ~= "pad" then
        layer.wrong = layer.wrong or ("qs.residual: no shortcut '%s'; there are nil, \"pad\" and {layers}"):format(s)
    end
    return setmetatable(layer, Layer)
end

for kind in pairs(kinds) do
    M[kind] = function(t) return make(kind, t) end
end

local function list_text(list)
    local out = {}
    for i, l in ipairs(list) do out[i] = tostring(l) end
    return table.concat(out, ", ")
end

function Layer.__tostring(l)
    local first, out, keys = kinds[l.kind].first, {}, {}
    if l.list then out[1] = list_text(l.list) end
    if first and l.options[first] ~= nil then out[1] = tostring(l.options[first]) end
    for key in pairs(l.options) do
        if key ~= first then keys[#keys + 1] = key end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do
        local v = l.options[key]
        out[#out + 1] = key .. "=" .. (type(v) == "table" and "{" .. list_text(v) .. "}" or
                                       type(v) == "string" and '"' .. v .. '"' or tostring(v))
    end
    return ("qs.%s{%s}"):format(l.kind, table.concat(out, ", "))
end

-- ---- a list of layers becomes a net ---------------------------------------------------------------------

local build

-- The main branch, the shortcut, their sum.
local function build_residual(net, l, prefix, input, count)
    if #l.list == 0 then return fail("EARG", "qs.residual: there are no layers in it") end
    count.block = (count.block or 0) + 1
    local inner = prefix .. (l.options.name or "block" .. count.block) .. "."
    local stop, message, code = build(net, l.list, inner, input)
    if not stop then return nil, message, code end
    local other, shortcut = input, l.options.shortcut
    if shortcut == "pad" then
        local h, w, c = private.net_size(net, stop)
        local from_h, from_w = private.net_size(net, input)
        local stride = 1 -- the one that brings the image to the size of the branch
        for s = 1, from_h do
            if (from_h - 1) // s + 1 == h and (from_w - 1) // s + 1 == w then stride = s break end
        end
        other, message, code = private.net_add(net, {op = "shortcut", prefix = inner, input = input, out = c,
                                                    stride = stride})
    elseif shortcut then
        other, message, code = build(net, shortcut, inner .. "shortcut.", input)
    end
    if not other then return nil, message, code end
    return private.net_add(net, {op = "add", prefix = inner, input = stop, input2 = other})
end

local function build_layer(net, l, prefix, input, next_kind)
    local o = l.options
    local add = {op = l.kind, prefix = prefix, input = input, name = o.name, out = o.out, kernel = o.kernel,
                 stride = o.stride, pad = o.pad, bias = o.bias}
    if l.kind == "conv" or l.kind == "linear" then
        local _, _, channels = private.net_size(net, input)
        if o.groups == "depthwise" then
            add.groups, add.out = channels, o.out or channels
        elseif type(o.groups) == "string" then
            return fail("EARG", "qs.conv: groups is a number or \"depthwise\", not \"%s\"", o.groups)
        else
            add.groups = o.groups
        end
        if not add.out then return fail("EARG", "qs.%s: how many outputs? qs.%s{16}", l.kind, l.kind) end
        -- a bias before batch normalization would only be subtracted again
        if o.bias == nil and l.kind == "conv" and next_kind == "batchnorm" then add.bias = false end
    end
    if add.stride == 0 or add.kernel == 0 or add.groups == 0 then
        return fail("EARG", "qs.%s: kernel, stride and groups are 1 or more", l.kind)
    end
    return private.net_add(net, add)
end

-- Appends the list, reading layer `input`; the number of its last layer.
function build(net, list, prefix, input)
    local count = {}
    for i, l in ipairs(list) do
        local message, code
        if l.wrong then return fail("EARG", "%s", l.wrong) end
        if l.kind == "residual" then
            input, message, code = build_residual(net, l, prefix, input, count)
        else
            input, message, code = build_layer(net, l, prefix, input, list[i + 1] and list[i + 1].kind)
        end
        if not input then return nil, message, code end
    end
    return input
end

local function check_input(input)
    local good = type(input) == "table" and #input == 3
    for i = 1, good and 3 or 0 do good = good and math.type(input[i]) == "integer" end
    return good
end

-- The first unknown key of t as a failure, or nothing. Integer keys are left alone.
local function unknown(what, t, known)
    for key in pairs(t) do
        if type(key) == "string" and known[key] == nil then
            return fail("EARG", "%s has no option '%s'; it has: %s", what, key, names_of(known))
        end
    end
end

local NET = {input = true, seed = true, name = true}

function M.net(t)
    if type(t) ~= "table" then error("qs.net takes a table: qs.net{input={1,28,28}, qs.conv{16}, ...}", 2) end
    check_list(t, "qs.net")
    local none, message, code = unknown("qs.net", t, NET)
    if message then return none, message, code end
    if not check_input(t.input) then
        return fail("EARG", "qs.net: input={channels, rows, columns} is missing, as in input={1,28,28}")
    end
    if #t == 0 then return fail("EARG", "qs.net: there are no layers") end
    local net
    net, message, code = private.net_new(t.input[2], t.input[3], t.input[1], t.name)
    if not net then return nil, message, code end
    none, message, code = build(net, t, "", 0)
    if not none then return nil, message, code end
    return net:seed(t.seed or 1)
end

-- ---- ready descriptions -----------------------------------------------------------------------------------

local function append(list, ...)
    for _, l in ipairs {...} do list[#list + 1] = l end
    return list
end

-- Convolution, batch normalization, activation.
local function conv_bn(list, o, act)
    o.pad = o.pad or 1
    append(list, M.conv(o), M.batchnorm())
    if act ~= false then append(list, (act or M.relu)()) end
    return list
end

local describe = {}

function describe.mlp(classes)
    return {M.flatten(), M.linear{256}, M.relu(), M.linear{128}, M.relu(), M.linear{classes}}
end

function describe.lenet(classes)
    return {M.conv{16, kernel = 5, pad = 2}, M.relu(), M.maxpool{2}, M.conv{32, kernel = 5, pad = 2}, M.relu(), M.maxpool{2},
            M.flatten(), M.linear{128}, M.relu(), M.linear{classes}}
end

function describe.smallcnn(classes)
    local list = {}
    for _, row in ipairs {{16, 1}, {32, 2}, {32, 1}, {64, 2}, {64, 1}} do conv_bn(list, {row[1], stride = row[2]}) end
    return append(list, M.globalpool(), M.linear{classes})
end

-- The residual networks for CIFAR of He et al. 2016: 6n+2 layers, shortcuts without parameters (option A).
local function resnet(classes, n)
    local list = conv_bn({}, {16})
    for stage, channels in ipairs {16, 32, 64} do
        for i = 1, n do
            local down = stage > 1 and i == 1
            local branch = conv_bn({}, {channels, stride = down and 2 or 1})
            conv_bn(branch, {channels}, false)
            branch.shortcut = down and "pad" or nil
            append(list, M.residual(branch), M.relu())
        end
    end
    return append(list, M.globalpool(), M.linear{classes})
end

function describe.resnet8(classes) return resnet(classes, 1) end
function describe.resnet20(classes) return resnet(classes, 3) end

-- Depthwise separable convolutions (MobileNet, Howard et al. 2017).
function describe.depthwise(classes)
    local list = conv_bn({}, {16}, M.relu6)
    for _, row in ipairs {{32, 1}, {64, 2}, {64, 1}, {128, 2}, {128, 1}} do
        conv_bn(list, {groups = "depthwise", stride = row[2]}, M.relu6)
        conv_bn(list, {row[1], kernel = 1, pad = 0}, M.relu6)
    end
    return append(list, M.globalpool(), M.linear{classes})
end

local READY = {input = true, classes = true, seed = true, data = true}

for name, layers in pairs(describe) do
    M.nets[name] = function(o)
        if o ~= nil and type(o) ~= "table" then error(("qs.nets.%s takes a table of options"):format(name), 2) end
        o = o or {}
        local none, message, code = unknown("qs.nets." .. name, o, READY)
        if message then return none, message, code end
        local d = o.data
        local classes = o.classes or d and d.classes or 10
        if math.type(classes) ~= "integer" then error("bad option 'classes' (integer expected)", 2) end
        local list = layers(classes)
        list.input, list.seed, list.name = o.input or d and d.input or {1, 28, 28}, o.seed, name
        return M.net(list)
    end
end

-- ---- with trained weights --------------------------------------------------------------------------------------

-- What was measured of each of them on full Fashion-MNIST, as scripts/train-bundled.lua wrote it beside their files.
local function read_stated()
    local chunk = loadfile(private.data() .. "/nets/accuracy.lua", "t", {})
    return chunk and chunk() or {}
end

function M.bundled(name)
    if type(name) ~= "string" then error("qs.bundled: the name of a net, as in qs.bundled \"smallcnn\"", 2) end
    local make_net, stated = M.nets[name], read_stated()
    if not make_net or next(stated) and not stated[name] then
        return fail("EARG", "no bundled net is called \"%s\"; there are %s", name, names_of(stated))
    end
    local net, message, code = make_net():load(("%s/nets/%s.safetensors"):format(private.data(), name))
    if not net then return nil, message, code end
    if stated[name] then
        private.net_note(net, ("float accuracy %.2f %% on the test images of Fashion-MNIST"):format(100 * stated[name].accuracy))
    end
    return net
end

return M
