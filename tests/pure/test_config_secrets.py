"""A refused configuration is told with what was given, but for what is secret."""

import json

from firmware.config import parse
from firmware.errors import ConfigError

GOOD = {
    "charger": "FC-1",
    "salt": "0123456789abcdef",
    "mqtt": {"host": "b.example", "command_key": "ab" * 32},
    "terminal": {"password": "123456"},
}


def refused(change):
    try:
        parse(json.dumps(change))
    except ConfigError as e:
        return e
    raise AssertionError("it was taken")


def test_no_secret_is_in_the_reason():
    for group, field, value in (
        ("", "salt", "hunt"),
        ("", "salt", 76543),
        ("", "salt", "hunter22" * 9),
        ("terminal", "password", "98765432"),
        ("terminal", "password", "hunter"),
        ("terminal", "password", 987654),
        ("mqtt", "command_key", "hunter22" * 20),
        ("mqtt", "command_key", "hunter22"),
        ("", "mqtt", "hunter22"),
        ("", "terminal", ["hunter22"]),
    ):
        changed = json.loads(json.dumps(GOOD))
        (changed[group] if group else changed)[field] = value
        e = refused(changed)
        path = group + "." + field if group else field
        assert (e.field, e.given) == (path, None), str(e)
        assert "hunt" not in str(e) and "765" not in str(e), str(e)
    assert "hunter22" not in str(refused(["hunter22"]))


def test_what_is_no_secret_is_in_the_reason():
    assert str(refused(dict(GOOD, hold_minor=-7))).endswith("(given -7)")
