"""The tariff in force and the one before it, as files beside the config.

A new tariff is validated whole, written to a second file and renamed over the first, so that a
cut during the store leaves the old one. The one before is kept because a session that was open
during a power cut is billed by the tariff its driver accepted: `one_before` finds it by the CRC
that the session's first record carries.
"""

import binascii
import os

from firmware.errors import TariffError
from firmware.paper import leave
from firmware.pricing.tariff import Tariff

_NOW = "/tariff.json"
_NEW = "/tariff.new"
_OLD = "/tariff.old"


def load(prices) -> str:
    """Puts the stored tariff in force; the reason when there is none to use, else ""."""
    _after_a_cut(prices.directory)
    try:
        raw = _read(prices, _NOW)
        prices.tariff = _parse(prices, raw, True)
        prices.crc = binascii.crc32(raw)
    except OSError:
        return "no tariff stored"
    except TariffError as e:
        return str(e)
    return ""


def store(prices, raw: bytes) -> bool:
    """A tariff from the back office: TariffError refuses it whole; False when it is the one in
    force already. OSError: there is no room for it, the one in force stays.
    """
    if prices.tariff and binascii.crc32(raw) == prices.crc:
        return False
    tariff = _parse(prices, raw, False)
    now = prices.directory + _NOW
    new = prices.directory + _NEW
    try:
        with open(new, "wb") as f:
            f.write(raw)
    except OSError:
        _gone(new)  # a piece of it, or nothing
        raise
    try:
        os.rename(now, prices.directory + _OLD)
    except OSError:
        pass  # the first tariff of this charger
    os.rename(new, now)
    prices.tariff = tariff
    prices.crc = binascii.crc32(raw)
    return True


def _gone(name: str) -> None:
    try:
        os.remove(name)
    except OSError:
        pass  # it was not begun


def one_before(prices, crc: int):
    """The tariff before the one in force, or a member's own, if this is its CRC; else None."""
    try:
        raw = _read(prices, _OLD)
        if binascii.crc32(raw) == crc:
            return _parse(prices, raw, True)
    except OSError:
        pass
    if "member-%08x.json" % crc not in os.listdir(prices.directory):
        return None
    from firmware.cards.member_tariff import load

    try:
        return load(prices.directory, crc)
    finally:
        leave("firmware.cards.member_tariff")


def _after_a_cut(directory: str) -> None:
    """A cut between the two renames left no current file: take the new or the old one."""
    names = os.listdir(directory)
    if _NOW[1:] in names:
        return
    for name in (_NEW, _OLD):
        if name[1:] in names:
            os.rename(directory + name, directory + _NOW)
            return


def _read(prices, name: str) -> bytes:
    with open(prices.directory + name, "rb") as f:
        return f.read()


def _parse(prices, raw: bytes, stored: bool) -> Tariff:
    tariff = Tariff.from_json(raw, stored)
    if tariff.currency != prices.currency:
        allowed = "must be %s, the charger's" % prices.currency
        raise TariffError("currency", allowed, tariff.currency)
    return tariff

