"""The tariff in force and the one before it, as files beside the config.

A new tariff is validated whole, written to a second file and renamed over the first, so that a cut during the store
leaves the old one. The one before is kept because a session that was open during a power cut is billed by the tariff its
driver accepted: `for_crc` finds it by the CRC that the session's first record carries.
"""

import binascii
import os

from firmware.errors import TariffError
from firmware.pricing.calendar import TimeZone
from firmware.pricing.tariff import Tariff

_NOW = "/tariff.json"
_NEW = "/tariff.new"
_OLD = "/tariff.old"


class Prices:
    """`tariff` and `crc` in force (None, 0 while there is none), `tz`; `directory`: where the files are."""

    def __init__(self, directory: str, zone: str, currency: str):
        self.tariff = None
        self.crc = 0
        self.tz = TimeZone(zone)
        self._dir = directory
        self._currency = currency

    def load(self) -> str:
        """Reads the stored tariff; the reason when there is none to use, else ""."""
        try:
            raw = self._read(_NOW)
        except OSError:
            return "no tariff stored"
        try:
            self._use(raw)
        except TariffError as e:
            return str(e)
        return ""

    def _read(self, name: str) -> bytes:
        with open(self._dir + name, "rb") as f:
            return f.read()

    def _parse(self, raw: bytes) -> Tariff:
        tariff = Tariff.from_json(raw)
        if tariff.currency != self._currency:
            raise TariffError("currency", "must be %s, the charger's" % self._currency, tariff.currency)
        return tariff

    def _use(self, raw: bytes) -> None:
        self.tariff = self._parse(raw)
        self.crc = binascii.crc32(raw)

    def store(self, raw: bytes) -> bool:
        """A tariff from the back office: TariffError refuses it whole; False when it is the one in force already."""
        if self.tariff and binascii.crc32(raw) == self.crc:
            return False
        self._parse(raw)
        with open(self._dir + _NEW, "wb") as f:
            f.write(raw)
        try:
            os.rename(self._dir + _NOW, self._dir + _OLD)
        except OSError:
            pass  # the first tariff of this charger
        os.rename(self._dir + _NEW, self._dir + _NOW)
        self._use(raw)
        return True

    def for_crc(self, crc: int):
        """The tariff with this CRC, in force or the one before; None when it is gone."""
        if crc == self.crc:
            return self.tariff
        try:
            raw = self._read(_OLD)
        except OSError:
            return None
        return self._parse(raw) if binascii.crc32(raw) == crc else None

    def missing_now(self) -> bool:
        """A cut between the two renames left no current file: take the new or the old one."""
        names = os.listdir(self._dir)
        if "tariff.json" in names:
            return False
        for name in (_NEW, _OLD):
            if name[1:] in names:
                os.rename(self._dir + name, self._dir + _NOW)
                return True
        return False
