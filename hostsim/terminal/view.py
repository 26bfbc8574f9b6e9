"""The terminal's events as lines of text for a console."""

from __future__ import annotations

from typing import Any

_HEAD = ("dir", "hex", "command", "name", "lines", "errors")


def render(kind: str, data: dict[str, Any]) -> str:
    """One event; empty when there is nothing worth a line."""
    match kind:
        case "apdu":
            return _apdu(data)
        case "line":
            return (
                ""
                if data["what"] in ("ack", "nak") and data.get("dir")
                else f"   .  {_pairs(data)}"
            )
        case "display":
            return f"   [ {data['text']} ]"
        case "card" | "book" | "fault" | "power" | "error":
            return f"   {kind}: {_pairs(data)}"
        case _:
            return f"   {kind}: {data}"


def _apdu(data: dict[str, Any]) -> str:
    arrow = "ECR ->" if data["dir"] == "in" else "   <- PT"
    out = f"{arrow:<9} {data.get('command', '????')} {data.get('name', 'not an APDU')}"
    rest = {name: value for name, value in data.items() if name not in _HEAD}
    if rest:
        out += "  " + _pairs(rest)
    for line in data.get("lines", []):
        out += f"\n            | {line}"
    for error in data.get("errors", []):
        out += f"\n            ! at byte {error['offset']}: {error['reason']}"
    return f"{out}\n            {data['hex']}"


def _pairs(data: dict[str, Any]) -> str:
    shown = {
        name: value
        for name, value in data.items()
        if name != "what" and value not in ("", [], None)
    }
    text = " ".join(f"{name}={value}" for name, value in shown.items())
    return f"{data['what']} {text}".strip() if "what" in data else text
