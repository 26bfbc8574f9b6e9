"""The tariff in force. It is read, stored and looked up by firmware/tariffs.py, which is
entered and left.
"""

from firmware.paper import leave
from firmware.pricing.calendar import TimeZone


class Prices:
    """`tariff` and `crc` in force (None, 0 while there is none), `tz`; `directory`: where the
    files are.
    """

    def __init__(self, directory: str, zone: str, currency: str):
        self.tariff = None
        self.crc = 0
        self.tz = TimeZone(zone)
        self.directory = directory
        self.currency = currency

    def refused_crc(self) -> int:
        """The CRC of the last tariff that was refused; -1 when there was none."""
        try:
            with open(self.directory + "/tariff.bad") as f:
                return int(f.read())
        except (OSError, ValueError):
            return -1

    def for_crc(self, crc: int):
        """The tariff with this CRC, in force, the one before or a member's own; None when it is
        gone.
        """
        if crc == self.crc:
            return self.tariff
        from firmware.tariffs import one_before

        tariff = one_before(self, crc)
        leave("firmware.tariffs")
        return tariff
