-- SPDX-License-Identifier: GPL-3.0-or-later
-- Written by scripts/train-bundled.lua: what the nets beside reach on the Fashion-MNIST test images.
-- accuracy: batch normalization re-estimated on 2048 training images, as everywhere in quantscope; raw: as the file has it.
return {
  mlp = { accuracy = 0.8972, raw = 0.8972, val = 0.8986, epochs = 20 },
  smallcnn = { accuracy = 0.9172, raw = 0.9182, val = 0.9254, epochs = 15 },
  resnet8 = { accuracy = 0.9207, raw = 0.9207, val = 0.9276, epochs = 10 },
  depthwise = { accuracy = 0.9121, raw = 0.9118, val = 0.9136, epochs = 12 },
}
