"""Commands for people: `terminal` (be a card terminal), `zvt decode`, `zvt talk`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hostsim.clock import WorldClock
from hostsim.line import LineError, SerialPort, StreamPort
from hostsim.terminal import decode as decoding
from hostsim.terminal.books import Books, BooksError
from hostsim.terminal.cards import CARDS, card_named
from hostsim.terminal.codec import CodecError
from hostsim.terminal.commands import COMMANDS, Values
from hostsim.terminal.ecr import Ecr, TalkError
from hostsim.terminal.faults import FAULTS
from hostsim.terminal.profiles import PROFILES, profile_named
from hostsim.terminal.pt import TerminalSim
from hostsim.terminal.view import render

app = typer.Typer(no_args_is_help=True, help="The card terminal's side of the house.")
zvt = typer.Typer(no_args_is_help=True, help="Tools for the ZVT protocol.")


def _table(items: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in items)
    return "\n".join(f"{name:<{width}}  {about}" for name, about in items)


TERMINAL_HELP = (
    "Be a ZVT card terminal, on a TCP port or a serial device; show the conversation.\n\n"
    "\b\nCARDS for --tap:\n"
    + _table([(card.name, card.about) for card in CARDS.values()])
    + "\n\n\b\nFAULTS for --fault NAME or NAME=PARAM:\n"
    + _table([(name, f"({fault.takes}) {fault.about}") for name, fault in FAULTS.items()])
    + "\n\n\b\nPROFILES: "
    + ", ".join(PROFILES)
)

Tcp = Annotated[
    int | None, typer.Option(help="TCP port to listen on (terminals use 20007).", min=0, max=65535)
]
Serial = Annotated[str | None, typer.Option(help="Serial device, such as /dev/ttyUSB0 or a pty.")]
Baud = Annotated[int, typer.Option(help="Baud rate of the serial device.")]


@app.command("terminal", help=TERMINAL_HELP)
def terminal(
    tcp: Tcp = None,
    serial: Serial = None,
    tap: Annotated[
        str | None, typer.Option(help="Present this card whenever one is awaited.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    baud: Baud = 9600,
    password: Annotated[
        int | None, typer.Option(help="Password of the terminal, six digits.", min=0, max=999999)
    ] = None,
    profile: Annotated[
        str, typer.Option(help=f"Make of terminal: {', '.join(PROFILES)}.")
    ] = "generic",
    books: Annotated[
        Path | None, typer.Option(help="File for the terminal's books; kept between runs.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Switch a fault on: NAME or NAME=PARAM; repeatable.")
    ] = None,
    bank_s: Annotated[float, typer.Option(help="Seconds the bank takes.", min=0)] = 0.8,
    card_timeout: Annotated[float, typer.Option(help="Seconds to wait for a card.", min=1)] = 60.0,
) -> None:
    """Be a ZVT card terminal."""
    if (tcp is None) == (serial is None):
        raise typer.BadParameter("give either --tcp PORT or --serial PATH")
    console = Console(highlight=False, soft_wrap=True)
    screen = _Screen(console)
    try:
        port = SerialPort(serial, baud) if serial is not None else None
        sim = TerminalSim(
            WorldClock(),
            profile=profile_named(profile),
            books=Books(books),
            on_event=screen,
            auto_tap=card_named(tap).name if tap else None,
            password=password,
            card_timeout_s=card_timeout,
            bank_s=bank_s,
        )
        for item in fault or []:
            name, _, param = item.partition("=")
            sim.set_fault(name, param or True)
    except (ValueError, BooksError, LineError) as exc:
        raise typer.BadParameter(str(exc)) from exc
    screen.begin()
    try:
        asyncio.run(_serve(sim, console, host, tcp, port))
    except OSError as exc:
        typer.echo(f"Cannot start: {exc}", err=True)
        raise typer.Exit(1) from exc


class _Screen:
    """Prints what happens; nothing of a terminal that does not start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._held: list[str] | None = []

    def __call__(self, kind: str, data: dict[str, Any]) -> None:
        text = render(kind, data)
        if self._held is not None:
            self._held.append(text)
        elif text:
            self._console.print(text, markup=False)

    def begin(self) -> None:
        """It starts: what was held back is shown."""
        held, self._held = self._held or [], None
        for text in filter(None, held):
            self._console.print(text, markup=False)


async def _serve(
    sim: TerminalSim, console: Console, host: str, tcp: int | None, port: SerialPort | None
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if port is not None:
        console.print(
            f"Terminal ({sim.profile.name}) on {port.path} at {port.baud} 8N2. Ctrl-C ends it.",
            markup=False,
        )
        line = asyncio.create_task(sim.serve(port, framed=True))
        line.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if line.done():
            console.print("The serial line is gone.", style="red")
        line.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await line
        port.close()
    else:
        door = await sim.serve_tcp(host, tcp or 0)
        console.print(
            f"Terminal ({sim.profile.name}) on {host}:{door.port}. Ctrl-C ends it.", markup=False
        )
        await stop.wait()
        await door.close()
    summary = sim.books.summary()
    figures = ("authorised_minor", "captured_minor", "released_minor", "refunded_minor", "pending")
    console.print(
        "Books: " + ", ".join(f"{name} {summary[name]}" for name in figures), markup=False
    )


@zvt.command("decode")
def decode(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="HEX", help="An APDU in hexadecimal, spaces and 0x are allowed; - for stdin."
        ),
    ],
    serial: Annotated[
        bool, typer.Option("--serial", help="HEX is a frame of the serial line (10 02 ... CRC).")
    ] = False,
) -> None:
    """Explain an APDU as JSON. What does not fit is under "errors"; exit code 1: nothing fits."""
    words = sys.stdin.read(_MOST_HEX).split() if data == ["-"] else " ".join(data).split()
    joined = "".join(word.removeprefix("0x") for word in words)
    text = "".join(char for char in joined if char not in _BETWEEN_BYTES)
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        out: dict[str, Any] = {"errors": [_not_hex(text)]}
    else:
        out = decoding.decode_frame(raw) if serial else decoding.decode(raw)
    typer.echo(json.dumps(out, indent=2, ensure_ascii=False))
    if "command" not in out:
        raise typer.Exit(1)


_MOST_HEX = 1 << 20
_BETWEEN_BYTES = " \t\r\n:-,_"


def _not_hex(data: str) -> dict[str, Any]:
    for index, char in enumerate(data):
        if char not in "0123456789abcdefABCDEF":
            return {"offset": index // 2, "reason": f"{char!r} is not a hexadecimal digit"}
    return {"offset": len(data) // 2, "reason": "odd number of hexadecimal digits"}


TALK_HELP = (
    "Send one command to a terminal and show its answers as JSON lines. "
    "Money moves only after confirmation.\n\n"
    "\b\nCOMMANDS:\n" + _table([(name, command.about) for name, command in COMMANDS.items()])
)


@zvt.command("talk", help=TALK_HELP)
def talk(
    command: Annotated[str, typer.Argument(help="One of the commands above.")],
    tcp: Annotated[str | None, typer.Option(help="HOST:PORT or PORT of the terminal.")] = None,
    serial: Serial = None,
    baud: Baud = 9600,
    amount: Annotated[
        int | None,
        typer.Option(help="Amount in minor units (release: the amount to release).", min=0),
    ] = None,
    receipt: Annotated[int | None, typer.Option(help="Receipt number.", min=1, max=9999)] = None,
    trace: Annotated[
        int | None, typer.Option(help="Trace number of the hold to extend.", min=1, max=999999)
    ] = None,
    password: Annotated[
        int, typer.Option(help="Password, six digits.", min=0, max=999999)
    ] = 123456,
    config: Annotated[
        str, typer.Option(help="Config byte of the registration, hexadecimal.")
    ] = "DE",
    currency: Annotated[int, typer.Option(help="ISO 4217 number.", min=1, max=999)] = 978,
    with_tlv: Annotated[
        bool, typer.Option("--tlv", help="Register with a TLV container.")
    ] = False,
    register: Annotated[bool, typer.Option(help="Register first.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before money moves.")] = False,
) -> None:
    """Send one command to a terminal."""
    if (tcp is None) == (serial is None):
        raise typer.BadParameter("give either --tcp HOST:PORT or --serial PATH")
    chosen = COMMANDS.get(command)
    if chosen is None:
        raise typer.BadParameter(f"no command {command!r}; there are {', '.join(COMMANDS)}")
    try:
        values = Values(password, int(config, 16), currency, amount, receipt, trace, tlv=with_tlv)
    except ValueError as exc:
        raise typer.BadParameter(f"--config takes a hexadecimal byte, not {config!r}") from exc
    for name in chosen.needs:
        if {"amount": amount, "receipt": receipt, "trace": trace}[name] is None:
            raise typer.BadParameter(f"{command} needs --{name}")
    if chosen.money and not yes:
        typer.confirm(f"This moves money: {chosen.about}. Go on?", abort=True)
    steps = [COMMANDS["register"].make(values)] if register and command != "register" else []
    try:
        refused = asyncio.run(_talk([*steps, chosen.make(values)], tcp, serial, baud))
    except (TalkError, OSError, CodecError) as exc:
        typer.echo(f"Failed: {exc}", err=True)
        raise typer.Exit(1) from exc
    if refused:
        raise typer.Exit(1)


async def _talk(steps: list[bytes], tcp: str | None, serial: str | None, baud: int) -> bool:
    """Run the commands; gives whether the last answer was a refusal."""
    last: dict[str, Any] = {}
    port = SerialPort(serial, baud) if serial is not None else await _connect(tcp or "")
    async with Ecr(port, framed=serial is not None) as ecr:
        for apdu in steps:
            async for answer in ecr.run(apdu):
                last = decoding.decode(answer)
                typer.echo(json.dumps(last, ensure_ascii=False))
            if last.get("command", "").startswith(("84", "061E")) and apdu is not steps[-1]:
                break
    return bool(last.get("command", "").startswith("84") or last.get("result", 0) not in (0, 0xB8))


async def _connect(address: str) -> StreamPort:
    host, _, number = address.rpartition(":")
    if not number.isdecimal():
        raise TalkError(f"{address!r} is not HOST:PORT")
    return StreamPort(*await asyncio.open_connection(host or "127.0.0.1", int(number)))


def register(application: typer.Typer) -> None:
    """Add `terminal` and the `zvt` sub-commands to an application."""
    application.command("terminal", help=TERMINAL_HELP)(terminal)
    application.add_typer(zvt, name="zvt")


app.add_typer(zvt, name="zvt")
