"""The charger's own lines in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostsim.evse import Evse
from hostsim.vehicle import Vehicle


class VirtualEvse(Evse):
    """The charger's own lines; what it says goes over a virtual socket."""

    def __init__(self, vehicle: Vehicle, notify: Any, say: Callable[[bytes], None]) -> None:
        super().__init__(vehicle, notify)
        self._say_bytes = say

    def _say(self, text: str) -> None:
        self._say_bytes(text.encode() + b"\n")

    def connect(self) -> None:
        """A firmware process has started."""
        self._greet()

    def heard(self, line: str) -> None:
        """One line of the firmware."""
        self._heard(line)
