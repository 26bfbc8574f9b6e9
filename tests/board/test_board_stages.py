"""/boot.py and /main.py as they are written to a board, run by MicroPython with a chip that notes
what is done to it: who gets in at which start, and what is said when no version runs.
"""

import inspect
import json
from typing import Any

from board import last, plan, start
from hostsim.setup.stages import stages
from tests import mpy

_CHIP = """
import sys, json
class Mod: pass
class Pin:
    IN, OUT, PULL_UP, PULL_DOWN = 0, 1, 2, 3
    held = {}
    def __init__(self, n, *a, **k): self.n = n
    def value(self): return 0 if self.n in Pin.held else 1
class RTC:
    kept = b'noise of the chip'
    def memory(self, new=None):
        if new is None: return RTC.kept
        RTC.kept = new
machine, micropython = Mod(), sys.modules['micropython'] if 'micropython' in sys.modules else Mod()
class Restarts(BaseException): pass
class Chip:
    Pin, RTC = Pin, RTC
    PWRON_RESET, WDT_RESET, SOFT_RESET = 1, 3, 5
    cause = 1
    def reset_cause(self): return self.cause
    def reset(self): raise Restarts
chip = Chip()
sys.modules['machine'] = chip
class Keyboard:
    open = None
    def kbd_intr(self, n): Keyboard.open = n == 3
sys.modules['micropython'] = Keyboard()
class Start:
    why = ''
    def begin(self, jumper, power_on):
        seen.append(['begin', jumper, power_on, Keyboard.open])
        return 'jumper' if jumper else self.why
class Last:
    def say(self, screen, red, why): seen.append(['last', screen and screen[0], red, why])
class Time:
    def sleep(self, s): seen.append(['sleeps', s])
sys.modules['time'] = Time()
def power(cause, *held):
    Pin.held = held
    chip.cause = cause
    seen.clear()
    if 'boot' in TEXTS:
        exec(TEXTS['boot'], {})
        seen.append(['boot', Keyboard.open])
    sys.modules['start'] = Start()
    sys.modules['last'] = Last()
    try:
        exec(TEXTS['main'], {})
    except Restarts:
        seen.append('restarts')
    except BaseException as e:
        seen.append(type(e).__name__)
    out = seen[:]
    return out
seen = []
class Version: pass
"""


def _run(board: str, tail: str) -> Any:
    texts = stages(plan.load(board))
    given = {name.removesuffix(".py"): text.decode() for name, text in texts.items()}
    given.pop("first", None)
    script = f"TEXTS = {given!r}\n" + _CHIP + tail
    done = mpy.run_mpy("micropython", script, heap="4M")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


_STARTS = """
sys.modules['main'] = Version()
out = [power(*given) for given in GIVEN]
print(json.dumps(out))
"""
POWER, WATCHDOG, SOFT = 1, 3, 5
STOP = 33


def test_stop_held_while_a_charger_restarts_is_no_jumper_on_a_board_where_they_are_one() -> None:
    given = [
        (POWER,), (WATCHDOG, STOP), (SOFT, STOP),  # a driver leans on the button
        (POWER, STOP), (SOFT, STOP), (WATCHDOG, STOP),  # the technician's bridge, flashing
        (SOFT,), (WATCHDOG, STOP), (SOFT, STOP),  # it was taken off
    ]  # fmt: skip
    seen = _run("wt32_eth01", f"GIVEN = {given!r}\n" + _STARTS)
    let_in = [begun[0][1] for begun in seen]
    assert let_in == [False] * 3 + [True] * 3 + [False] * 3
    for begun, may in zip(seen, let_in, strict=True):
        name, jumper, _, keyboard = begun[1]
        assert (name, jumper, keyboard) == ("begin", may, may), begun


def test_jumper_of_its_own_counts_at_every_start() -> None:
    given = [(POWER,), (POWER, 22), (WATCHDOG, 22), (SOFT,)]
    seen = _run("pico", f"GIVEN = {given!r}\n" + _STARTS)
    assert [begun[0] for begun in seen] == [
        ["begin", False, True, False],
        ["begin", True, True, True],
        ["begin", True, False, True],
        ["begin", False, False, False],
    ]


def test_fault_while_a_driver_holds_stop_gives_no_prompt() -> None:
    tail = """
sys.path[:] = ['.frozen']
print(json.dumps([power(1), power(3, 33), power(1, 33)]))
"""
    seen = _run("wt32_eth01", tail)
    assert [begun[-1] for begun in seen] == ["restarts", "restarts", "ImportError"]


def test_what_keeps_every_version_from_starting_is_said_before_the_board_tries_again() -> None:
    tail = """
sys.path[:] = ['.frozen']
Start.why = 'no_version'
out = [power(3)]
Start.why = ''
print(json.dumps(out + [power(3)]))
"""
    none, fell = _run("w5500_evb_pico2", tail)
    assert none[1:] == [["last", "ssd1306", 8, "no_version"], ["sleeps", 30], "restarts"]
    assert fell[1:] == ["restarts"], "a version that falls is started again at once"


_SCREEN = """
import sys, json
class Mod: pass
sent = []
class Pin:
    OUT = 1
    def __init__(self, n, mode=0, value=None):
        if value is not None: sent.append([n, value])
class I2C:
    def __init__(self, n, sda, scl, freq): self.n = n
    def writeto(self, address, data): sent.append([address, bytes(data).hex()])
    def writevto(self, address, parts): sent.append([address, parts[1].hex()])
machine = Mod()
machine.Pin, machine.I2C = Pin, I2C
sys.modules['machine'] = machine
for name in ('ssd1306', 'hd44780'):
    sys.modules[name] = __import__('board.' + name, None, None, ('x',))
from board import last
"""


def test_last_words_are_on_either_screen_with_the_red_lamp() -> None:
    tail = "last.say(('hd44780', 0, 14, 15, 39), None, 'no_version')\nprint(json.dumps(sent))\n"
    done = mpy.run_mpy("micropython", _SCREEN + tail, heap="4M")
    assert done.returncode == 0, done.stdout + done.stderr
    nibbles = [row[1] for row in json.loads(done.stdout) if len(row[1]) == 6]
    high = [int(n[:2], 16) for n in nibbles if int(n[:2], 16) & 1]  # data, not commands
    text = "".join(chr(a & 0xF0 | b >> 4) for a, b in zip(high[::2], high[1::2], strict=True))
    shown = " ".join(text[64:].split())  # behind the eight letters that it is taught
    assert shown == "Out of service No whole program is stored: make flash"
    tail = "last.say(('ssd1306', 1, 6, 7, 60), 8, 'starts')\nprint(json.dumps(sent))\n"
    done = mpy.run_mpy("micropython", _SCREEN + tail, heap="4M")
    assert done.returncode == 0, done.stdout + done.stderr
    sent = json.loads(done.stdout)
    assert [8, 1] in sent
    pages = [row[1] for row in sent if len(str(row[1])) == 256]
    assert [bool(page.strip("0")) for page in pages] == [True] * 4 + [False] * 4


def test_what_the_roots_files_call_of_each_other_stays_as_releases_before_have_it() -> None:
    """A power cut among the renames leaves files of two releases (docs/boards)."""
    asked = [str(inspect.signature(call)) for call in (start.begin, start.again, last.say)]
    assert asked == [
        "(jumper: bool, power_on: bool) -> str", "() -> None", "(screen, red, why: str) -> None",
    ]  # fmt: skip


_FIRST = """
import sys, json
did = []
class Pin:
    IN, OUT, PULL_UP, PULL_DOWN = 0, 1, 2, 3
    looks = 0
    def __init__(self, n, mode, pull=None, value=None):
        if mode == Pin.OUT: did.append([n, value])
    def value(self):
        Pin.looks += 1
        return int(Pin.looks < 5)
class Vfs:
    def VfsLfs2(self, *a, **k):
        if BROKEN: raise OSError(19)
    def umount(self, where): did.append('umount')
    def mount(self, files, where): did.append('mount')
class Rest:
    def __getattr__(self, name): return lambda *a, **k: None
machine = Rest()
machine.Pin = Pin
sys.modules['machine'], sys.modules['vfs'] = machine, Vfs()
sys.modules['micropython'], sys.modules['rp2'] = Rest(), Rest()
exec(FIRST, {})
print(json.dumps([did, Pin.looks]))
"""


def _first(board: str, broken: bool) -> Any:
    text = stages(plan.load(board))["first.py"].decode()
    script = f"BROKEN, FIRST = {broken!r}, {text!r}\n{_FIRST}"
    done = mpy.run_mpy("micropython", script, heap="4M")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_rp2040_whose_files_do_not_mount_lights_its_red_lamp_until_the_jumper_is_set() -> None:
    assert _first("pico", broken=False) == [[[15, 0], "umount", "mount"], 1]
    did, looks = _first("pico", broken=True)
    assert did == [[15, 0], [18, 1]], "contactor open first, then red"
    assert looks == 5, "it waits for the jumper"
