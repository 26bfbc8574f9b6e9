"""Functions that moved into their caller do what they did: programs run as they are and inlined
print the same, on MicroPython.
"""

import ast

import pytest

from hostsim.setup.inline import inline
from tests.mpy import run_mpy

PROGRAM = """
import asyncio
LOG = []
def _note(text, n=2):
    for _ in range(n):
        LOG.append(text)
def _sign(value):
    if value < 0:
        return "-"
    if value == 0:
        LOG.append("zero")
        return " "
    return "+"
def _pick(values, wanted):
    for value in values:
        if value > wanted:
            return value
    return None
def _is_even(value):
    return value % 2 == 0
def twice(a):
    return a + a
class Purse:
    def __init__(self):
        self._left = 10
    def take(self, n):
        i = self._left
        self._left = i - n
        return i
    def is_empty(self):
        return self._left <= 0
class Meter:
    def __init__(self):
        self.purse = Purse()
        self._wh = 1
        self.n = 5
        self.shown = ""
    def _guard(self, value):
        if not value:
            return
        LOG.append("guarded %d" % value)
        self._wh = 0
    def _fill(self, out, n):
        i = 2
        for byte in out:
            i += byte
        n = i + n
        return n
    def _own_name(self, value):
        n = value * 2
        return n
    def _next(self, value):
        value += 1
        return value
    async def _wait(self, value):
        await asyncio.sleep_ms(1)
        if value > 2:
            return "late"
        return "soon"
    def _risky(self, value):
        try:
            return 10 // value
        except ZeroDivisionError as e:
            LOG.append(type(e).__name__)
        return -1
    def _nothing(self):
        LOG.append("nothing")
    def work(self, value):
        n = value
        e = "kept"
        _note("start")
        self._guard(value)
        i = self._fill(b"\\x01\\x02", n)
        self.shown = self._own_name(n)
        n = self._next(n)
        sign = _sign(value - 3)
        even = "even" if _is_even(value) else "odd"
        nothing = self._nothing()
        had = self.purse.take(n)
        purse = self.purse
        LOG.append(("had", had, "empty" if purse.is_empty() else "not empty"))
        return [n, e, i, self.shown, sign, even, nothing, value, self._wh]
    def divided(self, value):
        return self._risky(value)
    def picked(self, wanted):
        return _pick((1, 4, 9), wanted)
    async def run(self):
        said = []
        for i in range(4):
            when = await self._wait(i)
            said.append(when)
        return said
async def main():
    meter = Meter()
    for value in (0, 3, 4):
        print(meter.work(value))
    print(meter.divided(0), meter.divided(5), meter.picked(3), meter.picked(9))
    print(await meter.run(), twice(2), twice(3), LOG)
asyncio.run(main())
"""


def inlined(program):
    units = {"a": ast.parse(program)}
    done = inline(units)
    return ast.unparse(units["a"]), done


def test_an_inlined_program_does_what_it_did(tmp_path):
    text, done = inlined(PROGRAM)
    assert set(done) == {
        "_note", "_sign", "_pick", "_is_even", "_guard", "_fill", "_own_name", "_next", "_wait",
        "_risky", "_nothing", "take", "is_empty",
    }  # fmt: skip
    assert not any(f"def {name}(" in text for name in done)
    said = []
    for name, source in (("plain", PROGRAM), ("inlined", text)):
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        said.append(run_mpy("micropython", path).stdout)
    assert said[0] == said[1] and "late" in said[0] and "ZeroDivisionError" in said[0]


def test_a_local_of_the_function_does_not_hide_a_global_that_the_caller_means(tmp_path):
    program = """
import time
LOG = []
RATE = 3
def _scaled(value):
    RATE = value * 2
    time = RATE + 1
    return time
def work(value):
    scaled = _scaled(value)
    LOG.append(scaled)
    return scaled * RATE, time.__name__
print(work(5))
"""
    text, done = inlined(program)
    assert set(done) == {"_scaled"}
    said = []
    for name, source in (("plain", program), ("inlined", text)):
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        said.append(run_mpy("micropython", path).stdout)
    assert said[0] == said[1] and said[0].startswith("(33, ")


def test_a_long_running_caller_does_not_hold_what_the_function_held():
    text, _ = inlined(PROGRAM)
    assert "when = 'soon'" in text
    assert "byte = i2 = n2 = None" not in text  # work() ends soon, and has no loop of its own
    loop = "        while value < 0:\n            value = 0\n"
    loops = PROGRAM.replace("        n = value\n", loop + "        n = value\n")
    assert "= None" in inlined(loops)[0].split("def divided")[0].split("def work")[1]


@pytest.mark.parametrize(
    ("why", "program"),
    [
        ("two callers", "def f_():\n    g()\ndef b():\n    f_()\n    f_()\n"),
        ("asked for by text", "def f_():\n    g()\ndef b():\n    f_()\n    x('f_')\n"),
        ("a generator", "def f_():\n    yield 1\ndef b():\n    return f_()\n"),
        ("another task runs it", "async def f_():\n    g()\ndef b():\n    x(f_())\n"),
        ("a return within a loop", "def f_(v):\n    for i in v:\n        return i\n    g()\n"
         "def b():\n    x = f_(2)\n"),
        ("a name that means another thing there", "def f_():\n    return time()\n"
         "def b(time):\n    x = f_()\n"),
        ("a closure", "def f_():\n    v = 1\n    return lambda: v\ndef b():\n    return f_()\n"),
        ("any number of arguments", "def f_(*v):\n    g(v)\ndef b():\n    f_(1)\n"),
        ("it calls itself", "def f_(v):\n    f_(v)\n"),
        ("a base class has it, too", "class B:\n    def f_(self):\n        g()\nclass C(B):\n"
         "    def f_(self):\n        h()\n    def b(self):\n        self.f_()\n"),
        ("a second name", "class C:\n    def f_(self):\n        g()\n    h_ = f_\n"
         "    def b(self):\n        self.f_()\n"),
        ("it is in an expression and no expression", "def f_():\n    g()\n    return 1\n"
         "def b():\n    return 1 + f_()\n"),
        ("a default that is made when it is defined", "def f_(v=g()):\n    h(v)\n"
         "def b():\n    f_()\n"),
    ],
)  # fmt: skip
def test_what_is_not_sure_to_mean_the_same_stays(why, program):
    text, done = inlined(program)
    assert not done and text == ast.unparse(ast.parse(program)), why
