#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the layers of a PyTorch net, for `quantscope compare MODEL --activations acts.npz` and --importance.

    from importlib.machinery import SourceFileLoader
    dump = SourceFileLoader("dump", "scripts/dump-activations.py").load_module().dump
    dump(net, batches, "acts.npz")            # batches: inputs of net; rows: at most so many values a layer are kept
"""
import numpy, torch


def dump(net, batches, path, kinds=(torch.nn.Linear, torch.nn.Conv2d), rows=4096):
    seen = {name: [] for name, layer in net.named_modules() if isinstance(layer, kinds)}

    def hook(name):
        return lambda layer, args: seen[name].append(args[0].detach().float().cpu().numpy())
    hooks = [layer.register_forward_pre_hook(hook(name)) for name, layer in net.named_modules() if name in seen]
    with torch.no_grad():
        for x in batches:
            net(x)
    for h in hooks:
        h.remove()
    numpy.savez(path, **{name: numpy.concatenate(list(v))[:rows] for name, v in seen.items() if v})
