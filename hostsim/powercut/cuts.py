"""Where the power can be cut, and the watch that does it.

Every item between the firmware and the world is a place, numbered from power-on (after a cut
anew): what the firmware does (a program, an erase, bytes to the terminal, a line switched, an
MQTT packet) and what reaches it. A cut is written WHO PLACE . BYTES, as `c17.5`: at place 17 the
charger loses power after 5 bytes took effect. WHO is c the charger, t the terminal, b both on one
supply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hostsim.powercut.worker import CLOSE, DATA, DATAGRAM, ERASE, OPEN, PROGRAM, RESET, UART
from hostsim.powercut.world import ARRIVES, SAID, TERMINAL, VirtualWorld

_MARK = (b"contactor", b"offer")
DARKNESSES = 5
_OFF_S = (0.3, 1.1, 3.2, 7.5, 16.0)
# With --keeps. A charger that is back sooner would spend the ten minutes for which it asks (ten
# seconds here) before the terminal, whose waits are not shortened, has given up waiting for it.
_KEPT_OFF_S = (80.0, 90.0, 105.0, 120.0, 130.0)
_KEPT_TERMINAL_OFF_S = (0.3, 1.1, 3.2, 5.0, 7.5)  # less than these ten minutes
SELL = "+"  # behind a branch's cuts: it went on to sell a second session
_NAMES = {
    PROGRAM: "program",
    ERASE: "erase",
    UART: "to the terminal",
    DATA: "packet",
    OPEN: "connect",
    CLOSE: "close",
    DATAGRAM: "datagram",
    SAID: "from the terminal",
    ARRIVES: "arrival",
    RESET: "reset",
}


@dataclass(frozen=True)
class Cut:
    """One moment; `what` says which kind of place it is."""

    who: str
    place: int
    done: int
    what: str = ""

    def __str__(self) -> str:
        return f"{self.who}{self.place}.{self.done}"


def parse(text: str) -> list[Cut]:
    """The cuts of `c17.5/c3.0`, one after the other. Raises ValueError."""
    cuts = []
    for part in text.split("/"):
        who, rest = part[:1], part[1:]
        place, dot, done = rest.partition(".")
        if who not in ("c", "t", "b") or not dot or not _number(place) or not _number(done):
            raise ValueError(f"{part!r} is no cut; c17.5 is one")
        cuts.append(Cut(who, int(place), int(done)))
    return cuts


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def darkness_s(cut: Cut, seed: int, keeps: bool) -> float:
    """How long the power stays off after it; `keeps` as plan.Plan."""
    lengths = _OFF_S
    if keeps:
        lengths = _KEPT_OFF_S if cut.who == "c" else _KEPT_TERMINAL_OFF_S
    return lengths[(cut.place + cut.done + seed) % DARKNESSES]


def flash_cuts(kind: int, size: int, sector_size: int) -> Iterator[int]:
    """Every byte of a program or erase."""
    yield from range(sector_size if kind == ERASE else size - 4)


def action_cuts(kind: int, channel: int, data: bytes) -> Iterator[tuple[str, int]]:
    """Before, in and after everything that is no flash."""
    if kind == UART and channel == TERMINAL:
        for done in range(len(data)):
            yield "c", done
        yield "t", 0
        yield "t", len(data)
        yield "b", len(data)
    elif kind == SAID:
        size = len(data)
        for done in sorted({0, 1, size // 2, size - 1, size}):
            yield "t", done
        yield "b", len(data)
    elif kind == DATA and not data.startswith((b"trace", b"screen", b"alive")):
        places = (0, len(data)) if data.startswith(_MARK) else (0, 1, 9)
        for done in places:
            yield "c", done
    elif kind in (OPEN, CLOSE, DATAGRAM, UART, ARRIVES):
        yield "c", 0


class Watch:
    """Numbers the places of one run. `decide(cut)`: True to cut there; `flash`, `actions`: which
    places are asked about.
    """

    def __init__(
        self,
        world: VirtualWorld,
        decide: Callable[[Cut], bool],
        flash: bool = True,
        actions: bool = True,
    ) -> None:
        self.place = 0
        self.flash = flash
        self.actions = actions
        self._w = world
        self._decide = decide
        world.watch = self.item

    def again(self) -> None:
        """After a cut places are numbered anew."""
        self.place = 0

    def item(self, kind: int, channel: int, data: bytes) -> tuple[str, int] | None:
        """Who loses power here and after how many bytes; None: nobody."""
        self.place += 1
        name = _NAMES[kind]
        if kind in (PROGRAM, ERASE):
            if self.flash:
                for done in flash_cuts(kind, len(data), self._w.flash.sector_size):
                    if self._decide(Cut("c", self.place, done, name)):
                        return "c", done
            return None
        if self.actions:
            for who, done in action_cuts(kind, channel, data):
                if self._decide(Cut(who, self.place, done, name)):
                    return who, done
        return None
