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


def read_cdr(reader):
    """(start_ms, end_ms, currency, periods) of a CDR; fields that do not matter for the price are
    skipped.
    """
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
