# Pure: runs on CPython and on both MicroPython builds.
from firmware.errors import FieldError
from firmware.pricing import decimals, jsontext, money


def refused(function, *given):
    try:
        function(*given)
    except FieldError as error:
        return str(error)
    raise AssertionError("not refused: " + repr(given))


def test_decimals_become_integers_exactly():
    for text, places, value in (
        ("0.25", 4, 2500),
        ("12", 4, 120000),
        ("0.1000000", 4, 1000),
        ("1e-2", 4, 100),
        ("2.5E1", 4, 250000),
        ("0", 4, 0),
        ("0.000", 0, 0),
        ("0.0001", 4, 1),
        ("107374.1824", 4, 1073741824),
        ("8.875", 4, 88750),
    ):
        assert decimals.decimal(text, places, "p") == value, text


def test_more_decimals_than_carried_are_refused_not_rounded():
    assert refused(decimals.decimal, "0.12345", 4, "price") == (
        "price: has more than the 4 decimals that are carried (given 0.12345)"
    )


def test_what_is_no_decimal_is_refused():
    for text in (
        "",
        ".",
        "1.",
        ".5",
        "1,5",
        "0x1",
        "1e",
        "--1",
        "+1",
        "1 ",
        "nan",
        "1" * 30,
        "1e99",
    ):
        assert "p:" in refused(decimals.decimal, text, 4, "p"), text
    assert "negative" in refused(decimals.decimal, "-0.01", 4, "p")


def test_half_up_rounds_away_from_zero():
    assert [money.half_up(n, 10) for n in (4, 5, 14, 15, 25, -5, -4)] == [0, 1, 1, 2, 3, -1, 0]


def test_minor_units_follow_iso_4217():
    assert [money.exponent(code) for code in ("EUR", "JPY", "KWD", "BHD", "GBP", "CHF")] == [
        2,
        0,
        3,
        3,
        2,
        2,
    ]


def test_amounts_read_as_the_language_writes_them():
    assert money.amount(1230, "EUR", "en") == "12.30 €"
    assert money.amount(1230, "EUR", "de") == "12,30 €"
    assert money.amount(-5, "EUR", "fr") == "-0,05 €"
    assert money.amount(1500, "JPY", "en") == "1500 ¥"
    assert money.amount(1500, "KWD", "en") == "1.500 KWD"


def test_trailing_zeros_go_down_to_the_least():
    assert money.trimmed(2500, 4, 2) == "0.25"
    assert money.trimmed(2975, 4, 2) == "0.2975"
    assert money.trimmed(30000, 4, 2) == "3.00"
    assert money.trimmed(20000000, 6, 0) == "20"


def test_json_keeps_numbers_as_text():
    found = jsontext.loads(
        '{"a": [1, 2.50, -0e3, true, null, "\\u00e9\\ud83d\\ude00\\n"], "b": {}}'
    )
    assert [str(value) for value in found["a"][:3]] == ["1", "2.50", "-0e3"]
    assert found["a"][3:] == [True, None, "é😀\n"] and found["b"] == {}
    assert jsontext.loads("\ufeff[]") == []


def test_json_is_strict_and_says_where():
    for text in (
        "",
        "{",
        "[1,]",
        "{'a':1}",
        '{"a" 1}',
        "01",
        "1.",
        "[1 2]",
        "nul",
        '"\t"',
        '"\\x"',
        '"\\ud800"',
        "1 1",
        '{"a":1,"a":2}',
        "[" * 13 + "]" * 13,
        "-",
        "+1",
        ".5",
        "1e",
        "NaN",
        '"abc',
        '"\\u12g4"',
        "[1]]",
        b'"\xff"',
    ):
        assert "byte" in refused(jsontext.loads, text), text
    assert refused(jsontext.loads, '{"a": nul}') == "json: a value expected at byte 6"
    assert "longer" in refused(jsontext.loads, " " * 50000)
