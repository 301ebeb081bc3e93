-- SPDX-License-Identifier: GPL-3.0-or-later
-- Runs: options, steps in Lua, accuracy, history, files, branches, races, divergence.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, fails, raises = tap.ok, tap.eq, tap.near, tap.fails, tap.raises

local d = assert(qs.dataset("fashion-mnist", {slice = true, val = 300}))
local net = qs.nets.mlp{seed = 2}

local function losses(run)
    local out = {}
    for s in run:steps() do out[#out + 1] = ("%.17g"):format(s.loss) end
    return table.concat(out, " ")
end

-- ---- a float run ----
local run = assert(qs.train(net, d, {steps = 12, batch = 50, lr = 0.05, record = 4, evaluate = 6}))
eq(run.state, "ready", "ready")
eq(run.total, 12, "total")
eq(run.step, 0, "no step is made")
eq(run.batch, 50, "batch")
eq(run.loss, nil, "no loss yet")
near(run.before.accuracy, net:evaluate(d).accuracy, 1e-12, "before: as the net is")
local seen = {}
for s in run:steps(5) do
    seen[#seen + 1] = s
    ok(s.step == #seen and s.loss > 0 and s.lr > 0, "step " .. s.step)
end
eq(#seen, 5, "five steps")
ok(seen[1].lr > seen[5].lr, "the rate falls")
eq(run.step, 5, "run.step")
for s in run:steps(2) do if s.step == 6 then break end end
eq(run.step, 6, "break leaves the loop after a step")
eq(run:finish(), run, "finish")
eq(run.state, "done", "done")
eq(run.step, 12, "all steps")
eq((function() local n = 0 for _ in run:steps() do n = n + 1 end return n end)(), 0, "no more steps")
eq(run:finish(), run, "finish again")
local v = assert(run:validate())
ok(v.accuracy > run.before.accuracy and v.n == 300, "it learns", v.accuracy, run.before.accuracy)
eq(run:validate(100).n, 100, "limit")
local t = assert(run:test())
eq(t.n, d.test, "test")
local h = run.history
eq(#h.loss, 12, "history: a loss a step")
eq(h.step[12], 12, "steps")
near(h.loss[3], seen[3].loss, 1e-6, "the losses seen")
ok(#h.lr == 12 and #h.accuracy == #h.accuracy_step and #h.accuracy >= 2, "rates and validations")
eq(next(h.quantizers), nil, "no quantizers")
local tests = 0
for _, e in ipairs(h.evaluations) do if e.part == "test" then tests = tests + 1 end end
eq(tests, 1, "the test is logged")
ok(tostring(run):find("done", 1, true) and tostring(run):find("12 of 12", 1, true), "tostring", tostring(run))
ok(qs.pretty(run):find("demonstration only", 1, true), "what the console shows says the slice")
ok(run.net["fc1.weight"][5] ~= net["fc1.weight"][5], "a copy is trained")
eq(run.net, run.net, "run.net is one object")
eq(run.data, d, "run.data")
ok(run.seconds > 0, "seconds")
fails("ESTATE", "over", "stop after the end", run:stop())
fails("ESTATE", "workbench", "start without a screen", run:start())
eq(run:pause(), run, "pause of a run nobody makes steps of")

-- ---- a quantized run ----
local o = {steps = 10, batch = 50, lr = 0.02, record = 5,
           quant = {weights = 2, acts = "uint2", init = {weights = "mse", acts = "mse"}, learn = "lsq"}}
local q = assert(qs.train(run.net, d, o))
eq(table.concat(q:names(), " "), "fc1.weight fc2.input fc2.weight fc3.input fc3.weight", "sites: not the image itself")
local quantizers = assert(q:quantizers())
eq(tostring(quantizers["fc2.weight"].format), "int2", "two bits of weights")
eq(tostring(quantizers["fc2.input"].format), "uint2", "and of activations, without a sign")
eq(tostring(quantizers["fc1.weight"].format), "int8", "eight in the first layer")
eq(tostring(quantizers["fc3.input"].format), "uint8", "and in the last")
local step = quantizers["fc2.weight"].step
ok(q.float.accuracy > 0 and q.before.accuracy <= 1, "float and before")
local all = losses(q)
eq(q.state, "done", "done")
ok(q:quantizers()["fc2.weight"].step ~= step, "steps move")
near(quantizers["fc2.weight"].step, step, 0, "a quantizer taken before stays")
h = q.history.quantizers["fc2.weight"]
ok(#h.t == #h.step and h.t[1] == 0 and h.t[#h.t] == 10, "records, from the start to the end", table.concat(h.t, " "))
near(h.step[1], step, 1e-12, "the first is the initialization")
ok(#h.gradient == #h.t and #h.clipped == #h.t and #h.entropy == #h.t and #h.ratio == #h.t and not h.offset, "columns")
ok(h.format == "int2" and h.init == "mse" and h.learn == "lsq" and h.role == "weight", "what it is")
eq(#h.histogram.count, h.histogram.bins, "a histogram")
local looks = h.histograms
eq(#looks, #h.t, "one a record")
local counted = 0
for _, n in ipairs(looks[1].occupancy) do counted = counted + n end
ok(#looks[1].occupancy <= 256 and counted > 0, "with the occupancy of every level")
eq(h.histograms, looks, "made once")
eq(losses(assert(qs.train(run.net, d, o))), all, "the same seed: the same losses, bit for bit")
o.seed = 5
ok(losses(assert(qs.train(run.net, d, o))) ~= all, "another seed: others")
o.seed = nil

-- options that go to single places
local many = assert(qs.train(run.net, d, {steps = 2, batch = 50, step_rate = 0.5, optimizer = "adam", schedule = "step",
    gamma = 0.5, every = 1, clip = 1, crop = 2, flip = true, weight_decay = 0, quant = {
        weights = {format = qs.format "int4@channel", init = "lsq", mask = "clamp"}, acts = {bits = 3, grad_scale = "batch"},
        first = {weights = 4, acts = 4}, last = false, input = "uint8+offset", calib = 100,
        layers = {fc2 = {weights = "apot4", learn = {weights = "rcf"}}}}}))
quantizers = many:quantizers()
eq(tostring(quantizers["fc2.weight"].format), "apot4", "a layer of its own")
eq(many.history.quantizers["fc2.weight"].learn, "rcf:rescale", "and its rule, without batch normalization behind it")
eq(tostring(quantizers["fc1.weight"].format), "int4", "first=")
eq(tostring(quantizers["fc1.input"].format), "uint8+offset", "input=")
eq(tostring(quantizers["fc3.weight"].format), "int4@channel", "last=false: as the others")
eq(#quantizers["fc3.weight"].step, 10, "a step a channel")
eq(tostring(quantizers["fc3.input"].format), "uint3", "bits=")
local rates = {}
for s in many:steps() do rates[#rates + 1] = s.lr end
near(rates[2], rates[1] / 2, 1e-6, "schedule step")

-- ---- starts chosen by the loss ----
local chosen = assert(qs.train(run.net, d, {steps = 20, batch = 50, seed = 3, quant = {weights = 2, acts = 2, init = "adaptive",
    calib = 50, adapt = {images = 64, cost = 20, norms = true}}}))
local adapted = chosen.history.adapted
ok(adapted.p_weights and adapted.p_acts and adapted.last <= adapted.first and adapted.images > 0, "what adaptive settled on")
near(adapted.steps, adapted.images / 384, 1e-12, "and what it cost, in steps")
eq(adapted.factors["fc2.weight"] ~= nil and adapted.factors["fc1.weight"], 1, "a factor each; the first layer keeps its own start")
local first = adapted.attempts[1]
ok(first.what == "all" and first.p == 2 and first.loss == adapted.first and first.before == nil, "the first look is at least squares")
local least, good = first.loss, true
for i = 2, #adapted.attempts do
    local a = adapted.attempts[i]
    good = good and (a.p or a.factor) and a.before == least and (not a.taken or a.loss < least)
    if a.taken then least = a.loss end
end
ok(good and least == adapted.last, "every attempt says where it stood, and those taken lower the loss")
ok(chosen.history.quantizers["fc2.weight"].note:find("by the loss", 1, true), "the quantizer says why", chosen.history.quantizers["fc2.weight"].note)
local lapq = assert(qs.train(run.net, d, {steps = 20, batch = 50, seed = 3, quant = {weights = 2, acts = 2, init = "lapq", calib = 50,
    adapt = {images = 64, cost = 20}}}))
eq(lapq.history.adapted.p_weights, lapq.history.adapted.p_acts, "lapq: one norm for all")
eq(run.history.adapted, nil, "other runs chose nothing")
local unasked = assert(qs.train(run.net, d, {steps = 20, batch = 50, quant = {weights = 2, acts = 2, init = "adaptive"}})).history.adapted
ok(unasked.p_weights == 3 and unasked.p_acts == 2 and #unasked.attempts == 0 and unasked.images == 0 and unasked.first == nil,
   "steps that learn start by known norms, and nothing is asked")
local function after_six(follow)
    local r = assert(qs.train(run.net, d, {steps = 12, batch = 50, seed = 3, record = 1, step_rate = 1e-6, quant = {weights = 2, acts = 2,
        init = "minmax", follow = follow}}))
    for _ in r:steps(6) do end
    local q = r.history.quantizers
    return q["fc2.input"].step[#q["fc2.input"].step], q["fc2.weight"].step[#q["fc2.weight"].step]
end
local input, weight = after_six(false)
local input2, weight2 = after_six {every = 4, upto = 1}
ok(input ~= input2 and math.abs(weight / weight2 - 1) < 1e-3, "follow: inputs are solved anew", input, input2, weight, weight2)
local input3, weight3 = after_six {acts = false, weights = true, every = 4, upto = 1}
ok(math.abs(input / input3 - 1) < 1e-3 and math.abs(weight / weight3 - 1) > 1e-3, "follow: or weights", input, input3, weight, weight3)

-- ---- what ACIQ adds to a start ----
local aciq = assert(qs.train(run.net, d, {steps = 2, batch = 50, quant = {weights = "int3@channel", acts = "3@channel", init = "aciq",
    learn = "none", allocate = true, correct = true}}))
h = aciq.history.quantizers
local function mean(list)
    local sum = 0
    for _, v in ipairs(list) do sum = sum + v end
    return sum / #list
end
eq(mean(h["fc2.weight"].bits), 3, "allocate: three bits on average")
eq(mean(h["fc2.input"].bits), 3, "of inputs too")
ok(h["fc2.weight"].note:find("3 on average", 1, true) and h["fc2.weight"].note:find("corrected", 1, true), "the quantizer says so",
   h["fc2.weight"].note)
eq(h["fc1.weight"].bits, nil, "the first layer shares nothing")
eq(#h["fc1.weight"].gain, run.net["fc1.weight"].shape[1], "but is corrected, an output channel at a time")
eq(h["fc2.input"].gain, nil, "inputs are not")
quantizers = aciq:quantizers()
local w2 = run.net["fc2.weight"]
local out = quantizers["fc2.weight"]:quantize(w2)
eq(quantizers["fc2.weight"].bits[1], h["fc2.weight"].bits[1], "q.bits")
near(quantizers["fc2.weight"].gain[2], h["fc2.weight"].gain[2], 1e-12, "q.gain")
near(quantizers["fc2.weight"].shift[2], h["fc2.weight"].shift[2], 1e-12, "q.shift")
local inputs, one, two = w2.shape[2], 0, 0
for i = 1, inputs do one, two = one + w2[i], two + out[i] end
near(two / inputs, one / inputs, 1e-6, "the mean of a channel is kept")
for part = 1, 3 do
    local q, levels = quantizers["fc2.weight"], quantizers["fc2.weight"]:levels(part)
    eq(#levels, q.bits[part] > 0 and 1 << q.bits[part] or 1, "its levels")
    eq(#q:thresholds(part), #levels - 1, "and thresholds")
    near(q.range[part][1], levels[1], 1e-12, "and range")
end
eq(quantizers["fc2.input"].gain, nil, "no gain")
eq(qs.init("mse", w2, "int4").bits, nil, "no bits")
local only = assert(qs.train(run.net, d, {steps = 2, batch = 50, quant = {weights = {format = "int3", correct = "mean"}, acts = 3,
    layers = {fc3 = {weights = {format = 3, correct = false}}}}})).history.quantizers
ok(only["fc2.weight"].gain[1] == 1 and only["fc2.weight"].shift[1] ~= 0, "correct=\"mean\" leaves the deviation")
eq(only["fc3.weight"].gain, nil, "a layer says no")

-- ---- what is refused ----
local function refused(code, word, what, options)
    fails(code, word, what, qs.train(net, d, options))
end
refused("EARG", "no option", "an unknown option", {lrr = 1})
refused("EARG", "no option", "an unknown option of quant", {quant = {wights = 2}})
refused("EARG", "no option", "an unknown option of weights", {quant = {weights = {formt = "int2"}}})
refused("EARG", "no option", "an unknown option of a layer", {quant = {weights = 2, layers = {fc1 = {wights = 2}}}})
refused("EARG", "not both", "epochs and steps", {epochs = 1, steps = 5})
refused("EARG", "lr", "a negative rate", {lr = -1})
refused("EARG", "momentum", "a momentum of 2", {momentum = 2})
refused("EARG", "batch", "a batch of millions", {batch = 10000000})
refused("EARG", "steps", "a negative number of steps", {steps = -1})
refused("EARG", "sgd", "no such optimizer", {optimizer = "lion"})
refused("EARG", "cosine", "no such schedule", {schedule = "wave"})
refused("EARG", "bits", "17 bits", {quant = {weights = 17}})
refused("EARG", "paper", "no such scale", {quant = {weights = 2, grad_scale = "x"}})
refused("EARG", "mask", "no such mask", {quant = {weights = 2, mask = "x"}})
refused("EARG", "conv9", "no such layer", {quant = {weights = 2, layers = {conv9 = {weights = 3}}}})
refused("EARG", "fc", "no such init", {quant = {weights = 2, init = "nonsense"}})
refused("EARG", "learn", "no such rule", {quant = {weights = 2, learn = "nonsense"}})
refused("EFORMAT", "int", "no such format", {quant = {weights = "int99"}})
refused("EUNSUP", "group", "groups", {quant = {weights = "int4@group32", first = false}})
fails("EARG", "28", "data of another size", qs.train(qs.nets.mlp{input = {1, 8, 8}}, d))
refused("EARG", "no option", "an unknown option of adapt", {quant = {weights = 2, adapt = {image = 5}}})
refused("EARG", "random", "factors by another name", {quant = {weights = 2, adapt = {factors = "some"}}})
refused("EARG", "norms", "norms at random", {quant = {weights = 2, adapt = {norms = "random"}}})
refused("EARG", "cost", "a negative cost", {quant = {weights = 2, adapt = {cost = -1}}})
refused("EARG", "upto", "following beyond the end", {quant = {weights = 2, follow = {upto = 2}}})
refused("EARG", "no option", "an unknown option of follow", {quant = {weights = 2, follow = {each = 2}}})
refused("EARG", "too few", "too few images to choose by", {quant = {weights = 2, init = "lapq", calib = 100000}})
refused("EARG", "@channel", "nobody to share with", {quant = {weights = 2, allocate = true}})
refused("EUNSUP", "int and uint", "bits of other levels", {quant = {weights = "nf4@channel", allocate = true}})
refused("EARG", "both", "half a correction", {quant = {weights = 2, correct = "half"}})
refused("EUNSUP", "weights", "corrected inputs", {quant = {acts = {format = 2, correct = true}}})
refused("EUNSUP", "rcf", "corrected twice", {quant = {weights = "apot4", learn = "rcf", correct = true}})
raises("correct", "correct is true, false or a word", qs.train, net, d, {quant = {weights = 2, correct = 5}})
raises("adapt", "adapt is a table", qs.train, net, d, {quant = {weights = 2, adapt = 5}})
raises("quant", "quant is a table", qs.train, net, d, {quant = "int2"})
raises("weights", "weights is a format", qs.train, net, d, {quant = {weights = true}})
raises("layers", "layers is a table", qs.train, net, d, {quant = {weights = 2, layers = 5}})
raises("net", "no net", qs.train, d, net)

-- ---- files, branches ----
local path = tap.path "run.safetensors"
local one = assert(qs.train(run.net, d, o))
for _ in one:steps(4) do end
eq(one:save(path), true, "save")
local rest = losses(one)
local again = assert(qs.resume(run.net, d, path))
eq(again.step, 4, "resume stands where it was")
eq(losses(again), rest, "and goes on bit for bit")
fails("EIO", "nowhere", "no such file", qs.resume(run.net, d, "nowhere.safetensors"))
fails("EFORMAT", "", "another net", qs.resume(qs.nets.lenet(), d, path))
again = assert(qs.resume(run.net, d, path))
local branch = assert(again:branch{init = "minmax", learn = "none"})
eq(branch.step, 4, "a branch goes on from there")
eq(branch.history.quantizers["fc2.weight"].learn, "none", "with another rule")
local fixed = branch:quantizers()["fc2.weight"].step
branch:finish()
eq(branch:quantizers()["fc2.weight"].step, fixed, "none: the step stays")
eq(again.step, 4, "the first run stays where it was")
eq(again:stop "enough", again, "stop")
ok(again.state == "stopped" and again.reason == "enough", "stopped, and why")
fails("EARG", "no option", "an unknown option of branch", branch:branch{lr = 1})

eq(one:export(tap.path "h.csv"), true, "export .csv")
local file = io.open(tap.path "h.csv")
local head, row = file:read "l", file:read "l"
file:close()
ok(head:find("step,loss,lr,accuracy,fc1.weight.step", 1, true) == 1 and row:sub(1, 2) == "0,", "its head", head, row)
eq(one:export(tap.path "h.json"), true, "export .json")
file = io.open(tap.path "h.json")
local text = file:read "a"
file:close()
ok(text:find('"history":{', 1, true) and not text:find("nan") and not text:find("inf[,%]]"), "without NaN")
fails("EARG", ".csv", "another ending", one:export "h.txt")
fails("EIO", "nowhere", "no such folder", one:export "nowhere/h.csv")
for _, name in ipairs {"run.safetensors", "h.csv", "h.json"} do os.remove(tap.path(name)) end

-- ---- races ----
local rows = assert(qs.race(run.net, d, {inits = {"mse", "lsq", "nonsense"}, steps = 6, batch = 50,
                                         quant = {weights = 2, acts = 2}}))
eq(#rows, 3, "a row an init")
ok(rows[1].init == "mse" and rows[1].before and rows[1].after and rows[1].seconds > 0 and rows[1].run.step == 6, "its numbers")
eq(rows[1].run.seed, rows[2].run.seed, "the same seed")
ok(rows[3].error:find("EARG", 1, true) and rows[3].code == "EARG", "an init there is not", rows[3].error)
ok(qs.pretty(rows):find("before", 1, true), "as a table")
-- Side by side or alone, it is the same to the bit.
local told, shared = {}, {steps = 7, batch = 50, seed = 4, evaluate = 3, record = 2}
local function options(more)
    local o = {}
    for _, from in ipairs {shared, more} do
        for key, value in pairs(from) do o[key] = value end
    end
    return o
end
rows = assert(qs.race(run.net, d, options {inits = {"mse", "lsq", "nonsense"}, turn = 2, quant = {weights = 2, acts = 2}, progress = function(list, step)
    local at = {}
    for i, row in ipairs(list) do at[i] = row.steps or "-" end
    told[#told + 1] = step .. ":" .. table.concat(at, ",")
end}))
eq(table.concat(told, " "), "0:0,0,- 2:2,2,- 4:4,4,- 6:6,6,- 7:7,7,-", "they go in turn, and progress tells")
for _, row in ipairs {rows[1], rows[2]} do
    local alone = assert(qs.train(run.net, d, options {quant = {weights = 2, acts = 2, init = row.init}})):finish()
    local a, b, same = alone.history, row.run.history, true
    for i = 1, 7 do same = same and a.loss[i] == b.loss[i] end
    for name, q in pairs(a.quantizers) do
        for i = 1, #q.step do same = same and q.step[i] == b.quantizers[name].step[i] end
    end
    ok(same and #a.loss == 7 and #b.loss == 7, row.init .. ": every loss and step as alone")
    local v = alone:validate()
    ok(row.after == v.accuracy and row.loss == v.loss and row.before == alone.before.accuracy, row.init .. ": and what it comes to")
    eq(table.concat(row.series.step, " "), "0 3 6 7", row.init .. ": validations along the steps")
    ok(row.series.accuracy[1] == row.before and row.series.accuracy[4] == row.after and row.series.loss[4] == row.loss and
       #row.series.loss == 4, row.init .. ": from before to after")
end
eq(rows[3].series, nil, "none of what never ran")
local drawn = qs.plot("train", rows):text {charset = "ascii"}
ok(drawn:find "%- mse" and drawn:find "%- lsq" and not drawn:find "nonsense", "a plot of the rows", drawn)
ok(qs.plot("train", rows, {metric = "accuracy"}):text():find "accuracy", "and of their accuracies")
fails("EARG", "turn", "no step at a time", qs.race(run.net, d, {inits = {"mse"}, turn = 0, quant = {weights = 2}}))
raises("progress", "a progress that is none", qs.race, run.net, d, {inits = {"mse"}, progress = 1})
fails("ESTATE", "validation", "nothing to judge by", qs.race(run.net, assert(qs.dataset("fashion-mnist", {slice = true, val = 0})),
                                                             {inits = {"mse"}, steps = 1, quant = {weights = 2}}))
fails("EARG", "quant", "a race without quantizers", qs.race(run.net, d, {inits = {"mse"}}))
fails("EARG", "empty", "nobody runs", qs.race(run.net, d, {inits = {}, quant = {weights = 2}}))
raises("inits", "no inits", qs.race, run.net, d, {})

-- ---- divergence ----
local wild = assert(qs.train(net, d, {steps = 20, batch = 50, lr = 1e6, schedule = "constant"}))
fails("EDIVERGED", "step", "finish", wild:finish())
ok(wild.state == "diverged" and wild.reason and wild.step < 20, "state and reason", wild.reason)
ok(#wild.history.loss == wild.step, "the history stays")
fails("EDIVERGED", "step", "again", wild:finish())
fails("ESTATE", "over", "stop", wild:stop())
local n = 0
wild = assert(qs.train(net, d, {steps = 20, batch = 50, lr = 1e6, schedule = "constant"}))
for _ in wild:steps() do n = n + 1 end
ok(wild.state == "diverged" and n == wild.step, "a loop ends")
eq(qs.race(net, d, {inits = {"mse"}, steps = 20, batch = 50, lr = 1e6, quant = {weights = 4}})[1].state, "diverged",
   "in a race it is a result")
local core = require "quantscope.core"
local train = core.train
core.train = function(n, data, o)
    if o.quant.init == "lsq" then o.lr = 1e6 end
    return train(n, data, o)
end
rows = assert(qs.race(net, d, {inits = {"lsq", "mse"}, steps = 4, batch = 50, evaluate = 2, quant = {weights = 4}}))
core.train = train
ok(rows[1].state == "diverged" and rows[1].reason and rows[1].steps < 4 and rows[1].after, "one diverges")
ok(rows[2].state == "done" and rows[2].steps == 4 and #rows[2].series.step == 3, "the other goes on to its end")
tap.done()
os.exit(0) -- what diverged above was meant to: no exit code 4
