"""Runs under MicroPython, with price_mpy.py: reads an OCPI CDR.

A period is priced from its own volumes (OCPI 2.2.1 mod_cdrs, ChargingPeriod). Where a TIME or
PARKING_TIME volume agrees with the period's length, to the 4 decimals OCPI prescribes or to as
many as it has, the length in ms counts; else the volume, at the prices of the period's start.
"""

from firmware.errors import FieldError
from firmware.pricing import decimals, money
from firmware.pricing.calendar import instant_text
from firmware.pricing.fields import parse_instant
from firmware.pricing.jsontext import Num, Reader

MAX_CDR_BYTES = 8 << 20
KNOWN = (
    "CURRENT", "ENERGY", "ENERGY_EXPORT", "ENERGY_IMPORT", "MAX_CURRENT", "MIN_CURRENT",
    "MAX_POWER", "MIN_POWER", "PARKING_TIME", "POWER", "RESERVATION_TIME", "STATE_OF_CHARGE",
    "TIME",
)  # fmt: skip
IGNORED = ("ENERGY_EXPORT", "ENERGY_IMPORT", "STATE_OF_CHARGE")
MS_PER_HOUR = 3600000
# what a record says of itself: (field, the dimension it sums up, unit, what apart is noted)
TOTALS = (
    ("total_energy", "ENERGY", "kWh", 1000),
    ("total_parking_time", "PARKING_TIME", "h", 100),
)
MAX_DAYS = 366
LIST = 91  # [


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
        """(low, high) of CURRENT or POWER over the period, -1 where not measured.

        One of MIN_x and MAX_x alone is taken for both: a period must end where a restriction
        begins or ceases to hold (mod_cdrs, CDR object), so either says on which side it lies.
        """
        low, high = self.volumes.get("MIN_" + name), self.volumes.get("MAX_" + name)
        one = self.volumes.get(name)
        pair = []
        for value, places in (low or one or high or (-1, -1), high or one or low or (-1, -1)):
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

    def contradictions(self):
        """What this period says of itself that cannot be."""
        found = []
        if "ENERGY_IMPORT" in self.volumes and "ENERGY" not in self.volumes:
            if self.volumes["ENERGY_IMPORT"][0]:
                given = money.fixed(*self.volumes["ENERGY_IMPORT"])
                found.append(
                    f"ENERGY_IMPORT says {given} kWh, ENERGY, which is priced, is not given"
                )
        length = self.end_ms - self.start_ms
        spent = self.hours("TIME")[0] + self.hours("PARKING_TIME")[0]
        if spent > length + 1000:
            names = [name for name in ("TIME", "PARKING_TIME") if self.scaled(name, MS_PER_HOUR)]
            given = " and ".join([f"{name} {money.fixed(*self.volumes[name])}" for name in names])
            lasts = money.trimmed(money.half_up(length * 10**6, MS_PER_HOUR), 6, 0)
            found.append(f"{given} h, the period lasts {lasts} h")
        return found


def read(path):
    """A file's bytes. Raises FieldError when it cannot be read."""
    try:
        with open(path, "rb") as source:
            return Reader(source.read(), MAX_CDR_BYTES)
    except OSError as error:
        raise FieldError(path, "cannot be read", error) from error


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
    found = decimals.parts(str(given), path + ".volume")
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


class Record:
    """A CDR: start_ms, end_ms, currency (or None), periods, ids of the tariffs the periods name,
    the total_cost it states itself as JSON (or None), and its other `totals` by name.
    """

    def __init__(self):
        self.times = {"start_date_time": None, "end_date_time": None}
        self.currency = None
        self.periods = []
        self.ids = set()
        self.total = None
        self.totals = {}

    def member(self, reader, key):
        """Take one field; those that do not matter for the price are skipped."""
        if key == "charging_periods":
            for index in reader.items(key):
                given = reader.value()
                self.periods.append(period(given, f"{key}[{index}]"))
                self.name(given.get("tariff_id"), f"{key}[{index}].tariff_id")
            return
        value = reader.value()
        if key in self.times:
            self.times[key] = parse_instant(value if isinstance(value, str) else "", key)
        elif key == "currency":
            self.currency = value
        elif key == "total_cost":
            self.total = value
        elif key in ("total_energy", "total_time", "total_parking_time"):
            self.totals[key] = _amount(value)

    def contradictions(self):
        """Where the record says two things of one: field and both values. The price goes by the
        periods' volumes all the same.
        """
        found = []
        for field, name, unit, fine in TOTALS:
            total = 0
            for one in self.periods:
                value, places = one.volumes.get(name, (0, 0))
                total += value * 10 ** (24 - min(places, 24))
            self._differs(found, field, total, f"{name} of its periods adds up to", unit, fine)
        length = (self.end_ms - self.start_ms) * 10**24 // MS_PER_HOUR
        self._differs(found, "total_time", length, "from its start to its end are", "h", 100)
        for index, one in enumerate(self.periods):
            found += [f"charging_periods[{index}]: {what}" for what in one.contradictions()]
        return found

    def _differs(self, found, field, own, words, unit, fine):
        stated = self.totals.get(field)
        if stated is None or stated[1] > 24:
            return
        if abs(stated[0] * 10 ** (24 - stated[1]) - own) * fine > 10**24:
            value = money.trimmed(own // 10**18, 6, 0)
            found.append(f"{field} says {money.fixed(*stated)} {unit}, {words} {value} {unit}")

    def stated(self):
        """(without tax, with tax) of its own total_cost as (mantissa, decimals), None where it
        says nothing: a Price of 2.2.1, or before_taxes and a list of taxes of 2.3.0.
        """
        given = self.total if isinstance(self.total, dict) else {}
        excl = _amount(given.get("excl_vat", given.get("before_taxes")))
        incl = _amount(given.get("incl_vat"))
        taxes = given.get("taxes")
        if incl is None and excl is not None and isinstance(taxes, list):
            places, total = 4, excl[0] * 10 ** (24 - excl[1])
            for tax in taxes:
                one = _amount(tax.get("amount") if isinstance(tax, dict) else None) or (0, 0)
                total += one[0] * 10 ** (24 - one[1])
            incl = money.half_up(total, 10 ** (24 - places)), places
        return excl, incl

    def name(self, tariff_id, path):
        """Note the tariff that a period names."""
        if tariff_id is not None:
            if not isinstance(tariff_id, str):
                raise FieldError(path, "must be a text", tariff_id)
            self.ids.add(tariff_id)

    def close(self):
        """Check what was read as a whole. Raises FieldError."""
        for key in ("start_date_time", "end_date_time"):
            if self.times[key] is None:
                raise FieldError(key, "must be given")
        self.start_ms, self.end_ms = self.times["start_date_time"], self.times["end_date_time"]
        if self.end_ms < self.start_ms:
            raise FieldError(
                "end_date_time", "must not be before start_date_time", instant_text(self.end_ms)
            )
        if self.end_ms - self.start_ms > MAX_DAYS * 86400000:
            raise FieldError("end_date_time", f"more than {MAX_DAYS} days after start_date_time")
        if not self.periods:
            raise FieldError("charging_periods", "must be a list of at least one")
        chain(self.periods, self.start_ms, self.end_ms)


def _amount(given):
    """A decimal as (mantissa, decimals); None for anything else."""
    if not isinstance(given, (Num, str)):
        return None
    try:
        return decimals.parts(str(given), "total_cost")
    except FieldError:
        return None


def read_cdr(reader):
    """The Record of a CDR, of a list of one, or of an OCPI response whose `data` is one of these.

    Raises FieldError.
    """
    found = Record()
    _fill(found, reader)
    reader.end()
    found.close()
    return found


def _fill(found, reader):
    """Fill a Record from what starts here."""
    if reader.peek() == LIST:
        held = -1
        for held in reader.items():
            if held:
                break
            _fill(found, reader)
        if held:
            raise FieldError("json", "must hold one CDR, not none or several")
        return
    for key in reader.members():
        if key == "data":
            _fill(found, reader)
        else:
            found.member(reader, key)


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
