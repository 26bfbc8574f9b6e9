"""Deliberate mistakes in a copy of the firmware, and the moments of the power-cut campaign at
which they can show. test_powercut_mutants.py says that the judge sees every one of them.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from hostsim.powercut.campaign import Campaign
from hostsim.powercut.ground import Ground, Report, Wanted
from hostsim.powercut.sample import Moment
from hostsim.powercut.worker import Foundry
from hostsim.setup import BUILD, ROOT


@dataclass(frozen=True)
class Mutant:
    """`edits`: (file, what stands there, what stands there instead). `after`: cut only while one
    of these kinds is the newest record; nothing: the session fails without any cut. `count`: so
    many of these moments show it. `keeps`: at a terminal that keeps what nobody acknowledged.
    """

    name: str
    edits: tuple[tuple[str, str, str], ...]
    after: tuple[str, ...] = ()
    count: int = 4
    keeps: bool = False


def _one(name: str, path: str, old: str, new: str, *after: str, count: int = 4) -> Mutant:
    return Mutant(name, ((f"firmware/{path}", old, new),), after, count)


_ENERGISING = """        self._record("energising", {"register_wh": wh, "serial": self.serial})
"""
_SWITCH = """        self._switch(True)
        self.out.append((OFFER, cfg.max_current_ma))
"""
_AUTHORISED = """        self._p.append(
            "authorised", sess=self._m.session.number, amount_minor=a.amount_minor,
            receipt=a.receipt, trace=a.trace, terminal_id=a.terminal_id, vu=a.vu,
            auth_code=a.auth_code, pan=a.pan, card=a.card,
        )  # fmt: skip
"""
_LATE = _AUTHORISED.replace("        ", "            ").replace("(\n", "(\n    ", 1)
_GROSS = "    gross = sum([line[4] for line in lines])\n"
_AWAY = '    if s.reason == "power_cut":\n        lines, groups = [], []\n'
_TWICE = """    if s.reason == "power_cut":
        lines = [(x[0], x[1], x[2], x[3], 2 * x[4]) for x in lines]
        groups = [(x[0], 2 * x[1], 2 * x[2], 2 * x[3]) for x in groups]
"""
MUTANTS = (
    Mutant(
        "energising after switching",
        (("firmware/session/machine.py", _ENERGISING + _SWITCH, _SWITCH + _ENERGISING),),
    ),
    Mutant(
        "authorised late",
        (
            ("firmware/session/runner.py", _AUTHORISED, ""),
            (
                "firmware/session/runner.py",
                "        now = self._uptime()\n        if a is None or not a.certain",
                "        now = self._uptime()\n        if a is not None and a.ok:\n"
                + _LATE
                + "        if a is None or not a.certain",
            ),
        ),
    ),
    _one("everything given away in recovery", "session/closing.py", _GROSS, _AWAY + _GROSS,
         "checkpoint"),
    _one("doubled bill in recovery", "session/closing.py", _GROSS, _TWICE + _GROSS, "checkpoint"),
    _one("dark time billed", "session/recovery.py", "    return bill\n",
         "    bill.elapsed_ms += 3600000\n    return bill\n", "checkpoint"),
    _one("capture repeated blindly", "session/recovery.py", "machine.settlement.capture(s, True)",
         "machine.settlement.capture(s, False)", "priced", count=8),
    _one("uncertain outcome booked", "session/settlement.py",
         "elif outcome.ok and outcome.certain:\n            s = self._s",
         "elif outcome.ok:\n            s = self._s", "priced", count=40),
    Mutant("unseen hold never cancelled",
           (("firmware/session/settlement.py", "        if not ours:\n", "        if True:\n"),),
           ("hold_asked",), 60, True),
    _one("no energising", "session/machine.py", _ENERGISING, ""),
    _one("uncertain refund booked", "refunds/work.py",
         "    if outcome.certain and outcome.ok or", "    if outcome.ok or", "refund_asked",
         count=40),
)  # fmt: skip


class MutantGround(Ground):
    """A ground whose firmware has the mistakes: a copy of the build's modules, with the sources of
    those that are changed in their place.
    """

    def __init__(self, directory: Path, wanted: Wanted, mutant: Mutant) -> None:
        self._mutant = mutant
        super().__init__(directory, wanted)

    def _load(self, directory: Path) -> Foundry:
        rooms = directory / "rooms"
        shutil.copytree(BUILD / "rooms", rooms)
        for path, old, new in self._mutant.edits:
            changed = rooms / path
            if changed.with_suffix(".mpy").exists():
                changed.with_suffix(".mpy").unlink()
                shutil.copy(ROOT / path, changed)
            source = changed.read_text()
            assert source.count(old) == 1, f"{path} has changed: {old!r} is not there once"
            changed.write_text(source.replace(old, new))
        return Foundry(directory, rooms=rooms)


class Window(Campaign):
    """Draws from the moments of the mutant's window alone."""

    def __init__(self, ground: Ground, wanted: Wanted, mutant: Mutant) -> None:
        super().__init__(ground, wanted)
        self._mutant = mutant

    def _count(self) -> tuple[list[Moment], list[str]]:
        moments, failures = super()._count()
        kinds = [kind for _, kind, _ in self.uncut]
        found = [
            (cut, records)
            for cut, records in moments
            if records
            and kinds[records - 1] in self._mutant.after
            and cut.what != "erase"
            and not (self._mutant.keeps and cut.who != "c")
        ]
        return found, failures


def played(directory: Path, mutant: Mutant, count: int) -> Report:
    """The campaign over the mutant: so many moments of its window."""
    wanted = Wanted(sample=count, jobs=1, keeps=mutant.keeps)
    ground = MutantGround(directory, wanted, mutant)
    try:
        return Window(ground, wanted, mutant).run(lambda done, of, line: None)
    finally:
        ground.foundry.close()
