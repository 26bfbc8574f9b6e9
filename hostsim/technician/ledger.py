"""`make ledger PORT=y`: reads a charger's ledger out through its console, verifies and shows it. A
charger that does not start any more, or whose files are gone, still has its money in this region.

    python -m hostsim.technician.ledger BOARD PORT [FILE]

BOARD may be "" where the charger's own files say it. The image is kept (build/ledgers/),
`python -m hostsim.ledgerimage FILE` prints every record of it.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from board import plan
from hostsim.ledgerimage import ImageError, records_of, sectors_of
from hostsim.setup import BUILD
from hostsim.technician.link import Link, TechnicianError
from hostsim.technician.say import ended, say

SECTOR = 4096
_CLOSING = ("captured", "cancelled")
_SESSION_SECTORS = 8
# written only while a session is open: of a long one the first record is not among the newest
_RUNNING = tuple("hold_asked authorised energising checkpoint period power_off priced".split())


def board_of(link: Link) -> str:
    """What board.txt says. Raises TechnicianError when the charger's files are gone."""
    name = link.text("board.txt")
    if not name:
        raise TechnicianError("the charger's files do not say what board it is", "Give BOARD=...")
    return name


def open_region(link: Link, data: dict[str, Any]) -> int:
    """Opens the ledger's region on the board as `_l`; how many sectors it has. Raises
    TechnicianError when the board has none.
    """
    first, length = plan.regions(data)["ledger"]
    if "partitions" in data:  # the board's own table says how long: it may be a former one
        link.run("import esp32\n_l=esp32.Partition('ledger')")
        length = int(link.value("_l.info()[3]"))
    else:
        link.run(f"import rp2\n_l=rp2.Flash(start={first},len={length})")
    return length // SECTOR


def read_sector(link: Link, number: int) -> bytes:
    """One sector, through one buffer on the board."""
    code = f"""
_b=bytearray(1024)
for _i in range(4):
    _l.readblocks({number},_b,1024*_i)
    _k=bytes(_b).rstrip(b'\\xff')
    print(_e(_k).decode().strip())
"""
    out = b""
    for line in link.run(code).splitlines():
        out += base64.b64decode(line).ljust(1024, b"\xff")
    return out


def headers(link: Link, count: int) -> Iterator[tuple[int, bytes]]:
    """The first 64 bytes of every sector."""
    code = f"""
_b=bytearray(64)
for _i in range({count}):
    _l.readblocks(_i,_b,0)
    print(_i,_e(bytes(_b)).decode().strip())
"""
    for line in link.run(code).splitlines():
        number, text = line.split()
        yield int(number), base64.b64decode(text)


def newest_sectors(link: Link, count: int) -> list[int]:
    """Sectors in use, newest first."""
    blank = b"\xff" * (SECTOR - 64)
    image = b"".join(head + blank for _, head in headers(link, count))
    return [sector.number for sector in reversed(sectors_of(image))]


def read_out(link: Link, data: dict[str, Any], limit: int = 0) -> bytes:
    """The region's image; with `limit` only the newest so many sectors, the others blank. A ledger
    of a later format is read whole, or raises TechnicianError where there is a limit.
    """
    count = open_region(link, data)
    try:
        wanted = newest_sectors(link, count)
    except ImageError as error:
        if limit:
            raise _later(error) from error
        wanted = list(range(count))
    if limit:
        wanted = wanted[:limit]
    image = bytearray(b"\xff" * (SECTOR * count))
    for number in wanted:
        image[number * SECTOR : (number + 1) * SECTOR] = read_sector(link, number)
    return bytes(image)


def open_session(records: list[dict[str, Any]]) -> int:
    """Number of the session that is not settled; 0 for none."""
    session, held = 0, False
    for record in records:
        kind = record["kind"]
        if kind in _RUNNING and record["sess"] != session:
            session, held = record["sess"], kind != "hold_asked"
        elif record.get("sess") == session:
            held = held or kind == "authorised"
            if kind in _CLOSING or (kind == "declined" and not held):
                session = 0
    return session


def session_on(link: Link, data: dict[str, Any]) -> int:
    """The charger's open session by its ledger's newest sectors; 0 for none. Raises
    TechnicianError for a ledger of a later format.
    """
    image = read_out(link, data, _SESSION_SECTORS)
    try:
        return open_session(records_of(image))
    except ImageError as error:
        raise _later(error) from error


def _later(error: ImageError) -> TechnicianError:
    return TechnicianError(
        f"whether a session is open cannot be read: {error}",
        "A later version wrote this ledger: use that version's checkout.",
    )


def gaps(records: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """(last before, first after) where numbers of whole records are missing."""
    seqs = [record["seq"] for record in records]
    return [(a, b) for a, b in zip(seqs, seqs[1:], strict=False) if b > a + 1]


def summary(records: list[dict[str, Any]]) -> list[str]:
    """What the books say, in lines."""
    if not records:
        return ["no records: a new ledger"]
    captured = sum(r["captured_minor"] for r in records if r["kind"] == "captured")
    refunded = sum(r["amount_minor"] for r in records if r["kind"] == "refunded")
    priced = sum(1 for r in records if r["kind"] == "priced")
    first, last = records[0], records[-1]
    lines = [
        f"{len(records)} records, epoch {last['epoch']}, seq {first['seq']} to {last['seq']}",
        f"{priced} sessions priced; captured {captured} minor units, refunded {refunded}",
    ]
    session = open_session(records)
    if session:
        about = [r for r in records if r.get("sess") == session]
        lines.append(f"session {session} is OPEN; its last record: {about[-1]['kind']}")
    unknown = sum(1 for r in records if r["kind"] == "unknown")
    if unknown:
        lines.append(f"{unknown} records of kinds this program does not know")
    return lines


def show(records: list[dict[str, Any]]) -> None:
    for record in records:
        about = {k: v for k, v in record.items() if k not in ("epoch", "seq", "kind", "version")}
        text = "  ".join(f"{key}={value}" for key, value in about.items())
        say(f"{record['seq']:>8}  {record['kind']:<16}  {text}")


def main(arguments: list[str]) -> int:
    board, port = arguments[0], arguments[1]
    name = f"{board or 'charger'}-{time.strftime('%Y%m%d-%H%M%S')}.bin"
    path = Path(arguments[2]) if len(arguments) > 2 else BUILD / "ledgers" / name
    with ended():
        with Link(port) as link:
            data = plan.load(board or board_of(link))
            say(f"{link.port}: reading the ledger of a {data['name']}")
            image = read_out(link, data)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
        try:
            records = records_of(image)
        except ImageError as error:
            raise TechnicianError(f"{path}: {error}") from error
        show(records)
        for line in summary(records):
            say(line)
        broken = gaps(records)
        for before, after in broken:
            say(f"MISSING: records {before + 1} to {after - 1} cannot be read")
        say(f"the image: {path}")
        return 1 if broken else 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
