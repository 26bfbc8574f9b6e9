# /main.py of every board, the same for every version: decides which version starts and starts it.
# The REPL is reached only with the jumper set. `make flash` writes it with the board's pins (the
# capital names below: hostsim/setup/stages.py) and without its comments.
import micropython

micropython.kbd_intr(-1)  # MicroPython opened the keyboard again when it entered this file
import gc  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import machine  # noqa: E402

CONTACTOR, CLOSED = 15, 1
JUMPER, SET, SHARED = 22, 0, 0
SCREEN, RED = None, None

jumper = machine.Pin(JUMPER, machine.Pin.IN, machine.Pin.PULL_DOWN if SET else machine.Pin.PULL_UP)
service = jumper.value() == SET
if SHARED:  # with the stop button: /boot.py has judged
    service = machine.RTC().memory() == b"service"  # type: ignore[attr-defined] # esp32
if service:
    micropython.kbd_intr(3)
safe = "start"
try:
    import start  # type: ignore[import-not-found] # board/start.py

    safe = start.begin(service, machine.reset_cause() == machine.PWRON_RESET)
    del sys.modules["start"], start
    gc.collect()
    if safe:
        sys.argv.append("safe " + safe)
    import main  # noqa: F401 - runs the charger
except BaseException as e:  # noqa: BLE001 - whatever it was: here ends what runs
    sys.print_exception(e)
    machine.Pin(CONTACTOR, machine.Pin.OUT, value=1 - CLOSED)
    if safe and not isinstance(e, KeyboardInterrupt):  # nothing of a version runs to say so
        sys.path.append("")
        try:
            import last  # type: ignore[import-not-found] # board/last.py

            last.say(SCREEN, RED, safe)
        except Exception as f:  # noqa: BLE001 - not even that
            sys.print_exception(f)
    if service and jumper.value() == SET:
        raise
    if safe:  # not even safe mode runs, or nothing could be chosen: no need to hurry
        time.sleep(30)
machine.reset()
