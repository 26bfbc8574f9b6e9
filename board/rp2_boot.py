# The first stage on an RP2040: the only file in MicroPython's own file system, which is so small
# that it lies in that one's first two sectors, and is never written again. The files a charger
# works with lie behind it, and the ledger behind these (docs/boards). The contactor is open before
# anything else, the keyboard is closed unless the jumper is set. `make flash` writes it with the
# board's pins and sectors (the numbers below: hostsim/setup/stages.py) and without its comments,
# in at most 512 bytes. What follows is /main.py of the files.
import micropython
import rp2
import vfs
from machine import Pin

CONTACTOR, CLOSED = 15, 1
JUMPER, SET = 22, 0
LAMP, RED = 1, 18
START, LENGTH = 8192, 1171456

Pin(CONTACTOR, Pin.OUT, value=1 - CLOSED)
j = Pin(JUMPER, Pin.IN, Pin.PULL_DOWN if SET else Pin.PULL_UP)
micropython.kbd_intr(3 if j.value() == SET else -1)
try:
    f = vfs.VfsLfs2(rp2.Flash(start=START, len=LENGTH), progsize=256)  # type: ignore[call-arg]
    vfs.umount("/")
    vfs.mount(f, "/")
except OSError:  # no files yet, or none any more: nothing for who has no key to the housing
    if LAMP:  # all that can be said from here: red
        Pin(RED, Pin.OUT, value=1)
    while j.value() != SET:
        pass
