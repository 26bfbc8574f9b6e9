import machine
machine.Pin(15, machine.Pin.OUT, value=0)
import rp2, vfs
try:
    fs = vfs.VfsLfs2(rp2.Flash(start=8192, len=286 * 4096), progsize=256)
    vfs.umount("/")
    vfs.mount(fs, "/")
    del fs
    import start
except OSError:
    pass
