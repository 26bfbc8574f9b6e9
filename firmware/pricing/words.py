"""A tariff in words, in English, German and French, in the order of EU AFIR article 5(4).

Per kWh first, then per minute, per session, and the rest; prices include VAT and are shown with
the decimals they were given (at most 4).
"""

from micropython import const

from firmware.pricing import money
from firmware.pricing.calendar import date_of
from firmware.pricing.limits import gross_price

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.tariff import Tariff

LANGUAGES = ("en", "de", "fr")
# English|German|French; % is filled in.
_TEXTS = {
    0: "Energy|Energie|Énergie",
    1: "Charging time|Ladezeit|Temps de charge",
    2: "Occupancy|Standzeit|Occupation",
    3: "Per session|Pro Ladevorgang|Par session",
    4: "Reservation|Reservierung|Réservation",
    5: "Reservation fee|Reservierungsgebühr|Frais de réservation",
    6: "Expired reservation|Verfallene Reservierung|Réservation expirée",
    7: "Expired reservation fee|Gebühr verfallene Reservierung|Frais de réservation expirée",
    8: "Cap|Deckelung|Plafond",
    9: "Maximum price|Höchstpreis|Prix maximum",
    10: "Minimum price|Mindestpreis|Prix minimum",
    11: "Waived after a fault|Nach Störung erlassen|Offert après une panne",
    "min": "min|Min.|min",
    "from": "from %|ab %|dès %",
    "below": "below %|unter %|moins de %",
    "after": "after %|nach %|après %",
    "first": "first %|erste %|premières %",
    "step": "per started %|je angefangene %|par tranche entamée de %",
    "step 60": "per started minute|je angefangene Minute|par minute entamée",
    "step 3600": "per started hour|je angefangene Stunde|par heure entamée",
    "step kWh": "per started kWh|je angefangene kWh|par kWh entamé",
    "days": "Mon Tue Wed Thu Fri Sat Sun|Mo Di Mi Do Fr Sa So|lun mar mer jeu ven sam dim",
    "until": "before %|vor dem %|avant le %",
    "free": "free|kostenlos|gratuit",
    "cap": "% at most|höchstens %|% au plus",
    "grace": "Occupancy free for %|Standzeit % frei|Occupation gratuite pendant %",
    "sleep": "No occupancy fee %|Keine Standgebühr %|Pas de frais d'occupation %",
    "incl": "All prices include VAT|Alle Preise inkl. MwSt.|Prix TVA comprise",
}


def say(key: object, language: str, value: str = "") -> str:
    """One of the texts above, with its % filled in."""
    texts = _TEXTS[key].split("|")
    text = texts[LANGUAGES.index(language)] if language in LANGUAGES else texts[0]
    return text.replace("%", value)


def price(value: int, currency: str, language: str, unit: str = "") -> str:
    """A price of 1e-4 of the currency as given: 0,2975 €/kWh, with the minor unit's decimals."""
    text = money.trimmed(value, 4, min(money.exponent(currency), 4), money.point(language))
    return text + " " + money.sign(currency) + unit


def clock(minute: int) -> str:
    """A minute of the day as 08:30."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def span(ms: int, language: str) -> str:
    """A duration in words: 45 s, 90 min, 4 h."""
    if ms % 60000:
        return money.trimmed(ms, 3, 0, money.point(language)) + " s"
    if ms % 3600000 or ms == 3600000:
        return f"{ms // 60000} " + say("min", language)
    return f"{ms // 3600000} h"


def date(days: int, language: str) -> str:
    """A date as the language writes it."""
    year, month, day = date_of(days)
    if language == "en":
        return f"{year:04d}-{month:02d}-{day:02d}"
    mark = "." if language == "de" else "/"
    return f"{day:02d}{mark}{month:02d}{mark}{year:04d}"


def restriction(kind: int, value: int, language: str) -> str:
    """One restriction of an element in words (kinds as in tariff.py)."""
    if kind == 0:
        return clock(value // 2048) + "–" + clock(value % 2048)
    if kind == 1:
        names = say("days", language).split(" ")
        return ", ".join([names[day] for day in range(7) if value >> day & 1])
    if kind == 2:
        return say("from", language, date(value, language))
    if kind == 3:
        return say("until", language, date(value, language))
    if kind == 4:
        return say("after", language, span(value, language))
    if kind == 5:
        return say("first", language, span(value, language))
    places, unit = (6, " kWh") if kind < 8 else (3, " A") if kind < 10 else (3, " kW")
    text = money.trimmed(value, places, 0, money.point(language)) + unit
    return say("below" if kind & 1 else "from", language, text)


def conditions(rule: tuple[int, ...], language: str) -> str:
    """All restrictions of an element, by commas; empty when it has none."""
    return ", ".join(
        [restriction(rule[at], rule[at + 1], language) for at in range(0, len(rule), 2)]
    )


def component(tariff: "Tariff", index: int, language: str) -> str:
    """A price component with its conditions: "Energy: 0.2975 €/kWh (08:00–20:00)"."""
    dimension, _, _, step, element = tariff.components[index]
    gross = gross_price(tariff, index)
    notes = conditions(tariff.rules[element], language)
    if not gross:
        text = say("free", language)
    elif dimension in (3, 5, 7):
        text = price(gross, tariff.currency, language)
    elif dimension == 0:
        text = price(gross, tariff.currency, language, "/kWh")
        if step > 1:
            given = money.trimmed(step, 3, 0, money.point(language)) + " kWh"
            key = "step kWh" if step == 1000 else "step"
            notes += ("; " if notes else "") + say(key, language, given)
    else:
        text = per_time(gross, tariff.currency, language)
        if step > 1:
            key = f"step {step}" if step in (60, 3600) else "step"
            notes += ("; " if notes else "") + say(key, language, span(step * 1000, language))
    return f"{say(dimension, language)}: {text}" + (f" ({notes})" if notes else "")


def per_time(gross: int, currency: str, language: str) -> str:
    """An hourly price per minute where 4 decimals hold it exactly, else per hour."""
    if gross % 60:
        return price(gross, currency, language, "/h")
    return price(gross // 60, currency, language, "/" + say("min", language))


def tariff_lines(tariff: "Tariff", language: str, power_w: int = 0) -> list[str]:
    """The tariff for the screen, one line per price and per rule, in AFIR's order.

    At 50 kW and more the occupancy fee follows the price per kWh before anything else (article
    5(4)).
    """
    lines = []
    for dimension in (0, 2, 1, 3, 4, 5, 6, 7) if power_w >= 50000 else (0, 1, 2, 3, 4, 5, 6, 7):
        for index, found in enumerate(tariff.components):
            if found[0] == dimension:
                lines.append(component(tariff, index, language))
    lines += _extras(tariff, language)
    if tariff.tax == 1 or max([found[2] for found in tariff.components]) > 0:
        lines.append(say("incl", language))
    return lines


def _extras(tariff: "Tariff", language: str) -> list[str]:
    lines = []
    point = money.point(language)
    if tariff.free_mwh:
        given = money.trimmed(tariff.free_mwh, 6, 0, point) + " kWh"
        lines.append(
            f"{say(0, language)}: {say('first', language, given)} {say('free', language)}"
        )
    if tariff.free_ms:
        given = span(tariff.free_ms, language)
        lines.append(
            f"{say(1, language)}: {say('first', language, given)} {say('free', language)}"
        )
    if tariff.grace_ms:
        lines.append(say("grace", language, span(tariff.grace_ms, language)))
    if tariff.sleep >= 0:
        lines.append(say("sleep", language, restriction(0, tariff.sleep, language)))
    for bits, cap in tariff.caps:
        names = [say(dimension, language) for dimension in range(3) if bits >> dimension & 1]
        most = price(_with_vat(tariff, bits, cap), tariff.currency, language)
        lines.append(" + ".join(names) + ": " + say("cap", language, most))
    for kind, limit in ((10, tariff.min_price), (9, tariff.max_price)):
        if limit[0] >= 0 or limit[1] >= 0:
            bound = _limit(tariff, limit, kind == 9)
            lines.append(f"{say(kind, language)}: {price(bound, tariff.currency, language)}")
    return lines


def _limit(tariff: "Tariff", limit: tuple[int, int], high: bool) -> int:
    """A price limit with tax, as Bill.limit takes it from the other side where it is not given."""
    if limit[1] >= 0:
        return limit[1]
    rates = [max(found[2], 0) for found in tariff.components if found[1]] or [0]
    return money.half_up(limit[0] * (1000000 + (max(rates) if high else min(rates))), 1000000)


def _with_vat(tariff: "Tariff", bits: int, cap: int) -> int:
    if tariff.tax != 1:
        for dimension, _, vat, _, _ in tariff.components:
            if bits >> dimension & 1 and vat > 0:
                return money.half_up(cap * (1000000 + vat), 1000000)
    return cap
