"""Runs under MicroPython: prices an OCPI CDR with firmware.pricing and prints one JSON object.

Usage: micropython price_mpy.py TARIFF CDR POSIX_TZ [explain]. What is refused goes to stderr as one line
(field, reason, what was given) with exit code 2. This is the only module of hostsim that runs there.

A CDR's period is priced from its own volumes (OCPI 2.2.1 mod_cdrs, ChargingPeriod). Where a TIME or
PARKING_TIME volume agrees with the period's length, to the 4 decimals OCPI prescribes or to as many as it
has, the length in ms counts; else the volume, at the prices of the period's start. A period that a
restriction divides is divided there, with its energy spread evenly.
"""

import json
import sys

from firmware.errors import FieldError
from firmware.pricing import bill, boundary, money, words
from firmware.pricing.calendar import TimeZone, instant_text
from firmware.pricing.engine import CHARGING, IDLE, PARKED, Engine
from firmware.pricing.fields import parse_instant
from firmware.pricing.jsontext import Num, Reader
from firmware.pricing.receipt import Receipt
from firmware.pricing.tariff import Tariff

MAX_CDR_BYTES = 8 << 20
KNOWN = (
    "CURRENT", "ENERGY", "ENERGY_EXPORT", "ENERGY_IMPORT", "MAX_CURRENT", "MIN_CURRENT", "MAX_POWER",
    "MIN_POWER", "PARKING_TIME", "POWER", "RESERVATION_TIME", "STATE_OF_CHARGE", "TIME",
)  # fmt: skip
IGNORED = ("ENERGY_EXPORT", "ENERGY_IMPORT", "STATE_OF_CHARGE")
MS_PER_HOUR = 3600000
LABELS = ("ENERGY", "TIME", "PARKING_TIME", "FLAT")


class Period:
    """One charging period: start_ms and its volumes as (mantissa, decimals), or absent."""

    def __init__(self, start_ms, volumes):
        self.start_ms = start_ms
        self.end_ms = start_ms
        self.volumes = volumes

    def scaled(self, name, unit):
        """A volume in 1/unit of its own unit, half-up; None when absent or zero."""
        if name not in self.volumes or not self.volumes[name][0]:
            return None
        value, places = self.volumes[name]
        return money.half_up(value * unit, 10**places)

    def load(self, name, unit):
        """(low, high) of CURRENT or POWER over the period, -1 where not measured."""
        low, high = self.volumes.get("MIN_" + name), self.volumes.get("MAX_" + name)
        one = self.volumes.get(name)
        pair = []
        for value, places in (low or one or (-1, -1), high or one or (-1, -1)):
            pair.append(-1 if places < 0 else money.half_up(value * unit, 10**places))
        return pair

    def hours(self, name):
        """A time volume as (ms, whether it agrees with the period's length)."""
        ms = self.scaled(name, MS_PER_HOUR)
        if ms is None:
            return 0, False
        value, places = self.volumes[name]
        length = self.end_ms - self.start_ms
        # |value / 10**places - length / 3.6e6| < 10**-max(places, 4)
        apart = abs(value * MS_PER_HOUR - length * 10**places)
        if apart * 10 ** max(places, 4) < MS_PER_HOUR * 10**places:
            return length, True
        return ms, False


class Explained(Engine):
    """The engine, keeping what it counted for whom."""

    def __init__(self, tariff, tz):
        super().__init__(tariff, tz)
        self.log = []

    def settle(self):
        """Count as the engine does, and write it down."""
        energy, time = self.mwh - self.stretch_mwh, self.ms - self.stretch_ms
        if energy or time:
            entry = [self.stretch_ms, self.ms, energy, time, self.kind, self.energy, self.time]
            self.log.append(entry + [self.flat_now if self.flat < 0 else -1])
        super().settle()


def read(path, limit):
    """A file's bytes. Raises FieldError when it cannot be read."""
    try:
        with open(path, "rb") as source:
            return Reader(source.read(), limit)
    except OSError as error:
        raise FieldError(path, "cannot be read", error)


def volume(item, path):
    """A CdrDimension as (type, (mantissa, decimals))."""
    if not isinstance(item, dict):
        raise FieldError(path, "must be an object", item)
    name = item.get("type")
    if name not in KNOWN:
        raise FieldError(path + ".type", "must be one of " + ", ".join(KNOWN), name)
    given = item.get("volume")
    if not isinstance(given, (Num, str)):
        raise FieldError(path + ".volume", "must be a number", given)
    found = money.parts(str(given), path + ".volume")
    if found[0] < 0 and name not in IGNORED:
        raise FieldError(path + ".volume", "must not be negative", given)
    return name, found


def period(item, path):
    """A ChargingPeriod."""
    if not isinstance(item, dict):
        raise FieldError(path, "must be an object", item)
    start = item.get("start_date_time")
    start_ms = parse_instant(start if isinstance(start, str) else "", path + ".start_date_time")
    dimensions = item.get("dimensions")
    if not isinstance(dimensions, list):
        raise FieldError(path + ".dimensions", "must be a list", dimensions)
    volumes = {}
    for index, given in enumerate(dimensions):
        name, found = volume(given, f"{path}.dimensions[{index}]")
        if name in volumes:
            raise FieldError(f"{path}.dimensions[{index}].type", "given twice", name)
        volumes[name] = found
    return Period(start_ms, volumes)


def read_cdr(reader):
    """(start_ms, end_ms, currency, periods) of a CDR; fields that do not matter for the price are skipped."""
    times = {"start_date_time": None, "end_date_time": None}
    currency = None
    periods = []
    for key in reader.members():
        if key == "charging_periods":
            for index in reader.items():
                periods.append(period(reader.value(), f"charging_periods[{index}]"))
        elif key in times:
            value = reader.value()
            times[key] = parse_instant(value if isinstance(value, str) else "", key)
        elif key == "currency":
            currency = reader.value()
        else:
            reader.value()
    reader.end()
    for key in times:
        if times[key] is None:
            raise FieldError(key, "must be given")
    start, end = times["start_date_time"], times["end_date_time"]
    if end < start:
        raise FieldError("end_date_time", "must not be before start_date_time", instant_text(end))
    chain(periods, start, end)
    return start, end, currency, periods


def chain(periods, start, end):
    """Give every period its end; a period that begins before the record begins with it."""
    for index, one in enumerate(periods):
        path = f"charging_periods[{index}].start_date_time"
        if one.start_ms < start and index == 0:
            one.start_ms = start
        if one.start_ms > end or (index and one.start_ms < periods[index - 1].start_ms):
            raise FieldError(
                path, "must be in order and within the record", instant_text(one.start_ms)
            )
        if index:
            periods[index - 1].end_ms = one.start_ms
    if periods:
        periods[-1].end_ms = end


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
            engine.reserve(one.hours("RESERVATION_TIME")[0], one.start_ms, not rest)
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
    """Run the charging periods through the engine."""
    engine.start(periods[0].start_ms if periods else start_ms)
    mwh = 0
    for one in periods:
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
        engine.interval(one.end_ms - engine.epoch_ms, mwh, kind, *load)
    engine.close()


def pair(value, what):
    """An OCPI amount: {excl_vat, incl_vat} as decimal text."""
    excl, incl = value
    return [what, None if excl is None else bill.decimal_text(excl), bill.decimal_text(incl)]


def costs(engine, result, periods):
    """The totals that apply: those the tariff prices or the record has."""
    found = [pair(result.total(), "total_cost")]
    names = {name for one in periods for name in one.volumes}
    for bits, what, dimension in (
        (1, "total_energy_cost", "ENERGY"),
        (2, "total_time_cost", "TIME"),
        (4, "total_parking_cost", "PARKING_TIME"),
        (8, "total_fixed_cost", ""),
        (bill.RESERVED, "total_reservation_cost", "RESERVATION_TIME"),
    ):
        priced = [c for c in engine.tariff.components if bits >> c[0] & 1]
        if priced or dimension in names:
            found.append(pair(result.exact(bits), what))
    return found


def local_text(tz, epoch_ms):
    """Local date and time for a reader."""
    days, second = tz.local(epoch_ms // 1000)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    if epoch_ms % 1000:
        clock += f".{epoch_ms % 1000:03d}"
    return words.date(days, "en") + " " + clock


def reason(tariff, component):
    """Which element, and why it."""
    dimension, element = tariff.components[component][0], tariff.components[component][4]
    before = [c[4] for c in tariff.components[:component] if c[0] == dimension and c[4] != element]
    text = f"elements[{element}]: {words.component(tariff, component, 'en')}"
    if before:
        text += f"; the first that holds, {len(before)} before it did not"
    return text


def explain(engine, result):
    """What was priced by which element, when and why, line by line."""
    lines = []
    for at, component in enumerate(engine.used):
        if engine.tariff.components[component][0] >= 4:
            timed = engine.tariff.components[component][0] in (4, 6)
            what = f"{money.trimmed(engine.amounts[at], 3)} s reserved" if timed else "flat fee"
            lines.append(f"reservation: {what} by {reason(engine.tariff, component)}")
    for start, end, energy, time, kind, on_energy, on_time, flat in engine.log:
        when = f"{local_text(engine.tz, engine.epoch_ms + start)} to {local_text(engine.tz, engine.epoch_ms + end)}"
        if flat >= 0:
            lines.append(f"{when}: flat fee by {reason(engine.tariff, flat)}")
        if energy:
            why = (
                reason(engine.tariff, on_energy)
                if on_energy >= 0
                else "no element holds or free: not priced"
            )
            lines.append(f"{when}: {money.trimmed(energy, 6)} kWh by {why}")
        if time and kind != IDLE:
            what = "charging" if kind == CHARGING else "parking"
            why = (
                reason(engine.tariff, on_time)
                if on_time >= 0
                else "no element holds or free: not priced"
            )
            lines.append(f"{when}: {money.trimmed(time, 3)} s {what} by {why}")
    for row in result.rows:
        kind, component, quantity, amount, _, dimension = row
        if component < 0:
            lines.append(
                f"x_caps: {LABELS[dimension]} costs {bill.decimal_text((-amount, bill.UNIT))} less"
            )
            continue
        at = engine.used.index(component) if component in engine.used else -1
        more = quantity - engine.amounts[at] if at >= 0 else 0
        if more:
            unit = (
                (money.trimmed(more, 6) + " kWh") if kind == 0 else (money.trimmed(more, 3) + " s")
            )
            lines.append(
                f"step_size: {unit} more are billed by {reason(engine.tariff, component)}"
            )
    for line in result.lines():
        if line[0] >= bill.MAXIMUM:
            name = "max_price" if line[0] == bill.MAXIMUM else "min_price"
            lines.append(f"{name}: {line[4]} minor units")
    return lines


def notes(tariff, start, periods):
    """What a reader of the result should know."""
    found = []
    if not tariff.valid_at(start // 1000):
        found.append("the tariff was not valid at the start of the session")
    for one in periods:
        if "ENERGY" in one.volumes and one.volumes["ENERGY"][1] > 6:
            found.append("energy given beyond the mWh was rounded half-up to the mWh")
            break
    return found


def main(arguments):
    """Price and print."""
    tariff_path, cdr_path, zone = arguments[:3]
    with open(tariff_path, "rb") as source:
        tariff = Tariff.from_json(source.read())
    tz = TimeZone(zone)
    start, end, currency, periods = read_cdr(read(cdr_path, MAX_CDR_BYTES))
    if currency is not None and currency != tariff.currency:
        raise FieldError("currency", f"must be the tariff's {tariff.currency}", currency)
    engine = Explained(tariff, tz)
    rest = reserve(engine, periods)
    if rest or not periods:
        feed(engine, rest, start)
    result = engine.bill()
    receipt = Receipt(result, {"minor_places": money.exponent(tariff.currency)}, tz).data()
    bits = 32 if sys.maxsize < 1 << 32 else 64
    print(
        json.dumps(
            {
                "tariff_id": tariff.id,
                "currency": tariff.currency,
                "costs": costs(engine, result, periods),
                "energy_mwh": engine.mwh,
                "receipt": receipt,
                "explain": explain(engine, result) if "explain" in arguments[3:] else [],
                "notes": notes(tariff, start, periods),
                "engine": "MicroPython {}.{}.{}, {}-bit".format(
                    *sys.implementation.version[:3], bits
                ),
            }
        )
    )


try:
    main(sys.argv[1:])
except FieldError as error:
    sys.stderr.write(str(error) + "\n")
    sys.exit(2)
