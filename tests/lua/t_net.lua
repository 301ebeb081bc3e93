-- SPDX-License-Identifier: GPL-3.0-or-later
-- Data sets and networks: descriptions, shapes, names, files, what is refused.
local qs = require "quantscope"
local tap = require "tap"
local ok, eq, near, fails, raises = tap.ok, tap.eq, tap.near, tap.fails, tap.raises

local function join(list) return table.concat(list, " ") end

-- ---- data sets ----
local d = assert(qs.dataset("fashion-mnist", {slice = true, val = 300}))
eq(d.name, "fashion-mnist", "a data set by name")
ok(d.slice and d.note:find("demonstration only", 1, true), "the slice says what it is", d.note)
eq(join(d.input), "1 28 28", "input")
eq(d.classes, 10, "classes")
ok(d.train > 0 and d.val == 300 and d.test > 0, "three parts")
ok(d.mean[1] > 0.2 and d.mean[1] < 0.4 and #d.std == 1, "mean and deviation")
ok(tostring(d):find("28x28x1, 10 classes", 1, true), "tostring", tostring(d))
local x, label = d:image("test", 1)
eq(join(x.shape), "28 28 1", "an image")
ok(math.type(label) == "integer" and label >= 0 and label < 10, "its label")
local whole = qs.dataset("fashion-mnist", {slice = true})
eq(whole.val, (whole.train + whole.val) // 10, "a tenth is kept for validation")
fails("EARG", "no image 0", "image 0", d:image("test", 0))
fails("EARG", "no image", "beyond the end", d:image("val", 301))
fails("EARG", "half", "no such part", d:image("half", 1))
fails("EARG", "fashion-mnist", "no such data", qs.dataset "imagenet")
fails("EARG", "no option", "an unknown option", qs.dataset("fashion-mnist", {slices = true}))
fails("EARG", "val", "too much validation", qs.dataset("fashion-mnist", {slice = true, val = 10^7 // 1}))
fails("EIO", "nowhere", "no such file", qs.dataset{images = "nowhere/x.npy", labels = "nowhere/y.npy"})
raises("table", "a number for a name", qs.dataset, 5)
raises("val", "a wrong type of option", qs.dataset, "fashion-mnist", {val = "many"})
ok(#qs.datasets() >= 4, "names of data sets")

-- own files
local dir = tap.path ""
local pixels, labels = {}, {}
for i = 1, 24 * 16 do pixels[i] = (i * 7 % 13) / 13 end
for i = 1, 24 do labels[i] = i % 3 end
assert(qs.save(tap.path "images.npy", qs.tensor({24, 4, 4}, pixels)))
assert(qs.save(tap.path "labels.npy", qs.tensor({24}, labels)))
local own, why = qs.dataset{images = tap.path "images.npy", labels = tap.path "labels.npy", val = 4}
ok(own and own.train + own.val + own.test == 24 and own.val == 4 and own.classes == 3, "own files", why)

-- ---- descriptions ----
local net = assert(qs.net{
    input = {1, 28, 28}, name = "mine",
    qs.conv{16, pad = 1}, qs.batchnorm(), qs.relu(), qs.maxpool{2},
    qs.residual{qs.conv{32, pad = 1, stride = 2}, qs.batchnorm(), qs.relu6(), qs.conv{32, pad = 1}, shortcut = "pad"}, qs.relu(),
    qs.residual{qs.conv{groups = "depthwise", pad = 1}, qs.silu(), qs.conv{8, kernel = 1},
                shortcut = {qs.conv{8, kernel = 1, name = "skip"}}},
    qs.avgpool{2, stride = 1}, qs.globalpool(), qs.flatten(), qs.linear{10},
})
eq(net.name, "mine", "name")
eq(net.classes, 10, "classes")
eq(join(net.input), "1 28 28", "input")
eq(join(net:names()), "conv1.weight bn1.weight bn1.bias bn1.running_mean bn1.running_var " ..
   "block1.conv1.weight block1.bn1.weight block1.bn1.bias block1.bn1.running_mean block1.bn1.running_var " ..
   "block1.conv2.weight block1.conv2.bias block2.conv1.weight block2.conv1.bias block2.conv2.weight block2.conv2.bias " ..
   "block2.shortcut.skip.weight block2.shortcut.skip.bias fc1.weight fc1.bias",
   "names; no bias before batch normalization")
eq(#net, 20, "#net")
eq(join(net["block1.conv1.weight"].shape), "32 16 3 3", "a weight")
eq(net["block1.conv1.weight"].out_axis, 0, "its output axis")
eq(join(net["block2.conv1.weight"].shape), "32 1 3 3", "depthwise")
eq(net[1].name, "conv1.weight", "by number")
eq(net[21], nil, "no more")
eq(net["conv7.weight"], nil, "no such parameter")
fails("EARG", "conv7", "by get", net:get "conv7.weight")
eq(net:get("fc1.bias").name, "fc1.bias", "get")
local rows, by_name = net:layers(), {}
for _, row in ipairs(rows) do by_name[row.name] = row end
eq(join(by_name["block1.add1"].inputs), "block1.conv2 block1.shortcut1", "a sum reads both")
eq(join(by_name["block1.shortcut1"].output), "32 7 7", "the shortcut fits")
eq(by_name["block1.shortcut1"].stride, 2, "by every second pixel")
ok(by_name["block1.conv1"].unsigned and by_name["block1.conv2"].unsigned and by_name["block2.conv1"].unsigned and
   not by_name.conv1.unsigned and not by_name["block2.conv2"].unsigned, "which inputs have no sign")
local text = tostring(net)
ok(text:find("mine", 1, true) and text:find("block2.shortcut.skip", 1, true) and text:find("depthwise", 1, true), "tostring", text)
eq(tostring(qs.conv{16, kernel = 5, groups = "depthwise"}), 'qs.conv{16, groups="depthwise", kernel=5}', "a layer as text")
eq(tostring(qs.residual{qs.relu(), shortcut = {qs.relu()}}), "qs.residual{qs.relu{}, shortcut={qs.relu{}}}", "a block as text")
eq(qs.net{input = {1, 4, 4}, qs.conv{2, bias = false}, qs.linear{2, bias = false}}:names()[2], "fc1.weight", "bias=false")
eq(qs.net{input = {1, 4, 4}, qs.conv{2, bias = true}, qs.batchnorm(), qs.linear{2}}:names()[2], "conv1.bias", "bias=true")
local shared = qs.conv{2}
eq(join(qs.net{input = {1, 8, 8}, shared, shared, qs.linear{2}}:names()),
   "conv1.weight conv1.bias conv2.weight conv2.bias fc1.weight fc1.bias", "a layer used twice is two layers")
eq(qs.net{input = {1, 8, 8}, qs.residual{qs.residual{qs.conv{1, pad = 1}}}, qs.linear{2}}:names()[1],
   "block1.block1.conv1.weight", "blocks in blocks")

-- ---- what is refused ----
fails("EARG", "28x28x1", "a kernel that does not fit", qs.net{input = {1, 28, 28}, qs.conv{4, kernel = 30}})
fails("EARG", "conv1", "names the layer", qs.net{input = {1, 28, 28}, qs.conv{4, kernel = 30}})
fails("EARG", "block1.add1", "shapes that cannot be added", qs.net{input = {1, 8, 8}, qs.residual{qs.conv{2, pad = 1}}})
fails("EARG", "kernl", "an unknown option", qs.net{input = {1, 8, 8}, qs.conv{2, kernl = 3}, qs.linear{2}})
fails("EARG", "zero", "an unknown shortcut", qs.net{input = {1, 8, 8}, qs.residual{qs.relu(), shortcut = "zero"}})
fails("EARG", "depthwise", "unknown groups", qs.net{input = {1, 8, 8}, qs.conv{2, groups = "deep"}})
fails("EARG", "how many outputs", "no outputs", qs.net{input = {1, 8, 8}, qs.linear()})
fails("EARG", "1 or more", "a stride of 0", qs.net{input = {1, 8, 8}, qs.conv{2, stride = 0}})
fails("EARG", "output channels", "a negative number of outputs", qs.net{input = {1, 8, 8}, qs.conv{-4}})
fails("EARG", "input=", "no input", qs.net{qs.linear{2}})
fails("EARG", "channels", "an input of 0 channels", qs.net{input = {0, 8, 8}, qs.linear{2}})
fails("EARG", "no layers", "no layers", qs.net{input = {1, 8, 8}})
fails("EARG", "no layers", "an empty block", qs.net{input = {1, 8, 8}, qs.residual{}})
fails("EARG", "classs", "an unknown key", qs.net{input = {1, 8, 8}, qs.linear{2}, classs = 3})
fails("EARG", "two layers", "a name twice", qs.net{input = {1, 8, 8}, qs.relu{name = "a"}, qs.relu{name = "a"}})
raises("layer 2", "something else in the list", qs.net, {input = {1, 8, 8}, qs.relu(), 17})
raises("layer 1 is nil", "a hole", qs.net, {input = {1, 8, 8}, nil, qs.relu()})
raises("kernel", "a kernel that is no number", qs.conv, {4, kernel = "3"})
raises("integer", "a fraction", qs.conv, {4, kernel = 2.5})
raises("takes a table", "no table", qs.linear, 10)
raises("layer 1", "no layer in a block", qs.residual, {5})

-- ---- ready ones ----
local sizes = {mlp = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10,
               lenet = 25 * 16 + 16 + 25 * 16 * 32 + 32 + 7 * 7 * 32 * 128 + 128 + 1290}
for _, name in ipairs {"mlp", "lenet", "smallcnn", "resnet8", "resnet20", "depthwise"} do
    local n, message = qs.nets[name]()
    ok(n and n.classes == 10 and n.name == name, "qs.nets." .. name, message)
    if sizes[name] then eq(n.values, sizes[name], name .. " has the size of its description") end
    if name ~= "mlp" and name ~= "lenet" and name ~= "resnet20" then ok(n.values < 125000, name .. " is small", n.values) end
end
ok(qs.nets.depthwise().values < 100000, "depthwise is under 100k")
local r20 = qs.nets.resnet20{input = {3, 32, 32}, classes = 100, seed = 4}
eq(join(r20:layers()[#r20:layers() - 2].output), "64 8 8", "resnet20 on 32x32")
eq(r20.values, 16 * 27 + 32 + (6 * 16 * 144 + 6 * 32) + (32 * 144 + 5 * 32 * 288 + 6 * 64) + (64 * 288 + 5 * 64 * 576 + 6 * 128) + 6500,
   "and its size")
eq(join(qs.nets.lenet{data = own}.input), "1 4 4", "input and classes of a data set")
eq(qs.nets.mlp{data = own}.classes, 3, "classes")
fails("EARG", "classes", "an unknown option of a ready net", qs.nets.mlp{clases = 3})
fails("EARG", "fc3", "no classes", qs.nets.mlp{classes = 0})
fails("EARG", "smallcnn", "no such bundled net", qs.bundled "vgg")

-- ---- values ----
local a, b, c = qs.nets.mlp{seed = 3}, qs.nets.mlp{seed = 3}, qs.nets.mlp{seed = 4}
local function first(n) return n["fc2.weight"][77] end
eq(first(a), first(b), "the same seed, the same weights")
ok(first(a) ~= first(c), "another seed, other weights")
near(a["fc1.weight"]:summary().std, math.sqrt(2 / 784), 0.02, "of He's deviation")
eq(first(c:seed(3)), first(a), "seed")
local copy = a:copy()
copy:seed(9)
ok(first(copy) ~= first(a), "a copy has its own")
eq(a:save(tap.path "mlp.safetensors"), true, "save")
eq(first(copy:load(tap.path "mlp.safetensors")), first(a), "load a file")
copy:seed(9)
eq(first(copy:load(assert(qs.load(tap.path "mlp.safetensors")))), first(a), "load a model")
eq(a:save(tap.path "half.safetensors", {half = true}), true, "save in half")
eq(qs.load(tap.path "half.safetensors")["fc1.weight"].dtype, "F16", "weights are F16")
near(first(copy:load(tap.path "half.safetensors")), first(a), 1e-3, "and come back")
local before = first(c)
fails("EFORMAT", "conv1.weight", "a net of other names", qs.nets.lenet():load(tap.path "mlp.safetensors"))
fails("EFORMAT", "fc3.weight", "other shapes", qs.nets.mlp{classes = 7}:load(tap.path "mlp.safetensors"))
fails("EIO", "nowhere", "no such file", c:load "nowhere.safetensors")
eq(first(c), before, "nothing changed")
fails("EARG", "no option", "an unknown option of save", a:save("x.safetensors", {halves = true}))
raises("model or string", "load of a number", a.load, a, 5)
local folded = assert(net:fold())
ok(not folded["bn1.weight"] and folded["conv1.bias"] and #folded:layers() == #rows - 2, "fold")

-- ---- on data ----
local small = qs.nets.mlp()
local score = assert(small:evaluate(d))
ok(score.accuracy >= 0 and score.accuracy <= 1 and score.loss > 0 and score.n == 300, "evaluate")
eq(small:evaluate(d, "test", 100).n, 100, "a part and a limit")
fails("EARG", "parts", "no such part", small:evaluate(d, "parts"))
fails("EARG", "4x4", "data of another size", small:evaluate(own))
local acts = assert(small:activations(d, {batches = 2, batch = 50}))
ok(acts["fc1.input"] and acts["fc2.input"] and acts["fc3.input"], "activations of every layer")
ok(acts["fc2.input"].min >= 0 and #acts["fc2.input"] + acts["fc2.input"].skipped == 100 * 256, "behind ReLU",
   acts["fc2.input"] and #acts["fc2.input"])
ok(qs.init("mse", acts["fc2.input"], "uint4", {role = "act"}).step > 0, "an index like any other")
fails("EARG", "training images", "more than there are", small:activations(d, {batches = 10000}))
for _, name in ipairs {"images.npy", "labels.npy", "mlp.safetensors", "half.safetensors"} do os.remove(tap.path(name)) end
tap.done()
