#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peer of training in `make bench`: the same nets in PyTorch as a careful user writes them, tuned and warm.

One command a line, answers with one line:

    version                 what runs here: torch, threads, BLAS
    tune NET MODE           NET: mlp lenet resnet20; MODE: float lsq. Tries every way to write it, keeps the fastest
                            for that mode -> their names and times, the fastest first
    steps MODE N            N training steps of what was kept -> N times in seconds

Batch 128, SGD with momentum 0.9 and weight decay 1e-4. LSQ 4/4, first and last layer 8, the image not quantized,
activations unsigned, gradient scale 1/sqrt(numel Qp). A step is: gradients to None, forward, loss, backward, update; the
batch lies ready in memory.
"""
import itertools
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 128


# ---- three ways to write LSQ: autograd idiom, a function of its own, torch's learnable kernel ------------------

class Quantizer(nn.Module):
    """One step for a tensor; from the first values it sees, as LSQ starts."""

    def __init__(self, bits, unsigned):
        super().__init__()
        self.lo, self.hi = (0, 2 ** bits - 1) if unsigned else (-2 ** (bits - 1), 2 ** (bits - 1) - 1)
        self.step = nn.Parameter(torch.ones(1))
        self.register_buffer("zero", torch.zeros(1))
        self.begun = False

    def forward(self, x):
        if not self.begun:
            with torch.no_grad():
                self.step.copy_(2 * x.abs().mean() / self.hi ** .5)
            self.begun = True
        return self.quantize(x, (self.hi * x.numel()) ** -.5)


class Idiom(Quantizer):
    """As most public code has it: detached differences, autograd does the rest."""

    def quantize(self, x, factor):
        step = (self.step - self.step * factor).detach() + self.step * factor
        v = torch.clamp(x / step, self.lo, self.hi)
        return ((v.round() - v).detach() + v) * step


class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, step, lo, hi, factor):
        ctx.save_for_backward(x, step)
        ctx.bounds = lo, hi, factor
        return (x / step).round_().clamp_(lo, hi).mul_(step)

    @staticmethod
    def backward(ctx, g):
        x, step = ctx.saved_tensors
        lo, hi, factor = ctx.bounds
        v = x / step
        inside = (v > lo) & (v < hi)
        code = v.round().clamp_(lo, hi)
        dstep = torch.sub(code, v.mul_(inside)).mul_(g).sum().mul_(factor).reshape(1)
        return g * inside, dstep, None, None, None


class Function(Quantizer):
    def quantize(self, x, factor):
        return FakeQuantize.apply(x, self.step, self.lo, self.hi, factor)


class Kernel(Quantizer):
    def quantize(self, x, factor):
        return torch._fake_quantize_learnable_per_tensor_affine(x, self.step, self.zero, self.lo, self.hi, factor)


FORMS = {"idiom": Idiom, "function": Function, "kernel": Kernel}


# ---- layers and nets ---------------------------------------------------------------------------------------------

class QuantConv(nn.Conv2d):
    def quantize(self, weights, acts):
        self.qw, self.qa = weights, acts
        return self

    def forward(self, x):
        return self._conv_forward(self.qa(x), self.qw(self.weight), self.bias)


class QuantLinear(nn.Linear):
    def quantize(self, weights, acts):
        self.qw, self.qa = weights, acts
        return self

    def forward(self, x):
        return F.linear(self.qa(x), self.qw(self.weight), self.bias)


class Maker:
    """Makes layers of one form: None is float. The first layer's image stays as it is."""

    def __init__(self, form):
        self.form = FORMS.get(form)

    def _with(self, layer, end):
        if not self.form:
            return layer
        bits = 8 if end else 4
        return layer.quantize(self.form(bits, False), nn.Identity() if end == "first" else self.form(bits, True))

    def conv(self, i, o, k, stride=1, pad=0, bias=True, end=None):
        kind = QuantConv if self.form else nn.Conv2d
        return self._with(kind(i, o, k, stride=stride, padding=pad, bias=bias), end)

    def linear(self, i, o, end=None):
        return self._with((QuantLinear if self.form else nn.Linear)(i, o), end)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut of option A: every other pixel, channels padded with zeros."""

    def __init__(self, m, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = m.conv(i, o, 3, stride, 1, False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = m.conv(o, o, 3, 1, 1, False), nn.BatchNorm2d(o)
        self.pad = (o - i) // 2

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y.add_(x), inplace=True)


def mlp(m):
    return nn.Sequential(nn.Flatten(), m.linear(784, 256, "first"), nn.ReLU(inplace=True), m.linear(256, 128),
                         nn.ReLU(inplace=True), m.linear(128, 10, "last"))


def lenet(m):
    return nn.Sequential(m.conv(1, 16, 5, pad=2, end="first"), nn.ReLU(inplace=True), nn.MaxPool2d(2),
                         m.conv(16, 32, 5, pad=2), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(),
                         m.linear(32 * 49, 128), nn.ReLU(inplace=True), m.linear(128, 10, "last"))


def resnet20(m):
    layers = [m.conv(3, 16, 3, 1, 1, False, "first"), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    i = 16
    for o in (16, 32, 64):
        for k in range(3):
            layers.append(Block(m, i, o, 2 if o != i else 1))
            i = o
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), m.linear(64, 10, "last"))


NETS = {"mlp": (mlp, (1, 28, 28)), "lenet": (lenet, (1, 28, 28)), "resnet20": (resnet20, (3, 32, 32))}


# ---- training ----------------------------------------------------------------------------------------------------

class Training:
    def __init__(self, name, form, layout, foreach):
        torch.manual_seed(1)
        build, shape = NETS[name]
        self.name = "%s, %s%s" % (form, layout, ", foreach" if foreach else "")
        self.net = build(Maker(form))
        self.x, self.y = torch.randn(BATCH, *shape), torch.randint(0, 10, (BATCH,))
        if layout == "channels_last":
            self.net = self.net.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.step()   # steps of the quantizers begin
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=.001, momentum=.9, weight_decay=1e-4,
                                         foreach=foreach)

    def step(self):
        begun = hasattr(self, "optimizer")
        if begun:
            self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.net(self.x), self.y).backward()
        if begun:
            self.optimizer.step()

    def times(self, n):
        out = []
        for _ in range(n):
            t = time.perf_counter()
            self.step()
            out.append(time.perf_counter() - t)
        return out


def lower_quartile(v):
    return sorted(v)[(len(v) - 1) // 4]


def blas():
    """The BLAS that is mapped into this process."""
    with open("/proc/self/maps") as f:
        names = {line.split()[-1] for line in f if "blas" in line and "/" in line}
    return " + ".join(sorted(names)) or "none"


class Peer:
    def __init__(self):
        self.kept = {}

    def version(self):
        return "torch %s, %d threads, %s" % (torch.__version__, torch.get_num_threads(), blas())

    def tune(self, net, mode, rounds=5):
        """Every way, in turns, a few steps a turn; the least lower quartile wins."""
        layouts = ("contiguous",) if net == "mlp" else ("contiguous", "channels_last")
        ways = [Training(net, *w) for w in itertools.product(FORMS if mode == "lsq" else ("float",), layouts,
                                                              (False, True))]
        times = {w: [] for w in ways}
        for turn in range(rounds + 1):
            for w in ways:
                t = w.times(3 if net == "resnet20" else 20)
                if turn:
                    times[w] += t[1:]
        score = {w: lower_quartile(t) for w, t in times.items()}
        self.kept[mode] = min(score, key=score.get)
        return "; ".join("%s %.3g ms" % (w.name, score[w] * 1e3) for w in sorted(score, key=score.get))

    def steps(self, mode, n):
        return " ".join("%.9g" % t for t in self.kept[mode].times(int(n)))


def main():
    torch.set_num_threads(2)
    peer = Peer()
    for line in sys.stdin:
        name, *args = line.split()
        print(getattr(peer, name)(*args), flush=True)


if __name__ == "__main__":
    main()
