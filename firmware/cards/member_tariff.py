"""Members' own tariffs, ready to price with: beside each source (member-<crc>.json) lies what the
reader of tariffs made of it, because reading one takes memory that a charger at work does not
have. Entered for a tap, a recovery, a new list and at start-up; left again.

The file (member-<crc>.own): a line with its format and the CRC-32 of the rest, then the Tariff's
attributes as JSON. What this firmware cannot read is made anew.
"""

import binascii
import json
import os

from firmware.errors import TariffError
from firmware.pricing.tariff import Tariff


def load(files: str, crc: int) -> "Tariff | None":
    """The tariff with this CRC; None when it is not here, or not ready."""
    try:
        with open("%s/member-%08x.own" % (files, crc)) as f:
            mark = f.readline()
            text = f.read()
    except OSError:
        return None
    if mark != _mark(text):
        return None
    t = Tariff()
    (t.id, t.currency, t.type, t.tax, t.components, t.rules, t.min_price, t.max_price, t.start_ms,
     t.end_ms, t.free_mwh, t.free_ms, t.grace_ms, t.sleep, t.caps, t.cut_minutes, t.cut_ms,
     t.cut_mwh, t.cut_ma, t.cut_w, t.time_dependent, t.needs_power) = json.loads(text)  # fmt: skip
    t.components = [tuple(row) for row in t.components]
    t.rules = [tuple(row) for row in t.rules]
    t.caps = [(row[0], row[1]) for row in t.caps]
    t.min_price = (t.min_price[0], t.min_price[1])
    t.max_price = (t.max_price[0], t.max_price[1])
    return t


def _dump(t: Tariff) -> str:
    return json.dumps(
        [t.id, t.currency, t.type, t.tax, t.components, t.rules, t.min_price, t.max_price,
         t.start_ms, t.end_ms, t.free_mwh, t.free_ms, t.grace_ms, t.sleep, t.caps, t.cut_minutes,
         t.cut_ms, t.cut_mwh, t.cut_ma, t.cut_w, t.time_dependent, t.needs_power]
    )  # fmt: skip


def _mark(text: str) -> str:
    return "own1 %08x\n" % binascii.crc32(text.encode())


def prepare(files: str, currency: str) -> str:
    """Makes ready what is not; what is wrong with one of them, else "". Raises MemoryError."""
    wrong = ""
    for name in os.listdir(files):
        if name[:7] != "member-" or name[-5:] != ".json":
            continue
        if load(files, int(name[7:15], 16)) is not None:
            continue
        with open(files + "/" + name, "rb") as f:
            raw = f.read()
        try:
            tariff = Tariff.from_json(raw)
            if tariff.currency != currency:
                raise TariffError("currency", "must be " + currency, tariff.currency)
        except TariffError as e:
            wrong = "%s: %s" % (name, e)
            continue
        text = _dump(tariff)
        with open(files + "/member.new", "w") as f:
            f.write(_mark(text) + text)
        os.rename(files + "/member.new", files + "/" + name[:-5] + ".own")
    return wrong
