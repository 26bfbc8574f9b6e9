"""How a board starts, on the emulated Pico: boot.py, main.py and start.mpy as they are flashed,
MicroPython's own watchdog and LittleFS, and power cuts; the versions are small ones.
"""

import pytest

pytest.importorskip("rp2040py", reason="NO EMULATED BOARD: make test-board fetches it")

from tests.board.board_bench import Bench, with_slots

pytestmark = [pytest.mark.board, pytest.mark.timeout(300)]

WELL = """
import os, sys
print("version %s runs", sys.path[0], sys.argv)
for n in ("trial", "starts"):
    try:
        os.remove("/" + n)
    except OSError:
        pass
print("up")
import time
time.sleep(1000)
"""
WAITS = """
import time
print("version %s runs")
time.sleep(1000)
"""
FALLS = """
print("version %s falls")
raise ValueError("broken")
"""
HANGS = """
import machine, time
print("version %s hangs")
machine.WDT(timeout=1000)
time.sleep(1000)
"""
SAFE = """
import sys, time
print("started with", sys.argv)
time.sleep(1000)
"""


def test_contactor_is_open_before_anything_of_a_version_runs() -> None:
    bench = Bench(with_slots(a="from machine import Pin\nPin(15, Pin.OUT, value=1)\n" + WAITS))
    board = bench.switch_on()
    seen: list[bool] = []

    def driven() -> bool:
        if board.mcu.gpio[15].output_enable:
            seen.append(bench.contactor())
        return b"runs" in board.console

    assert board.run(driven, 20)
    assert seen[0] is False, "the first thing that is driven is: open"


def test_keyboard_is_dead_without_the_jumper_and_open_with_it() -> None:
    bench = Bench(with_slots(a=WAITS % "a"))
    bench.switch_on()
    assert bench.says("version a runs")
    assert bench.board is not None
    assert bench.board.exec("print('in')", 3) is None
    bench.switch_off()
    board = bench.switch_on(jumper=True)
    assert bench.says("version a runs")
    assert board.exec("print('in')") == ("in\r\n", "")


def test_exception_without_the_jumper_restarts_and_never_gives_a_prompt() -> None:
    bench = Bench(with_slots(a=FALLS % "a"))
    board = bench.switch_on()
    assert board.run(lambda: board.resets >= 1, 20)
    assert b"ValueError: broken" in board.console
    assert b">>>" not in board.console


def test_three_failed_starts_are_safe_mode_and_a_power_switch_gives_new_ones() -> None:
    falls = "import sys\nprint('started with', sys.argv)\nif not sys.argv: raise ValueError\n"
    bench = Bench(with_slots(a=falls + "import time\ntime.sleep(1000)\n"))
    board = bench.switch_on()
    assert bench.says("started with ['safe starts']", 60)
    assert board.console.count(b"started with []") == 3
    assert board.resets == 3
    assert not bench.contactor()
    bench.switch_off()
    bench.switch_on()
    assert bench.says("started with []")


@pytest.mark.parametrize("bad", [FALLS, HANGS], ids=["raises", "hangs"])
def test_version_that_does_not_come_up_gives_way_to_the_one_before(bad: str) -> None:
    bench = Bench(
        with_slots({"trial": "b 0", "slot": "b"}, a=WELL.replace("%s", "a"), b=bad % "b")
    )
    board = bench.switch_on()
    assert bench.says("up", 60)
    assert board.resets == 3
    assert board.console.count(b"version b") == 3
    files = bench.files()
    assert files["slot"] == "a"
    assert files["back"] == "slot b did not come up in 3 starts"
    assert "trial" not in files


def test_version_that_comes_up_stays_after_power_cuts() -> None:
    well = WELL.replace("%s", "b")
    bench = Bench(with_slots({"trial": "b 0", "slot": "b"}, a=FALLS % "a", b=well))
    bench.switch_on()
    assert bench.says("up")
    for _ in range(4):
        bench.switch_off()
        bench.switch_on()
        assert bench.says("version b runs") or bench.says("up")
    files = bench.files()
    assert files["slot"] == "b"
    assert "back" not in files


def test_power_cut_in_any_write_of_a_start_leaves_a_board_that_starts() -> None:
    """Every flash operation of the start that takes the version before back."""
    stored = with_slots({"trial": "b 3", "slot": "b"}, a=WAITS % "a", b=FALLS % "b")
    whole = Bench(stored)
    board = whole.switch_on()
    assert whole.says("version a runs")
    operations = board.flash_ops
    assert operations >= 4
    for cut in range(1, operations + 1):
        bench = Bench(stored)
        board = bench.switch_on(cut=cut)
        assert not bench.says("version a runs", 5), f"operation {cut} was not cut"
        assert board.dead
        bench.switch_off()
        bench.switch_on()
        assert bench.says("version a runs"), f"after a cut in operation {cut}"


def test_board_without_a_whole_version_is_in_safe_mode_and_the_jumper_gets_in() -> None:
    bench = Bench(with_slots())
    board = bench.switch_on()
    board.run(lambda: False, 3)
    assert not bench.contactor()
    assert board.pin(18), "the red lamp: it has no screen to say it on"
    assert board.exec("print('in')", 3) is None
    assert bench.files()["back"] == "no whole version was there", "for the next version to tell"
    bench.switch_off()
    board = bench.switch_on(jumper=True)
    assert board.boot()
    board.run(lambda: False, 1)
    assert board.exec("print('in')") == ("in\r\n", "")


def test_jumper_says_so_to_the_version_and_counts_no_start() -> None:
    bench = Bench(with_slots(a=SAFE))
    bench.switch_on(jumper=True)
    assert bench.says("started with ['safe jumper']")
    assert "starts" not in bench.files()
