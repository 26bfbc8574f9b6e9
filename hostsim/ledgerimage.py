"""Reads a charger's ledger from an image of its flash: `read_image(path)`, and for operators
`python -m hostsim.ledgerimage FILE`, which prints one JSON object a record.

Written from docs/reliability.md ("The format", "The records"), not from firmware/ledger, so that
one misreading cannot hide in both. The image may be that of a running charger or of one whose
power failed at any moment: what is whole is read, in order; nothing is written.
"""

import json
import re
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTOR_SIZE = 4096
FIRST_FRAME = 64
_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")


class ImageError(Exception):
    """The image cannot be a ledger of a format this program knows."""


@dataclass
class Sector:
    """A sector in use: where it lies in the image and what its header says."""

    number: int
    epoch: int
    generation: int
    first_seq: int
    erases: int
    body: bytes


def read_image(path: str | Path, sector_size: int = SECTOR_SIZE) -> list[dict[str, Any]]:
    """All whole records of an image file, oldest first, each as a dict: epoch, seq, kind (name),
    version, at, its fields; `payload` (hex) where there are bytes that no row of the schema
    explains. The charger's own notes are left out.

    Raises ImageError when a sector has a later format, OSError when the file cannot be read.
    """
    return records_of(Path(path).read_bytes(), sector_size)


def records_of(
    image: bytes, sector_size: int = SECTOR_SIZE, first_seq: int = 1
) -> list[dict[str, Any]]:
    """The same of an image in memory, from the record `first_seq` on."""
    records: list[dict[str, Any]] = []
    newest = first_seq - 1
    for sector in sectors_of(image, sector_size):
        for version, seq, payload in frames_of(sector.body):
            if version == 1 and payload and payload[0] >= FIRST_NOTE:
                continue
            if seq <= newest:
                continue  # a number twice: its first frame was read wrong when it was written
            newest = seq
            records.append({"epoch": sector.epoch, "seq": seq, **record_of(version, payload)})
    return records


def sectors_of(image: bytes, sector_size: int = SECTOR_SIZE) -> list[Sector]:
    """The sectors in use, in the order of their generations."""
    found: list[Sector] = []
    rotten: list[tuple[int, bytes]] = []
    for number in range(len(image) // sector_size):
        body = image[number * sector_size : (number + 1) * sector_size]
        if sum(byte != 0xFF for byte in body[48:64]) > 1:
            continue  # retired
        if body[16:48] == b"\xff" * 32:
            continue  # not in use
        if body[16:20] != b"FcLg" or _u32(body, 40) != zlib.crc32(body[16:40]):
            rotten.append((number, body))
            continue
        if body[20] != 1:
            raise ImageError(f"sector {number} has format {body[20]}; this program knows format 1")
        first_seq = int.from_bytes(body[32:40], "little")
        found.append(
            Sector(number, _u32(body, 24), _u32(body, 28), first_seq, _u32(body, 4), body)
        )
    found.sort(key=lambda sector: sector.generation)
    for number, body in rotten:
        _place(found, number, body)
    return found


def _place(found: list[Sector], number: int, body: bytes) -> None:
    """A sector whose header does not verify goes where its frames' numbers belong."""
    frames = frames_of(body)
    if not frames or not found:
        return
    first = frames[0][1] + (frames[0][2][:1] >= bytes([FIRST_NOTE]))
    at = sum(sector.first_seq <= first for sector in found)
    if at == 0 and frames[-1][1] + 1 != found[0].first_seq:
        return
    near = found[max(at - 1, 0)]
    found.insert(at, Sector(number, near.epoch, near.generation, first, 0, body))


def frames_of(body: bytes) -> list[tuple[int, int, bytes]]:
    """The whole frames of a sector: (version, seq, payload)."""
    frames: list[tuple[int, int, bytes]] = []
    at = FIRST_FRAME
    first = int.from_bytes(body[32:40], "little")
    if _u32(body, 40) != zlib.crc32(body[16:40]):
        first = 0
    while at + 16 <= len(body) and body[at : at + 12] != b"\xff" * 12:
        size, valid = _frame(body, at) or (0, False)
        if not valid:
            if int.from_bytes(body[at : at + 4], "little").bit_count() < 5:
                break  # closed
            size = _to_the_next(body, at, size, first)
            if not size:
                break
            at += size
            size = (_frame(body, at) or (0, False))[0]
        payload = body[at + 12 : at + 12 + int.from_bytes(body[at + 2 : at + 4], "little")]
        frames.append((body[at + 1], int.from_bytes(body[at + 4 : at + 12], "little"), payload))
        at += size
    return frames


def _to_the_next(body: bytes, at: int, size: int, first: int) -> int:
    """How far it is from a place without a valid frame to the next one; 0 when there is none."""
    for step in ([size] if size else []) + list(range(4, len(body) - at, 4)):
        if (_frame(body, at + step) or (0, False))[1]:
            seq = int.from_bytes(body[at + step + 4 : at + step + 12], "little")
            if not first or first - 1 <= seq < first + len(body) // 20:
                return step
    return 0


def _frame(body: bytes, at: int) -> tuple[int, bool] | None:
    """Size of the frame at a place, with filling, and whether its check sum is right; None when
    there is none."""
    if at + 16 > len(body) or body[at] != 0xA7:
        return None
    length = int.from_bytes(body[at + 2 : at + 4], "little")
    size = -(-(12 + length + 4) // 4) * 4
    if length > 1008 or at + size > len(body):
        return None
    return size, _u32(body, at + 12 + length) == zlib.crc32(body[at : at + 12 + length])


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


# --- records -------------------------------------------------------------------------------------

_TABLE = """
 1 boot 1 firmware:s reason:s safe:u
 2 hold_asked 2 sess:u hold_minor:u currency:s tariff:s tariff_crc:u method:s connector:u
   reference:s uid_hash:s remote:s
 3 authorised 1 sess:u amount_minor:u receipt:u trace:u terminal_id:s vu:s auth_code:s pan:s card:s
 4 declined 1 sess:u code:u text:s
 5 energising 1 sess:u register_wh:u serial:s
 6 checkpoint 1 sess:u register_wh:u elapsed_ms:u state:l
 7 period 1 sess:u start_ms:u end_ms:u energy_mwh:u charging_ms:u parking_ms:u min_ma:i max_ma:i
   min_w:i max_w:i
 8 power_off 1 sess:u register_wh:u elapsed_ms:u reason:s
 9 priced 2 sess:u receipt_no:u start_at:u end_at:u start_wh:u end_wh:u billed_wh:u elapsed_ms:u
   total_minor:u net_minor:u vat_minor:u currency:s lines:l reason:s vat:l
10 captured 1 sess:u captured_minor:u released_minor:u receipt:u trace:u how:s
11 cancelled 1 sess:u released_minor:u receipt:u reason:s
12 settle_failed 1 sess:u attempt:u code:u text:s
13 extend_asked 1 sess:u add_minor:u
14 extended 1 sess:u amount_minor:u receipt:u trace:u
15 refund_asked 1 refund:s sess:u amount_minor:u way:s reason:s command:s
16 refunded 2 refund:s sess:u amount_minor:u way:s receipt:u trace:u credit_no:u receipt_no:u
   net_minor:u vat_minor:u lines:l
17 refund_failed 2 refund:s sess:u code:u text:s amount_minor:u way:s state:s
18 tariff 1 tariff:s tariff_crc:u result:s detail:s
19 command 1 command:s counter:u name:s result:s detail:s
20 alarm 1 code:s sess:u detail:s
21 security 1 code:s detail:s
22 end_of_day 1 count:u terminal_minor:u ledger_minor:u result:s
23 refund_requested 1 refund:s receipt_no:u amount_minor:u reason:s operator:s command:s card:u
24 refund_sent 1 refund:s sess:u amount_minor:u way:s receipt:u trace:u
25 day_closed 1 count:u
28 extend_done 1 sess:u amount_minor:u how:s code:u text:s
29 day_asked 1 count:u ledger_minor:u
"""


def _kinds() -> dict[int, tuple[str, int, list[str]]]:
    """Number of a kind -> name, version, fields."""
    rows = [line.split() for line in _TABLE.replace("\n   ", " ").splitlines() if line]
    return {int(row[0]): (row[1], int(row[2]), row[3:]) for row in rows}


KINDS = _kinds()
FIRST_NOTE = 128
_ABSENT: dict[str, Any] = {"s": "", "l": []}


class _Bytes:
    """Values from a payload, one after the other. Raises ValueError where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        if count > len(self.data):
            raise ValueError("cut short")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def unsigned(self) -> int:
        digits: list[int] = []
        while not digits or digits[-1] & 0x80:
            digits.append(self.take(1)[0])
        value = sum((digit & 0x7F) << (7 * place) for place, digit in enumerate(digits))
        if value >= 1 << 64:
            raise ValueError("more than 64 bits")
        return value

    def signed(self) -> int:
        value = self.unsigned()
        return value // 2 if value % 2 == 0 else -(value + 1) // 2

    def value(self, kind: str) -> int | str | list[int]:
        if kind == "s":
            text = self.take(self.take(1)[0]).decode("utf-8", "surrogatepass")
            return _NO_CHARACTER.sub("\ufffd", text)  # as the back office has it
        if kind == "l":
            return [self.signed() for _ in range(self.take(1)[0])]
        return self.signed() if kind == "i" else self.unsigned()


def record_of(frame_version: int, payload: bytes) -> dict[str, Any]:
    """One payload as kind, version, at and fields; kind "unknown" with the whole payload when it
    cannot be explained."""
    unknown = {
        "kind": "unknown",
        "version": payload[1] if len(payload) > 1 else 0,
        "at": 0,
        "payload": payload.hex(),
    }
    row = KINDS.get(payload[0]) if frame_version == 1 and len(payload) > 1 and payload[1] else None
    if row is None:
        return unknown
    name, known_version, fields = row
    data = _Bytes(payload[2:])
    record: dict[str, Any] = {"kind": name, "version": payload[1]}
    try:
        record["at"] = data.unsigned()
        for field, _, kind in (word.partition(":") for word in fields):
            if not data.data and payload[1] < known_version:
                record[field] = _ABSENT.get(kind, 0)
            else:
                record[field] = data.value(kind)
    except ValueError:
        return unknown
    if data.data:
        if payload[1] <= known_version:
            return unknown
        record["payload"] = data.data.hex()
    return record


def noted(frame: bytes) -> int | None:
    """Up to which record a whole frame of one of the charger's own notes (acked, books) says that
    everything was acknowledged; None for anything else.
    """
    size, valid = _frame(frame, 0) or (0, False)
    payload = frame[12 : 12 + int.from_bytes(frame[2:4], "little")]
    if not valid or frame[1] != 1 or payload[:1] < bytes([FIRST_NOTE]):
        return None
    data = _Bytes(payload[2:])
    data.unsigned()  # at
    return data.unsigned()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m hostsim.ledgerimage FILE\n")
        return 2
    try:
        image = Path(arguments[0]).read_bytes()
        records = records_of(image)
    except (ImageError, OSError) as error:
        sys.stderr.write(f"{arguments[0]}: {error}\n")
        return 1
    if not sectors_of(image):
        sys.stderr.write(f"{arguments[0]}: no ledger found\n")
        return 1
    for record in records:
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
