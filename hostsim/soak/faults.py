"""The faults of a soak: one table, each by its name and its kind. Each strikes one charger, or the
site, and is over by itself.

Left out on purpose, for they are losses that no charger can turn away and that show at the end of
day: an acquirer that drops a hold by itself, a contactor welded shut, a register that counts
less than what flows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hostsim.broker_proxy import ANSWERS, PUBLISH
from hostsim.broker_proxy import Faults as NetFaults
from hostsim.gateway.faults import Fault as GatewayFault
from hostsim.gateway.faults import HookFaults

if TYPE_CHECKING:
    from hostsim.world import World

_LOSS = NetFaults(drop=0.2, cut=0.05)
_LATE = NetFaults(delay=0.4, swap=0.4)
_TWICE = NetFaults(double=0.6, swap=0.2)
_ANSWERS = NetFaults(
    drop=0.2, double=0.2, swap=0.2, delay=0.2, cut=0.05, packets=ANSWERS, held_s=1, late_s=1
)
_BEHIND = NetFaults(swap=0.4, packets=ANSWERS | PUBLISH, held_s=2)
_HALF = NetFaults(half=0.3, packets=ANSWERS | PUBLISH)
Strike = Callable[["World", random.Random], Awaitable[None]]


class FaultNameError(ValueError):
    """A fault that does not exist; str() names those there are."""


@dataclass(frozen=True)
class Fault:
    """`strike` returns when it is over and everything is as before."""

    name: str
    kind: str
    about: str
    strike: Strike


# --- power ---------------------------------------------------------------------------------------


async def _power_cut(world: World, dice: random.Random) -> None:
    await world.set_power(False)
    await asyncio.sleep(dice.uniform(0.05, 2.0))
    await world.set_power(True)


async def _power_flicker(world: World, dice: random.Random) -> None:
    for _ in range(dice.randint(2, 4)):
        await world.set_power(False)
        await asyncio.sleep(dice.uniform(0.02, 0.2))
        await world.set_power(True)
        await asyncio.sleep(dice.uniform(0.1, 2.5))


async def _site_power(world: World, dice: random.Random) -> None:
    world.terminal.power_off()
    await world.set_power(False)
    await asyncio.sleep(dice.uniform(0.3, 1.5))
    world.terminal.power_on()
    await world.set_power(True)


# --- network -------------------------------------------------------------------------------------


def _harm(faults: NetFaults, anew: bool = False) -> Strike:
    """`anew`: the charger has to connect meanwhile."""

    async def strike(world: World, dice: random.Random) -> None:
        assert world.net
        world.net.faults = replace(faults)
        if anew:
            world.net.cut_all()
        await asyncio.sleep(dice.uniform(2, 8))
        world.net.faults = NetFaults()

    return strike


async def _network_cut(world: World, dice: random.Random) -> None:
    assert world.net
    for _ in range(dice.randint(1, 3)):
        world.net.cut_all()
        await asyncio.sleep(dice.uniform(0.2, 1.5))


async def _network_silent(world: World, dice: random.Random) -> None:
    assert world.net
    world.net.faults.silent = True
    await asyncio.sleep(dice.uniform(1, 8))
    world.net.faults.silent = False
    if dice.random() < 0.5:
        world.net.cut_all()


async def _network_off(world: World, dice: random.Random) -> None:
    world.hands.set_network(False)
    await asyncio.sleep(dice.uniform(1, 10))
    world.hands.set_network(True)


async def _broker_restart(world: World, dice: random.Random) -> None:
    async with world.site.trouble:
        await asyncio.to_thread(world.broker.stop)
        await asyncio.sleep(dice.uniform(0, 1))
        await asyncio.to_thread(world.broker.start)


async def _office_restart(world: World, dice: random.Random) -> None:
    assert world.back_office
    async with world.site.trouble:
        await world.back_office.stop()
        await asyncio.sleep(dice.uniform(0, 3))
        await world.back_office.start()


async def _time_server_silent(world: World, dice: random.Random) -> None:
    world.time_server.silent = True
    await asyncio.sleep(dice.uniform(1, 5))
    world.time_server.silent = False


# --- meter ---------------------------------------------------------------------------------------


def _meter(name: str) -> Strike:
    async def strike(world: World, dice: random.Random) -> None:
        world.meter.set_fault(name)
        await asyncio.sleep(dice.uniform(0.3, 5))
        world.meter.clear_fault(name)

    return strike


async def _meter_unplugged(world: World, dice: random.Random) -> None:
    world.hands.set_meter(False)
    await asyncio.sleep(dice.uniform(0.3, 5))
    world.hands.set_meter(True)


# --- terminal ------------------------------------------------------------------------------------


def _terminal(name: str, longest_s: float = 8) -> Strike:
    async def strike(world: World, dice: random.Random) -> None:
        world.terminal.set_fault(name, True)
        await asyncio.sleep(dice.uniform(1, longest_s))
        world.terminal.set_fault(name, False)

    return strike


async def _terminal_unplugged(world: World, dice: random.Random) -> None:
    world.hands.set_terminal(False)
    await asyncio.sleep(dice.uniform(0.5, 6))
    world.hands.set_terminal(True)


async def _terminal_power(world: World, dice: random.Random) -> None:
    world.terminal.power_off()
    await asyncio.sleep(dice.uniform(0.3, 4))
    world.terminal.power_on()


# --- payment gateway -----------------------------------------------------------------------------


def _gateway(kind: str, status: int = 500) -> Strike:
    async def strike(world: World, dice: random.Random) -> None:
        gateway = world.site.gateway
        assert gateway is not None
        gateway.faults.add(GatewayFault(kind, status=status, seconds=dice.uniform(0.1, 1)))
        await asyncio.sleep(dice.uniform(1, 6))
        gateway.faults.clear()

    return strike


def _events(travel: HookFaults) -> Strike:
    async def strike(world: World, dice: random.Random) -> None:
        gateway = world.site.gateway
        assert gateway is not None
        gateway.hooks.faults = replace(travel)
        await asyncio.sleep(dice.uniform(1, 6))
        gateway.hooks.release()
        gateway.hooks.faults = HookFaults()

    return strike


# --- the table -----------------------------------------------------------------------------------

_TERMINAL = {
    "silence": "answers nothing",
    "nak": "rejects a good frame",
    "bad-crc": "sends a frame with a wrong check sum",
    "drop-ack": "does not acknowledge a frame it takes",
    "drop-040f": "never sends the result, and reverses",
    "lose-confirm": "does not see the acknowledgement of its result, and reverses",
    "lose-completion": "books the money and never says so",
    "collision": "talks first",
    "slow-answer": "acknowledges late",
    "slow-result": "the bank takes long",
    "garbage": "noise before every frame",
    "fragment": "sends in small pieces",
    "unknown-command": "asks what nobody knows",
    "acquirer-down": "has no connection to the bank",
    "decline-next": "refuses the next card",
    "long-apdu": "long texts",
    "long-trace": "long trace numbers",
    "busy": "says it is busy",
}
_METER = {
    "silence": "does not answer",
    "crc": "wrong check sums",
    "wrong_unit": "answers for another unit",
    "exception": "refuses requests",
    "late": "answers late",
    "short": "answers are cut off",
    "noise": "rubbish before answers",
    "drop": "frames lost or spoilt at random",
    "nan": "registers not available",
    "rollback": "the register shows less than it counted",
    "jump": "the register shows more than it counted",
    "freeze": "the register stands still",
    "power": "shows more power than flows",
    "swap": "another meter answers",
}

_ALL = (
    Fault("power-cut", "power", "the charger's supply fails", _power_cut),
    Fault("power-flicker", "power", "and again during recovery", _power_flicker),
    Fault("power-site", "power", "charger and terminal lose power together", _site_power),
    Fault("network-cut", "network", "connections are broken", _network_cut),
    Fault("network-silent", "network", "nothing passes, nothing is closed", _network_silent),
    Fault("network-off", "network", "the link is down", _network_off),
    Fault("network-loss", "network", "messages lost or cut", _harm(_LOSS)),
    Fault("network-late", "network", "messages late or out of order", _harm(_LATE)),
    Fault("network-answers", "network", "the broker's answers are lost, late, cut or come twice",
          _harm(_ANSWERS, anew=True)),
    Fault("network-behind", "network", "messages are overtaken for seconds", _harm(_BEHIND)),
    Fault("network-half", "network", "one direction falls silent", _harm(_HALF)),
    Fault("broker-restart", "network", "the broker forgets everything", _broker_restart),
    Fault("office-restart", "network", "the back office goes and comes back", _office_restart),
    Fault("time-silent", "network", "the time server is away", _time_server_silent),
    Fault("meter-unplugged", "meter", "the meter's line is pulled", _meter_unplugged),
    *(Fault(f"meter-{n}", "meter", about, _meter(n)) for n, about in _METER.items()),
    Fault("terminal-unplugged", "terminal", "the terminal's line is pulled", _terminal_unplugged),
    Fault("terminal-power", "terminal", "the terminal loses power", _terminal_power),
    *(
        Fault(f"terminal-{n}", "terminal", about, _terminal(n))
        for n, about in _TERMINAL.items()
    ),
    Fault("gateway-slow", "gateway", "it answers late", _gateway("slow")),
    Fault("gateway-down", "gateway", "it does not answer", _gateway("down")),
    Fault("gateway-lost", "gateway", "it does it, its answers are lost", _gateway("lost")),
    Fault("gateway-500", "gateway", "it says 500", _gateway("error")),
    Fault("gateway-429", "gateway", "it says 429", _gateway("error", 429)),
    Fault("gateway-silent", "gateway", "no event comes", _events(HookFaults(never=True))),
    Fault("gateway-twice", "gateway", "events come twice", _events(HookFaults(copies=2))),
    Fault("gateway-backwards", "gateway", "the newest event comes first",
          _events(HookFaults(backwards=True))),
    Fault(
        "duplicates-mqtt",
        "duplicates",
        "messages, acknowledgements and commands come twice",
        _harm(_TWICE),
    ),
    Fault(
        "duplicates-terminal",
        "duplicates",
        "the terminal sends frames twice",
        _terminal("duplicate"),
    ),
)
FAULTS = {fault.name: fault for fault in _ALL}
KINDS = tuple(dict.fromkeys(fault.kind for fault in _ALL))


def chosen(text: str) -> tuple[Fault, ...]:
    """`all`, `none`, or kinds and names with commas between. Raises FaultNameError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["none"]:
        return ()
    if words == ["all"]:
        return _ALL
    for word in words:
        if word not in FAULTS and word not in KINDS:
            raise FaultNameError(
                f"no fault {word!r}; there are the kinds {', '.join(KINDS)},"
                f" and {', '.join(FAULTS)}; all and none stand alone"
            )
    if not words:
        raise FaultNameError("no fault is named; `none` means none")
    return tuple(fault for fault in _ALL if fault.name in words or fault.kind in words)
