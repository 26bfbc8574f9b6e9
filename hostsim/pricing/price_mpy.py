"""Runs under MicroPython: prices an OCPI CDR with firmware.pricing and prints one JSON object.

Usage: micropython price_mpy.py TARIFF CDR POSIX_TZ [explain]. What is refused goes to stderr as
one line (tariff| or record|, field, reason, what was given), exit code 2. The modules of hostsim
whose names end in _mpy are the only ones that run there.

A period that a restriction divides is divided there, with its energy spread evenly.
"""

import json
import sys

import tariff_mpy  # type: ignore[import-not-found]
from explain_mpy import Explained, explain  # type: ignore[import-not-found]
from record_mpy import read, read_cdr  # type: ignore[import-not-found]

from firmware.errors import FieldError, ForecourtError
from firmware.pricing import boundary, invoice, money, reservation
from firmware.pricing.calendar import TimeZone
from firmware.pricing.counter import CHARGING, IDLE, PARKED
from firmware.pricing.receipt import Receipt

RESERVED = 240  # the dimensions of reservations, as bits


def only_reserved(one):
    """Whether a period is a reservation and nothing else."""
    return one.scaled("RESERVATION_TIME", 1) is not None and not (
        one.scaled("ENERGY", 1) or one.scaled("TIME", 1) or one.scaled("PARKING_TIME", 1)
    )


def reserve(engine, periods):
    """Price the reservation, if there is one; give the charging periods."""
    rest = [one for one in periods if not only_reserved(one)]
    for one in periods:
        if one.scaled("RESERVATION_TIME", 1) is not None:
            reservation.reserve(engine, one.hours("RESERVATION_TIME")[0], one.start_ms, not rest)
    return rest


def count(engine, ms, kind):
    """Price a time volume that is not the period's length, at the prices of now."""
    if not ms:
        return
    engine.kind = kind
    tariff = engine.tariff
    free = (
        tariff.free_ms - engine.charged_ms
        if kind == CHARGING
        else tariff.grace_ms - engine.parked_ms
    )
    if kind == CHARGING:
        engine.charged_ms += ms
    else:
        engine.parked_ms += ms
    boundary.choose(engine)
    if engine.time >= 0 and ms > max(free, 0):
        engine.add(engine.time, ms - max(free, 0))
        if kind == CHARGING:
            engine.last_time = engine.time
        else:
            engine.last_parking = engine.time
        if isinstance(engine, Explained):
            at = engine.ms
            engine.log.append([at, at, 0, ms - max(free, 0), kind, -1, engine.time, -1])


def feed(engine, periods, start_ms):
    """Run the charging periods through the engine; give those a price change divided."""
    engine.start(start_ms)
    engine.interval(max(periods[0].start_ms - start_ms, 0), 0, IDLE, -1, -1, -1, -1)
    mwh = 0
    divided = []
    for index, one in enumerate(periods):
        mwh += one.scaled("ENERGY", 1000000) or 0
        charging, whole = one.hours("TIME")
        parking, parked = one.hours("PARKING_TIME")
        load = one.load("CURRENT", 1000) + one.load("POWER", 1000)
        kind = IDLE
        if whole and not parking:
            kind = CHARGING
        elif parked and not charging:
            kind = PARKED
        if kind == IDLE:
            engine.interval(engine.ms, engine.mwh, IDLE, *load)
            count(engine, charging, CHARGING)
            count(engine, parking, PARKED)
            engine.kind = -1  # chosen anew for the interval itself
        engine.settle()
        before = len(engine.log)
        engine.interval(one.end_ms - engine.epoch_ms, mwh, kind, *load)
        engine.settle()
        prices = {(entry[5] if entry[2] else None, entry[6]) for entry in engine.log[before:]}
        if len(prices) > 1:
            divided.append(index)
    engine.close()
    return divided


def pair(value, what):
    """An OCPI amount: {excl_vat, incl_vat} as decimal text."""
    excl, incl = value
    return [what, None if excl is None else invoice.decimal_text(excl), invoice.decimal_text(incl)]


def costs(engine, result, periods):
    """The totals that apply: those the tariff prices or the record has."""
    found = [pair(result.total(), "total_cost")]
    names = {name for one in periods for name in one.volumes}
    for bits, what, dimension in (
        (1, "total_energy_cost", "ENERGY"),
        (2, "total_time_cost", "TIME"),
        (4, "total_parking_cost", "PARKING_TIME"),
        (8, "total_fixed_cost", ""),
        (RESERVED, "total_reservation_cost", "RESERVATION_TIME"),
    ):
        priced = [c for c in engine.tariff.components if bits >> c[0] & 1]
        if priced or dimension in names:
            found.append(pair(result.exact(bits), what))
    return found


def notes(tariff, record, total, divided):
    """What a reader of the result should know."""
    found = []
    if not tariff.valid_at(record.start_ms // 1000):
        found.append("the tariff was not valid at the start of the session")
    for other in sorted(record.ids - {tariff.id}):
        found.append(f"the record names tariff {other}, priced is {tariff.id or 'one without id'}")
    for at, stated in enumerate(record.stated()):
        own, side = total[at], ("without", "with")[at]
        if stated is None or own is None:
            continue
        # |stated - own| of more than half a cent: OCPI rounds nothing, senders do
        apart = abs(stated[0] * own[1] - own[0] * 10 ** stated[1])
        if apart * 200 > own[1] * 10 ** stated[1]:
            found.append(f"the record itself says {money.fixed(*stated)} {side} tax")
    found += record.contradictions()
    for index in divided:
        found.append(
            f"charging_periods[{index}]: divided where a price changes, its energy spread evenly;"
            " OCPI wants a period of its own from there on"
        )
    for one in record.periods:
        if "ENERGY" in one.volumes and one.volumes["ENERGY"][1] > 6:
            found.append("energy given beyond the mWh was rounded half-up to the mWh")
            break
    return found


def main(arguments, at):
    """Price and print; `at[0]` is always what is being read."""
    tariff_path, cdr_path, zone = arguments[:3]
    tariffs = tariff_mpy.load(read(tariff_path))
    at[0] = "record"
    record = read_cdr(read(cdr_path))
    at[0] = "tariff"
    given = tariff_mpy.choose(tariffs, record.ids, record.start_ms)
    tariff, said = tariff_mpy.read(given)
    at[0] = "record"
    tz = TimeZone(zone)
    if record.currency is not None and record.currency != tariff.currency:
        raise FieldError("currency", f"must be the tariff's {tariff.currency}", record.currency)
    engine = Explained(tariff, tz)
    rest = reserve(engine, record.periods)
    divided = []
    if rest:
        reserved = rest[0] is not record.periods[0]
        divided = feed(engine, rest, rest[0].start_ms if reserved else record.start_ms)
    result = engine.bill()
    receipt = Receipt(result, {"minor_places": money.exponent(tariff.currency)}, tz).data()
    bits = 32 if sys.maxsize < 1 << 32 else 64
    print(
        json.dumps(
            {
                "tariff_id": tariff.id,
                "currency": tariff.currency,
                "costs": costs(engine, result, record.periods),
                "energy_mwh": engine.mwh,
                "receipt": receipt,
                "explain": explain(engine, result) if "explain" in arguments[3:] else [],
                "notes": said
                + notes(
                    tariff,
                    record,
                    result.total(),
                    [record.periods.index(rest[at]) for at in divided],
                ),
                "engine": "MicroPython {}.{}.{}, {}-bit".format(
                    *sys.implementation.version[:3], bits
                ),
            }
        )
    )


reading = ["tariff"]
try:
    main(sys.argv[1:], reading)
except ForecourtError as error:
    sys.stderr.write(reading[0] + "|" + " ".join(str(error).split()) + "\n")
    sys.exit(2)
