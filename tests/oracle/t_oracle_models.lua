-- SPDX-License-Identifier: GPL-3.0-or-later
-- The whole-model reference values of the bundled network, computed outside with NumPy, come out of
-- scripts/model-sqnr.lua: symmetric narrow range, absmax, every weight of two or more dimensions, per tensor and channel.
local tap = dofile(arg[0]:match("^(.-)[^/]*$") .. "tap.lua")
local top = os.getenv "top_srcdir" or tap.dir .. "../.."
local got = {}
local env = setmetatable({ arg = { top .. "/data/blazeface_front.onnx" },
                           print = function(s) got[#got + 1] = s:gsub("%s+", " ") end }, { __index = _G })
assert(loadfile(top .. "/scripts/model-sqnr.lua", "t", env))()
for i, want in ipairs { "int8:narrow 37.9 dB", "int8:narrow@channel0 42.3 dB", "int4:narrow 13.7 dB",
                        "int4:narrow@channel0 17.9 dB" } do
  tap.ok(got[i] == want, ("BlazeFace front, %s (got %s)"):format(want, got[i]))
end
tap.done()
