-- SPDX-License-Identifier: GPL-3.0-or-later
-- What every name means: the one source of help(x) in the console and of the manual page quantscope-lua(7)
-- (lua/mkman.lua). tests/lua/t_doc.lua compares it with what is registered, both ways.
--
-- An entry: its name, the call, what it does (shapes, units, ranges), then errors, cost and source where there is
-- something to say. "qs.x" is a function or value of the module, "tensor:x" a method, "tensor.x" a field.

local help = {}

help.conventions = [[
A wrong Lua type raises an error. What fails in the world (a file, a format string, data without an answer) returns
nil, "ECODE: message", "ECODE", so assert(qs.load(path)) works as usual. The codes: EARG an argument is wrong, EIO the
system refused, EFORMAT a file or a format string is not what it should be, ERANGE the data has no answer (empty, all
NaN), ENOMEM a size that could not be had, EUNSUP well-formed but not supported here, ESTATE not now, EDIVERGED
a training run went out of bounds. Undefined numbers
are nil in tables; an error of exactly 0 has sqnr_db = math.huge. Where a format is expected, a string will do. Ctrl-C
interrupts Lua code and the engine alike, except inside one call of Lua's own library.]]

-- Groups in the order of the manual: {title, {entries}}.
help.groups = {
{"Models and tensors", {
    {"qs.load", 'qs.load(path) -> model',
     "Opens a model file: safetensors, GGUF, PyTorch, NumPy .npy and .npz, ONNX, found by content, not by name; the " ..
     "*.index.json of a model in shards; or a folder in which one of them is the model. The file is mapped, not read; the " ..
     "same path gives the same model as long as the file is the same.",
     errors = "EIO missing or unreadable, a folder without a model; EFORMAT damaged, or no reader knows it; EUNSUP a PyTorch file " ..
              "that names Python objects other than tensors; ENOMEM. Reading values later: EIO where the file was cut short meanwhile.",
     cost = "the header of the file."},
    {"qs.save", 'qs.save(path, {name = tensor, ...}) -> true',
     "Writes tensors to .safetensors (any number, sorted by name) or .npy (exactly one). A single tensor or a " ..
     "whole model may stand for the table; tensors in its array part keep their own names. Written beside and " ..
     "renamed, so a file that is open stays what it was.",
     errors = "EARG another ending, several tensors for .npy, two of one name; EIO.",
     cost = "one pass over the values."},
    {"qs.quantize", 'qs.quantize(model, path, {format="int4", init="mse", codes=false, tensors={name, ...}, importance=model}) -> rows',
     "Writes the model to path (.safetensors) with its weight tensors quantized, or those named in tensors; all others " ..
     "are copied. Quantized values are F32; with codes, NAME becomes NAME.codes and NAME.scale, with +zp NAME.zero_point, " ..
     "with +offset NAME.offset, and NAME.codebook where codes are numbers of levels: its values are scale * (level - " ..
     "zero_point) + offset, each operation rounded to float32. Scales are [] for @tensor, one a channel with the other " ..
     "axes 1 for @channel, [outputs, groups] for @groupN. A row a quantized tensor: {tensor, format, init, mse, nmse, " ..
     "sqnr_db, used, levels, skipped, bpw, note, quantizer}; a tensor of an unknown type is {tensor, left_out}.",
     errors = "EARG no such tensor, nothing to quantize, another ending; EUNSUP as codes, an init with levels of its own; " ..
     "EIO; those of qs.init, with the tensor's name. No file is left then.",
     cost = "an index, the quantized values and their codes, of one tensor at a time."},
    {"qs.save_steps", 'qs.save_steps(model, path, {format="int4", init="mse", tensors={name, ...}, importance=model}) -> true',
     "Writes the steps an initialization finds, as JSON that other trainers can start from: what `quantscope init` " ..
     "writes, see STEPS in quantscope(1). scripts/load_steps.py makes PyTorch modules of it.",
     errors = "those of qs.quantize.", cost = "those of qs.init, a tensor after the other."},
    {"qs.importance", 'qs.importance(model, t) -> tensor',
     "How much the values of t matter, in its shape, for the option weights of qs.init and qs.compare: the mean square of what they " ..
     "are multiplied with, one number a column (input), repeated over rows. model: qs.load of a file that has it: llama.cpp's " ..
     "imatrix in either layout, or recorded activations ([..., inputs], of convolutions [images, inputs, height, width]; " ..
     "scripts/dump-activations.py). Names belong together as in qs.diff.",
     errors = "EARG nothing of t, or of another size.", cost = "a read of what is there."},
    {"qs.activations", 'qs.activations(path | {layer = path | tensor, ...} [, model]) -> {name = index}',
     "Recorded activations from .npz, .npy, safetensors or PyTorch files, as net:activations gives them: for qs.init(rule, index, " ..
     "format, {role = \"act\"}). With a model only those of its layers, under the names of its weights. " ..
     "scripts/dump-activations.py records them from a PyTorch net.",
     errors = "those of qs.load; EARG with a model: none is of a layer of it; ERANGE nothing finite in one.",
     cost = "a sort of every tensor."},
    {"qs.diff", 'qs.diff(float, quantized [, every]) -> rows, total;  qs.diff(t, u) -> row',
     "What a quantized model lost. A row a tensor of two or more dimensions (every: biases and norms too) that is in both: " ..
     "{tensor, other, dtype, n, mse, nmse, sqnr_db, max_abs, bias, used, levels, bpw, skipped, note}. nmse is mse / mean of the " ..
     "first's squares; bpw bits a value as stored; levels the codebook's size where the second is stored as codes, used how many " ..
     "of them occur, or else the most different values in one row of it (nil over 256). Names belong together that are the same, " ..
     "the same but for .weight at the end, or GGUF's and Hugging Face's for the Llama family. total is over all pairs without a " ..
     "note, with tensors, left (pairs with a note), only_a and only_b. Two tensors of one shape: one row.",
     errors = "EARG two tensors of different shapes; ERANGE nothing finite in them.", cost = "one read of both."},
    {"qs.tensor", 'qs.tensor(shape, values) -> tensor;  qs.tensor(values) -> tensor',
     "A float32 tensor from a flat array of numbers in C order (the last axis runs fastest), as in " ..
     "qs.tensor({3,2}, {1,2,3,4,5,6}). Without a shape: one dimension.",
     errors = "EARG the shape and the number of values differ; more than 8 dimensions.", cost = "one pass."},
    {"qs.randn", 'qs.randn{n | shape..., seed=1, dist="normal", scale=1} -> tensor',
     "Random float32 values; the same seed gives the same values. dist: normal (mean 0, std 1), " ..
     "laplace (b = 1: variance 2), uniform (-1 to 1), student4 (t with 4 degrees of freedom: variance 2), " ..
     "bimodal (half at -1, half at 1, std 0.25 each). scale multiplies.",
     errors = "EARG no such distribution, no or a negative size; ENOMEM.", cost = "one pass.",
     source = "xoshiro256++, Blackman and Vigna 2019."},
    {"qs.readers", 'qs.readers() -> {{name=, doc=}, ...}', "The file formats that qs.load reads, in the order " ..
     "they are asked."},
    {"model", 'm["conv1.weight"], m[1], #m, pairs(m)',
     "A model: an ordered list of named tensors. m[name] and m[i] give a tensor or nil, #m counts, tostring(m) " ..
     "says what it is. Names of methods hide tensors of that name; m:get reaches every one."},
    {"model:get", 'm:get(name) -> tensor', "The tensor of that name, whatever the name.",
     errors = "EARG there is none."},
    {"model:names", 'm:names() -> {string, ...}', "All names, in the order of the file."},
    {"model:tensors", 'for name, t in m:tensors() do ... end', "All tensors, in the order of the file."},
    {"model.path", 'm.path', "The file, as it was given."},
    {"model.format", 'm.format', 'The reader that knows it: "safetensors", "gguf", "torch", "npy", "npz", "onnx", "shards".'},
    {"model.note", 'm.note', "What the reader wants people to know, or nil."},
    {"model.weights", 'm.weights', "How many of the tensors are quantized: floating, two or more dimensions, " ..
     "not empty."},
    {"model.values", 'm.values', "How many values those tensors hold."},
    {"tensor", 't[i], #t', "A tensor: immutable values with a shape and a name. t[i] is element i in C order, " ..
     "1-based, as a number (an integer for integer types) or nil outside; #t the number of elements. Two " ..
     "variables that hold the same tensor of a model are equal."},
    {"tensor:totable", 't:totable() -> {number, ...}',
     "All values, flat in C order (not nested by dimension); qs.tensor(t.shape, t:totable()) is its inverse " ..
     "for float32.",
     errors = "EUNSUP a type nobody can read.", cost = "16 bytes a value in Lua."},
    {"tensor:summary", 't:summary() -> table',
     "What the values are like: {n, zeros, nans, infs, min, max, absmax, mean, std, mean_abs, mean_sq, " ..
     "skewness, kurtosis, distinct}. Moments are over the finite values; std divides by n-1; kurtosis is " ..
     "Pearson's (normal = 3); distinct is there once the tensor is indexed. Without any finite value only the " ..
     "counts are there.",
     errors = "EUNSUP a type nobody can read.", cost = "two passes at the speed of memory."},
    {"tensor:index", 't:index{weights=w, format=f, part=k} -> index',
     "The sorted values with prefix sums. Without options: of the whole tensor, kept in the session's cache. " ..
     "weights: a tensor of the same shape, the importance of every element (>= 0). format and part: of one " ..
     "channel or group as that format divides the tensor (1-based).",
     errors = "ERANGE no finite value; EARG weights of another shape, negative or all 0, no such part.",
     cost = "a radix sort the first time; one counting pass for 16-bit types."},
    {"tensor:histogram", 't:histogram{bins=100, lo=, hi=, log=false} -> table',
     "Counts: {bins, lo, hi, count={}, edge={}, under, over, skipped}, from the raw values; bins are [edge, " ..
     "next), the last one closed, as NumPy's; under and over are the finite values outside, skipped NaN and " ..
     "infinity. log: bins equal in ln|x|. Default range: all values, or the central ones where a few outliers " ..
     "would squeeze the rest.",
     errors = "EARG lo >= hi, bins not 1 to 65536; ERANGE no finite value.", cost = "one pass."},
    {"tensor.name", 't.name', "Its name in the model."},
    {"tensor.shape", 't.shape', "An array of integers, outermost axis first; {} for a scalar."},
    {"tensor.dtype", 't.dtype', 'The type as safetensors spells it: "F32", "BF16", "I64", ...; of codes with scales the name of their kind: "Q4_K".'},
    {"tensor.bpw", 't.bpw', "Bits a value as it is stored: of codes with their scales and offsets; nil of an unknown type."},
    {"tensor.out_axis", 't.out_axis', "The axis of output channels, 0-based, from the node that uses the " ..
     "tensor; nil where unknown (then @channel takes axis 0)."},
    {"tensor.in_axes", 't.in_axes', "The input axes, 0-based, along which @groupN runs; nil where unknown " ..
     "(then all but the output axis)."},
    {"tensor.use", 't.use', 'What kind of node uses it ("Conv", "MatMul"), or nil.'},
    {"tensor.reason", 't.reason', "Why it is not quantized (integers, one dimension, ...), or nil for a weight."},
}},
{"Indexes", {
    {"index", '#ix, tostring(ix)', "The sorted finite values of a tensor, channel or group with prefix sums of " ..
     "1, x and x^2 (of w, wx and wx^2 where values carry weights). #ix counts them. Errors at any step cost " ..
     "O(levels log n), never O(n)."},
    {"index:error", 'ix:error(format, step, offset) -> table',
     "The error of quantizing these values at this step and offset, as q:error; the format's granularity is " ..
     "not looked at: an index is one part.", errors = "EARG step not finite or not > 0; EFORMAT.",
     cost = "O(levels log n)."},
    {"index:quantile", 'ix:quantile(p) -> number', "The p-quantile of the values, p in 0..1, linear between " ..
     "ranks (NumPy's default); weights are ignored.", errors = "EARG p outside 0..1.", cost = "O(log n)."},
    {"index:quantile_abs", 'ix:quantile_abs(p) -> number', "The p-quantile of |x|, p in 0..1.",
     errors = "EARG p outside 0..1.", cost = "O(log n)."},
    {"index:mean_abs", 'ix:mean_abs() -> number', "The (weighted) mean of |x|."},
    {"index:moments", 'ix:moments() -> table', "Moments: {n, mean, mean_abs, mean_sq, std, skewness, kurtosis, " ..
     "mean_abs_dev} over the finite values, weighted where values carry weights; mean_abs_dev is mean |x - " ..
     "mean|, n counts the values.", cost = "O(n)."},
    {"index:histogram", 'ix:histogram{bins=100, lo=, hi=, log=false} -> table', "As t:histogram, from the index.",
     errors = "EARG.",
     cost = "O(bins log n)."},
    {"index:density", 'ix:density{points=512, lo=min, hi=max} -> table',
     "A smooth density {x={}, density={}, bandwidth=}: Gaussian kernels of width h = 0.9 min(std, IQR/1.34) " ..
     "n^(-1/5).",
     errors = "EARG points not 2 to 65536; ERANGE constant data.", cost = "two FFTs.",
     source = "Silverman 1982, AS 176."},
    {"index.skipped", 'ix.skipped', "How many values were left out: NaN and infinite."},
    {"index.distinct", 'ix.distinct', "How many different values there are (-0 and 0 are one)."},
    {"index.kind", 'ix.kind', '"sorted", "counted" (distinct values with counts), or "buckets" (very large ' ..
     'tensors).'},
    {"index.weighted", 'ix.weighted', "true where values carry weights."},
    {"index.min", 'ix.min', "The smallest finite value."},
    {"index.max", 'ix.max', "The largest finite value."},
    {"index.absmax", 'ix.absmax', "The largest magnitude."},
}},
{"Formats and quantizers", {
    {"qs.format", 'qs.format(text) -> format',
     "Which values can be represented: base{:flag}[+offset|+zp][@granularity]. base: intB (2..8, 16), uintB " ..
     "(1..8, 16), potB, apotB, uapotB, nf4, fp4, fp8e4m3, fp8e5m2, codebook(c;c;...). flag: narrow, away, " ..
     "flip, and with @groupN scale=f16, scale=e8m0, scale=e4m3: what steps are kept in, to which they are rounded. " ..
     "granularity: tensor, channel, channelN, groupN. Block formats have names: q4_0, q4_1, q5_0, q5_1, q8_0, mxfp4, " ..
     "nvfp4. tostring(f) is the canonical string and its inverse.",
     errors = "EFORMAT outside the grammar (says what was expected where); EUNSUP what the literature does not " ..
     "define."},
    {"qs.formats", 'qs.formats() -> {{name=, doc=}, ...}', "The bases and flags there are."},
    {"format", 'tostring(f), f == g', "A format. Two are equal if their canonical strings are."},
    {"format:bpw", 'f:bpw(t) -> number', "Bits a weight, with its steps and offsets (32 bits each, or as scale= has " ..
     "it) and zero points, on this tensor; without a tensor the bits of a code."},
    {"format.bits", 'f.bits', "Bits of a code."},
    {"format.base", 'f.base', 'What stands first, without its number of bits: "int", "apot", "codebook".'},
    {"format.codebook", 'f.codebook', "The levels, ascending, in units of the step."},
    {"format.granularity", 'f.granularity', '"tensor", "channel", "channelN", "groupN".'},
    {"format.scale", 'f.scale', 'What the steps of groups are kept in: "f16", "e8m0", "e4m3"; nil: float32.'},
    {"format.signed", 'f.signed', "true if it has levels below 0."},
    {"format.offset", 'f.offset', '"offset" (a real beta), "zp" (an integer zero point), or nil.'},
    {"qs.quantizer", 'qs.quantizer(format, {step=, offset=0}) -> quantizer',
     "A quantizer with given parameters: Q(x) = step c[k] + offset. step > 0, in the unit of x (either sign " ..
     "with :flip); offset in the unit of x (with +zp: -step z for an integer z). @channel and @groupN: arrays " ..
     "with one number a part. With scale= they are rounded to what can be kept; e4m3 is times one float32 that makes " ..
     "the largest step exact.",
     errors = "EARG a step that is not finite or not > 0, an offset for a format without, arrays of unequal length."},
    {"quantizer", 'tostring(q)', "A format with its steps and offsets. Q(x) = s c[k] + beta; u = (x - beta)/s " ..
     "is one correctly rounded float32 division."},
    {"quantizer:error", 'q:error(t | index) -> table',
     "What quantizing costs: {mse, nmse, sqnr_db, clip_mse, round_mse, clipped, max_abs, bias, entropy, " ..
     "occupancy={}, skipped, n, energy, levels, used}. nmse = mse / mean x^2; sqnr_db = -10 log10 nmse; mse = " ..
     "clip_mse + round_mse; clipped: fraction strictly beyond the outermost levels; bias = mean(Q(x) - x); " ..
     "entropy of the codes in bits; occupancy: counts, levels ascending; skipped: NaN and infinite.",
     errors = "EARG the quantizer's parts do not fit the tensor; ERANGE no finite value.",
     cost = "O(levels log n) once indexed."},
    {"quantizer:quantize", 'q:quantize(t) -> tensor', "Q(x) of every element, float32, same shape. NaN stays NaN.",
     errors = "EARG parts do not fit.",
     cost = "one pass."},
    {"quantizer:encode", 'q:encode(t) -> tensor', "The codes, I32: integers for intB and uintB (with +zp as " ..
     "they are stored), else 0-based level numbers.", errors = "EARG parts do not fit.", cost = "one pass."},
    {"quantizer:levels", 'q:levels(part=1) -> {number, ...}', "The levels in the unit of x, ascending.",
     errors = "EARG no such part."},
    {"quantizer:thresholds", 'q:thresholds(part=1) -> {number, ...}',
     "The decision thresholds, midpoints of the levels (before any correction; of init ggml where its own rule has them), " ..
     "in the unit of x, ascending.",
     errors = "EARG no such part."},
    {"quantizer:grad", 'q:grad(t, upstream, {learn="lsq", scale=true, mask="paper"}) -> dx, dstep, doffset',
     "Gradients through the quantizer (straight-through): dx a tensor; dstep and doffset numbers, or arrays by " ..
     "part; doffset nil where the format has none. upstream: a tensor or an array of #t numbers. learn: lsq, " ..
     "lsq+, rcf, pact, none (qs.learns()). scale: times 1/sqrt(N Qp), N the elements that share a step. mask: paper " ..
     "(strictly inside), clamp (inclusive), code (on the rounded code), none.",
     errors = "EARG sizes differ, no such learn or mask.", cost = "one pass.",
     source = "Esser et al. 2020; Bhalgat et al. 2020; Li et al. 2020; Choi et al. 2018."},
    {"quantizer.step", 'q.step', "The step, in the unit of x; an array where there are several parts."},
    {"quantizer.offset", 'q.offset', "The offset beta in the unit of x, 0 where the format has none; an array " ..
     "where there are several parts."},
    {"quantizer.clip", 'q.clip', "|step| times the largest |level|: where clipping begins on the longer side; " ..
     "an array for several parts."},
    {"quantizer.range", 'q.range', "{lowest, highest} level in the unit of x; an array of such for several parts."},
    {"quantizer.init", 'q.init', 'How it came about: "lsq", "mse", ..., "by hand".'},
    {"quantizer.format", 'q.format', "Its format (lloyd changes it to codebook(...))."},
    {"quantizer.note", 'q.note', "A diagnosis of the data, or nil."},
    {"quantizer.formula", 'q.formula', "The formula with the values filled in, or nil."},
    {"quantizer.source", 'q.source', "Paper and equation, or nil."},
    {"quantizer.parts", 'q.parts', "How many steps it has: 1, or one a channel or group."},
    {"quantizer.ms", 'q.ms', "What finding it cost, in milliseconds."},
    {"quantizer.bits", 'q.bits', "Bits of each channel, 0 to 8, where they were allocated (qs.train: allocate), else nil. No bits are " ..
     "the level 0, one bit with a sign is -1 and 1; occupancy is then counted over the levels of 8 bits."},
    {"quantizer.gain", 'q.gain', "Corrected weights (qs.train: correct): what comes out is gain Q(x) + shift, a channel; else nil. " ..
     "Levels and range hold the correction, thresholds and clip do not."},
    {"quantizer.shift", 'q.shift', "See quantizer.gain; in the unit of x."},
}},
{"Initializations", {
    {"qs.init", 'qs.init(name, t | index, format, {role="weight", divisor=, percentile=, weights=}) -> quantizer',
     "Where the step (and offset) start: name is one of qs.inits(), with a variant behind \":\" " ..
     "(\"lsq+:2^b-1\", \"percentile:99.9\"). role: \"weight\" or \"act\" (activations). divisor: the variant " ..
     "as an option. weights: importance of every element, a tensor of the same shape. Zero, constant, single " ..
     "and huge data give a defined step > 0, and q.note says what was found.",
     errors = "EARG no such initialization or variant; EUNSUP it does not apply to the format; ERANGE no " ..
     "finite value; EFORMAT.",
     cost = "an index once, then O(levels log n) and more by method: q.ms."},
    {"qs.inits", 'qs.inits() -> {{name=, doc=, formula=, source=, variants=}, ...}',
     "All initializations, registered ones last. network=true: needs a network, so it is for qs.train."},
    {"qs.register_init", 'qs.register_init{name=, doc=, formula=, source=, fn=function(index, format, role) ' ..
     'return step, offset, note end} -> true',
     "Adds an initialization written in Lua; it is in tables, completion and help at once. fn is called for " ..
     "every part with its index and the format; step > 0 and offset in the unit of x. What goes wrong inside " ..
     "becomes the error of its row. The same name replaces an earlier one.",
     errors = "EARG a built-in name, or no proper name."},
    {"qs.compare", 'qs.compare(t, format, {name, ...}, {role=, ...}) -> rows',
     "All initializations side by side. One row for each that applies and keeps the format (or is named), " ..
     "sorted by mse: {init, step, offset, clip, mse, nmse, sqnr_db, step_ratio, mse_ratio, clipped, ms, " ..
     "bpw, formula, source, note, quantizer}. bpw: bits a weight with its steps. step_ratio and mse_ratio are against the least-squares optimum of the " ..
     "same tensor and format. @channel and @group: step, offset, clip are medians, step_ratio the geometric " ..
     "mean, steps, offsets, clips the arrays. A named one that cannot run: {init=, error=, code=}.",
     errors = "EFORMAT; ERANGE no finite value.", cost = "an index, then all of them."},
    {"qs.report", 'qs.report(model, {formats={"int2",...}, inits=, tensors=, budget=, sqnr=, html=}) -> rows',
     "The whole model in one pass. One row for each tensor and format: {tensor, dtype, shape, n, min, max, mean, std, kurtosis, zeros, " ..
     "nans, infs, outliers, outlier_channel, outlier_ratio, format, init, step, offset, clip, mse, nmse, sqnr_db, clipped, mse_ratio, rule, " ..
     "rule_ratio, bpw, bytes, suggested, note}, or error= and code= where there is no answer. init is the best initialization, rule the best " ..
     "but mse; ratios are against the least-squares optimum; outliers are output channels whose largest magnitude is above 3 times " ..
     "the median channel's, outlier_channel (from 1) the widest. rows.totals: a table a format {format, tensors, n, bpw, bytes, nmse, " ..
     "sqnr_db}, nmse being the mean over values of each tensor's own; rows.curve = {bpw={}, sqnr_db={}}: the best for every size; " ..
     "rows.stored_bytes. budget: bits a weight on average, scales and all, or sqnr: dB of the whole; then suggested says which format " ..
     "a tensor is to have, by marginal gain over the measured errors, and rows.budget what they add up to and bound_db or bound_bpw, which no " ..
     "choice of these formats can beat. formats: int2, int3, int4, int6, int8 unless said; tensors: names or patterns, else all that " ..
     "are quantized; html: also writes a page with plots.",
     errors = "EARG, EFORMAT an option; ERANGE no such tensor, or a budget that cannot be met; EIO the page.",
     cost = "reads the file once; memory that does not grow with it.",
     source = "bits: Shoham, Gersho 1988."},
    {"qs.curve", 'qs.curve(t | index, format, {points=512, lo=, hi=, p=2, offset=0, part=}) -> table',
     "The error at many steps: {step={}, error={}, clip={}, round={}, p=, best_step=, best_error=}: mean |e|^p " ..
     "at points steps from lo to hi, equal in their logarithm. p = 2 is exact and split into clipping and " ..
     "rounding; other norms come from the log-domain correlation and have no split. offset: beta, for +zp the " ..
     "integer z. Of the whole tensor, or of one part as the format divides it.",
     errors = "EARG points not 2 to 1e6, lo >= hi; ERANGE no value but 0.",
     cost = "O(points levels log n) once indexed."},
    {"qs.learns", 'qs.learns() -> {{name=, doc=}, ...}', "The rules by which steps move in training, for q:grad."},
}},
{"Networks and data", {
    {"qs.dataset", 'qs.dataset(name, {slice=false, val=}) -> dataset;  qs.dataset{images=, labels=, test_images=, ' ..
     'test_labels=, val=} -> dataset',
     "Labelled images in three parts kept apart: training, validation (val images off the end of training; a tenth " ..
     "where nothing is said) and test. By name (qs.datasets()), or own files: IDX (gzipped or not), .npy, CIFAR-10 " ..
     "binary batches and digits CSV (labels inside); without test files the last sixth is the test set. slice: the " ..
     "bundled slice of fashion-mnist even where all of it is there (demonstration only: d.note says so). dir: a " ..
     "folder " ..
     "to look in first.",
     errors = "EARG no such name, val out of range; EIO missing: names what to get and where it was looked for; " ..
     "EFORMAT damaged, or counts that differ.",
     cost = "about 0.3 s for 60,000 images."},
    {"qs.datasets", 'qs.datasets() -> {{name=, doc=}, ...}', "The data sets known by name."},
    {"dataset", 'tostring(d)', "Labelled images, normalized as (x - mean) / std a channel when they are used."},
    {"dataset:image", 'd:image(part, i) -> tensor, label', "Image i (from 1) of part \"train\", \"val\" or " ..
     "\"test\", normalized, (rows, columns, channels), and its label from 0.", errors = "EARG no such part or image."},
    {"dataset.name", 'd.name', "Its name."},
    {"dataset.note", 'd.note', "What it is and where it came from: belongs under every result."},
    {"dataset.slice", 'd.slice', "true for the bundled slice: its test accuracy has an error of about a point."},
    {"dataset.classes", 'd.classes', "Labels are 0 .. classes-1."},
    {"dataset.input", 'd.input', "{channels, rows, columns} of an image, as qs.net{input=} wants it."},
    {"dataset.train", 'd.train', "How many images there are to train on."},
    {"dataset.val", 'd.val', "How many are kept for validation."},
    {"dataset.test", 'd.test', "How many are kept for testing."},
    {"dataset.mean", 'd.mean', "The mean of the training images' values, a channel."},
    {"dataset.std", 'd.std', "Their standard deviation, a channel."},
    {"qs.net", 'qs.net{input={channels, rows, columns}, layer, ..., seed=1, name=} -> net',
     "A network from a list of layers, as qs.net{input={1,28,28}, qs.conv{16, pad=1}, qs.batchnorm(), qs.relu(), " ..
     "qs.globalpool(), qs.linear{10}}. The last layer gives the logits. Layers are named conv1, conv2, bn1, fc1, ... " ..
     "(in residual blocks block1.conv1) unless name= is given. Weights start random (He), by seed.",
     errors = "EARG with the layer and the shapes that do not fit, or an option a layer does not have.",
     source = "He et al. 2015 (initial weights)."},
    {"qs.conv", 'qs.conv{out, kernel=3, stride=1, pad=0, groups=1 | "depthwise", bias=, name=}',
     "A convolution with square kernels. depthwise: a group a channel (out defaults to the channels that come in). A " ..
     "bias by default, but not directly before qs.batchnorm()."},
    {"qs.linear", 'qs.linear{out, bias=true, name=}', "A linear layer; an image is flattened as (channel, row, column)."},
    {"qs.batchnorm", 'qs.batchnorm()', "Batch normalization, a channel. eps 1e-5; running statistics follow by 0.1."},
    {"qs.relu", 'qs.relu()', "max(x, 0)."},
    {"qs.relu6", 'qs.relu6()', "min(max(x, 0), 6)."},
    {"qs.silu", 'qs.silu()', "x / (1 + exp(-x)); what comes out has a sign."},
    {"qs.maxpool", 'qs.maxpool{kernel=2, stride=kernel, pad=0}', "The largest of each window: qs.maxpool{2}."},
    {"qs.avgpool", 'qs.avgpool{kernel=2, stride=kernel, pad=0}', "The mean of each window, padding zeros counted in: " ..
     "qs.avgpool{2}."},
    {"qs.globalpool", 'qs.globalpool()', "The mean of each channel over the image."},
    {"qs.flatten", 'qs.flatten()', "The image as one vector, in the order (channel, row, column)."},
    {"qs.residual", 'qs.residual{layer, ..., shortcut=nil | "pad" | {layer, ...}, name=}',
     "The layers, and what came in added to what they give. shortcut: nil as it is; \"pad\" every second (or n-th) " ..
     "pixel, with channels of zeros added (option A); or layers of its own. An activation behind the sum is a " ..
     "layer of " ..
     "its own. Where a value goes two ways, each convolution that reads it has a quantizer of its own.",
     source = "He et al. 2016."},
    {"qs.nets", 'qs.nets.mlp{input={1,28,28}, classes=10, seed=1, data=} -> net',
     "Ready descriptions: mlp (784-256-128-10), lenet (two 5x5 convolutions 16, 32 with pooling, 128, 10), " ..
     "smallcnn (3x3 " ..
     "convolutions 16, 32/2, 32, 64/2, 64 with batch normalization, global pooling), resnet8 and resnet20 (three " ..
     "stages of " ..
     "16, 32, 64 channels with one or three blocks, shortcuts of option A), depthwise (depthwise separable " ..
     "convolutions up to 128 channels). data: a dataset that says input and classes.",
     errors = "EARG.",
     source = "LeCun et al. 1998; He et al. 2016; Howard et al. 2017."},
    {"qs.bundled", 'qs.bundled(name) -> net', "One of qs.nets with the float weights that come with the program, " ..
     "trained on Fashion-MNIST; net.note says how well.", errors = "EARG no such net; EIO its file is missing."},
    {"net", 'net["conv1.weight"], net[1], #net, tostring(net)', "A network: layers and the values of their parameters. " ..
     "net[name] and net[i] give a parameter as a tensor (a copy) or nil, #net counts them, tostring(net) lists " ..
     "the layers."},
    {"net:load", 'net:load(model | path) -> net',
     "Takes all parameters by name from a model or a file; other tensors in it " ..
     "are ignored.", errors = "EFORMAT a name is missing or a shape differs: nothing changes; EIO."},
    {"net:save", 'net:save(path, {half=false}) -> true', "Writes all parameters as .safetensors; half: weights as F16.",
     errors = "EARG another ending; EIO."},
    {"net:seed", 'net:seed(n) -> net', "New random weights."},
    {"net:copy", 'net:copy() -> net', "A copy with values of its own."},
    {"net:fold", 'net:fold() -> net',
     "A net without the batch normalizations that directly follow a convolution or linear " ..
     "layer: folded into it with the running statistics, equal in evaluation up to rounding."},
    {"net:names", 'net:names() -> {string, ...}', "The names of all parameters, in order."},
    {"net:get", 'net:get(name) -> tensor', "The parameter of that name, whatever the name.", errors = "EARG there is none."},
    {"net:layers", 'net:layers() -> rows', "A row a layer: {name, kind, output={channels, rows, columns}, inputs={name}, " ..
     "kernel, stride, pad, groups, values, unsigned}; unsigned: its input never goes below 0, so activations of " ..
     "so many " ..
     "bits are quantized without a sign there."},
    {"net:evaluate", 'net:evaluate(d, part="val", limit) -> {accuracy, loss, accuracy_raw, n}',
     "Accuracy (0..1) and mean cross-entropy of the float net on a part of the data, limit images at most. Batch " ..
     "normalization statistics are re-estimated on 2048 training images; accuracy_raw is with the running ones.",
     errors = "EARG images of another size; ESTATE the part is empty.", cost = "a forward pass an image."},
    {"net:activations", 'net:activations(d, {batches=8, batch=128}) -> {name = index}',
     "The inputs of every convolution and linear layer (\"conv2.input\") on so many training images, as indexes, for " ..
     "qs.init, qs.curve and index methods.", errors = "EARG more images than there are.",
     cost = "a forward pass and an index a layer."},
    {"net.name", 'net.name', "Its name, or \"\"."},
    {"net.note", 'net.note', "What is known of its weights, or nil."},
    {"net.values", 'net.values', "How many trained values it has."},
    {"net.input", 'net.input', "{channels, rows, columns} of the images it wants."},
    {"net.classes", 'net.classes', "How many logits it gives."},
}},
{"Pictures", {
    {"qs.plot", 'qs.plot(kind, ... [, options]) -> plot;  qs.plot{{x=, y=, name=}, ..., title=} -> plot',
     "A plot, to be printed as text or saved as a picture. By kind: \"hist\", t, q (or a list of quantizers; bins=200, lo, hi, log); " ..
     "\"curve\", t, format, inits (points, lo, hi, part; strong=\"mse\", the initialization that stands out); \"train\", a list of runs, the rows of qs.race or " ..
     "{name = {run or numbers, ...}} (metric=\"loss\" or \"accuracy\", smooth, band=\"interval\", \"range\" or \"std\": several of one " ..
     "name, as over seeds, are a mean with a band; the interval is Student's, 95 %); \"steps\", run (relative, only); \"heat\", a list of " ..
     "rows or a tensor (rows, columns, lo, hi, log, high_is_best); \"csv\", path (x, y, kind). Of a results database, path or object, the " ..
     "cells where={bits=2} of sweep= in groups by= (default: all parameters but seed that have several values): \"series\" (series=, the " ..
     "one to show; x=, a series along the axis; smooth, values in a running mean; band), a curve a group as far as all its cells go; \"metric\" (metric=; x=, a parameter that is a number, along the " ..
     "axis; band), a curve a group, intervals as in results:table; \"grid\" (metric=, by two: rows, columns; lo, hi, log, high_is_best), " ..
     "means as a heat map. At most 8 curves. All take title, xlabel, ylabel, xmin, xmax, " ..
     "ymin, ymax, xlog, ylog, limits. By table: a list of series {y=, x=1..n, y2=, kind=\"line\" \"points\" \"bars\" or \"band\" (from y to " ..
     "y2), name=, color=\"run1\"..\"run8\" or \"init:lsq\", bold=}, with the same options and markers={{x=, name=, color=, strong=}}, " ..
     "limits={{x=, name=, color=}}, rulers={{levels=, thresholds=, color=}}, or heat={{...}}. Numbers are tables or tensors; nil, NaN " ..
     "and infinity are gaps.",
     errors = "EARG an option or a value that is none, lists of different lengths; ERANGE a logarithmic axis and no value above 0, " ..
     "nothing to show.",
     cost = "what it shows must be computed; one pass over the numbers."},
    {"qs.plots", 'qs.plots() -> {{name=, doc=}, ...}', "The kinds of qs.plot."},
    {"plot", 'print(qs.plot("hist", t))', "A plot. tostring(p) is its text, in braille where the locale has it."},
    {"plot:save", 'p:save(path, {width=960, height=540, font=height/30, family="sans", fresh=false}) -> true',
     "Writes it as .svg, .pdf (points) or .png (pixels; default 1920 x 1080). Written beside and renamed. fresh: never over a file that " ..
     "is there.",
     errors = "EARG another ending, sizes not 64 to 16384; EIO; ESTATE fresh, and there is one."},
    {"plot:svg", 'p:svg{width=960, height=540, font=height/30, family="sans"} -> string',
     "The plot as the text of an SVG, to stand in a page.", errors = "EARG sizes not 64 to 16384."},
    {"plot:text", 'p:text{width=78, height=22, charset="braille"} -> string',
     "The plot as lines of text; charset: braille, block or ascii (default: by locale).", errors = "EARG a size or charset that is none."},
}},
{"Training", {
    {"qs.train", 'qs.train(net, d, {epochs=1 | steps=, batch=128, lr=0.01, quant={...}, ...}) -> run',
     "Prepares training of a copy of the net: sites are made and initialized (activations through the network in " ..
     "order, " ..
     "on calibration images), and run.before is measured. No step is made yet. Options: epochs or steps; batch; lr; " ..
     "optimizer=\"sgd\" (momentum=0.9, nesterov) or \"adam\" (beta2=0.999, eps=1e-8); weight_decay=1e-4; " ..
     "schedule=\"cosine\" (over the whole run), \"step\" (times gamma=0.1 every so many steps) or \"constant\"; " ..
     "clip, a " ..
     "bound on the norm of the gradients; bound=1e4, a loss above it is divergence; seed=1; record=10, steps between " ..
     "records; evaluate, steps between validations; patience, validations without a better loss before the run stops; " ..
     "val_limit; crop=4 and flip=true, random crops and mirrored images; step_rate=1, the learning rate of steps " ..
     "and offsets as a " ..
     "multiple of the weights'. quant: without it the net is trained in float. quant.weights and quant.acts: a " ..
     "format, a " ..
     "number of bits (activations: the sign follows what produces them), or {format=, init=, learn=, mask=, " ..
     "grad_scale=, " ..
     "attached=, step_rate=, step_decay=, allocate=, correct=}. quant.init, quant.learn: names of qs.inits(), qs.learns() for both, or " ..
     "{weights=, acts=} (rcf:rescale multiplies the deviation of the weights back, and is what rcf becomes where no " ..
     "batch normalization follows). quant.first, quant.last: the first and last layer (8 bits by default, init mse), likewise or {weights=, acts=}; false: as the others. quant.input: the format " ..
     "of the " ..
     "image itself. quant.calib=256: images, in batches of 128 or so: starts of inputs look at all of them. quant.layers={conv2={weights=, acts=, init=, learn=}}. " ..
     "quant.adapt={images=256, cost=100, labels=false, norms=, factors=}: of init adaptive (and lapq: images, 512 by default, cost). Where steps are " ..
     "learned, adaptive starts weights of at most 4 levels where E|x - Q(x)|^3 is least, all else at least squares, and asks nothing; where none is, it asks " ..
     "the loss for norms, then for factors. norms, factors: true or false says so instead, factors=\"random\" draws them (a control). images to " ..
     "choose by (those of the calibration), and as many to check with; cost, a bound in training steps of 128 images; labels: by the cross-entropy " ..
     "with the labels, not the divergence from the float outputs. quant.follow=true, false or {acts=true, weights=false, every=10, upto=0.6}: " ..
     "every so many steps of the first part of the run, steps (and real offsets) of the layers between the first and the last are solved " ..
     "anew by least squares on the batch just seen; then they only learn. After an adaptive start that asked the loss, its ratio to least squares stays. Default: false. " ..
     "allocate=true (int and uint @channel; in quant: weights and inputs): channels share the format's bits, wide ones get more, 0 to 8, the " ..
     "same number on average; not in first and last layers with a format of their own. correct=true or \"mean\" (weights): every output " ..
     "channel gets back the mean and deviation, or the mean, that quantizing took from its weights, at every step anew; gradients take that for " ..
     "constant. The two after ACIQ's clip, with nothing learned, are ACIQ as a whole: {weights=\"int4@channel\", acts=\"4@channel\", " ..
     "init=\"aciq\", learn=\"none\", allocate=true, correct=true}, its accuracy in run.before. grad_scale: " ..
     "paper (1/sqrt(N " ..
     "Qp), N the elements of one image that share a step), batch (of the batch), none. mask: as in q:grad. Biases " ..
     "stay float. Where the net forks (a residual), every layer quantizes its input by itself: one quantizer a consumer.",
     errors = "EARG an option that does not exist or is out of range, images of another size; EFORMAT, " ..
     "EUNSUP, ERANGE name the " ..
     "quantizer.",
     cost = "calibration and two validations.",
     source = "Esser et al. 2020; Bhalgat et al. 2020; Li et al. 2020; Choi et al. 2018; Banner et al. 2019, arXiv 1810.05723, " ..
     "sections 4 and 5, and its code (allocate, correct)."},
    {"qs.resume", 'qs.resume(net, d, path) -> run', "A run saved by run:save goes on bit for bit. net: the same " ..
     "description; d: the same data.", errors = "EFORMAT, ESTATE with what differs; EIO."},
    {"qs.race", 'qs.race(net, d, {inits={"lsq", "mse"}, steps=100, quant={...}, turn=, milestones=, progress=, ...}) -> rows',
     "One run an init from the same net, seed and batches, side by side to the end, with the other options of qs.train: all make turn " ..
     "steps (default: a tenth of the run; 1 on a screen, which shows the race), one after the other, so that all are seen to move; each ends " ..
     "where it would end alone, to the bit. Rows {init, before, after, seconds, init_seconds, steps, loss, accuracy_raw, state, reason, run}: " ..
     "before and after are validation accuracies (0..1), loss is the validation loss after. With evaluate= or milestones={15, 50}, steps at " ..
     "which all are validated, also series={step={}, loss={}, accuracy={}}, the validations from step 0 on. An init that cannot start: " ..
     "{init=, error=, code=}; that, or a run that diverges (state), stops no other. progress(rows, step) is called before the first step and " ..
     "after each turn. print(rows) is the table, with the accuracy near a tenth and a third of the run and the price of each start in " ..
     "seconds and in training steps; rows:save(path) writes the race for qs.play; qs.plot(\"train\", rows) draws it. qs.race() is the newest " ..
     "race, one that was cancelled too. At most 32 racers.",
     errors = "EARG; ESTATE there are no validation images.", cost = "all runs are in memory together."},
    {"qs.play", 'qs.play(name | path, {speed=1, progress=}) -> rows',
     "Plays a recorded race, one of qs.races() or a file of rows:save, without computing: on the screen where there is one, as it was seen " ..
     "when it ran, starts and steps in the time they took, speed times as fast (0: at once). The rows are those of qs.race, without run. " ..
     "progress(rows, at): at are the steps made, below 0 so many racers still wait for their start. What is shown was measured, by the " ..
     "program and on the machine and data that print(rows) names.",
     errors = "EARG no such name or option; EIO; EFORMAT with what is wrong with the file."},
    {"qs.races", 'qs.races() -> {{name=, doc=, path=}, ...}', "The recorded races that come with the program."},
    {"run", 'tostring(run)',
     "A training run. It goes on only where it is told to; interrupted in a step (Ctrl-C) it is as " ..
     "before that step."},
    {"run:steps", 'for s in run:steps(n) do ... end',
     "Makes n steps (all that are left without n), one an iteration: s.step, " ..
     "s.loss, s.lr. Ends early when the run is over: run.state says why.", cost = "a step; nothing is allocated in C."},
    {"run:finish", 'run:finish() -> run', "Makes all steps that are left.",
     errors = "EDIVERGED the loss or a parameter went out of bounds; a script that ends with a diverged run exits with 4."},
    {"run:advance", 'run:advance(n) -> boolean', "Makes up to n steps; whether there are more. A divergence is only a " ..
     "state here."},
    {"qs.runs", 'qs.runs() -> {run, ...}', "The runs the workbench shows, numbered as qs.select{run=} counts: those that " ..
     "qs.train and run:branch made, at most 8, the oldest go first. Without a screen: none."},
    {"run:start", 'run:start() -> run', "Hands the run to the workbench, which makes its steps between jobs.",
     errors = "ESTATE it is over; there is no screen."},
    {"run:pause", 'run:pause() -> run', "The workbench makes no more steps of it."},
    {"run:stop", 'run:stop(reason) -> run', "Ends it; the history stays.", errors = "ESTATE it is over already."},
    {"run:validate", 'run:validate(limit) -> {accuracy, loss, accuracy_raw, n}',
     "Accuracy (0..1) on the validation images as " ..
     "the net is now, quantized, with re-estimated batch normalization; accuracy_raw with the running statistics.",
     errors = "ESTATE there are none."},
    {"run:test", 'run:test(limit) -> {accuracy, loss, accuracy_raw, n}',
     "The same on the test images: for the end. Each call " ..
     "is kept in run.history.evaluations."},
    {"run:branch", 'run:branch{init=, learn=} -> run',
     "A new run that goes on from here: weights, optimizer and position are " ..
     "copies. init: steps are initialized anew on the weights as they are; learn: another rule.", errors = "EARG, " ..
     "EUNSUP."},
    {"run:save", 'run:save(path) -> true', "Writes all that is needed to go on (.safetensors): qs.resume reads it.",
     errors = "EIO."},
    {"run:export", 'run:export(path) -> true',
     "The history as .csv (a row a step) or .json.", errors = "EARG another ending; EIO."},
    {"run:quantizers", 'run:quantizers() -> {name = quantizer}',
     "The quantizers as they are now, by the names of run:names()."},
    {"run:names", 'run:names() -> {string, ...}',
     "The names of its quantizers, in the order of the net: \"conv2.weight\", " ..
     "\"conv2.input\"."},
    {"run.net", 'run.net', "The net that is trained: a copy of the one given."},
    {"run.data", 'run.data', "The data set."},
    {"run.name", 'run.name', "For legends: learn, formats, init."},
    {"run.before", 'run.before', "{accuracy, loss, accuracy_raw, n} after initialization, before the first step."},
    {"run.float", 'run.float', "The same of the float net."},
    {"run.last", 'run.last', "The newest validation, or nil."},
    {"run.step", 'run.step', "Steps made."},
    {"run.total", 'run.total', "Steps of the whole run."},
    {"run.state", 'run.state', '"ready", "running" (in the workbench), "done", "stopped", "diverged".'},
    {"run.reason", 'run.reason', "Why it stopped or diverged, or nil."},
    {"run.loss", 'run.loss', "The loss of the last step's batch, or nil."},
    {"run.lr", 'run.lr', "The learning rate of the last step, or nil."},
    {"run.seconds", 'run.seconds', "Time spent in steps."},
    {"run.init_seconds", 'run.init_seconds', "Time spent initializing."},
    {"run.batch", 'run.batch', "Images a step."},
    {"run.seed", 'run.seed', "The seed of the order of images."},
    {"run.history", 'run.history',
     "What it remembers, as a new table: {step={}, loss={}, lr={}, accuracy={}, accuracy_step={}, " ..
     "evaluations={{step, part, accuracy, loss, accuracy_raw, n}}, quantizers={[name]={t={}, step={}, offset={}, " ..
     "gradient={}, " ..
     "offset_gradient={}, raw_gradient={}, ratio={}, clipped={}, entropy={}, used={}, mse={}, oscillating={}, " ..
     "histograms={{lo, hi, bins, count={}, under, over, occupancy={}}}, " ..
     "histogram=, format, init, learn, role, formula, note, bits={}, gain={}, shift={}}}}. bits: of each channel, where they were allocated; " ..
     "gain, shift: of each output channel, where corrected, as they are now. histograms: one a record, with the counts of the levels (of formats " ..
     "with up to 256); histogram: the newest. t: steps made when a record was taken; gradient: as the optimizer gets " ..
     "it; ratio: R of " ..
     "LSQ, weights only; several parts: geometric mean of steps. After init adaptive or lapq also adapted={p_weights=, p_acts=, " ..
     "first=, last=, images=, steps=, factors={[name]=}, attempts={{what=, p=, factor=, loss=, before=, check=, taken=}, ...}}: the norms and factors " ..
     "it settled on, and where the loss was asked that of the least-squares start and of the chosen one, what it cost (images that went forward; the same in " ..
     "training steps of 128 images), and all it looked at, in order: what is a quantizer, or \"weights\", \"acts\", \"all\" of them; " ..
     "before is the loss where it stood then, check the loss on the other half of the images. Keep it in a local: each access builds it.",
     source = "Esser et al. 2020, eq. 4 (ratio); Nagel et al. 2022 (oscillation)."},
    {"run.number", 'run.number', "Its number among the session's runs, for qs.select{run=}, or nil."},
}},
{"Sweeps", {
    {"qs.sweep", 'qs.sweep{name=, grid={param=values}, run=function(cell, job) ... end, where=, inputs=} -> sweep',
     "Declares an experiment over all combinations of parameters; nothing runs. A file that ends with return " ..
     "qs.sweep{...} is what `quantscope sweep` runs; sweep:run runs it from Lua. grid: a list of values or one value " ..
     "(string, number, boolean) a parameter, or a list of cells {{bits=2, init=\"lsq\"}, ...}, whose parameters may differ. " ..
     "where(cell): leaves out the cells it does not return true for. Order: nested loops over the names in alphabetical " ..
     "order, the last one fastest; a list as it is. run(cell, job) computes one cell, in a worker process, with a fresh Lua " ..
     "state that has run the file up to the sweep: so the file is cheap, and loads data inside run. It returns {metric = " ..
     "number, ..., series={name={numbers}}}; strings and booleans are kept as notes. An error, nil, message, or a metric " ..
     "that is NaN is a cell that failed (its metrics are kept); infinity is a number. job: seed (an integer below 2^53 from " ..
     "the cell's parameters alone, the same on every machine), threads, sweep, key, progress(fraction, text). A whole number " ..
     "is an integer in cell, 2.0 too. inputs: files whose change is noticed; the script and modules it requires are anyway. " ..
     "name: letters, digits, . _ -.",
     errors = "EARG a value that is no string, number or boolean, NaN, there twice; an empty grid; a name no file can have."},
    {"qs.range", 'qs.range(from, to, step=1) -> {number, ...}',
     "from, from + step, ... up to and with to; integers where from and step are. Empty where to lies the other way.",
     errors = "EARG step 0; more than 10 million values."},
    {"sweep", '#s, tostring(s)', "A declared sweep; #s counts its cells."},
    {"sweep:run", 's:run{jobs=, db=, filter=, shard=, limit_seconds=, fresh=, accept_changes=, keep_failed=, journal=, quiet=, ' ..
     'dry_run=} -> table',
     "Runs what is left of the sweep, as `quantscope sweep` does (see there for what the options mean): in worker processes " ..
     "that run the file it was declared in, up to its return or to this call. A sweep that was typed has no file: its cells " ..
     "run here, one after the other. Returns {cells, done, before, failed, killed, timeout, seconds, db}; before: those of " ..
     "done that were done when it began. dry_run: runs nothing, returns {{cell=, status=, runs=}, ...}. Ctrl-C stops it with " ..
     "a database that the same call goes on from.",
     errors = "EARG an option; ESTATE script, inputs or program changed since; EIO the database, an input, no program; EFORMAT."},
    {"sweep:cells", 's:cells() -> {{param=value, ...}, ...}', "All cells, in order.", cost = "a table a cell."},
    {"sweep.name", 's.name', "Its name."},
    {"sweep.file", 's.file', "The script it was declared in, or nil."},
}},
{"Results", {
    {"qs.results", 'qs.results(path) -> results',
     "Opens a results database, as sweeps write them, for reading; also while a sweep writes. The schema: " ..
     "quantscope-results(5).",
     errors = "EIO missing, unreadable, locked for 30 s; EFORMAT no results database, damaged, of a newer version.",
     cost = "under a millisecond."},
    {"results", 'r = qs.results "results.db"',
     "A results database. What the methods return is what the file held then; call again for what came since. " ..
     "sweep= names the sweep; it may be left out where there is only one."},
    {"results.path", 'r.path', "The file, as it was given."},
    {"results:sweeps", 'r:sweeps() -> {{name, script, program, made, cells, done, failed, running, left}, ...}',
     "The sweeps in the order they were made (UTC); their cells counted. failed: also killed and out of time.",
     errors = "EIO, EFORMAT."},
    {"results:cells", 'r:cells{sweep=, where={bits=2, init={"lsq", "mse"}}} -> {{key, params={}, metrics={}, status, error, seconds}, ...}',
     "Every cell in the order of the grid, of `where` those that have each value, or one of a list. status: none, running, done, " ..
     "failed, killed, timeout, of the last run; metrics of the last run that is done.",
     errors = "EARG no such sweep, parameter or value; ERANGE no sweep yet; EIO, EFORMAT.",
     cost = "1 s for 100,000 cells."},
    {"results:table", 'r:table{sweep=, where=, by={"init", "bits"}, metric=, baseline={init="mse"}} -> {row, ...}',
     "Groups of cells (of `where` only those) that are alike in the parameters `by` (default: all but seed; a name or a list): one row each " ..
     "with these parameters and n, mean, std (n-1), min, max, lo and hi (95 % interval of the mean) of the metric " ..
     "(default: the first) over cells that are done; undefined (done, but NaN or infinite or not there), failed " ..
     "and left count the others. With a baseline (also as text: \"init=mse\") the other rows have diff, diff_lo, " ..
     "diff_hi, pairs and p: the mean difference from the row that is the baseline in these parameters and else " ..
     "alike, in pairs of cells that agree in all parameters not in `by`, its 95 % interval, and the sign-flip test. " ..
     "A parameter called like one of these fields, n say, is by_n.",
     errors = "EARG no such sweep, parameter, value or metric; ERANGE no sweep yet; EIO, EFORMAT.",
     source = "below 20 values Student's t, else bootstrap (BCa, Efron 1987), 10,000 samples, fixed seed; sign flips " ..
     "(Fisher 1935) exact below 20 pairs, else 99,999 random ones."},
    {"results:series_names", 'r:series_names{sweep=} -> {name, ...}', "The names of all series of cells that are done, sorted.",
     errors = "EARG no such sweep; ERANGE no sweep yet; EIO, EFORMAT."},
    {"results:series", 'r:series(name, {sweep=, where={bits=2}}) -> {{key, params={}, x={number, ...}}, ...}',
     "The series of that name of every cell that is done and has it. Numbers that are NaN stay NaN: a list has no holes.",
     errors = "EARG no such sweep, parameter or value; ERANGE no sweep yet; EIO, EFORMAT."},
}},
{"The session", {
    {"qs.select", 'qs.select{model=, tensor=, format=, init=, learn=, step=, offset=, channel=, view=, ' ..
     'run=, site=, seek=, results=, sweep=, by=, metric=, baseline=, group=} -> selection',
     "What all panes show, and the console's m, t, f, q follow. What is not named stays: a new tensor keeps " ..
     "format and init, a step makes the init \"by hand\". channel: the part looked at, from 0; -1 all " ..
     "together. view: list, hist, curve, compare, map, explain, train, results. run: the run looked at, from 1; site: one " ..
     "of its " ..
     "quantizers; seek: as it was after so many steps, -1 as it trains. results: a results database, " ..
     "read by the view of that name as long as it grows; sweep: one in it (\"\": the newest); by: the parameters groups are made by, \"init,bits\" (\"\": all but seed); metric: the one shown; " ..
     "baseline: the group the others are compared with, \"init=mse\" or \"bits=2,init=mse\" (\"\": none); group: the one whose " ..
     "series are shown. model, tensor, format and run may be objects. " ..
     "Nothing changes if anything is wrong.",
     errors = "EARG, EFORMAT, EIO, EUNSUP with the field that is wrong."},
    {"qs.current", 'qs.current() -> selection', "What is selected: {model, tensor, format, init, learn, step, " ..
     "offset, channel, parts, view, run, site, seek, results, sweep, by, metric, baseline, group}: names and numbers; step and " ..
     "offset once they are known; of results, what was asked for."},
    {"qs.export", 'qs.export(what, path, {overwrite=false}) -> true',
     "In the workbench: writes a picture of a pane as it is shown (what: \"list\", \"hist\", \"curve\", \"compare\", \"map\", \"train\", " ..
     "\"results\") or of the \"screen\". Plots become .svg, .pdf or .png as with plot:save; everything can be .txt, .ans (text with colours for a " ..
     "terminal of 256) or .svg. The screen draws it from what it shows, and says where it was written or why not; up to 16 may wait. " ..
     "As the keys e and E.",
     errors = "EARG no such pane; ESTATE there is no screen."},
    {"qs.undo", 'qs.undo() -> selection', "Takes back the last selection.", errors = "ESTATE nothing to take back."},
    {"qs.pin", 'qs.pin() -> selection', "Pins the current quantizer as B beside the one that follows; again: " ..
     "lets it go.",
     errors = "ESTATE nothing is selected."},
    {"qs.threads", 'qs.threads(n) -> n', "Threads for computing, 1 to 256; without n only says how many. " ..
     "Results do not depend on it.", errors = "EARG."},
    {"qs.help", 'qs.help(x), help(x)', "Prints what is known about a function, an object, or a name: " ..
     "help(qs.curve), help(t), help \"lsq\", help \"int4\"."},
    {"qs.pretty", 'qs.pretty(...) -> string', "The text the console shows for values: tensors summarized, " ..
     "tables bounded."},
    {"qs.version", 'qs.version', "The version, a string."},
    {"qs.api", 'qs.api', "Grows by one when names are added or change their meaning; an integer."},
}},
}

help.entries = {}  -- by name
for _, group in ipairs(help.groups) do
    for _, e in ipairs(group[2]) do help.entries[e[1]] = e end
end

-- ---- as text ---------------------------------------------------------------------------------------

local WIDTH = 100

local function wrap(text, indent)
    local lines, line = {}, indent
    for word in text:gmatch "%S+" do
        if #line + #word + 1 > WIDTH and line ~= indent then
            lines[#lines + 1], line = line, indent
        end
        line = line == indent and indent .. word or line .. " " .. word
    end
    lines[#lines + 1] = line
    return table.concat(lines, "\n")
end

-- The first sentence.
local function brief(e)
    local s = e[3]:match "^(.-[%.:;])%s" or e[3]
    return (s:gsub("[%.:;]$", ""))
end

local function entry_text(e)
    local out = {e[2], wrap(e[3], "  ")}
    for _, key in ipairs {"errors", "cost", "source"} do
        if e[key] then out[#out + 1] = wrap(key:sub(1, 1):upper() .. key:sub(2) .. ": " .. e[key], "  ") end
    end
    return table.concat(out, "\n")
end

local function line(name, text)
    local s = ("  %-22s %s"):format(name, text)
    return #s <= WIDTH and s or s:sub(1, (utf8.offset(s, 0, WIDTH - 2) or WIDTH - 2) - 1) .. "…"
end

local function overview()
    local out = {"help(x) explains a function, an object or a name, as help(qs.curve), help(t), help \"lsq\"."}
    for _, group in ipairs(help.groups) do
        out[#out + 1] = group[1]
        for _, e in ipairs(group[2]) do
            if not e[1]:find "%." or e[1]:find "^qs%." then out[#out + 1] = line(e[1], brief(e)) end
        end
    end
    out[#out + 1] = "Conventions"
    out[#out + 1] = wrap(help.conventions, "  ")
    return table.concat(out, "\n")
end

-- A type: its own entry, then its methods and fields.
local function type_text(name)
    local out = {entry_text(help.entries[name])}
    for _, group in ipairs(help.groups) do
        for _, e in ipairs(group[2]) do
            local member = e[1]:match("^" .. name .. "([:.].*)")
            if member then out[#out + 1] = line(e[2]:match("%w+%" .. member), brief(e)) end
        end
    end
    return table.concat(out, "\n")
end

local function init_text(row)
    local out = {"initialization " .. row.name, row.doc and wrap(row.doc, "  ")}
    for _, key in ipairs {"formula", "source", "variants"} do
        if row[key] then out[#out + 1] = wrap(key:sub(1, 1):upper() .. key:sub(2) .. ": " .. row[key], "  ") end
    end
    return table.concat(out, "\n")
end

-- The entry of a function or method, by identity.
local function name_of(fn, qs, types)
    for name, value in pairs(qs) do
        if rawequal(value, fn) then return "qs." .. name end
    end
    for _, make in pairs(qs.nets) do
        if rawequal(make, fn) then return "qs.nets" end
    end
    for type_name, mt in pairs(types) do
        for name, method in pairs(mt.__methods) do
            if rawequal(method, fn) then return type_name .. ":" .. name end
        end
    end
end

local function named(list, name)
    for _, row in ipairs(list) do
        if row.name == name then return row end
    end
end

-- Everything whose name holds the word.
local function search(word, qs)
    local out = {}
    for _, group in ipairs(help.groups) do
        for _, e in ipairs(group[2]) do
            if e[1]:find(word, 1, true) then out[#out + 1] = line(e[1], brief(e)) end
        end
    end
    for _, list in ipairs {qs.inits(), qs.formats(), qs.learns(), qs.readers(), qs.datasets(), qs.plots()} do
        for _, row in ipairs(list) do
            if row.name:find(word, 1, true) then out[#out + 1] = line(row.name, row.doc or "") end
        end
    end
    if #out == 0 then return 'nothing is known as "' .. word .. '"; help() lists what there is' end
    return table.concat(out, "\n")
end

local function text_of_name(name, qs)
    local e = help.entries[name] or help.entries["qs." .. name]
    local row, learn = named(qs.inits(), name), named(qs.learns(), name)
    if help.entries[name] and not name:find "[:.]" then return type_text(name) end
    if row then return init_text(row) .. (learn and "\nlearning rule " .. name .. "\n" .. wrap(learn.doc,
                                                            "  ") or "") end
    if e then return entry_text(e) end
    for _, list in ipairs {qs.formats(), qs.learns(), qs.readers(), qs.datasets()} do
        row = named(list, name)
        if row then return row.name .. "\n" .. wrap(row.doc or "", "  ") end
    end
    local f = qs.format(name)
    if f then return qs.pretty(f) .. "\n" .. wrap(help.entries["qs.format"][3], "  ") end
    return search(name, qs)
end

-- What help(x) prints.
function help.text(x, qs, types)
    if x == nil or rawequal(x, qs) then return overview() end
    if type(x) == "string" then return text_of_name(x, qs) end
    if type(x) == "function" then
        local name = name_of(x, qs, types)
        return name and entry_text(help.entries[name]) or "a function that is not one of quantscope's"
    end
    local mt = type(x) == "userdata" and getmetatable(x)
    local name = type(mt) == "table" and type(mt.__name) == "string" and mt.__name:match "^qs%.(.*)"
    if name and help.entries[name] then return qs.pretty(x) .. "\n" .. type_text(name) end
    return "a " .. type(x) .. ": " .. qs.pretty(x)
end

return help
