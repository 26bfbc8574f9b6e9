"""What a campaign is asked for, what comes of it, and the ground all its runs stand on."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session as Db

from board.host_flash import FileFlash
from hostsim.backoffice.models import Charger, Stream
from hostsim.powercut.cuts import Cut
from hostsim.powercut.judge import FIGURES
from hostsim.powercut.loop import VirtualLoop
from hostsim.powercut.plan import CHARGER, Plan, write_files
from hostsim.powercut.worker import Foundry, FoundryError
from hostsim.powercut.world import SECTORS, VirtualWorld
from hostsim.setup import BUILD, MICROPYTHON, MICROPYTHON32, POINTER_BITS32, ROOT
from hostsim.setup.compile import room_sizes

_SMALL_HOLD = 38  # the session costs 42
_LEFT = 600  # bytes in the sector in use: the session goes over its end while it charges
_FLASH = "flash.bin"
_KEPT = BUILD / "powercut"
# with the interpreter: all that the flash comes from; the manifest has the firmware's own hashes
_MAKES_IT = (
    BUILD / "rooms" / "manifest.json",
    ROOT / "board" / "host_flash.py",
    Path(__file__).with_name("fill_mpy.py"),
    Path(__file__).with_name("loop_mpy.py"),
)


@dataclass
class Wanted:
    """Which cuts. `sample`: so many of all, 0 for every one; `double`: again during the recovery;
    `replay`: these cuts one after the other and no others. `extend`, `day`,
    `keeps`: what the session and its terminal are like, as in plan.Plan.
    """

    sample: int = 0
    seed: int = 1
    double: bool = False
    flash: bool = True
    actions: bool = True
    jobs: int = 2
    replay: list[Cut] = field(default_factory=list)
    sell_again: bool = False  # of a replay: a second session after the recovery
    extend: bool = False  # as plan.Plan
    day: bool = False
    keeps: bool = False


@dataclass
class Report:
    """What came of it; `failed`: one dict a failing branch, with the cuts that replay it."""

    cuts: int = 0
    figures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIGURES, 0))
    failed: list[dict[str, Any]] = field(default_factory=list)
    books: dict[str, dict[str, int]] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    second: int = 0
    same: int = 0
    resold: int = 0
    took_s: float = 0.0

    def add(self, line: dict[str, Any]) -> None:
        """One branch's line."""
        self.cuts += 1
        self.second += "/" in line["cut"]
        self.resold += line["resold"]
        self.kinds[line["what"]] = self.kinds.get(line["what"], 0) + 1
        for name in FIGURES:
            self.figures[name] += line["figures"].get(name, 0)
        for party, figures in line["books"].items():
            sums = self.books.setdefault(party, {})
            for name, minor in figures.items():
                sums[name] = sums.get(name, 0) + minor
        if line["failures"]:
            failed = {name: line[name] for name in ("cut", "what", "failures")}
            self.failed.append(failed)

    def add_uncut(self, failures: list[str]) -> None:
        """The session fails as it is: nothing was cut."""
        self.failed.append({"cut": "", "what": "no cut", "failures": failures})

    def add_same(self, cut: Cut) -> None:
        """A cut that is the same as one that was played."""
        self.cuts += 1
        self.same += 1
        self.kinds[cut.what] = self.kinds.get(cut.what, 0) + 1


class Ground:
    """What all runs stand on: files, the flash as it is before, the loaded firmware."""

    def __init__(self, directory: Path, wanted: Wanted) -> None:
        """Raises FoundryError."""
        room_sizes()  # brings the firmware's modules up to date
        self.plan = Plan(directory, extend=wanted.extend, day=wanted.day, keeps=wanted.keeps)
        if wanted.extend:
            self.plan.hold_minor = _SMALL_HOLD
        write_files(self.plan)
        self.epoch, self.acked = self._fill(directory / _FLASH)
        flash = FileFlash(str(directory / _FLASH), SECTORS)
        self.image = flash.image(), flash.state()
        flash.close()
        self.foundry = self._load(directory)

    def _load(self, directory: Path) -> Foundry:
        return Foundry(directory)

    def _fill(self, path: Path) -> tuple[int, int]:
        """The same firmware always leaves the same flash (seconds of work): it is kept."""
        interpreter = MICROPYTHON32 if POINTER_BITS32.exists() else MICROPYTHON
        kept = _KEPT / _hash_of([interpreter, *_MAKES_IT], f"{SECTORS} {_LEFT}")
        if not kept.exists():
            _KEPT.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=_KEPT) as unfinished:
                whole = Path(unfinished) / "whole"
                whole.mkdir()
                (whole / "said").write_text(_filled(interpreter, whole / _FLASH))
                with contextlib.suppress(OSError):  # another process has made it
                    whole.rename(kept)
        for file in (path, path.with_name(path.name + ".state")):
            shutil.copyfile(kept / file.name, file)
        epoch, acked = (kept / "said").read_text().split()
        return int(epoch), int(acked)

    def world(self, loop: VirtualLoop) -> VirtualWorld:
        """A fresh world; its back office has what was acknowledged."""
        world = VirtualWorld(loop, self.plan, self.foundry.path, self.image, self.acked + 1)
        with Db(world.engine) as db, db.begin():
            db.add(Charger(name=CHARGER, epoch=self.epoch, status={}, figures={}))
            db.flush()
            db.add(Stream(charger=CHARGER, epoch=self.epoch, committed_seq=self.acked, first_at=0))
        return world


def _filled(interpreter: Path, path: Path) -> str:
    """Makes it; what was said."""
    script = Path(__file__).with_name("fill_mpy.py")
    done = subprocess.run(
        [
            str(interpreter),
            "-X",
            "heapsize=4m",
            str(script),
            str(path),
            str(SECTORS),
            str(_LEFT),
        ],
        env={"MICROPYPATH": f"{BUILD / 'rooms'}:{ROOT}:.frozen"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise FoundryError(f"no flash could be made: {done.stdout}{done.stderr}")
    return done.stdout


def _hash_of(files: list[Path], text: str) -> str:
    found = hashlib.sha256(text.encode())
    for file in files:
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:32]
