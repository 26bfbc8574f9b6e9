"""`make flash BOARD=x [PORT=y]`: brings a board to this version.

    python -m hostsim.technician.flash BOARD [PORT] [--no-doctor] [--erase]

The new version goes into the slot that does not run, is read back, and is switched to by one
rename (docs/boards/README.md, "The file system"). Cut anywhere, the charger starts what it had,
and the next run goes on: what lies on the board is judged by its hash, never by what an earlier
run meant to do. Configuration, keys and ledger are not touched. A charger in a session is refused,
and so is an RP2040 that holds something else, unless --erase says that it may go.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

from hostsim.setup import ROOT, boards, own_make, stages
from hostsim.setup.boards import Build
from hostsim.technician import ledger, romfs
from hostsim.technician.link import Link, TechnicianError
from hostsim.technician.say import ended, say

_MPY = 6
_RESTART_S = 3
_FIRST_STAGE = b"vfs.VfsLfs2(rp2.Flash(start="
"""What boot.py of a charger has (board/rp2_boot.py)."""
_OLD_SLOTS = {"a": "b", "b": "a"}


def identity(made: Build) -> str:
    """What `whole` says of a slot: version and SHA-256 over the manifest's files."""
    files = {name: entry["sha256"] for name, entry in asdict(made.manifest)["files"].items()}
    text = json.dumps([made.manifest.board, made.manifest.version, files], sort_keys=True)
    return f"{made.manifest.version} {hashlib.sha256(text.encode()).hexdigest()}"


def check_interpreter(link: Link, made: Build) -> None:
    """Raises TechnicianError when this is not the board, or its MicroPython does not fit."""
    name, version, machine, mpy = link.value(
        "(sys.implementation[0],sys.implementation[1][:2],sys.implementation._machine,"
        "sys.implementation._mpy&255)"
    )
    model = made.model
    advice = f"Install MicroPython {model['micropython']} for {model['image']} first."
    if machine != model["machine"]:
        raise TechnicianError(f"this is {machine}, not {model['machine']}", advice)
    runs = ".".join(map(str, version))
    if name != "micropython" or runs != model["micropython"] or mpy != _MPY:
        raise TechnicianError(
            f"the board runs {name} {runs} (.mpy {mpy}), this build is for MicroPython "
            f"{model['micropython']} (.mpy {_MPY})",
            advice,
        )


def find_files(link: Link, data: dict[str, Any], erase: bool = False) -> bool:
    """Sets `link.root` to where the charger's files are, made on a new board. True: the board's
    first stage is not there yet and has to be written at the end. Raises TechnicianError when
    something else lies there, unless that may be erased.
    """
    if "partitions" in data:
        _check_partitions(link, data)
        return False
    first, count = data["files"]
    blocks = link.value("os.statvfs('/')[2]")
    if blocks == count:
        return False
    storage = link.value("__import__('rp2').Flash().ioctl(4,0)")
    high = max(sum(data["files"]), sum(data["ledger"]))
    if storage < high:
        raise TechnicianError(f"the board's storage has {storage} sectors, not {high}")
    if not erase:
        first_stage = stages.stages(data)["first.py"]
        _check_nothing_of_others(link, blocks == storage, blocks, first_stage)
    say(f"a new board: files in sectors {first} to {first + count - 1}")
    there = link.run(
        f"""
import rp2,vfs
_v=rp2.Flash(start={4096 * first},len={4096 * count})
try:
    _k=vfs.VfsLfs2(_v,progsize=256)
    print('kept')
except OSError:
    _b=bytearray(4096)
    for _i in (0,1):
        _v.readblocks(_i,_b)
        if any(_c!=255 for _c in _b):print('foreign')
"""
    )
    if "foreign" in there and not erase:
        raise TechnicianError(
            f"sectors {first} and {first + 1} are neither blank nor a charger's files",
            "A charger whose files are damaged: make ledger BOARD=... first; then make flash with",
            "ARGS=--erase, and make provision anew: configuration and keys are gone.",
        )
    if "kept" in there:
        say("  files of an earlier run are there and are kept")
    else:
        link.run("vfs.VfsLfs2.mkfs(_v,progsize=256)\n_k=vfs.VfsLfs2(_v,progsize=256)")
    # MicroPython's own file system anew, in sectors 0 and 1: one that was in use may have its
    # folders behind them, where the files are now, and would write there
    link.run(
        "vfs.umount('/')\nvfs.VfsLfs2.mkfs(rp2.Flash(),progsize=256)\n"
        "vfs.mount(vfs.VfsLfs2(rp2.Flash(),progsize=256),'/')\nvfs.mount(_k,'/new')"
    )
    link.root = "/new"
    return True


def _check_nothing_of_others(link: Link, whole: bool, blocks: int, first_stage: bytes) -> None:
    """Raises TechnicianError when what is mounted is no board as MicroPython leaves it, and no
    charger that lost its files. `whole`: it takes all of MicroPython's storage; `first_stage`:
    what an earlier run was about to write.
    """
    advice = "Save what is needed of it; then make flash with ARGS=--erase."
    if not whole:
        raise TechnicianError(
            f"the files take {blocks} sectors: another layout than this version's",
            "Read the ledger out with the version that made it.",
            advice,
        )
    names = set(link.value("os.listdir('/')"))
    for name in ("boot.py", "boot.py.new"):
        there = link.read(name) if name in names else b""
        if _FIRST_STAGE in there or first_stage.startswith(there):  # cut, it may be empty
            names.discard(name)
    if names:
        some = ", ".join(sorted(names)[:5])
        raise TechnicianError(f"this board holds something else: {some}", advice)


def _check_partitions(link: Link, data: dict[str, Any]) -> None:
    link.run("from esp32 import Partition as _p")
    for name, (first, length) in data["partitions"].items():
        there = link.value(f"[q.info()[2:4] for q in _p.find(_p.TYPE_DATA,label={name!r})]")
        if there != [(first, length)]:
            raise TechnicianError(
                f"the partition {name} is {there or 'missing'}, planned is {(first, length)}",
                "Write build/boards/<board>/partitions.bin once (docs/boards, ESP32).",
            )


def check_free(link: Link, data: dict[str, Any]) -> None:
    """Raises TechnicianError when this is another board's charger or a session is open on it."""
    name = link.text("board.txt")
    if name and name != data["name"]:
        raise TechnicianError(f"board.txt says this charger is a {name}, not a {data['name']}")
    session = ledger.session_on(link, data)
    if session:
        raise TechnicianError(
            f"session {session} is open: a charger in a session is not flashed",
            "Take the jumper off and start it: it settles the session. Then flash.",
        )


def put_version(link: Link, made: Build, slot: str, other: str, identity: str) -> int:
    """Makes `slot` hold this version, whole and read back; how many bytes went over the wire."""
    wanted = {name: entry.sha256 for name, entry in made.manifest.files.items()}
    link.remove(f"{slot}/whole")
    there = link.hashes(slot)
    by_hash = {digest: name for name, digest in link.hashes(other).items()} if other else {}
    for name in sorted(set(there) - set(wanted)):
        link.remove(f"{slot}/{name}")
    sent = copied = 0
    changed = [name for name in sorted(wanted) if there.get(name) != wanted[name]]
    for name in there.keys() & set(changed):  # first: two slots leave no room for a file twice
        link.remove(f"{slot}/{name}")
    for name in changed:
        source = by_hash.get(wanted[name])
        if source:
            link.copy(f"{other}/{source}", f"{slot}/{name}")
            copied += 1
        else:
            body = (made.folder / "mpy" / name).read_bytes()
            link.write(f"{slot}/{name}", body)
            sent += len(body)
    if changed:
        rest = f"{copied} copied on the board, {len(wanted) - len(changed)} were there"
        say(f"  slot {slot}: {len(changed) - copied} files sent ({sent} bytes), {rest}")
    wrong = sorted(wanted.items() ^ link.hashes(slot).items())
    if wrong:
        names = ", ".join(sorted({name for name, _ in wrong}))
        raise TechnicianError(f"read back and not as written: {names}", "Run it again.")
    link.replace(f"{slot}/whole", identity.encode())
    return sent


def put_root(link: Link, made: Build) -> None:
    """What stays from version to version, where it differs; all of it together, because /main.py
    and what it enters belong together.
    """
    root = boards.root_files(made.data, made.folder) | {"board.txt": made.data["name"].encode()}
    other = {
        name: body
        for name, body in root.items()
        if link.hash_of(name) != hashlib.sha256(body).hexdigest()
    }
    if other:
        link.put_together(other)
        say(f"  written: {', '.join(f'/{name}' for name in other)}")


def put_first_stage(link: Link, made: Build) -> None:
    """The last thing on a new board with a first stage: from now on it starts as a charger."""
    body = boards.first_stage(made)
    link.root = ""
    link.replace("boot.py", body)
    if link.hash_of("boot.py") != hashlib.sha256(body).hexdigest():
        raise TechnicianError("the first stage is not as written", "Run it again.")
    say("  the first stage is written")


def switch(link: Link, slot: str) -> None:
    """From the next start on this slot runs, on trial."""
    link.replace("trial", f"{slot} 0".encode())
    link.replace("slot", slot.encode())


def flash(link: Link, made: Build, erase: bool = False) -> bool:
    """The whole of it but the restart. False when the board had this version already. `erase`: a
    new board's flash may hold something else, which goes.
    """
    check_interpreter(link, made)
    new = find_files(link, made.data, erase)
    check_free(link, made.data)
    put_root(link, made)
    if romfs.room(link):
        made = romfs.deploy(link, made)
    wanted = identity(made)
    whole = {slot: link.text(f"{slot}/whole") for slot in "ab"}
    runs = link.text("slot")[:1]
    if whole.get(runs) == wanted and _as_built(link, made, runs):
        say(f"  slot {runs} has this version already")
        changed = False
    else:
        slot = _OLD_SLOTS.get(runs, "a")
        if whole.get(slot) and link.text("trial")[:1] == runs:
            slot = runs  # not proven yet: what is stays to go back to
        other = _OLD_SLOTS.get(slot, "")
        other = other if whole.get(other) else ""
        put_version(link, made, slot, other, wanted)
        switch(link, slot)
        say(f"  slot {slot} starts next, on trial")
        changed = True
    if new:
        put_first_stage(link, made)
    return changed or new


def _as_built(link: Link, made: Build, slot: str) -> bool:
    there = link.hashes(slot)
    there.pop("whole", None)
    return there == {name: entry.sha256 for name, entry in made.manifest.files.items()}


def main(arguments: list[str]) -> int:
    words = [word for word in arguments if not word.startswith("--")]
    board, port = words[0], words[1] if len(words) > 1 else ""
    with ended():
        made = boards.build(board)
        link = Link(port)
        try:
            say(f"{link.port}: {made.model['title']}, firmware {made.manifest.version}")
            changed = flash(link, made, "--erase" in arguments)
        except BaseException:
            link.leave()
            raise
        if changed:
            link.reset()
            say("restarted")
            time.sleep(_RESTART_S)
        else:
            link.leave()
        if "--no-doctor" not in arguments:
            doctor(board, link.port)
        return 0
    return 1


def doctor(board: str, port: str) -> None:
    """`make doctor` on the charger that was flashed; what it finds is not flashing's fault."""
    say("")
    command = ["make", "-s", "doctor", f"BOARD={board}", f"PORT={port}"]
    if subprocess.run(command, cwd=ROOT, env=own_make(), check=False).returncode:
        say("flashed; the doctor found something to do, see above")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
