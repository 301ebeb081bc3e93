# SPDX-License-Identifier: GPL-3.0-or-later
"""The workbench on a pseudo-terminal, with a clock: when does what it draws arrive?"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

ESCAPES = re.compile(rb"\x1b\[[0-9;?>=!]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78]|\x1b\][^\x07]*\x07")


class Screen:
    """A running program; `out` is all it wrote, `last` when the newest byte came."""

    def __init__(self, argv, columns=110, lines=40, home="/nonexistent"):
        env = {**os.environ, "TERM": "xterm-256color", "XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home,
               "XDG_CACHE_HOME": home}
        env.pop("QUANTSCOPE_SCRIPT", None)
        env.setdefault("LC_ALL", "C.UTF-8")
        self.start = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execve(argv[0], argv, env)
        self.out, self.last = b"", self.start

    def read(self, seconds):
        """Waits for one piece of output; False if none came, or the program ended."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.out += piece
        self.last = time.perf_counter()
        return bool(piece)

    def text(self):
        return ESCAPES.sub(b"", self.out).decode("utf-8", "replace")

    def until(self, found, seconds):
        """When text() satisfies found(text): the time since the start, else None."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if self.read(end - time.perf_counter()) and found(self.text()):
                return self.last - self.start
        return None

    def settle(self, quiet, seconds=60):
        """Reads until nothing came for `quiet` seconds; False if that did not happen."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if not self.read(quiet):
                return True
        return False

    def key(self, keys, quiet=.12):
        """Seconds from a key press to the last byte of the redraw it caused (then nothing for `quiet` seconds)."""
        self.out = b""
        t = time.perf_counter()
        os.write(self.fd, keys)
        self.last = t
        self.settle(quiet, 5)
        return self.last - t

    def anonymous(self):
        """Anonymous memory in bytes."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1)) * 1024

    def close(self):
        try:
            os.write(self.fd, b"q")
            self.settle(.2, 2)
        except OSError:
            pass
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
