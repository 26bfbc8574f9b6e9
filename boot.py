# Power-on, before anything else: the contactor is open, and the keyboard closed unless the jumper
# is set. /boot.py on boards whose files lie in MicroPython's own file system; an RP2040 has
# board/rp2_boot.py in its place. `make flash` writes it with the board's pins (the numbers below:
# hostsim/setup/stages.py) and without its comments. What follows is /main.py.
import micropython
from machine import Pin

CONTACTOR, CLOSED = 15, 1
JUMPER, SET, SHARED = 22, 0, 0

Pin(CONTACTOR, Pin.OUT, value=1 - CLOSED)
jumper = Pin(JUMPER, Pin.IN, Pin.PULL_DOWN if SET else Pin.PULL_UP)
service = jumper.value() == SET
if SHARED:
    # with the stop button, which a driver may hold at any restart: it counts when the power comes,
    # and from then on until a start finds it open. The chip keeps the word as long as it has power
    import machine

    if machine.reset_cause() == machine.PWRON_RESET or not service:
        machine.RTC().memory(b"service" if service else b"")  # type: ignore[attr-defined] # esp32
    service = machine.RTC().memory() == b"service"  # type: ignore[attr-defined]
micropython.kbd_intr(3 if service else -1)
