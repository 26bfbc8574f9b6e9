"""Every result code has its words, every profile its data."""

from firmware.errors import ConfigError
from firmware.screen.texts import LANGUAGES, Words
from firmware.terminal import names, profiles, results

# facts/zvt.md, "Result codes"
FACTS = (
    ("try_another_card", (0x05, 0x64, 0x65, 0x71, 0x78, 0x79, 0x7A, 0xC5)),
    ("pin_needed", (0x13, 0x33, 0x3D, 0x41, 0xEC, 0xFC)),
    ("cancelled", (0x6C,)),
    ("no_network", (0x7D, 0x9B, 0xA0, 0xA1, 0xA3)),
    ("out_of_service", (0x51, 0xC2, 0xE4, 0xF0, 0x6A, 0xB1, 0xB2)),
)


def test_codes_of_the_facts_have_their_words():
    for key, codes in FACTS:
        for code in codes:
            got = results.classify(code)[0]
            # a card that could not be read is told so: the driver may try the same one again
            assert got == key or (code in (0x64, 0x65) and got == "card_unreadable"), hex(code)


def test_refund_refusals_say_why():
    assert results.classify(0xB4)[0] == "already_reversed"
    assert results.classify(0xB7)[0] == "amount_refused"
    for code in (0xB5, 0x77, 0xA5):
        assert results.classify(code) == ("not_possible", results.REFUSED)


def test_classes():
    assert results.classify(0) == ("approved", results.OK)
    assert results.classify(0x05)[1] == results.RETRY
    assert results.classify(0xA0)[1] == results.LATER
    assert results.classify(0x51)[1] == results.OUT


def test_every_code_has_words_in_every_language():
    for language in LANGUAGES:
        words = Words((language,))
        for code in range(256):
            key, kind = results.classify(code)
            assert words.find(key), (language, key)
            assert results.OK <= kind <= results.OUT
        for status in range(256):
            key = results.status_key(status)
            assert not key or words.find(key), (language, key)
        for key in ("no_card", "terminal_off", "terminal_error"):
            assert words.find(key), (language, key)


def test_unknown_codes_are_generic():
    assert results.classify(0x2A) == ("declined", results.RETRY)
    assert results.classify(0xAF)[0] == "terminal_error"


def test_a_code_stands_in_one_row_only():
    for table in (results._CODES, results._STATUS):
        for code in range(256):
            assert table.count(f",{code:02X}") <= 1, hex(code)


def test_profiles_by_full_and_short_name():
    assert profiles.load("feig-cvend").capture == "release"
    assert profiles.load("cvend").name == "feig-cvend"
    assert profiles.load("ccv-opm-c60").capture == "use"
    assert profiles.load("generic").config == 0xDE
    try:
        profiles.load("vend")
    except ConfigError as e:
        assert e.field == "terminal.profile"
    else:
        raise AssertionError("must be refused")


def test_names_for_engineers():
    assert names.name(0x040F) == "result"
    assert names.name(0x8000) == "done"
    assert names.name(0x8483) == "refused"
    assert names.name(0x0999) == "unknown"
