# What comes with the program: data/NOTICE says where each file is from.
dist_pkgdata_DATA = data/blazeface_front.onnx data/sample.safetensors data/NOTICE data/LICENSE.Apache-2.0
fashiondir = $(pkgdatadir)/fashion-mnist
dist_fashion_DATA = data/fashion-mnist/train-images-idx3-ubyte.gz data/fashion-mnist/train-labels-idx1-ubyte.gz \
                    data/fashion-mnist/t10k-images-idx3-ubyte.gz data/fashion-mnist/t10k-labels-idx1-ubyte.gz
netsdir = $(pkgdatadir)/nets
dist_nets_DATA = data/nets/mlp.safetensors data/nets/smallcnn.safetensors data/nets/resnet8.safetensors \
                 data/nets/depthwise.safetensors data/nets/accuracy.lua data/nets/README
racesdir = $(pkgdatadir)/races
dist_races_DATA = data/races/smallcnn-2bit.json data/races/depthwise-2bit.json data/races/resnet8-apot3.json
EXTRA_DIST += scripts/gen-fashion-slice scripts/make-sample-safetensors scripts/train-bundled.lua scripts/record-races.lua \
              scripts/experiments/qat-table.lua scripts/experiments/init-race.lua scripts/experiments/report.lua \
              scripts/experiments/starts.lua scripts/experiments/starts-table.lua scripts/experiments/results/starts.csv \
              scripts/experiments/design.lua scripts/experiments/main.lua scripts/experiments/main-table.lua \
              scripts/experiments/rate.lua scripts/experiments/ablation.lua scripts/experiments/more-tables.lua \
              scripts/experiments/heldback.lua scripts/experiments/gap.lua scripts/experiments/results/first-version.csv \
              scripts/experiments/map.lua scripts/experiments/results/map.csv \
              scripts/experiments/results/gap.csv scripts/experiments/results/heldback.csv \
              scripts/experiments/results/main.csv scripts/experiments/results/rate.csv scripts/experiments/results/ablation.csv \
              scripts/experiments/aciq.lua scripts/experiments/aciq-table.lua scripts/experiments/results/aciq.csv EXPERIMENTS.md
