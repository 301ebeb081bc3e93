-- SPDX-License-Identifier: GPL-3.0-or-later
-- Made by tests/oracle/make_ort.py; not edited by hand.
return {
  {case=0, format="int8", steps={0.25}, runtime="onnxruntime-node 1.30.0"},
  {case=1, format="int8", steps={0.017300000414252281}, runtime="onnxruntime-node 1.30.0"},
  {case=2, format="uint8", steps={0.5}, runtime="onnxruntime-node 1.30.0"},
  {case=3, format="uint8", steps={0.030999999493360519}, runtime="onnxruntime-node 1.30.0"},
  {case=4, format="uint8+zp", steps={0.125}, runtime="onnxruntime-node 1.30.0", zp=128},
  {case=5, format="uint8+zp", steps={0.047699999064207077}, runtime="onnxruntime-node 1.30.0", zp=31},
  {case=6, format="int16", steps={0.00030000001424923539}, runtime="onnxruntime-node 1.30.0"},
  {case=7, format="int4", steps={0.5}, runtime="onnxruntime-node 1.30.0"},
  {case=8, format="int4", steps={0.37000000476837158}, runtime="onnxruntime-node 1.30.0"},
  {case=9, format="uint4+zp", steps={0.25}, runtime="onnxruntime-node 1.30.0", zp=5},
  {case=10, format="uint4+zp", steps={0.30000001192092896}, runtime="onnxruntime-node 1.30.0", zp=9},
  {case=11, format="int8@channel0", steps={0.011505979113280773, 0.0038557688239961863, 0.013149261474609375, 0.016637178137898445, 0.0087047712877392769, 0.0067905262112617493}, runtime="onnxruntime-node 1.30.0"},
  {case=12, format="int8@channel1", steps={0.015741791576147079, 0.0047402591444551945, 0.019823404029011726, 0.0065649105235934258, 0.016946194693446159, 0.010967450216412544, 0.0030135195702314377}, runtime="onnxruntime-node 1.30.0"},
  {case=13, format="fp8e4m3", steps={1}, runtime="onnxruntime-node 1.30.0"},
  {case=14, format="fp8e5m2", steps={1}, runtime="onnxruntime-node 1.30.0"},
}
