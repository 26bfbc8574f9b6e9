"""Scenes between a small ECR and the simulated terminal, in one calm loop."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from hostsim.terminal.pt import TerminalSim
from tests.calm import calmly
from tests.terminal.test_terminal_sim_ecr import (
    Peer,
    bitmaps,
    both_agree,
    serial_peer,
    tcp_peer,
)

Scene = Callable[[Any], Awaitable[None]]


def play(
    sim: TerminalSim, scene: Scene, *, register: bool = True, tlv: str = "", serial: bool = False
) -> None:
    """Run a scene against a terminal, over TCP or a serial line, and look at its books
    afterwards.
    """

    async def go() -> None:
        async with contextlib.AsyncExitStack() as open_peers:
            ecr: Peer
            if serial:
                _, ecr = await open_peers.enter_async_context(serial_peer(sim))
            else:
                ecr = await open_peers.enter_async_context(tcp_peer(sim))
            if register:
                await ecr.register(tlv=tlv)
            await scene(ecr)

    calmly(go())
    both_agree(sim.books)


def heads(apdus: list[bytes]) -> list[str]:
    """Commands only, print lines taken together."""
    out: list[str] = []
    for apdu in apdus:
        head = apdu[:2].hex()
        if not (out and head == "06d1" == out[-1]):
            out.append(head)
    return out


def of(apdus: list[bytes], command: str) -> bytes:
    """The first APDU with that command."""
    return next(apdu for apdu in apdus if apdu[:2].hex() == command)


def result(apdus: list[bytes]) -> dict[int, bytes]:
    """The bitmaps of the status information."""
    return bitmaps(of(apdus, "040f"))



def states(sim: TerminalSim) -> list[str]:
    """Where every record stands."""
    return [str(record.state) for record in sim.books.records]
