// SPDX-License-Identifier: GPL-3.0-or-later
// Runs DIR/caseN.onnx with ONNX Runtime, graph optimizations off, and writes DIR/caseN.f32. See make_ort.py.
const fs = require("fs");
const path = require("path");
const ort = require("onnxruntime-node");

async function main(dir) {
  for (let i = 0; fs.existsSync(path.join(dir, `case${i}.onnx`)); i++) {
    const s = await ort.InferenceSession.create(path.join(dir, `case${i}.onnx`),
                                                { graphOptimizationLevel: "disabled" });
    const y = (await s.run({})).y.data;
    fs.writeFileSync(path.join(dir, `case${i}.f32`), Buffer.from(y.buffer, y.byteOffset, y.byteLength));
  }
  fs.writeFileSync(path.join(dir, "version.json"),
                   JSON.stringify("onnxruntime-node " + require("onnxruntime-node/package.json").version));
}

main(process.argv[2]);
