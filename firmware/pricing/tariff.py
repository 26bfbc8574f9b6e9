"""An OCPI tariff (2.2.1 and 2.3.0, mod_tariffs) as validated integers.

`Tariff.from_json` reads the object element by element; what is unknown or malformed is refused with the
path of the field. Units inside: prices and limits 1e-4 of the currency, VAT 1e-4 of a percent, energy
mWh, time ms, current mA, power W. docs/pricing.md lists every field, the x_ fields among them.
"""

from micropython import const

from firmware.errors import FieldError, TariffError
from firmware.pricing import fields
from firmware.pricing.calendar import parse_instant
from firmware.pricing.jsontext import Reader

ENERGY = const(0)
TIME = const(1)
PARKING = const(2)
FLAT = const(3)
R_TIME = const(4)  # TIME of a reservation
R_FLAT = const(5)
X_TIME = const(6)  # TIME of a reservation that expired
X_FLAT = const(7)

TAX_NO = const(0)  # prices are without tax (2.2.1 has only this)
TAX_YES = const(1)  # prices include tax
TAX_NA = const(2)  # no tax applies

# Restrictions of an element are a flat tuple of kind, value, kind, value.
WINDOW = const(0)  # value: start minute * 2048 + end minute
DAYS = const(1)  # value: bit 0 is Monday
SINCE = const(2)  # value: days from 1970-01-01
UNTIL = const(3)
MIN_MS = const(4)
MAX_MS = const(5)
MIN_MWH = const(6)
MAX_MWH = const(7)
MIN_MA = const(8)
MAX_MA = const(9)
MIN_W = const(10)
MAX_W = const(11)

_MAX_COMPONENTS = const(240)
_TYPES = ("AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN", "REGULAR")
_TAX = ("NO", "YES", "N/A")


class Tariff:
    """A tariff ready to price with.

    `components` are tuples (dimension, price, vat or -1, step_size, element index), in list order;
    `rules[element]` its restrictions. The cuts are the sorted points at which a restriction can change.
    """

    def __init__(self) -> None:
        self.id = ""
        self.currency = ""
        self.type = ""
        self.tax = TAX_NO
        self.components: list[tuple[int, ...]] = []
        self.rules: list[tuple[int, ...]] = []
        self.alt_text: list[tuple[str, str]] = []
        self.alt_url = ""
        self.min_price = self.max_price = (-1, -1)  # (without tax, with tax), -1 where not given
        self.start_ms = self.end_ms = -1
        self.free_mwh = self.free_ms = self.grace_ms = 0
        self.sleep = -1
        self.caps: list[tuple[int, int]] = []  # (bits of dimensions, amount)
        self.cut_midnight = False
        self.cut_minutes: list[int] = []
        self.cut_ms: list[int] = []
        self.cut_mwh: list[int] = []
        self.cut_ma: list[int] = []
        self.cut_w: list[int] = []
        self.time_dependent = False
        self.needs_power = False

    @staticmethod
    def from_json(source: str | bytes) -> "Tariff":
        """Read an OCPI Tariff object. Raises TariffError naming the field, what it must be and what came."""
        try:
            tariff = Tariff()
            reader = Reader(source)
            for key in reader.members():
                if key == "elements":
                    for index in reader.items():
                        tariff._element(reader.value(), f"elements[{index}]")
                else:
                    tariff._member(key, reader.value())
            reader.end()
            tariff._finish()
            return tariff
        except FieldError as error:
            raise TariffError(error.field, error.reason, error.given)

    def valid_at(self, epoch_s: int) -> bool:
        """Whether start_date_time <= the instant < end_date_time (OCPI: the one valid at session start)."""
        now = epoch_s * 1000
        return (self.start_ms < 0 or now >= self.start_ms) and (self.end_ms < 0 or now < self.end_ms)

    def has(self, dimension: int) -> bool:
        """Whether any component prices a dimension."""
        for component in self.components:
            if component[0] == dimension:
                return True
        return False

    def _member(self, key: str, value: object) -> None:
        if key in ("id", "tariff_alt_url", "country_code", "party_id", "currency", "type"):
            self._text(key, value)
        elif key == "tax_included":
            self.tax = _TAX.index(fields.choice(value, key, _TAX))
        elif key in ("min_price", "max_price"):
            if value is not None:
                if key == "min_price":
                    self.min_price = fields.limit(value, key)
                else:
                    self.max_price = fields.limit(value, key)
        elif key in ("start_date_time", "end_date_time", "last_updated"):
            if value is not None:
                when = parse_instant(fields.text(value, key, 40), key)
                if key == "start_date_time":
                    self.start_ms = when
                elif key == "end_date_time":
                    self.end_ms = when
        elif key == "tariff_alt_text":
            self.alt_text = fields.display_texts(value, key)
        elif key == "energy_mix":
            if value is not None and not isinstance(value, dict):
                raise FieldError(key, "must be an object", value)
        elif key == "preauthorize_amount":
            if value is not None:
                fields.number(value, 4, key)
        else:
            self._extension(key, value)

    def _text(self, key: str, value: object) -> None:
        if value is None and key in ("tariff_alt_url", "type"):
            return
        if key == "id":
            self.id = fields.text(value, key, 36)
        elif key == "tariff_alt_url":
            self.alt_url = fields.text(value, key, 255)
        elif key == "type":
            self.type = fields.choice(value, key, _TYPES)
        elif key == "currency":
            self.currency = fields.currency(value, key)
        else:
            fields.text(value, key, 2 if key == "country_code" else 3)

    def _extension(self, key: str, value: object) -> None:
        """The x_ fields: what OCPI has no word for (docs/pricing.md, "Extensions")."""
        if key == "x_free_kwh":
            self.free_mwh = fields.number(value, 6, key)
        elif key == "x_free_minutes":
            self.free_ms = fields.whole(value, key) * 60000
        elif key == "x_grace_minutes":
            self.grace_ms = fields.whole(value, key) * 60000
        elif key == "x_caps":
            self.caps = fields.caps(value, key)
        elif key == "x_parking_sleep":
            self.sleep = fields.sleep(value, key)
        else:
            raise FieldError(key, "unknown field")

    def _element(self, value: object, path: str) -> None:
        fields.only(value, path, ("price_components", "restrictions"))
        element = len(self.rules)
        given = value.get("restrictions")
        rule, reservation = fields.restrictions(given, path + ".restrictions") if given else ((), "")
        self.rules.append(rule)
        components = value.get("price_components")
        if not isinstance(components, list) or not components:
            raise FieldError(path + ".price_components", "must be a list of at least one", components)
        for index, given in enumerate(components):
            found = fields.component(given, f"{path}.price_components[{index}]", reservation)
            self.components.append(found + (element,))
        if len(self.components) > _MAX_COMPONENTS:
            raise FieldError(path, f"more than {_MAX_COMPONENTS} price components")

    def _finish(self) -> None:
        if not self.components:
            raise FieldError("elements", "must be a list of at least one")
        if not self.currency:
            raise FieldError("currency", "must be given")
        for side in (0, 1):
            if 0 <= self.max_price[side] < self.min_price[side]:
                raise FieldError("max_price", "must not be below min_price")
        if self.tax == TAX_NA:
            for component in self.components:
                if component[2] > 0:
                    raise FieldError("tax_included", "N/A does not go with a vat above 0")
        for bits, _ in self.caps:
            self._one_vat(bits)
        self._cuts()

    def _one_vat(self, bits: int) -> None:
        rates = {c[2] for c in self.components if bits >> c[0] & 1}
        if len(rates) > 1:
            raise FieldError("x_caps", "needs one vat for all components it caps", sorted(rates))

    def _cuts(self) -> None:
        minutes: set[int] = set()
        cuts = [set(), set(), set(), set()]  # ms, mWh, mA, W
        for rule in self.rules + ([(WINDOW, self.sleep)] if self.sleep >= 0 else []):
            for at in range(0, len(rule), 2):
                kind = rule[at]
                if kind == WINDOW:
                    minutes.add(rule[at + 1] // 2048)
                    minutes.add(rule[at + 1] % 2048)
                elif kind < MIN_MS:
                    self.cut_midnight = True
                    minutes.add(0)
                else:
                    cuts[(kind - MIN_MS) // 2].add(rule[at + 1])
        if self.free_mwh:
            cuts[1].add(self.free_mwh)
        self.cut_minutes = sorted(minutes)
        self.cut_ms, self.cut_mwh, self.cut_ma, self.cut_w = [sorted(found) for found in cuts]
        self.time_dependent = bool(minutes)
        self.needs_power = bool(self.cut_ma or self.cut_w)
