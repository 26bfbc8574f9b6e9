"""What the readings of a session say: one record with both ends, or one of each.

Source: OCMF, "Signing and Verification Process" (what holds records together) and table 7 (TX).
Energies are exact: decimal text in, Decimal out, no float between.
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
    begins = [one for one in readings if one.get("TX") == "B" and one.get("RU") in _WH]
    ends = [one for one in readings if one.get("TX", "-") in ENDS and one.get("RU") in _WH]
    for begin in begins:
        for end in ends:
            if begin.get("RI") == end.get("RI") and "RV" in begin and "RV" in end:
                return _between(begin, end, notes)
    if len(records) == 1:
        return "", None, notes
    return f"no reading ends what one begins: RI {_ids(begins)} and {_ids(ends)}", None, notes


def _ids(readings: list[Reading]) -> str:
    return ", ".join(one.get("RI", "-") for one in readings) or "none"


def _apart(first: Record, last: Record) -> str:
    """Why two records are not begin and end of one session."""
    if first.serial != last.serial:
        return f"serial numbers differ: {first.serial} and {last.serial}"
    if first.payload.get("GS", "") != last.payload.get("GS", ""):
        return f"GS differs: {first.payload.get('GS')} and {last.payload.get('GS')}"
    if not any(one.get("TX") == "B" for one in first.readings):
        return "the first record begins nothing: no reading has TX B"
    if not any(one.get("TX", "-") in ENDS for one in last.readings):
        return f"the second record ends nothing: no reading has TX of {ENDS}"
    pages = first.pagination, last.pagination
    if pages[0][0] != pages[1][0] or int(pages[0][1:]) >= int(pages[1][1:]):
        return f"pagination does not rise: {pages[0]} and {pages[1]}"
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
