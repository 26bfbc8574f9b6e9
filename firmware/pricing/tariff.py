"""An OCPI tariff (2.2.1 and 2.3.0, mod_tariffs) as validated integers.

`Tariff.from_json` reads the object element by element; what is unknown or malformed is refused
with the path of the field. Units inside: prices and limits 1e-4 of the currency, VAT 1e-4 of a
percent, energy mWh, time ms, current mA, power W. docs/pricing.md lists every field, the x_ fields
among them.
"""

from micropython import const

from firmware.errors import FieldError, TariffError
from firmware.pricing.paper import leave

ENERGY = const(0)
TIME = const(1)
PARKING = const(2)
FLAT = const(3)
# 4: TIME of a reservation, 5: its FLAT, 6 and 7: the same of a reservation that expired.
# Restrictions of an element are a flat tuple of kind, value, kind, value; the kinds are
#  0 time of day (start minute * 2048 + end minute), 1 days of the week (bit 0 is Monday),
#  2 since and 3 until a date (days from 1970-01-01), 4, 5 duration (ms), 6, 7 energy (mWh),
#  8, 9 current (mA), 10, 11 power (W): the even one is the minimum, the odd one the maximum.
# tax: 0 prices are without tax (2.2.1 has only this), 1 with it, 2 no tax applies.


class Tariff:
    """A tariff ready to price with.

    `components` are tuples (dimension, price, vat or -1, step_size, element index), in list order;
    `rules[element]` its restrictions. The cuts are the sorted points at which a restriction can
    change.
    """

    def __init__(self) -> None:
        self.id = ""
        self.currency = ""
        self.type = ""
        self.tax = 0
        self.components: list[tuple[int, ...]] = []
        self.rules: list[tuple[int, ...]] = []
        self.country_code = self.party_id = self.tariff_alt_url = ""
        self.last_updated = -1
        self.tariff_alt_text: list[tuple[str, str]] = []  # (language, text)
        self.min_price = self.max_price = (-1, -1)  # (without tax, with tax), -1 where not given
        self.start_ms = self.end_ms = -1
        self.free_mwh = self.free_ms = self.grace_ms = 0
        self.sleep = -1
        self.caps: list[tuple[int, int]] = []  # (bits of dimensions, amount)
        self.cut_minutes: list[int] = []
        self.cut_ms: list[int] = []
        self.cut_mwh: list[int] = []
        self.cut_ma: list[int] = []
        self.cut_w: list[int] = []
        self.time_dependent = False
        self.needs_power = False

    @staticmethod
    def from_json(source: str | bytes, stored: bool = False) -> "Tariff":
        """Read an OCPI Tariff object. Raises TariffError naming the field, what it must be and
        what came. `stored`: it was taken once; a restriction that can never hold is no reason to
        be without it.
        """
        from firmware.pricing import reading

        try:
            tariff = Tariff()
            reading.read(tariff, source, stored)
            return tariff
        except FieldError as error:
            raise TariffError(error.field, error.reason, error.given)
        finally:
            leave("firmware.pricing.reading", "firmware.pricing.fields",
                  "firmware.pricing.decimals", "firmware.pricing.jsontext")  # fmt: skip

    def valid_at(self, epoch_s: int) -> bool:
        """Whether start_date_time <= the instant < end_date_time (OCPI: the one valid at session
        start).
        """
        now = epoch_s * 1000
        return (self.start_ms < 0 or now >= self.start_ms) and (
            self.end_ms < 0 or now < self.end_ms
        )

    def has(self, dimension: int) -> bool:
        """Whether any component prices a dimension."""
        for component in self.components:
            if component[0] == dimension:
                return True
        return False
