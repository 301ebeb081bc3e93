# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers of `make bench`, NumPy and PyTorch as a careful user writes them: one command a line, answers with seconds.

    numpy: version | load PATH | index | error STEP
    torch: version | load PATH | grid K | curve LO HI POINTS EVERY
"""
import sys
import time

import numpy as np


class Numpy:
    def version(self):
        return "NumPy " + np.__version__

    def load(self, path):
        self.x = np.fromfile(path, np.float32)
        return 0.0

    def index(self):
        """Sorted values with cumulative sums of x and x^2 in double."""
        t = time.perf_counter()
        s = np.sort(self.x)
        y = s.astype(np.float64)
        self.kept = s, np.cumsum(y), np.cumsum(np.square(y, out=y))
        return time.perf_counter() - t

    def error(self, step):
        """Mean squared error at 4 bits, from every value."""
        s = np.float32(step)
        q = (np.clip(np.rint(self.x / s), -8, 7) * s).astype(np.float64)
        return float(np.mean((self.x - q) ** 2))


class Torch:
    def __init__(self):
        import torch
        self.torch = torch
        torch.set_num_threads(2)

    def version(self):
        return "torch %s, %d threads" % (self.torch.__version__, self.torch.get_num_threads())

    def load(self, path):
        self.x = self.torch.from_numpy(np.fromfile(path, np.float32))
        self.y = self.torch.empty_like(self.x)
        return 0.0

    def at(self, s):
        """Mean squared error at one step: divide, round, clamp, multiply, subtract, square; no allocation."""
        t, y = self.torch, self.y
        t.div(self.x, s, out=y)
        y.round_().clamp_(-8, 7).mul_(s).sub_(self.x)
        return float(t.dot(y, y)) / len(y)

    def grid(self, k):
        """The best of k equally spaced steps up to absmax / 7."""
        t = time.perf_counter()
        top = float(self.x.abs().max()) / 7
        min((self.at(top * (i + 1) / k), i) for i in range(int(k)))
        return time.perf_counter() - t

    def curve(self, lo, hi, points, every):
        """Every `every`-th of the points of a curve; the time of all of them."""
        steps = np.geomspace(lo, hi, int(points))[:: int(every)]
        t = time.perf_counter()
        for s in steps:
            self.at(float(s))
        return (time.perf_counter() - t) * points / len(steps)


def main(peer):
    for line in sys.stdin:
        name, *args = line.split()
        answer = getattr(peer, name)(*(args if name == "load" else [float(a) for a in args]))
        print(answer if isinstance(answer, str) else "%.17g" % answer, flush=True)


if __name__ == "__main__":
    main({"numpy": Numpy, "torch": Torch}[sys.argv[1]]())
