# The first stage on an RP2040: the only file in MicroPython's own file system, which is so small
# that it lies in that one's first two sectors, and is never written again. The files a charger
# works with lie behind it, and the ledger behind these (docs/boards.md). At most 512 bytes when
# its comments are taken off (tests/test_board_plan.py).
import rp2
import vfs
from machine import Pin

Pin(15, Pin.OUT, value=0)  # the contactor is open
try:
    fs = vfs.VfsLfs2(rp2.Flash(start=8192, len=1171456), progsize=256)  # type: ignore[call-arg]
    vfs.umount("/")
    vfs.mount(fs, "/")
    del fs
    import boot  # noqa: F401 - the file system's own
except OSError:
    pass  # a new board: mpremote finds the first stage alone
