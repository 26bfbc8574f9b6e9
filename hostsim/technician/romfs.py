"""Boards whose MicroPython has a ROMFS partition: the code is executed where it lies in flash, put
there by `mpremote romfs deploy`. The slots of the file system then hold only what starts it.

Limits: there is one partition, so the version before is not kept, and `romfs deploy` is not
atomic: it erases the image's sectors and then writes them, its header first, so a cut leaves a
partition that may mount and is not whole. Therefore no slot is whole from before it begins until
the image was read back and the slot written: started meanwhile, the charger opens its contactor
and says that it has no version; the next run mends it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from hostsim.setup import ROOT, compile
from hostsim.setup.boards import Build, build_rom
from hostsim.setup.compile import CompiledFile, Manifest
from hostsim.setup.progress import SetupError
from hostsim.technician.link import Link, TechnicianError
from hostsim.technician.say import say

_LIMIT_S = 1800


def room(link: Link) -> int:
    """Bytes of the partition; 0 when there is none."""
    code = """
import vfs
_n=0
if hasattr(vfs,'rom_ioctl') and vfs.rom_ioctl(1)>0:
    _p=vfs.rom_ioctl(2,0)
    _n=_p.ioctl(4,0)*_p.ioctl(5,0) if hasattr(_p,'ioctl') else len(_p)
print(_n)
"""
    return int(link.run(code))


def has(link: Link, image: Path) -> bool:
    """Whether the partition holds this image, by its hash."""
    length = image.stat().st_size
    there = link.run(f"print(_x(sha256(memoryview(vfs.rom_ioctl(2,0))[:{length}]).digest()))")
    return hashlib.sha256(image.read_bytes()).hexdigest() in there


def deploy(link: Link, made: Build) -> Build:
    """Puts the image into the partition unless it is there; the slots' build. Raises
    TechnicianError.
    """
    image = build_rom(made)
    size, length = image.stat().st_size, room(link)
    if size > length:
        raise TechnicianError(f"the ROMFS image has {size} bytes, the partition {length}")
    if not has(link, image):
        link.remove("a/whole", "b/whole")
        link.leave()
        command = [sys.executable, "-m", "mpremote", "connect", link.port, "resume"]
        done = subprocess.run(
            [*command, "romfs", "deploy", str(image)],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        try:
            link.again()
        except TechnicianError as error:
            raise TechnicianError(
                "the board went away while its ROMFS was written", "Run it again."
            ) from error
        if done.returncode or not has(link, image):
            words = (done.stdout + done.stderr).strip().splitlines()
            raise TechnicianError(
                f"mpremote romfs deploy: {words[-1] if words else 'failed'}", "Run it again."
            )
        say(f"  ROMFS: {size} of {length} bytes, read back")
    return _starter(made)


def _starter(made: Build) -> Build:
    """What the slots hold."""
    tree = made.folder / "rom_slot"
    target = tree / "mpy" / "main.mpy"
    target.parent.mkdir(parents=True, exist_ok=True)
    complaint = compile.cross_compile(ROOT / "board" / "rom_main.py", "main", target)
    if complaint:
        raise SetupError(complaint)
    body = target.read_bytes()
    image = (made.folder / "rom.img").read_bytes()
    digest = hashlib.sha256(image).hexdigest()
    m = made.manifest
    files = {"main.mpy": CompiledFile(len(body), hashlib.sha256(body).hexdigest(), digest)}
    manifest = Manifest(f"{m.version}-rom-{digest[:12]}", files, m.board, m.micropython)
    return Build(made.data, made.model, tree, manifest)
