# /main.py of every board, the same for every version: decides which version starts and starts it.
# The REPL is reached only with the jumper set. `make flash` writes it with the board's pin (the
# numbers below: hostsim/setup/stages.py) and without its comments.
import micropython

micropython.kbd_intr(-1)  # MicroPython opened the keyboard again when it entered this file
import gc  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import machine  # noqa: E402

CONTACTOR, CLOSED = 15, 1
JUMPER, SET = 22, 0

jumper = machine.Pin(JUMPER, machine.Pin.IN, machine.Pin.PULL_DOWN if SET else machine.Pin.PULL_UP)
if jumper.value() == SET:
    micropython.kbd_intr(3)
safe = "start"
try:
    import start  # type: ignore[import-not-found] # board/start.py

    safe = start.begin(jumper.value() == SET, machine.reset_cause() == machine.PWRON_RESET)
    del sys.modules["start"], start
    gc.collect()
    if safe:
        sys.argv.append("safe " + safe)
    import main  # noqa: F401 - runs the charger
except BaseException as e:  # noqa: BLE001 - whatever it was: here ends what runs
    sys.print_exception(e)
    if jumper.value() == SET:
        raise
    if safe:  # not even safe mode runs, or nothing could be chosen: no need to hurry
        machine.Pin(CONTACTOR, machine.Pin.OUT, value=1 - CLOSED)
        time.sleep(30)
machine.reset()
