"""Every key has words in every language, and they fit. Runs on CPython and MicroPython."""

import sys

from firmware.errors import ConfigError
from firmware.screen import texts
from firmware.screen.texts import LANGUAGES, Words, leave
from firmware.terminal.results import classify, status_key

STATES = (
    "booting free plugged reading authorising wait_plug starting charging paused finished "
    "settling receipt declined out_of_service recovering safe_mode refunding day_end"
).split()
REASONS = (
    "tap button vehicle unplug hold_reached remote fault emergency meter_lost plug_timeout "
    "power_cut hold_too_small terminal_off declined"
).split()
BLOCKED = (
    "ledger_fault ledger_full emergency no_tariff clock_unknown meter_lost terminal_off".split()
)
SAID = (
    "contactor_welded other_card card_not_accepted card_unreadable nothing_charged refund_card "
    "refund_paid"
).split()
RESULTS = (
    "try_another_card pin_needed no_network cancelled out_of_service card_unreadable no_card "
    "amount_refused already_reversed not_possible terminal_off terminal_busy terminal_error"
).split()
LABELS = "energy power time price hold paid released refund receipt_no card".split()


def test_every_language_has_the_same_keys_each_once():
    reference = Words(("en",)).keys()
    for code in LANGUAGES:
        keys = Words((code,)).keys()
        assert keys == reference, [code] + [k for k in keys if k not in reference]
        assert len(set(keys)) == len(keys)


def test_every_state_reason_and_terminal_result_has_words():
    for code in LANGUAGES:
        words = Words((code,))
        for state in STATES:
            assert words.find(state) and words.find("do_" + state), (code, state)
        for reason in REASONS:
            assert words.find("why_" + reason) or words.find(reason), (code, reason)
        for key in RESULTS + LABELS + BLOCKED + SAID:
            assert words.find(key), (code, key)


def test_every_result_and_status_of_a_terminal_has_words():
    for code in LANGUAGES:
        words = Words((code,))
        for byte in range(256):
            key = classify(byte)[0]
            assert words.find(key), (code, byte, key)
            key = status_key(byte)
            assert not key or words.find(key), (code, byte, key)


def test_all_words_fit_forty_columns_and_labels_ten():
    for code in LANGUAGES:
        words = Words((code,))
        for key in words.keys():
            limit = 10 if key in LABELS else 40
            assert 0 < len(words.find(key)) <= limit, (code, key, words.find(key))


def test_a_state_and_the_clock_fit_one_line():
    for code in LANGUAGES:
        for state in STATES:
            assert len(Words((code,)).find(state)) + len(" 14:32") <= 40, (code, state)


def test_a_key_is_found_whole_only():
    words = Words(("en",))
    assert words.find("ree") == ""
    assert words.find("fre") == ""
    assert words.find("") == ""
    assert words.find("free=Ready\nplugged") == ""


def test_what_is_no_key_is_said_as_it_came():
    assert Words(("de",)).say("Karte bitte stecken") == "Karte bitte stecken"
    assert Words(("de",)).say("no_card") == "Keine Karte vorgehalten"


def test_a_language_without_words_is_refused_with_the_choice():
    try:
        Words(("xx",))
    except ConfigError as error:
        assert "en, de, fr" in str(error) and "xx" in str(error)
    else:
        raise AssertionError("xx was accepted")


def test_only_the_language_in_use_is_in_memory():
    for code in LANGUAGES:
        leave(code)
    words = Words(LANGUAGES)
    for code in ("en", "fr", "de", "de", "en"):
        words.use(code)
        assert words.code == code and words.find("free")
        loaded = [name for name in sys.modules if name.startswith("firmware.screen.texts_")]
        assert loaded == ["firmware.screen.texts_" + code], loaded
        held = [name for name in dir(sys.modules["firmware.screen"]) if "texts_" in name]
        assert held == ["texts_" + code], held


def test_no_piece_of_words_takes_more_than_a_kilobyte_of_heap_at_once():
    for code in LANGUAGES:
        for text in Words((code,))._texts:
            assert len(text.encode()) < 1000, (code, text[:40])


def test_a_language_that_found_no_memory_is_taken_by_the_next_look():
    words = Words(("en", "de"))

    def no_memory(*_):
        raise MemoryError

    texts.__import__ = no_memory  # type: ignore[attr-defined]
    try:
        words.use("de")
        raise AssertionError("no MemoryError")
    except MemoryError:
        assert words.find("free") == ""
    finally:
        del texts.__import__  # type: ignore[attr-defined]
    for code, free in (("en", "Ready"), ("de", "Bereit")):
        words.use(code)
        assert words.find("free") == free
