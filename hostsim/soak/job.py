"""What a soak is to play."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from hostsim.soak.faults import Fault

METHODS = ("card", "qr")


@dataclass(frozen=True)
class Job:
    """What to play; `words`: --faults as given, for the replay."""

    sessions: int
    chargers: int
    seed: int
    faults: tuple[Fault, ...]
    words: str
    speed: int = 60
    methods: tuple[str, ...] = METHODS

    def blows(self) -> tuple[Fault, ...]:
        """The faults that can strike: a gateway's only where somebody pays at one."""
        by_phone = "qr" in self.methods
        return tuple(f for f in self.faults if by_phone or f.kind != "gateway")

    def replay(self) -> str:
        """The command that plays the same people and faults again."""
        return (
            f"python -m hostsim soak --sessions {self.sessions} --chargers {self.chargers}"
            f" --seed {self.seed} --faults {shlex.quote(self.words)}"
            + (f" --methods {','.join(self.methods)}" if self.methods != METHODS else "")
        )
