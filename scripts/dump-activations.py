#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the layers of a PyTorch net, for `quantscope compare MODEL --activations acts.npz` and --importance acts.npz.

    import runpy
    dump = runpy.run_path("scripts/dump-activations.py")["dump"]
    dump(net, batches, "acts.npz")      # batches: inputs of net; of each layer the first `rows` samples are kept

Needs torch and numpy. The file holds one float32 array a layer, by the layer's name: [samples, ..., inputs], of convolutions
[samples, inputs, height, width].
"""
import numpy, torch


def dump(net, batches, path, kinds=(torch.nn.Linear, torch.nn.Conv2d), rows=1024):
    seen = {name: [] for name, layer in net.named_modules() if isinstance(layer, kinds)}

    def hook(name):
        def keep(layer, args):
            left = rows - sum(map(len, seen[name]))
            if left > 0:
                seen[name].append(args[0][:left].detach().float().cpu().numpy())
        return keep
    hooks = [layer.register_forward_pre_hook(hook(name)) for name, layer in net.named_modules() if name in seen]
    with torch.no_grad():
        for x in batches:
            net(x)
    for h in hooks:
        h.remove()
    numpy.savez(path, **{name: numpy.concatenate(v) for name, v in seen.items() if v})
