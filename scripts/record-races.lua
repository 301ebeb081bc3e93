-- SPDX-License-Identifier: GPL-3.0-or-later
-- Records the races that come with the program, data/races/NAME.json: measured here, played anywhere without computing.
--
--     quantscope run scripts/record-races.lua [NAME...]         all, or those named
--
-- Full Fashion-MNIST, the bundled float nets, 150 steps of 128 images at a rate of 0.01 that falls to 0 (cosine), seed 1; the
-- first and last layer at 8 bits. Validated every 15 steps on the first 2000 of the last 6000 training images, which no run
-- trains on. Each file says with what program, on what machine and when. Accuracies repeat with the same program on the same
-- kind of machine; seconds are of that day.
local qs = require "quantscope"

local RACES = {
    { name = "smallcnn-2bit", net = "smallcnn", inits = { "lsq", "mse", "lapq", "adaptive" },
      quant = { weights = "int2", acts = 2, learn = "lsq" } },
    { name = "depthwise-2bit", net = "depthwise", inits = { "lsq", "mse", "lapq", "adaptive" },
      quant = { weights = "int2", acts = 2, learn = "lsq" } },
    { name = "resnet8-apot3", net = "resnet8", inits = { "apot", "lsq", "mse", "lapq" },
      quant = { weights = "apot3", acts = "uapot3", learn = "rcf" } },
}

local top = (arg[0]:match "^(.*)/[^/]*$" or ".") .. "/.."
local only = {}
for _, name in ipairs(arg) do only[name] = true end

local data = assert(qs.dataset("fashion-mnist", { val = 6000 }))
if data.slice then error("the whole of Fashion-MNIST is needed: " .. data.note) end
for _, r in ipairs(RACES) do
    if not next(only) or only[r.name] then
        local rows = assert(qs.race(assert(qs.bundled(r.net)), data,
                                    { inits = r.inits, steps = 150, evaluate = 15, record = 5, val_limit = 2000, turn = 5, quant = r.quant }))
        assert(rows:save(("%s/data/races/%s.json"):format(top, r.name)))
        print(r.name)
        print(rows)
    end
end
