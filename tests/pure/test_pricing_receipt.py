# Pure: runs on CPython and on both MicroPython builds.
from firmware.pricing import words
from firmware.pricing.calendar import TimeZone
from firmware.pricing.engine import CHARGING, PARKED, Engine
from firmware.pricing.receipt import Receipt
from firmware.pricing.tariff import Tariff

HOUR = 3600000
KWH = 1000000
BERLIN = TimeZone("CET-1CEST,M3.5.0,M10.5.0/3")
TARIFF = (
    '{"id":"T","currency":"EUR","elements":[{"price_components":['
    '{"type":"FLAT","price":0.5,"vat":7,"step_size":1},'
    '{"type":"ENERGY","price":0.2975,"vat":19,"step_size":1}],"restrictions":{"max_kwh":10}},'
    '{"price_components":[{"type":"ENERGY","price":0.25,"vat":19,"step_size":100},'
    '{"type":"PARKING_TIME","price":6,"vat":19,"step_size":60}]}]%s}'
)
FACTS = {
    "supplier": "Stadtwerke Musterstadt GmbH, Abteilung Ladesäulen",
    "address": ["Hauptstraße 1", "12345 Musterstadt"],
    "tax_id": "DE123456789",
    "number": "CP7-000042",
    "charger": "DE*ABC*E7",
    "started_ms": 1743292800000,
    "ended_ms": 1743300000000,
    "register_start_wh": 123456,
    "register_end_wh": 138456,
    "max_power_w": 22000,
    "card": "Visa ************1234",
    "auth_code": "A1B2C3",
}


def receipt(more="", facts=FACTS):
    made = Engine(Tariff.from_json(TARIFF % more), BERLIN)
    made.start(1743292800000)
    made.tick(HOUR, 15 * KWH, CHARGING)
    made.tick(HOUR + HOUR // 12, 15 * KWH, PARKED)
    return Receipt(made.totals(), facts, BERLIN)


def test_lines_add_up_to_the_total_and_vat_to_the_difference():
    made = receipt()
    data = made.data()
    assert [line["gross_minor"] for line in data["lines"]] == [54, 354, 149, 59]
    assert data["gross_minor"] == 616 == sum([line["gross_minor"] for line in data["lines"]])
    assert data["vat"] == [
        {"rate": "7", "net_minor": 50, "tax_minor": 4, "gross_minor": 54},
        {"rate": "19", "net_minor": 473, "tax_minor": 89, "gross_minor": 562},
    ]
    assert data["net_minor"] + data["tax_minor"] == data["gross_minor"]
    assert data["per_kwh"] == "0.4107" and data["energy_mwh"] == 15 * KWH
    energy = data["lines"][1]
    assert (energy["kind"], energy["element"], energy["quantity"], energy["unit"]) == (
        "ENERGY",
        0,
        10 * KWH,
        "mWh",
    )
    assert energy["unit_price"] == "0.3540" and energy["vat"] == "19"


def test_a_held_price_is_a_line_of_its_own():
    data = receipt(',"max_price":{"excl_vat":4,"incl_vat":4.76}').data()
    assert data["gross_minor"] == 476 and data["lines"][-1]["kind"] == "MAX_PRICE"
    assert sum([line["gross_minor"] for line in data["lines"]]) == 476
    assert sum([group["gross_minor"] for group in data["vat"]]) == 476
    data = receipt(',"min_price":{"excl_vat":10}').data()
    assert data["gross_minor"] == 1070 and data["lines"][-1]["kind"] == "MIN_PRICE"


def test_text_fits_the_width_in_every_language():
    for language in words.LANGUAGES:
        for width in (24, 32, 48):
            lines = receipt().text(width, language)
            assert max([len(line) for line in lines]) <= width, (language, width, lines)
    assert "Energie 10,000 kWh x 0,354 €        3,54" in receipt().text(40, "de")


def test_vat_of_a_session_on_account_is_left_to_the_monthly_invoice():
    for method, shown in ((None, True), ("gateway", True), ("app", True), ("account", False),
                          ("rfid", False)):  # fmt: skip
        text = "\n".join(receipt(facts=dict(FACTS, card=None, method=method)).text(40, "en"))
        assert ("VAT 19 %" in text) == shown and "6.16" in text, method


def test_text_has_the_legal_content():
    text = "\n".join(receipt().text(48, "en"))
    for part in (
        "Stadtwerke Musterstadt GmbH", "Hauptstraße 1", "DE123456789", "CP7-000042", "DE*ABC*E7",
        "2025-03-30 01:00", "2025-03-30 04:00", "123.456 kWh", "138.456 kWh", "22.000 kW",
        "Energy 10.000 kWh x 0.354 €", "Energy 5.000 kWh x 0.2975 €",
        "Occupancy 0:05:00 h x 0.119 €/min",
        "6.16 €", "VAT 19 %", "0.4107 €/kWh", "************1234", "A1B2C3",
    ):  # fmt: skip
        assert part in text, part + "\n" + text


def test_nothing_delivered_is_still_a_receipt():
    made = Engine(Tariff.from_json(TARIFF % ""), BERLIN)
    made.start(0)
    data = Receipt(made.totals(), {}, BERLIN).data()
    assert data["gross_minor"] == 54 and data["per_kwh"] is None


def test_tax_at_an_unknown_rate_is_not_invented():
    text = (
        '{"currency":"USD","tax_included":"YES","elements":[{"price_components":'
        '[{"type":"ENERGY","price":0.5,"step_size":1}]}]}'
    )
    made = Engine(Tariff.from_json(text), BERLIN)
    made.start(0)
    made.tick(HOUR, 10 * KWH, CHARGING)
    data = Receipt(made.totals(), {}, BERLIN).data()
    assert (data["gross_minor"], data["net_minor"], data["tax_minor"]) == (500, None, None)


def test_the_tariff_in_words_follows_afir():
    tariff = Tariff.from_json(
        '{"currency":"EUR","x_grace_minutes":30,"x_free_kwh":1.5,"x_caps":{"PARKING_TIME":12},'
        '"x_parking_sleep":{"start_time":"22:00","end_time":"06:00"},"max_price":{"excl_vat":50},'
        '"elements":[{"price_components":[{"type":"FLAT","price":1,"vat":0,"step_size":1},'
        '{"type":"PARKING_TIME","price":6,"vat":0,"step_size":900},'
        '{"type":"TIME","price":1,"vat":0,"step_size":1},'
        '{"type":"ENERGY","price":0.2975,"vat":0,"step_size":1}],"restrictions":{'
        '"start_time":"08:00","end_time":"20:00","day_of_week":["MONDAY","FRIDAY"]}},'
        '{"price_components":[{"type":"ENERGY","price":0.3,"step_size":1}]}]}'
    )
    assert words.tariff_lines(tariff, "en", 22000) == [
        "Energy: 0.2975 €/kWh (Mon, Fri, 08:00–20:00)",
        "Energy: 0.30 €/kWh",
        "Charging time: 1.00 €/h (Mon, Fri, 08:00–20:00)",
        "Occupancy: 0.10 €/min (Mon, Fri, 08:00–20:00; per started 15 min)",
        "Per session: 1.00 € (Mon, Fri, 08:00–20:00)",
        "Energy: first 1.5 kWh free",
        "Occupancy free for 30 min",
        "No occupancy fee 22:00–06:00",
        "Occupancy: 12.00 € at most",
        "Maximum price: 50.00 €",
    ]
    fast = words.tariff_lines(tariff, "de", 50000)
    assert fast[2] == "Standzeit: 0,10 €/Min. (Mo, Fr, 08:00–20:00; je angefangene 15 Min.)"
    assert words.tariff_lines(tariff, "fr")[0] == "Énergie: 0,2975 €/kWh (lun, ven, 08:00–20:00)"


def test_prices_in_words_include_vat():
    tariff = Tariff.from_json(TARIFF % "")
    assert words.tariff_lines(tariff, "de")[0] == "Energie: 0,354 €/kWh (unter 10 kWh)"
    assert words.tariff_lines(tariff, "de")[-1] == "Alle Preise inkl. MwSt."


def test_restrictions_in_words():
    for kind, value, says in (
        (2, 20000, "from 2024-10-04"), (3, 20000, "before 2024-10-04"), (4, 14400000, "after 4 h"),
        (5, 1800000, "first 30 min"), (6, 500000, "from 0.5 kWh"), (9, 16500, "below 16.5 A"),
        (10, 50000, "from 50 kW"), (5, 45000, "first 45 s"),
    ):  # fmt: skip
        assert words.restriction(kind, value, "en") == says


def test_a_step_of_one_unit_in_words():
    tariff = Tariff.from_json(
        '{"currency":"EUR","elements":[{"price_components":['
        '{"type":"ENERGY","price":0.3,"step_size":1000},'
        '{"type":"TIME","price":6,"step_size":60},'
        '{"type":"PARKING_TIME","price":6,"step_size":3600}]}]}'
    )
    for language, lines in (
        ("en", ["per started kWh", "per started minute", "per started hour"]),
        ("de", ["je angefangene kWh", "je angefangene Minute", "je angefangene Stunde"]),
        ("fr", ["par kWh entamé", "par minute entamée", "par heure entamée"]),
    ):
        found = words.tariff_lines(tariff, language)
        assert [line[line.index("(") + 1 : -1] for line in found] == lines, found


def test_a_price_limit_without_tax_is_said_with_it():
    text = TARIFF % ',"max_price":{"excl_vat":50},"min_price":{"excl_vat":1}'
    lines = words.tariff_lines(Tariff.from_json(text), "en")
    assert "Minimum price: 1.07 €" in lines and "Maximum price: 59.50 €" in lines
