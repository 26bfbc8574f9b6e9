"""What the readings of a session say: one record with both ends, or one of each.

Source: OCMF, "Signing and Verification Process" (what holds records together) and table 7 (TX).
Readings are in the order of time, so a reading that ends comes after the one that begins; in one
record what another session left before it is passed over. Energies are exact: decimal text in,
Decimal out, no float between.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from hostsim.ocmf.record import ENDS, Record, moment

_WH = {"Wh": Decimal(1), "kWh": Decimal(1000)}
Reading = dict[str, str]


def sum_up(records: list[Record]) -> tuple[str, Decimal | None, list[str]]:
    """(why the records are not one session's or "", energy in Wh or None, notes)."""
    notes = [note for record in records for note in record.notes]
    if len(records) == 2:
        reason = _apart(*records)
        if reason:
            return reason, None, notes
    readings = [reading for record in records for reading in record.readings]
    begins = [at for at, one in enumerate(readings) if _begins(one) and one.get("RU") in _WH]
    ends = [at for at, one in enumerate(readings) if _ends(one) and one.get("RU") in _WH]
    for at in begins:
        begin, register = readings[at], readings[at].get("RI")
        later = [
            end for end in ends
            if end > at and readings[end].get("RI") == register and "RV" in readings[end]
        ]  # fmt: skip
        if "RV" not in begin or not later:
            continue
        if any(one != at and readings[one].get("RI") == register for one in begins):
            return f"more than one reading begins (TX B) RI {register or '-'}", None, notes
        if len(later) > 1:
            notes.append(f"{len(later)} readings end RI {register or '-'}: the first counts")
        return _between(begin, readings[later[0]], notes)
    if len(records) == 1:
        return "", None, notes
    both = [readings[at] for at in begins], [readings[at] for at in ends]
    return f"no reading ends what one begins: RI {_ids(both[0])} and {_ids(both[1])}", None, notes


def _begins(reading: Reading) -> bool:
    return reading.get("TX") == "B"


def _ends(reading: Reading) -> bool:
    return reading.get("TX", "-") in ENDS


def _ids(readings: list[Reading]) -> str:
    return ", ".join(one.get("RI", "-") for one in readings) or "none"


def _apart(first: Record, last: Record) -> str:
    """Why two records are not begin and end of one session."""
    if first.serial != last.serial:
        return f"serial numbers differ: {first.serial} and {last.serial}"
    if first.payload.get("GS", "") != last.payload.get("GS", ""):
        return f"GS differs: {first.payload.get('GS')} and {last.payload.get('GS')}"
    reason = _not_one_end_each(first.readings, last.readings)
    if reason:
        return reason
    pages = first.pagination, last.pagination
    if pages[0][0] != pages[1][0] or int(pages[0][1:]) >= int(pages[1][1:]):
        return f"pagination does not rise: {pages[0]} and {pages[1]}"
    return ""


def _not_one_end_each(first: list[Reading], last: list[Reading]) -> str:
    if not any(map(_begins, first)):
        return "the first record begins nothing: no reading has TX B"
    if not any(map(_ends, last)):
        return f"the second record ends nothing: no reading has TX of {ENDS}"
    if any(map(_ends, first)):
        return f"the first record ends something as well: a reading has TX of {ENDS}"
    if any(map(_begins, last)):
        return "the second record begins something as well: a reading has TX B"
    return ""


def _between(
    begin: Reading, end: Reading, notes: list[str]
) -> tuple[str, Decimal | None, list[str]]:
    for one in (begin, end):
        if "E" in one.get("EF", ""):
            notes.append(f"TX {one['TX']}: EF {one['EF']} says energy is not usable for billing")
        if one["ST"] != "G":
            notes.append(f"TX {one['TX']}: the meter's state ST is {one['ST']}, not G (good)")
    if moment(end["TM"], "TM") < moment(begin["TM"], "TM"):
        notes.append(f"the end's time {end['TM']} is before the begin's {begin['TM']}")
    with localcontext(prec=60):
        energy = Decimal(end["RV"]) * _WH[end["RU"]] - Decimal(begin["RV"]) * _WH[begin["RU"]]
    if energy < 0:
        values = f"{begin['RV']} {begin['RU']} and {end['RV']} {end['RU']}"
        return f"the register falls: {values}", None, notes
    return "", energy, notes
