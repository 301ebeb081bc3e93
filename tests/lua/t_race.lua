-- SPDX-License-Identifier: GPL-3.0-or-later
-- Races as a table, as a file, and played from one. How they run is in t_train.lua.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, fails, raises = tap.ok, tap.eq, tap.near, tap.fails, tap.raises

eq(qs.race(), nil, "no race yet")
local d = assert(qs.dataset("fashion-mnist", {slice = true, val = 100}))
local net = assert(qs.nets.mlp {})
local rows = assert(qs.race(net, d, {inits = {"mse", "sawb", {weights = "lsq", acts = "minmax"}}, steps = 12, batch = 50, evaluate = 2, record = 2,
                                     quant = {weights = 2, acts = 2}}))
eq(qs.race(), rows, "the newest is kept")
local text = tostring(rows)
ok(text:find "init +before +@2 +@4 +after +loss +start s +=steps +train s +state", "the table has accuracies along the way", text)
ok(text:find "\n1 mse +[%d.]+ +[%d.]+ .* done", "a line a racer", text)
ok(text:find "\n2 sawb +EUNSUP", "why one could not start", text)
ok(text:find "\n3 lsq/minmax ", "weights and inputs from different starts", text)
eq(qs.pretty(rows), text, "print shows it")
eq(#rows, 3, "and it is an array")

-- ---- milestones ----
rows = assert(qs.race(net, d, {inits = {"mse"}, steps = 9, batch = 50, milestones = {2, 5, 50}, quant = {weights = 2, acts = 2}}))
eq(table.concat(rows[1].series.step, " "), "0 2 5 9", "validated where it was asked for")
local alone = assert(qs.race(net, d, {inits = {"mse"}, steps = 9, batch = 50, quant = {weights = 2, acts = 2}}))
eq(alone[1].loss, rows[1].loss, "which leaves no trace")
fails("EARG", "milestone", "step 0", qs.race(net, d, {inits = {"mse"}, milestones = {0}, quant = {weights = 2}}))
raises("milestones", "no steps", qs.race, net, d, {inits = {"mse"}, milestones = {1.5}, quant = {weights = 2}})

-- ---- a file ----
local path = tap.path "race.json"
rows = qs.race(net, d, {inits = {"mse", "sawb", "lsq"}, steps = 12, batch = 50, evaluate = 4, quant = {weights = 2, acts = 2}})
eq(rows:save(path), true, "saved")
local back = assert(qs.play(path, {speed = 0}))
eq(#back, 3, "played: as many rows")
for i = 1, 3, 2 do
    for _, key in ipairs {"init", "state", "steps"} do eq(back[i][key], rows[i][key], key) end
    for _, key in ipairs {"before", "after", "loss", "accuracy_raw", "seconds", "init_seconds"} do near(back[i][key], rows[i][key], 1e-4, key) end
    eq(table.concat(back[i].series.step, " "):gsub("%.0", ""), table.concat(rows[i].series.step, " "), "validations")
end
ok(back[2].error:find("EUNSUP", 1, true) and not back[2].state, "who did not start")
ok(tostring(back):find "recorded %d+%-%d+%-%d+ by quantscope", "when it was recorded, and by what", tostring(back))
eq(back[1].run, nil, "there is no run behind it")
ok(back:save(path), "and can be saved again")

-- ---- played ----
local seen, last = {}, -1
local begun = os.time()
back = assert(qs.play(path, {speed = 1e-3 + 20, progress = function(list, at)
    seen[#seen + 1] = at
    eq(#list, 3, "progress has the rows")
    ok(at >= last or last < 0, "time goes on")
    last = at
end}))
ok(seen[1] == -3 and seen[#seen] == 12, "from before the first start to the last step", table.concat(seen, " "))
ok(os.time() - begun < 60, "in time")

-- ---- those that come along ----
local list = qs.races()
eq(#list, 3, "three are bundled")
for _, one in ipairs(list) do
    local r = assert(qs.play(one.name, {speed = 0}))
    ok(#r == 4 and one.doc ~= "" and r[1].after > 0.5, one.name)
end

fails("EARG", "smallcnn-2bit", "no such name", qs.play "nothing")
fails("EIO", "nowhere", "no such file", qs.play "nowhere/race.json")
fails("EARG", "speed", "backwards", qs.play(path, {speed = -1}))
fails("EARG", "no option", "an option that is none", qs.play(path, {fast = 1}))
raises("speed", "a speed that is none", qs.play, path, {speed = "1"})
raises("progress", "a progress that is none", qs.play, path, {progress = 1})
raises("name", "nothing to play", qs.play)
raises("path", "nowhere to save", rows.save, rows)
fails("EIO", "nowhere", "no such folder", rows:save "nowhere/race.json")
local file = io.open(path, "w")
file:write '{"quantscope race":99}'
file:close()
fails("EFORMAT", "version 99", "of a later version", qs.play(path))
os.remove(path)
tap.done()
