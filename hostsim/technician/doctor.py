"""`make doctor PORT=y`: examines a jumpered charger and its wiring, a row each.

    python -m hostsim.technician.doctor [PORT] [--json]

The examination is the firmware's own (doctor.py, firmware/doctor/examine.py), on the board, with
the slot that would start: the meter is read, the terminal registers, the link connects; nothing is
switched or sold. Exit code 0: all good; 1: something is to be done; 2: it could not be asked.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from hostsim.technician.link import Link, TechnicianError
from hostsim.technician.say import ended, say

_LIMIT_S = 180
_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"


def examine(link: Link) -> list[dict[str, Any]]:
    """The findings: name, ok, reason, todo. Raises TechnicianError."""
    slot = link.text("slot")[:1]
    if not slot:
        raise TechnicianError("there is no version on this board", "make flash comes first.")
    printed = link.run(f"sys.path.insert(0,{'/' + slot!r})\nimport doctor", _LIMIT_S)
    try:
        findings = json.loads(printed.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise TechnicianError(
            "the doctor on the board did not come to its end", *printed.splitlines()[-4:]
        ) from None
    return list(findings)


def show(findings: list[dict[str, Any]], coloured: bool) -> None:
    """A row each, in green or red, with what to do."""
    for finding in findings:
        word = "good" if finding["ok"] else "BAD "
        if coloured:
            word = f"{_GREEN if finding['ok'] else _RED}{word}{_PLAIN}"
        say(f"  {word}  {finding['name']:<13} {finding['reason']}")
        if finding["todo"]:
            say(f"        {'':<13} to do: {finding['todo']}")


def main(arguments: list[str]) -> int:
    words = [word for word in arguments if not word.startswith("--")]
    findings: list[dict[str, Any]] | None = None
    with ended():
        link = Link(words[0] if words else "")
        try:
            findings = examine(link)
        finally:
            link.reset(interrupt=True)
    if findings is None:
        return 2
    if "--json" in arguments:
        say(json.dumps(findings))
    else:
        show(findings, sys.stdout.isatty())
    return 0 if all(finding["ok"] for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
