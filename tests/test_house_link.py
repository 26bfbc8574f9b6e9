"""The linker means the same as the sources it links: run as they are and linked, small programs
print the same.
"""

import ast
import subprocess
import sys
import textwrap

import pytest

from hostsim.setup import rename as rename_module
from hostsim.setup.link import Linker, LinkError
from hostsim.setup.literal import literal
from hostsim.setup.pool import pool
from hostsim.setup.rename import rename
from hostsim.setup.settle import settle
from hostsim.setup.shake import shake
from tests.mpy import ROOT, run_mpy

MONEY = """
from micropython import const
UNIT = const(100)
RATE = const(UNIT * 2)
def point(language):
    return "," if language == "de" else "."
def fixed(value):
    return "%d%s%02d" % (value // UNIT, point("de"), value % UNIT)
def nobody_calls_this():
    return 1
class Purse:
    def __init__(self, amount_minor):
        self._amount_minor = amount_minor
        self.reading_back = 0
    def _grow(self, by_amount):
        self._amount_minor += by_amount
        return self
    def shown(self):
        return fixed(self._amount_minor)
"""
APP = """
from firmware import money
from firmware.money import Purse, RATE
from firmware.errors import PurseError
class Meter:
    _KINDS = ("a", "b")
    def __init__(self):
        self._wh = 7
        self.state_now = "ok"
    def _on_start(self, amount):
        return "started %d" % amount
    def _on_stop(self, amount):
        return "stopped %d" % amount
    def handle(self, kind, amount):
        return getattr(self, "_on_" + kind)(amount)
    def read(self):
        reading = [w for w in (self._wh, self._wh + 1) if w]
        return reading
def start(amount=5):
    point = money.point("en")
    reading = Meter()
    print(point, Purse(1230)._grow(amount).shown(), RATE, f"{money.fixed(5)} {amount}")
    print(reading.handle("start", 1), reading.handle("stop", 2), reading.read(),
          sorted([3, 1], key=lambda n: -n))
    from firmware import rare
    print(rare.read(reading), rare.shout("x"))
    try:
        raise PurseError("empty")
    except PurseError as money_gone:
        print(type(money_gone).__name__, money_gone)
"""
ERRORS = "class PurseError(Exception):\n    pass\n"
RARE = """
from firmware.money import fixed, UNIT
from firmware import money
def read(meter):
    meter.state_now = "read"
    return meter.state_now + fixed(UNIT) + money.point("de")
def shout(text):
    return text.upper()
"""
MAIN = "from firmware.app import start\nstart()\n"
PROGRAM = {
    "firmware": "",
    "firmware.money": MONEY,
    "firmware.errors": ERRORS,
    "firmware.rare": RARE,
    "firmware.app": APP,
    "main": MAIN,
}


def written(units, folder):
    for name, text in units.items():
        path = folder / (
            name.replace(".", "/")
            + ("/__init__.py" if any(n.startswith(f"{name}.") for n in units) else ".py")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def output(folder):
    return run_mpy(
        "micropython", folder / "main.py", env={"MICROPYPATH": f"{folder}:.frozen"}
    ).stdout


def linked(program):
    units = Linker(program).units()
    gone = shake(units)
    literal(units)
    pool(units)
    names = rename(units)
    return {name: ast.unparse(tree) for name, tree in units.items()}, names, gone


def test_a_linked_program_says_what_its_sources_say(tmp_path):
    written(PROGRAM, tmp_path / "plain")
    texts, _, _ = linked(PROGRAM)
    written(texts, tmp_path / "linked")
    plain = output(tmp_path / "plain")
    assert "started 1 stopped 2 [7, 8] [3, 1]" in plain and "PurseError empty" in plain
    assert output(tmp_path / "linked") == plain


def test_modules_lie_beside_each_other_and_are_found_by_their_names(tmp_path):
    paper = (ROOT / "firmware" / "paper.py").read_text()
    app = """
        import sys
        from firmware.paper import leave
        NAMES = ("firmware.deep.rare", "firmware.rare")
        def start():
            for name in NAMES:
                print(__import__(name, None, None, ("WHAT",)).WHAT, name in sys.modules)
                leave(name)
                print(name in sys.modules)
            from firmware.deep import rare
            from firmware.deep.rare import WHAT as what, own
            print(rare.WHAT, what, own())
    """
    deep = "from firmware.rare import WHAT as other\nWHAT = 'deep'\ndef own():\n    return other\n"
    program = {
        "firmware": "", "firmware.deep": "", "firmware.paper": paper, "firmware.deep.rare": deep,
        "firmware.rare": "WHAT = 'flat'\n", "firmware.app": textwrap.dedent(app), "main": MAIN,
    }  # fmt: skip
    written(program, tmp_path / "plain")
    units = Linker(program).units()
    places = settle(units, ["an_", "cd_", "read"])
    assert set(units) == {"app", "an_", "cd_", "main"} == {*places.values(), "main"}
    written({name: ast.unparse(tree) for name, tree in units.items()}, tmp_path / "settled")
    plain = output(tmp_path / "plain")
    assert plain.split() == "deep True False flat True False deep deep flat".split()
    assert output(tmp_path / "settled") == plain


def test_a_name_that_always_means_the_same_is_what_it_means_wherever_that_is_the_same():
    units = {
        "firmware.app": ast.parse(
            "from micropython import const\nA = const('ok')\nB = (A, -1, b'x')\nC = 5\nD = []\n"
            "E = 'one'\nF = 'a text that is long'\nG = 'asked'\nH = 1\nH = 2\nK = 'by'\n"
            "def f(C):\n    return A, B, C, D, f'{A}!{C}'\n"
            "def g(x):\n    global H\n    return x is E, F, G, H, K\n"
        ),
        "firmware.late": ast.parse(
            "from firmware.app import A, F\ndef h():\n    from firmware.app import K\n"
            "    return A, F, K, app.G\n"
        ),
    }
    assert literal(units) == ["A", "B"]
    app = ast.unparse(units["firmware.app"])
    assert "return ('ok', ('ok', -1, b'x'), C, D, f'ok!{C}')" in app
    assert all(f"{name} = " in app for name in "CDEFGHK")
    late = ast.unparse(units["firmware.late"]).splitlines()
    assert [line for line in late if line] == [
        "from firmware.app import F", "def h():", "    from firmware.app import K",
        "    return ('ok', F, K, app.G)",
    ]  # fmt: skip


def test_words_that_are_only_raised_are_cut_from_one_text(tmp_path):
    app = """
        WORDS = "said and raised"
        def fail(n, text):
            if n == 0:
                raise ValueError("a text that is only raised")
            if n == 1:
                raise ValueError("only raised")
            if n == 2:
                raise ValueError("{%s} is too short" % text)
            if n == 3:
                raise ValueError(f"{{{n}}} of {n:02X}, {text} was {text!r}")
            if n == 4:
                raise ValueError(f"in {n:03d} cases, {text}")
            if n == 5:
                raise ValueError("said and raised", "größer als erlaubt")
        def start():
            print("said and raised")
            for n in range(6):
                try:
                    fail(n, "x%sy")
                except ValueError as e:
                    print(e.args)
    """
    program = {"firmware": "", "firmware.app": textwrap.dedent(app), "main": MAIN}
    written(program, tmp_path / "plain")
    units = Linker(program).units()
    assert pool(units) == 4
    text = ast.unparse(units["firmware.app"])
    assert text.count("a text that is only raised") == 1 and "only raised')" not in text
    written({name: ast.unparse(tree) for name, tree in units.items()}, tmp_path / "pooled")
    assert "in 004 cases" in output(tmp_path / "plain")
    assert output(tmp_path / "pooled") == output(tmp_path / "plain")


def test_a_text_that_begins_like_a_module_and_is_none_is_refused():
    units = {"main": ast.parse("__import__('firmware.texts_' + code)\n")}
    with pytest.raises(LinkError, match="'firmware.texts_' begins like a module's name"):
        settle(units, [])


def test_what_is_always_needed_is_one_unit_and_the_rest_stays_apart():
    texts, _, _ = linked(PROGRAM)
    assert set(texts) == {"firmware", "firmware.app", "firmware.rare", "main"}
    assert "UNIT" not in texts["firmware.app"] and "100" in texts["firmware.rare"]


def test_what_nothing_mentions_is_left_out_and_what_a_text_may_ask_for_stays():
    texts, _, gone = linked(PROGRAM)
    assert gone == ["firmware__money__nobody_calls_this"]
    assert "_on_start" in texts["firmware.app"] and "_on_stop" in texts["firmware.app"]


def test_private_names_become_short_and_names_of_libraries_and_classes_stay():
    texts, names, _ = linked(PROGRAM)
    app = texts["firmware.app"]
    assert "_amount_minor" not in app and "amount_minor" not in app and "_grow" in names
    assert "class Purse" in app and ".upper()" in texts["firmware.rare"] and "key=" in app


def test_an_attribute_set_from_outside_shares_its_name_with_nobody():
    _, names, _ = linked(PROGRAM)
    attributes = [short for name, short in names.items() if not name.startswith("firmware__")]
    assert attributes.count(names["state_now"]) == 1


def test_modules_that_import_each_other_are_refused():
    circle = {
        "firmware": "",
        "firmware.app": "from firmware import a\n",
        "firmware.a": "from firmware.app import b\n",
    }
    with pytest.raises(LinkError, match="firmware.app -> firmware.a -> firmware.app"):
        Linker(circle)


def test_a_linked_module_imported_whole_inside_a_function_is_refused():
    texts = {
        "firmware.app": "from firmware.a import one\ndef go():\n    return one()\n",
        "firmware.a": "def one():\n    return 1\n",
        "firmware.late": "def go():\n    from firmware import a\n    return a.one()\n",
    }
    with pytest.raises(LinkError, match="linked module firmware.a inside a function"):
        Linker(texts).units()


def test_nothing_is_renamed_where_the_stubs_are_missing(tmp_path, monkeypatch):
    """Without them names of MicroPython itself, such as readinto, would be taken for ours."""
    rename_module.foreign_names.cache_clear()
    monkeypatch.setattr(rename_module, "TYPINGS", tmp_path)
    with pytest.raises(LinkError, match="run `make setup`"):
        rename_module.rename({"a": ast.parse("class A:\n    def readinto(self): pass\n")})
    rename_module.foreign_names.cache_clear()


def test_a_name_that_is_another_thing_in_another_module_is_refused():
    texts = {
        "firmware.app": "from firmware.a import one\nfrom time import sleep\nsleep(one())\n",
        "firmware.a": "from asyncio import sleep\ndef one():\n    return sleep(1)\n",
    }
    with pytest.raises(LinkError, match="sleep is asyncio.sleep in firmware.a, time.sleep in"):
        Linker(texts)
    texts["firmware.a"] = texts["firmware.a"].replace("asyncio", "time")
    assert "one" in ast.unparse(Linker(texts).units()["firmware.app"])
    texts["firmware.a"] = "import os.path\nimport time as sleep\ndef one():\n    return sleep\n"
    with pytest.raises(LinkError, match="sleep is time in firmware.a, time.sleep in firmware.app"):
        Linker(texts)


def test_parameters_that_data_may_name_keep_their_names(tmp_path):
    app = """
        class Row:
            def __init__(self, amount_minor, reason=""):
                self.amount_minor = amount_minor
                self.reason = reason
        class Book:
            def note(self, kind, amount_minor=0, **fields):
                return (kind, amount_minor, fields)
            def plain(self, amount_minor):
                return amount_minor + 1
        FIELDS = ("amount_" + "minor", "rea" + "son")
        def start():
            found = {name: 7 for name in FIELDS}
            row = Row(**found)
            print(row.amount_minor, row.reason, sorted(Book().note("x", **found)[2]))
            print(Book().plain(1))
    """
    program = {"firmware": "", "firmware.app": textwrap.dedent(app), "main": MAIN}
    written(program, tmp_path / "plain")
    texts, _, _ = linked(program)
    written(texts, tmp_path / "linked")
    plain = output(tmp_path / "plain")
    assert plain.split() == ["7", "7", "['reason']", "2"]
    assert output(tmp_path / "linked") == plain
    units = {"a": ast.parse("def f(make, fields):\n    return make(**fields)\n")}
    with pytest.raises(LinkError, match=r"a: make\(\*\*fields\): which function"):
        rename(units)


def test_what_is_compiled_names_nothing_that_is_not_there() -> None:
    """A name that the linker lost would be found only where it is used: after a power cut."""
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    ruff += ["--config", 'builtins=["const"]', "--output-format", "concise", "--no-cache"]
    linked = sorted(map(str, (ROOT / "build" / "linked").glob("*.py")))
    assert len(linked) > 20
    found = subprocess.run([*ruff, *linked], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
