"""docs/boards: one page and one drawing a board, made from its data, so that they cannot say
anything else. `python -m hostsim.technician.drawing` writes them; a test holds them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from board import plan
from board.chips import CHIPS
from board.models import MODELS
from hostsim.setup import ROOT

FOLDER = ROOT / "docs" / "boards"
_SIGNALS = {
    "contactor": "coil of the relay driver",
    "feedback": "contactor's auxiliary contact",
    "stop": "push button",
    "emergency": "contact of the emergency stop",
    "jumper": "service jumper",
    "PWM": "input of the pilot driver",
    "ADC": "divider at the pilot driver's output",
}

_FEEDBACK = {
    "nc": [
        "Feedback is a mirror contact (IEC 60947-4-1 Annex F): normally closed, and never closed",
        "while a main pole is, so a welded pole shows; a broken wire shows as closed power, too.",
    ],
    "no": [
        "Feedback is a normally open auxiliary contact, closed while the contactor is; of such a",
        "one it is not promised that it shows a welded pole (of a mirror contact it is:",
        "IEC 60947-4-1 Annex F, `nc`).",
    ],
}
_GUARDS = [
    "Another kind of contact than this contradicts the order to be open as soon as the charger",
    "starts: a fault, and nothing is sold; `feedback` in the board's file says which kind it is.",
    "The meter is the second guard: power that flows while the contactor is told to be open, and",
    "its contact says so, is a fault too.",
]
_CONTACTS = {
    "nc": "a mirror contact (normally closed)",
    "no": "an auxiliary contact, normally open",
}


@dataclass
class Device:
    """Something that is wired: its name, the part, and rows of (GPIO, signal, note)."""

    name: str
    part: str
    rows: list[tuple[int, str, str]] = field(default_factory=list)


def devices(data: dict[str, Any]) -> list[Device]:
    """Everything that is wired, in the order it is drawn."""
    chip = CHIPS[MODELS[data["name"]]["chip"]]
    out = [_serial(role, wires) for role, wires in data["uarts"].items()]
    evse = Device("EVSE", "contactor, emergency stop")
    evse.rows.append((data["contactor"][0], "contactor", _active(data["contactor"], "closes")))
    closed = {"nc": "while the contactor is open", "no": "while the contactor is closed"}
    wire, kind = data["feedback"][:2], data["feedback"][2]
    evse.rows.append((wire[0], "feedback", f"{_input(wire, chip)}, {closed[kind]}"))
    evse.rows.append((data["emergency"][0], "emergency", _input(data["emergency"], chip)))
    pilot = Device("control pilot", "IEC 61851-1 pilot driver, +/-12 V")
    pilot.rows.append((data["pilot"]["pwm"], "PWM", "1 kHz, duty cycle of the current"))
    pilot.rows.append((data["pilot"]["adc"], "ADC", _divider(chip)))
    hands = Device("buttons", "push button, jumper")
    hands.rows.append((data["stop"][0], "stop", _input(data["stop"], chip)))
    if data["jumper"] == data["stop"]:
        hands.rows.append((data["jumper"][0], "jumper", "bridges the stop button at power-on"))
    else:
        hands.rows.append((data["jumper"][0], "jumper", _input(data["jumper"], chip)))
    out += [evse, pilot, hands]
    lamps = Device("lamps", "three lamps or one of three colours, with drivers")
    for colour, pin in zip(("red", "green", "blue"), data["lights"], strict=True):
        if pin is not None:
            lamps.rows.append((pin, f"{colour} lamp", "high is on"))
    out += [lamps] if lamps.rows else []
    if data["screen"]:
        out.append(_screen(data["screen"]))
    if "spi" in (data["network"] or {}):
        out.append(_w5500(data))
    return out


def _serial(role: str, wires: tuple[int, int, int, int | None]) -> Device:
    number, tx, rx, direction = wires
    if role == "meter":
        part = "RS-485 transceiver, 3.3 V" + (", DE and /RE" if direction is not None else "")
        if direction is None:
            part = "RS-485 transceiver, 3.3 V, that finds its direction itself"
    else:
        part = "RS-232 level converter (MAX3232)"
    out = Device(role, part)
    out.rows.append((tx, "TX", f"UART {number}, out"))
    out.rows.append((rx, "RX", f"UART {number}, in"))
    if direction is not None:
        out.rows.append((direction, "direction", "DE and /RE tied together; high sends"))
    return out


def _active(wire: tuple[int, int], does: str) -> str:
    on, off = ("high", "low") if wire[1] else ("low", "high")
    return f"{on} {does}; a resistor keeps it {off}"


def _input(wire: tuple[int, int], chip: dict[str, Any]) -> str:
    to = "3.3 V" if wire[1] else "ground"
    outside = "; needs a pull-up of 10 kOhm to 3.3 V" if wire[0] in chip["inputs"] else ""
    return f"closed contact to {to}{outside}"


def _divider(chip: dict[str, Any]) -> str:
    if chip["port"] == "esp32":
        return "12 V give 2.4 V here; clamp to 3.3 V"
    return "12.9 V give 3.3 V here; clamp to 3.3 V"


def _screen(screen: tuple[str, int, int, int, int]) -> Device:
    kind, number, sda, scl, address = screen
    part = {
        "ssd1306": "OLED 128 x 64, SSD1306 or SSD1309 (2.42 inch to be read outdoors)",
        "hd44780": "display 20 x 4, HD44780 with a PCF8574 backpack at 3.3 V levels",
    }[kind]
    out = Device("screen", part)
    out.rows.append((sda, "SDA", f"I2C {number}, address 0x{address:02x}"))
    out.rows.append((scl, "SCL", f"I2C {number}"))
    return out


def _w5500(data: dict[str, Any]) -> Device:
    out = Device("Ethernet", "W5500 module")
    network = data["network"]
    number, sck, mosi, miso = network["spi"]
    for pin, name in ((sck, "SCK"), (mosi, "MOSI"), (miso, "MISO")):
        out.rows.append((pin, name, f"SPI {number}"))
    for name in ("cs", "int", "reset"):
        out.rows.append((network[name], name.upper(), ""))
    return out


def parts(data: dict[str, Any]) -> list[tuple[int, str, str]]:
    """(how many, part, what for)."""
    model = MODELS[data["name"]]
    out = [(1, model["title"], f"the controller; MicroPython image {model['image']}")]
    out += [(1, device.part, device.name) for device in devices(data) if device.name != "EVSE"]
    out += [
        (1, "relay driver with optocoupler, 3.3 V input", "the contactor's coil"),
        (1, f"contactor, 4 poles, with {_CONTACTS[data['feedback'][2]]}", "power; feedback"),
        (1, "5 V supply, 2 A, galvanically isolated", "everything above"),
    ]
    return out


# --- the drawing ---------------------------------------------------------------------------------

_ROW, _HEAD, _GAP, _WIDE, _CHIP = 22, 26, 14, 300, 190
_MARGIN = 16


def svg(data: dict[str, Any]) -> str:
    """The board in the middle, devices left and right, a wire for every signal."""
    found = devices(data)
    heights = [_HEAD + _ROW * len(device.rows) + _GAP for device in found]
    half, left = 0, 0
    while left < len(found) and half < sum(heights) / 2:
        half += heights[left]
        left += 1
    tall = max(half, sum(heights[left:]))
    wide = 2 * _MARGIN + 2 * (_WIDE + 60) + _CHIP
    x = _MARGIN + _WIDE + 60
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{tall + 60}" '
        f'viewBox="0 0 {wide} {tall + 60}" font-family="sans-serif" font-size="12">',
        f'<rect width="{wide}" height="{tall + 60}" fill="#fff"/>',
        _box(x, 40, _CHIP, tall - _GAP, "#eef3f8"),
        _text(x + _CHIP // 2, 28, MODELS[data["name"]]["title"], "middle", True),
    ]
    for side, group in ((0, found[:left]), (1, found[left:])):
        y = 40
        for device in group:
            out += _device(device, side, x, y)
            y += _HEAD + _ROW * len(device.rows) + _GAP
    return "\n".join([*out, "</svg>"]) + "\n"


def _device(device: Device, side: int, chip: int, y: int) -> list[str]:
    at = chip + _CHIP + 60 if side else _MARGIN
    out = [
        _box(at, y, _WIDE, _HEAD + _ROW * len(device.rows), "#fbf7ee"),
        _text(at + 8, y + 17, f"{device.name}", "start", True),
    ]
    for i, (pin, signal, note) in enumerate(device.rows):
        line = y + _HEAD + _ROW * i + 8
        near = at if side else at + _WIDE
        far = chip + _CHIP if side else chip
        out.append(f'<path d="M{far} {line}H{near}" stroke="#345" stroke-width="1.5"/>')
        words = f"{signal}: {note}" if note else signal
        out.append(_text(at + 8, line + 4, words, "start", False))
        anchor, inside = ("end", far - 6) if side else ("start", far + 6)
        out.append(_text(inside, line + 4, f"GPIO{pin}", anchor, False))
    return out


def _box(x: int, y: int, wide: int, tall: int, fill: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" fill="{fill}" stroke="#345"/>'


def _text(x: int, y: int, words: str, anchor: str, bold: bool) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


# --- the page ------------------------------------------------------------------------------------


def page(data: dict[str, Any]) -> str:
    """docs/boards/<board>.md."""
    name = data["name"]
    model = MODELS[name]
    chip = CHIPS[model["chip"]]
    lines = [
        f"# {model['title']}",
        "",
        f"`BOARD={name}`, MicroPython {model['micropython']}, image {model['image']}. Made from "
        f"`board/{name}.py` by",
        "`python -m hostsim.technician.drawing`: change it there.",
        "",
        f"![wiring]({name}.svg)",
        "",
        "| GPIO | signal | wired to | |",
        "|---|---|---|---|",
    ]
    for device in devices(data):
        for pin, signal, note in device.rows:
            named = (
                signal if signal in _SIGNALS and signal.islower() else f"{device.name} {signal}"
            )
            lines.append(f"| {pin} | {named} | {_to(device, signal)} | {note} |")
    lines += ["", _levels(data), "", *_limits(data, model, chip), "", "| | part | for |"]
    lines += ["|---|---|---|", *(f"| {n} | {what} | {why} |" for n, what, why in parts(data))]
    return "\n".join(lines) + "\n"


def _to(device: Device, signal: str) -> str:
    return _SIGNALS.get(signal, device.part.split(",")[0])


def _levels(data: dict[str, Any]) -> str:
    levels = ", ".join(
        f"{state} from {level}"
        for state, level in zip("ABCD", data["pilot"]["levels"], strict=True)
    )
    return f"Pilot readings of 65535: {levels}."


def _limits(data: dict[str, Any], model: dict[str, Any], chip: dict[str, Any]) -> list[str]:
    files, ledger = plan.regions(data)["files"], plan.regions(data)["ledger"]
    where = "MicroPython's storage" if chip["port"] == "rp2" else "flash"
    out = [
        f"Files: {files[1] // 1024} KB from 0x{files[0]:x} of {where}; ledger: "
        f"{ledger[1] // 1024} KB from 0x{ledger[0]:x}. Watchdog: {data['watchdog_ms']} ms.",
    ]
    network = data["network"] or {}
    if not network:
        out.append("No network: records stay in the ledger until `make ledger` reads them out.")
    elif network.get("wifi"):
        out.append("Network: the cable; Wi-Fi while there is none (`make provision WIFI=file`).")
    else:
        out.append("Network: the cable.")
    out.append(
        "The emergency stop's first contact opens the coil's circuit; the second one tells."
    )
    out += _FEEDBACK[data["feedback"][2]] + _GUARDS
    strapped = sorted(plan.straps(data))
    if strapped:
        words = ", ".join(f"{n} {'high' if high else 'low'} ({use})" for n, use, high in strapped)
        out.append(f"Strapping pins, by which the chip starts when the power comes: {words}.")
        out.append("What is wired there must not pull the other way, or the chip may not start.")
        mild = CHIPS[model["chip"]]["mild"]
        words = "; ".join(f"{n}: it {mild[n]}" for n, _, _ in strapped if n in mild)
        out += [f"The wrong level does less at {words}."] if words else []
    kept: dict[str, list[int]] = {}
    for pin, why in model["keep"].items():
        kept.setdefault(why, []).append(pin)
    if kept:
        words = "; ".join(f"{', '.join(map(str, pins))}: {why}" for why, pins in kept.items())
        out.append(f"Not free on this board: {words}.")
    return out


def pages() -> dict[Path, str]:
    """Every file this program writes."""
    out = {}
    for name in plan.names():
        data = plan.load(name)
        out[FOLDER / f"{name}.md"] = page(data)
        out[FOLDER / f"{name}.svg"] = svg(data)
    return out


def main() -> int:
    for path, text in pages().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
