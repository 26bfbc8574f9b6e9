"""What a target of the fuzz is: one parser of the firmware and what its format is made of.

A target has `declared` (what it may raise), `words` (what its format is made of), `about` (the
modules whose lines count), `seeds()`, `run(data)`, `made(dice, corpus)`, an input made in the
target's own way or None, and `mended(data, dice)`, which sometimes makes check sums and lengths
right, for else nothing would get behind them.
"""

import os
import sys

ROOT = os.getenv("FORECOURT_ROOT") or "."
_CPYTHON = sys.implementation.name == "cpython"


def texts(folder):
    """The files of a folder of test cases, where the tree has one."""
    try:
        names = sorted(os.listdir(ROOT + folder))
    except OSError:
        return []
    found = []
    for name in names:
        with open(ROOT + folder + "/" + name, "rb") as f:
            found.append(f.read())
    return found


def foreign_digits(data) -> bool:
    """CPython takes a superscript for a digit (str.isdigit) and MicroPython does not: no fault of
    the firmware's."""
    try:
        text = bytes(data).decode()
    except UnicodeError:
        return False
    return bool([c for c in text if ord(c) > 127 and c.isdigit()])


def lone_surrogate(data) -> bool:
    """CPython's reader makes of half a pair (\\ud83d) what it cannot write again, MicroPython's
    three bytes like any: no fault of the firmware's."""
    if not _CPYTHON or b"\\u" not in data:
        return False
    import re

    pair = rb"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}"
    plain = bytes(data).lower().replace(b"\\\\", b"-")  # a backslash: no escape, and between two
    return b"\\ud" in re.sub(pair, b"", plain)


class Target:
    room = "/firmware/"  # whose lines lead on
    declared: "tuple" = ()
    words: "tuple" = ()
    about: "tuple" = ()

    def made(self, dice, corpus):
        """An input made in the target's own way; None: by changing bytes."""
        return None

    def mended(self, data, dice):
        return data


class Clock:
    """Stands still, a minute after power-on. `now_ms`: 0 while the time is not known."""

    source = "network"

    def __init__(self, now_ms):
        self._now_ms = now_ms

    def epoch_ms(self):
        return self._now_ms

    def uptime_ms(self):
        return 60000
