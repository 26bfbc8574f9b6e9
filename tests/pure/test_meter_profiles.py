"""Profiles as data: every line can be read, requests are few and within what the meter allows."""

from firmware.errors import ConfigError
from firmware.meter.profiles import load, names


def requests(name):
    return [(g.function, g.address, g.count) for g in load(name).groups]


def test_every_profile_has_energy_and_power():
    assert len(names()) >= 18
    for name in names():
        quantities = [field.quantity for field in load(name).fields]
        assert quantities.count("E") == 1, name
        assert quantities.count("P") == 1, name


def test_one_request_brings_all_of_an_eastron():
    assert requests("SDM630") == [(4, 0, 74)]
    assert requests("SDM72D-M") == [(4, 0x34, 22)]


def test_a_meter_with_eleven_words_gets_small_requests():
    assert requests("EM24") == [(4, 0, 6), (4, 0x0C, 6), (4, 0x28, 2), (4, 0x42, 2)]
    for name in ("EM111", "EM24", "EM340", "EEM-350"):
        for _, _, count in requests(name):
            assert count <= 11


def test_neighbours_are_read_together():
    assert requests("B21-B23") == [(3, 0x5000, 4), (3, 0x5B00, 22)]


def test_fields_know_where_they_are_in_the_answer():
    for name in names():
        for group in load(name).groups:
            for field in group.fields:
                assert field.pos == 2 * (field.address - group.address)
                assert field.pos + 2 * field.words <= 2 * group.count


def test_unknown_model_says_which_there_are():
    try:
        load("SDM9000")
    except ConfigError as exc:
        assert "SDM630" in str(exc) and exc.field == "meter.model"
    else:
        raise AssertionError("accepted")
