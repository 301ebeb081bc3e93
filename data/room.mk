# What comes with the program: data/NOTICE says where each file is from.
dist_pkgdata_DATA = data/blazeface_front.onnx data/sample.safetensors data/NOTICE data/LICENSE.Apache-2.0
fashiondir = $(pkgdatadir)/fashion-mnist
dist_fashion_DATA = data/fashion-mnist/train-images-idx3-ubyte.gz data/fashion-mnist/train-labels-idx1-ubyte.gz \
                    data/fashion-mnist/t10k-images-idx3-ubyte.gz data/fashion-mnist/t10k-labels-idx1-ubyte.gz
EXTRA_DIST += scripts/gen-fashion-slice scripts/make-sample-safetensors
