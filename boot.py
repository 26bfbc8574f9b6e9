# Power-on, before anything else: the contactor is open, and the keyboard closed unless the jumper
# is set. /boot.py on boards whose files lie in MicroPython's own file system; an RP2040 has
# board/rp2_boot.py in its place. `make flash` writes it with the board's pins (the four numbers
# below: hostsim/setup/stages.py) and without its comments. What follows is /main.py.
import micropython
from machine import Pin

CONTACTOR, CLOSED = 15, 1
JUMPER, SET = 22, 0

Pin(CONTACTOR, Pin.OUT, value=1 - CLOSED)
jumper = Pin(JUMPER, Pin.IN, Pin.PULL_DOWN if SET else Pin.PULL_UP)
micropython.kbd_intr(3 if jumper.value() == SET else -1)
