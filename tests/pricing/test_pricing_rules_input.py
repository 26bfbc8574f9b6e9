"""What the price command takes and what it refuses: forms of numbers, times, files and wrappers.

A refusal is one line with the field and the reason, exit code 2 and nothing on stdout.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.pricing.pricing_cases import cdr, check, element, part, tariff
from tests.pricing.test_pricing_command import changed, price

TARIFF = tariff(
    element(part("FLAT", 1, 20), part("ENERGY", 0.25, 10, 1), part("TIME", 1.2, 20, 60)),
    element(part("PARKING_TIME", 6, 20, 60), min_duration=1800),
    min_price={"excl_vat": 0.5, "incl_vat": 0.55},
)
CDR = cdr("11:00", ("09:30", {"ENERGY": 20, "TIME": 1}), ("10:30", {"PARKING_TIME": 0.5}), id="C1")
WANT = {"cost": "10.2 11.74", "energy": "5 5.5", "time": "1.2 1.44", "parking": "3 3.6"}


FORMS: dict[str, Any] = {
    "as json writes it": lambda text: text,
    "indented, CRLF": lambda text: json.dumps(json.loads(text), indent=2).replace("\n", "\r\n"),
    "byte order mark": lambda text: "\ufeff" + text,
    "exponents": lambda text: (
        text.replace(": 20", ": 2e1").replace("0.25", "25E-2").replace(": 60", ": 6.0e+1")
    ),
    "trailing zeros": lambda text: text.replace("0.25", "0.2500000").replace(": 20", ": 20.000"),
    "decimals as strings": lambda text: re.sub(r": ([0-9.]+)", r': "\1"', text),
    "times without Z": lambda text: text.replace(":00Z", ":00"),
    "times with a fraction": lambda text: text.replace(":00Z", ":00.000Z"),
    "times at +00:00": lambda text: text.replace(":00Z", ":00+00:00"),
    "names in UTF-8": lambda text: text.replace('"id": "', '"id": "Ströme €'),
    "escapes": lambda text: text.replace('"ENERGY"', '"\\u0045NERGY"'),
    "in an OCPI response": lambda text: (
        '{"status_code": 1000, "data": %s, "timestamp": "2019-01-14T12:00:00Z"}' % text
    ),
    "a list of one": lambda text: f"[{text}]",
    "a response with a list": lambda text: '{"data": [%s]}' % text,
    "null for absent": lambda text: text[:-1] + ', "country_code": null, "last_updated": null}',
    "fields of a vendor": lambda text: (
        text[:-1].replace('"type": "FLAT"', '"type": "FLAT", "vendor_note": "a"')
        + ', "vendor": {"x": [1, {"y": null}]}}'
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_form_of_input(name: str, tmp_path: Path) -> None:
    change = FORMS[name]
    code, out, err = price(tmp_path, change(json.dumps(TARIFF)), change(json.dumps(CDR)))
    assert code == 0, err
    found = json.loads(out)
    assert found["total_cost"] == {"excl_vat": 10.2, "incl_vat": 11.74}
    assert sorted(line["gross"] for line in found["lines"]) == [1.2, 1.44, 3.6, 5.5]


def test_totals_have_four_places(tmp_path: Path) -> None:
    code, out, _ = price(tmp_path, TARIFF, CDR)
    assert code == 0
    assert '"excl_vat": 10.2000' in out and '"incl_vat": 11.7400' in out
    yes = changed({**TARIFF, "tax_included": "YES"}, "elements.0.price_components.0.vat", None)
    assert '"excl_vat": null' in price(tmp_path, yes, CDR)[1]


def test_the_example_by_hand(tmp_path: Path) -> None:
    check(tmp_path, TARIFF, CDR, WANT)


def test_what_ocpi_does_not_have_is_left_out_and_said(tmp_path: Path) -> None:
    given = changed(changed(TARIFF, "vendor", 1), "elements.0.price_components.0.tip", 5)
    assert json.loads(price(tmp_path, given, CDR)[1])["notes"] == [
        "tariff: vendor is no field of OCPI and was left out",
        "tariff: elements[0].price_components[0].tip is no field of OCPI and was left out",
    ]


def test_a_tariff_that_no_charger_takes_now_still_prices_with_a_note(tmp_path: Path) -> None:
    given = tariff(element(part("ENERGY", 9), max_kwh=0), element(part("ENERGY", 1)))
    found = json.loads(price(tmp_path, given, CDR)[1])
    assert found["notes"] == [
        "tariff: elements[0].restrictions.max_kwh: must be above 0 (given 0):"
        " that element never holds; a charger refuses such a tariff"
    ]
    plain = tariff(element(part("ENERGY", 1)))
    assert found["total_cost"] == json.loads(price(tmp_path, plain, CDR)[1])["total_cost"]


def test_of_several_tariffs_the_one_the_record_names(tmp_path: Path) -> None:
    other = {**TARIFF, "id": "U", "elements": [element(part("ENERGY", 1))]}
    named = changed(CDR, "charging_periods.0.tariff_id", "U")
    found = json.loads(price(tmp_path, [TARIFF, other], named)[1])
    assert found["tariff_id"] == "U" and found["total_cost"]["excl_vat"] == 20
    code, _, err = price(
        tmp_path, [TARIFF, other], changed(named, "charging_periods.1.tariff_id", "T")
    )
    assert code == 2 and "charging_periods: must name one tariff" in err


def test_of_several_tariffs_the_first_valid_at_the_start(tmp_path: Path) -> None:
    old = {**TARIFF, "id": "OLD", "end_date_time": "2019-01-14T09:30:00Z"}
    new = {**TARIFF, "id": "NEW", "start_date_time": "2019-01-14T09:30:00Z"}
    assert json.loads(price(tmp_path, [old, new], CDR)[1])["tariff_id"] == "NEW"
    code, _, err = price(tmp_path, [old, old], CDR)
    assert code == 2 and "none of the 2 was valid" in err


def test_a_record_of_another_tariff_is_priced_with_a_note(tmp_path: Path) -> None:
    named = changed(CDR, "charging_periods.0.tariff_id", "U")
    assert json.loads(price(tmp_path, TARIFF, named)[1])["notes"] == [
        "the record names tariff U, priced is T"
    ]


def test_a_period_that_outlasts_its_price_is_divided_with_a_note(tmp_path: Path) -> None:
    tiers = tariff(element(part("ENERGY", 1), max_kwh=10), element(part("ENERGY", 2)))
    (note,) = json.loads(price(tmp_path, tiers, CDR)[1])["notes"]
    assert note.startswith("charging_periods[0]: divided where a price changes")


@pytest.mark.parametrize(
    ("total", "says"),
    [
        ({"excl_vat": 10.2, "incl_vat": "11.74"}, []),
        ({"excl_vat": 10.204, "incl_vat": 11.736}, []),
        (
            {"excl_vat": 9, "incl_vat": 11.75},
            [
                "the record itself says 9 without tax",
                "the record itself says 11.75 with tax",
            ],
        ),
        (
            {"before_taxes": 10.2, "taxes": [{"name": "VAT", "amount": 1.5}, {"amount": 0.1}]},
            ["the record itself says 11.8000 with tax"],
        ),
        ("much", []),
    ],
)
def test_a_total_of_the_records_own_is_compared(
    tmp_path: Path, total: Any, says: list[str]
) -> None:
    code, out, _ = price(tmp_path, TARIFF, changed(CDR, "total_cost", total))
    assert code == 0 and json.loads(out)["notes"] == says


def test_explain_says_what_a_limit_did(tmp_path: Path) -> None:
    given = changed(TARIFF, "max_price", {"excl_vat": 6, "incl_vat": 12})
    lines = json.loads(price(tmp_path, given, CDR, "--explain")[1])["explain"]
    assert lines[-1] == "max_price: 10.2000 without tax becomes 6.0000"


REFUSED_TARIFFS: list[tuple[str, Any, str]] = [
    ("elements", None, "elements: must be a list"),
    ("elements", {}, "elements: must be a list"),
    ("elements", [], "elements: must be a list of at least one"),
    ("elements.0.price_components", [], "elements[0].price_components: must be a list"),
    ("elements.0.price_components.1.type", "POWER", "price_components[1].type: must be one of"),
    ("elements.0.price_components.1.price", "1,5", "price: must be a decimal number (given 1,5)"),
    ("elements.0.price_components.1.price", " 1", "price: must be a decimal number"),
    ("elements.0.price_components.1.price", True, "price: must be a number"),
    ("elements.0.price_components.1.price", None, "price: must be a number"),
    ("elements.0.price_components.1.price", "0.00001", "more than the 4 decimals"),
    ("elements.0.price_components.1.vat", "19.00001", "more than the 4 decimals"),
    ("elements.0.price_components.1.vat", 101, "vat: must be at most 100 percent"),
    ("elements.0.price_components.1.step_size", 0.5, "step_size: has more than the 0 decimals"),
    ("elements.0.price_components.1.step_size", -1, "step_size: must not be negative"),
    ("elements.0.restrictions", [], "elements[0].restrictions: must be an object"),
    ("elements.0.restrictions", False, "elements[0].restrictions: must be an object"),
    ("elements.1.restrictions.start_time", "24:00", "start_time: must be a time"),
    ("elements.1.restrictions.end_time", "7:00", "end_time: must be a time"),
    ("elements.1.restrictions.start_date", "2019-02-29", "start_date: must be a date"),
    ("elements.1.restrictions.day_of_week", "MONDAY", "day_of_week: must be a list"),
    ("elements.1.restrictions.day_of_week", ["monday"], "day_of_week[0]: must be one of"),
    ("elements.1.restrictions.max_kwh", "0.0000001", "max_kwh: has more than the 6 decimals"),
    ("elements.1.restrictions.reservation", "YES", "reservation: must be one of"),
    ("elements.1.restrictions.reservation", "RESERVATION", "type: must be TIME or FLAT"),
    ("currency", "euro", "currency: must be"),
    ("currency", None, "currency: must be"),
    ("tax_included", "MAYBE", "tax_included: must be one of NO, YES, N/A"),
    ("tax_included", "N/A", "tax_included: N/A does not go with a vat above 0"),
    ("max_price", {}, "max_price: must give an amount"),
    ("max_price", 5, "max_price: must be an object"),
    ("max_price", {"excl_vat": 0.4}, "max_price: must not be below min_price"),
    ("max_price", {"excl_vat": 9, "after_taxes": 10}, "must be a Price or a PriceLimit, not both"),
    ("max_price", {"excl_vat": 9, "incl_vat": 8}, "must not be lower with tax than without"),
    ("start_date_time", "2019-01-14", "start_date_time: must be a UTC time"),
    ("start_date_time", "2019-01-14T09:30:00+01:00", "start_date_time: must be a UTC time"),
    ("end_date_time", 5, "end_date_time: must be a text"),
    ("x_grace_minutes", 1.5, "x_grace_minutes: has more than the 0 decimals"),
    ("x_free_minutes", -1, "x_free_minutes: must not be negative"),
    ("x_free_kwh", "much", "x_free_kwh: must be a decimal number"),
    ("x_caps", {"FLAT": 1}, "x_caps.FLAT: unknown field"),
    ("x_caps", {"ENERGY": "1.00001"}, "x_caps.ENERGY: has more than the 4 decimals"),
    ("x_parking_sleep", {"start_time": "22:00"}, "x_parking_sleep: must give start_time and end"),
    ("x_nonsense", 1, "x_nonsense: unknown field"),
]


@pytest.mark.parametrize(("path", "new", "says"), REFUSED_TARIFFS)
def test_a_refused_tariff_names_the_field(tmp_path: Path, path: str, new: Any, says: str) -> None:
    code, out, err = price(tmp_path, changed(TARIFF, path, new), CDR)
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


REFUSED_RECORDS: list[tuple[str, Any, str]] = [
    ("charging_periods", None, "charging_periods: must be a list"),
    ("charging_periods", [], "charging_periods: must be a list of at least one"),
    ("charging_periods.0", 7, "charging_periods[0]: must be an object"),
    ("charging_periods.0.tariff_id", 7, "charging_periods[0].tariff_id: must be a text"),
    ("charging_periods.0.dimensions.0.volume", "twenty", "volume: must be a decimal number"),
    ("charging_periods.0.dimensions.0.volume", "NaN", "volume: must be a decimal number"),
    ("charging_periods.0.dimensions.1.type", "ENERGY", "dimensions[1].type: given twice"),
    ("end_date_time", "2021-01-14T11:00:00Z", "end_date_time: more than 366 days"),
    ("end_date_time", None, "end_date_time: must be"),
    ("currency", "EUR\nCHF", "currency: must be the tariff's EUR (given EUR CHF)"),
]


@pytest.mark.parametrize(("path", "new", "says"), REFUSED_RECORDS)
def test_a_refused_record_names_the_field(tmp_path: Path, path: str, new: Any, says: str) -> None:
    code, out, err = price(tmp_path, TARIFF, changed(CDR, path, new))
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("", "json: '{' expected at byte 0"),
        ("[]", "json: must hold one CDR"),
        (json.dumps([CDR, CDR]), "json: must hold one CDR"),
        ("[" * 5000, "json: nested too deep"),
        ('{"data": null}', "json: '{' expected"),
        (json.dumps(CDR).replace('"id"', '"currency"'), "json: 'currency' given twice"),
        (json.dumps(CDR) + "x", "json: nothing more expected"),
        (json.dumps(CDR).replace(": 20", ": 020"), "json: a value expected"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, record: str, says: str) -> None:
    code, out, err = price(tmp_path, TARIFF, record)
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1
