-- SPDX-License-Identifier: GPL-3.0-or-later
-- Trains the float nets that come with the program, on full Fashion-MNIST, and writes them with what they reach.
--
--     quantscope run scripts/train-bundled.lua [NAME...]        all, or those named
--     quantscope run scripts/train-bundled.lua --seed 2 --to DIR [NAME...]
--                                                   others like them, for experiments: DIR/NAME-2.safetensors, if not there
--
-- The last 5000 training images are validation: whatever was chosen here (epochs, rates, decay) was chosen by it. The test
-- images are looked at once, at the end, for the figure that is stated. Same seed, same kind of machine: the same files.
local qs = require "quantscope"

local VAL = 5000
local NETS = { -- in the order they are stated
  { name = "mlp", epochs = 20, lr = 0.05, weight_decay = 5e-4, half = true },
  { name = "smallcnn", epochs = 15, lr = 0.1, weight_decay = 5e-4, crop = 2, flip = true },
  { name = "resnet8", epochs = 10, lr = 0.1, weight_decay = 5e-4, crop = 2, flip = true },
  { name = "depthwise", epochs = 12, lr = 0.1, weight_decay = 2e-4, crop = 2, flip = true },
}

local seed, to, names = 1, nil, {}
do
  local i = 1
  while arg[i] do
    if arg[i] == "--seed" then seed, i = math.tointeger(tonumber(arg[i + 1])), i + 2
    elseif arg[i] == "--to" then to, i = arg[i + 1], i + 2
    else names[#names + 1], i = arg[i], i + 1 end
  end
end

local top = arg[0]:match("^(.*)/[^/]*$") or "."
local folder = top .. "/../data/nets/"

local function fail(...)
  io.stderr:write("train-bundled: ", string.format(...), "\n")
  os.exit(1)
end

local function read_stated()
  local f = loadfile(folder .. "accuracy.lua")
  return f and f() or {}
end

-- One row a net, in a fixed order, for programs; and the same for people.
local function write_stated(all)
  local f = assert(io.open(folder .. "accuracy.lua", "w"))
  f:write("-- SPDX-License-Identifier: GPL-3.0-or-later\n-- Written by scripts/train-bundled.lua: what the nets beside ",
          "reach on the Fashion-MNIST test images.\n-- accuracy: batch normalization re-estimated on 2048 training images, ",
          "as everywhere in quantscope; raw: as the file has it.\nreturn {\n")
  local readme = assert(io.open(folder .. "README", "w"))
  readme:write("Float networks trained for quantscope by scripts/train-bundled.lua on the first 55,000 training images of ",
               "Fashion-MNIST\n(Debian's dataset-fashion-mnist; the last 5000 were validation); GPL-3.0-or-later like the ",
               "program. Accuracies in per cent.\n\n",
               ("%-10s %8s %7s %11s %6s %9s\n"):format("net", "values", "epochs", "validation", "test", "test, raw"))
  for _, n in ipairs(NETS) do
    local r = all[n.name]
    if r then
      f:write(("  %s = { accuracy = %.4f, raw = %.4f, val = %.4f, epochs = %d },\n"):format(n.name, r.accuracy, r.raw, r.val,
                                                                                      r.epochs))
      readme:write(("%-10s %8d %7d %11.2f %6.2f %9.2f\n"):format(n.name, assert(qs.nets[n.name]()).values, r.epochs,
                                                                 100 * r.val, 100 * r.accuracy, 100 * r.raw))
    end
  end
  f:write("}\n")
  readme:write("\ntest: batch normalization re-estimated on 2048 training images before the count, as everywhere in ",
               "quantscope; raw: with the\nrunning statistics as they are in the file. Pixels are scaled to 0..1 and ",
               "normalized by mean and deviation of the training images.\n")
  f:close()
  readme:close()
end

local function train(n, d)
  local net = assert(qs.nets[n.name]{ seed = seed })
  local run = assert(qs.train(net, d, { epochs = n.epochs, lr = n.lr, weight_decay = n.weight_decay, crop = n.crop,
                                        flip = n.flip, nesterov = true, seed = seed, record = 1000 }))
  local each, sum, count = run.total // n.epochs, 0, 0
  for s in run:steps() do
    sum, count = sum + s.loss, count + 1
    if count == each then
      io.stderr:write(("%s epoch %d of %d: loss %.4f, validation %.2f %%, %.0f s\n"):format(n.name, s.step // each, n.epochs,
                      sum / count, 100 * run:validate().accuracy, run.seconds))
      sum, count = 0, 0
    end
  end
  return run
end

local d = assert(qs.dataset("fashion-mnist", { val = VAL }))
if d.slice then fail("the whole of Fashion-MNIST is needed (package dataset-fashion-mnist)") end
if not seed or (seed ~= 1) ~= (to ~= nil) then fail("the bundled nets have seed 1; another seed goes with --to DIR") end
local wanted, all = {}, read_stated()
for _, name in ipairs(names) do wanted[name] = true end

local function bundle(n)
  local run, path = train(n, d), folder .. n.name .. ".safetensors"
  assert(run.net:save(path, { half = n.half or false }))
  -- What is stated is what the file gives.
  local net = assert(assert(qs.nets[n.name]()):load(path))
  local test = assert(net:evaluate(d, "test"))
  all[n.name] = { accuracy = test.accuracy, raw = test.accuracy_raw, val = net:evaluate(d, "val").accuracy,
                  epochs = n.epochs }
  write_stated(all)
  print(("%s: test accuracy %.2f %% (raw %.2f %%)"):format(n.name, 100 * test.accuracy, 100 * test.accuracy_raw))
end

local function another(n)
  local path = ("%s/%s-%d.safetensors"):format(to, n.name, seed)
  local f = io.open(path)
  if f then f:close() return end
  local run = train(n, d)
  assert(run.net:save(path, { half = n.half or false }))
  print(("%s: validation %.2f %%"):format(path, 100 * run:validate().accuracy))
end

for _, n in ipairs(NETS) do
  if #names == 0 or wanted[n.name] then (to and another or bundle)(n) end
end
