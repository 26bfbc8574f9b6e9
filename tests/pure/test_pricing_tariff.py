# Pure: runs on CPython and on both MicroPython builds.
from firmware.errors import TariffError
from firmware.pricing.tariff import Tariff

ELEMENT = '{"price_components":[{"type":"ENERGY","price":0.25,"vat":10,"step_size":1}]}'


def tariff(more="", elements=ELEMENT):
    return Tariff.from_json(
        '{"id":"1","currency":"EUR",' + more + '"elements":[' + elements + "]}"
    )


def refusal(more="", elements=ELEMENT):
    try:
        tariff(more, elements)
    except TariffError as error:
        return str(error)
    raise AssertionError("not refused: " + more + elements)


def restricted(text):
    return '{"price_components":[{"type":"TIME","price":1}],"restrictions":{' + text + "}}"


def test_ocpi_fields_are_known():
    found = tariff(
        '"country_code":"DE","party_id":"ABC","type":"AD_HOC_PAYMENT","tariff_alt_url":"https://x",'
        '"tariff_alt_text":[{"language":"en","text":"t"}],"energy_mix":{"is_green_energy":true},'
        '"min_price":{"excl_vat":0.5,"incl_vat":0.55},"max_price":{"before_taxes":10,"after_taxes":11},'
        '"start_date_time":"2025-01-01T00:00:00Z","end_date_time":"2026-01-01T00:00:00Z",'
        '"last_updated":"2025-01-01T00:00:00Z","tax_included":"NO",'
    )
    assert found.min_price == (5000, 5500) and found.max_price == (100000, 110000)
    assert (
        found.valid_at(1735689600)
        and not found.valid_at(1735689599)
        and not found.valid_at(1767225600)
    )
    assert (
        found.components == [(0, 2500, 100000, 1, 0)]
        and not found.time_dependent
        and not found.needs_power
    )


def test_decimals_may_be_texts():
    element = '{"price_components":[{"type":"TIME","price":"2","vat":"5.2","step_size":"300"}]}'
    assert tariff("", element).components == [(1, 20000, 52000, 300, 0)]


def test_restrictions_become_integers():
    found = tariff(
        "",
        restricted(
            '"start_time":"22:00","end_time":"06:00","max_power":"11","min_current":16.5,'
            '"day_of_week":["MONDAY","SUNDAY"],"min_kwh":0.5,"max_duration":3600,'
            '"start_date":"1970-01-02"'
        ),
    )
    rule = found.rules[0]
    pairs = sorted([(rule[at], rule[at + 1]) for at in range(0, len(rule), 2)])
    assert pairs == [
        (0, 1320 * 2048 + 360),
        (1, 65),
        (2, 1),
        (5, 3600000),
        (6, 500000),
        (8, 16500),
        (11, 11000),
    ]
    assert found.cut_minutes == [0, 360, 1320] and found.time_dependent and found.needs_power


def test_a_whole_day_is_no_restriction():
    for text in (
        '"start_time":"08:00","end_time":"08:00"',
        '"end_time":"00:00"',
        '"day_of_week":[]',
        '"start_time":null',
    ):
        assert tariff("", restricted(text)).rules == [()], text


def test_refusals_name_the_field():
    for element, says in (
        (
            '{"price_components":[{"type":"ENERGY","price":-1}]}',
            "elements[0].price_components[0].price: must not be negative (given -1)",
        ),
        (
            '{"price_components":[{"type":"ENERGY","price":0.12345}]}',
            "elements[0].price_components[0].price: has more than the 4 decimals",
        ),
        (
            '{"price_components":[{"type":"ENERGY","price":true}]}',
            "elements[0].price_components[0].price: must be a number",
        ),
        (
            '{"price_components":[{"type":"ENERGY"}]}',
            "elements[0].price_components[0].price: must be a number",
        ),
        (
            '{"price_components":[{"type":"POWER","price":1}]}',
            "elements[0].price_components[0].type: must be one of",
        ),
        (
            '{"price_components":[{"type":"FLAT","price":1,"colour":2}]}',
            "elements[0].price_components[0].colour: unknown field",
        ),
        (
            '{"price_components":[{"type":"FLAT","price":1,"vat":101}]}',
            "elements[0].price_components[0].vat: must be at most 100",
        ),
        (
            '{"price_components":[{"type":"TIME","price":1,"step_size":1.5}]}',
            "elements[0].price_components[0].step_size: has more than",
        ),
        (
            '{"price_components":[]}',
            "elements[0].price_components: must be a list of at least one",
        ),
        ("{}", "elements[0].price_components: must be a list of at least one"),
        ("7", "elements[0]: must be an object"),
        (
            ELEMENT + ',{"price_components":[{"type":"FLAT","price":1}],"colour":1}',
            "elements[1].colour: unknown field",
        ),
        (
            restricted('"start_time":"25:00"'),
            "elements[0].restrictions.start_time: must be a time",
        ),
        (
            restricted('"end_date":"2025-02-30"'),
            "elements[0].restrictions.end_date: must be a date",
        ),
        (
            restricted('"day_of_week":["FREITAG"]'),
            "elements[0].restrictions.day_of_week[0]: must be one of MONDAY",
        ),
        (
            restricted('"day_of_week":"MONDAY"'),
            "elements[0].restrictions.day_of_week: must be a list",
        ),
        (restricted('"min_kwh":-1'), "elements[0].restrictions.min_kwh: must not be negative"),
        (restricted('"max_volts":1'), "elements[0].restrictions.max_volts: unknown field"),
        (
            restricted('"reservation":"MAYBE"'),
            "elements[0].restrictions.reservation: must be one of",
        ),
        (
            '{"price_components":[{"type":"ENERGY","price":1}],"restrictions":{"reservation":"RESERVATION"}}',
            "elements[0].price_components[0].type: must be TIME or FLAT",
        ),
    ):
        assert refusal("", element).startswith(says), refusal("", element)


def test_a_restriction_that_never_holds_is_refused_and_a_narrow_one_is_taken():
    at = "elements[0].restrictions."
    for rule, says in (
        ('"min_kwh":5,"max_kwh":2', "max_kwh: must be above min_kwh (given 2)"),
        ('"min_kwh":"2.50","max_kwh":2.5', "max_kwh: must be above min_kwh (given 2.5)"),
        ('"max_kwh":0', "max_kwh: must be above 0 (given 0)"),
        ('"max_duration":60,"min_duration":60', "max_duration: must be above min_duration"),
        ('"max_current":16,"min_current":32', "max_current: must be above min_current"),
        ('"min_power":11,"max_power":11.000', "max_power: must be above min_power"),
        ('"min_duration":null,"max_duration":0', "max_duration: must be above 0"),
        ('"start_date":"2025-02-03","end_date":"2025-02-03"', "end_date: must be after start"),
        ('"start_date":"2025-02-03","end_date":"2025-02-02"', "end_date: must be after start"),
    ):
        assert refusal("", restricted(rule)).startswith(at + says), refusal("", restricted(rule))
    for rule in (
        '"min_kwh":2.499999,"max_kwh":2.5', '"min_duration":59,"max_duration":60', '"min_kwh":0',
        '"start_date":"2025-02-03","end_date":"2025-02-04"', '"end_date":"1969-02-04"',
        '"min_current":9,"max_power":3', '"min_power":3,"max_power":null', '"max_current":0.001',
    ):  # fmt: skip
        assert len(tariff("", restricted(rule)).rules) == 1


def test_refusals_of_the_tariff_itself():
    for more, says in (
        ('"colour":1,', "colour: unknown field"),
        ('"x_colour":1,', "x_colour: unknown field"),
        ('"tax_included":"MAYBE",', "tax_included: must be one of NO, YES, N/A"),
        ('"min_price":{"excl_vat":-1},', "min_price.excl_vat: must not be negative"),
        ('"min_price":{},', "min_price: must give an amount"),
        (
            '"max_price":{"excl_vat":1,"after_taxes":2},',
            "max_price: must be a Price or a PriceLimit",
        ),
        ('"max_price":{"excl_vat":2,"incl_vat":1},', "max_price: must not be lower with tax"),
        (
            '"min_price":{"excl_vat":2},"max_price":{"excl_vat":1},',
            "max_price: must not be below min_price",
        ),
        ('"end_date_time":"tomorrow",', "end_date_time: must be a UTC time"),
        ('"type":"CHEAP",', "type: must be one of"),
        ('"tax_included":"N/A",', "tax_included: N/A does not go with"),
    ):
        assert refusal(more).startswith(says), refusal(more)
    for text, says in (
        ('{"currency":"EUR","elements":[]}', "elements:"),
        ('{"elements":[' + ELEMENT + "]}", "currency:"),
        ('{"currency":"eur","elements":[]}', "currency:"),
        ("[]", "json:"),
        ("", "json:"),
    ):
        try:
            Tariff.from_json(text)
        except TariffError as error:
            assert str(error).startswith(says), str(error)
        else:
            raise AssertionError("not refused: " + text)


def test_extensions_are_read_and_refused_if_malformed():
    found = tariff(
        '"x_free_kwh":1.5,"x_free_minutes":10,"x_grace_minutes":"15","x_caps":{"ENERGY":12},'
        '"x_parking_sleep":{"start_time":"22:00","end_time":"07:00"},'
    )
    assert (found.free_mwh, found.free_ms, found.grace_ms) == (1500000, 600000, 900000)
    assert (
        found.caps == [(1, 120000)] and found.sleep == 1320 * 2048 + 420 and found.time_dependent
    )
    for more, says in (
        ('"x_free_kwh":-1,', "x_free_kwh: must not be negative"),
        ('"x_free_minutes":1.5,', "x_free_minutes: has more than"),
        ('"x_grace_minutes":[],', "x_grace_minutes: must be a number"),
        ('"x_caps":{"FLAT":1},', "x_caps.FLAT: unknown field"),
        ('"x_caps":3,', "x_caps: must be an object"),
        (
            '"x_parking_sleep":{"start_time":"22:00"},',
            "x_parking_sleep: must give start_time and end_time",
        ),
        (
            '"x_parking_sleep":{"start_time":"22:00","end_time":"22:00"},',
            "x_parking_sleep: must not begin when",
        ),
    ):
        assert refusal(more).startswith(says), refusal(more)
    two = (
        '{"price_components":[{"type":"TIME","price":1,"vat":10},'
        '{"type":"PARKING_TIME","price":1,"vat":20}]}'
    )
    assert refusal('"x_caps":{"TIME+PARKING_TIME":3},', two).startswith("x_caps: needs one vat")
