"""Commands: the MAC, and everything that must be refused."""

import json
from binascii import hexlify

from firmware.errors import FieldError
from firmware.sync import commands
from tests.pure.sync_support import refused

KEY = b"0123456789abcdef0123456789abcdef"
NOW = 1767225600000


def signed(**changes):
    message = {
        "id": "c1",
        "device": "CP1",
        "counter": 5,
        "expires_at": NOW + 1000,
        "name": "stop",
        "args": "{}",
    }
    key = changes.pop("key", KEY)
    message.update(changes)
    message["mac"] = hexlify(commands.hmac_sha256(key, commands.signed_bytes(message))).decode()
    return message


def verify(message, key=KEY, last=4, now=NOW):
    return commands.verify(message, "CP1", key, last, now)


def refusal(message, **how):
    error = refused(FieldError, lambda: verify(message, **how))
    return error.field, commands.code_of(error)


def test_hmac_is_rfc_4231():
    cases = (
        (
            b"\x0b" * 20,
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            b"\xaa" * 20,
            b"\xdd" * 50,
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    )
    for key, data, wanted in cases:
        assert hexlify(commands.hmac_sha256(key, data)).decode() == wanted


def test_a_good_command_gives_its_arguments():
    command = verify(signed(args='{"session": 7}'))
    assert (
        command["args"] == {"session": 7} and command["counter"] == 5 and command["name"] == "stop"
    )


def test_canonical_bytes_are_these():
    assert (
        commands.signed_bytes(signed())
        == b"forecourt-command-1\nc1\nCP1\n5\n1767225601000\nstop\n{}"
    )


def test_every_signed_field_is_covered():
    for name, other in (
        ("id", "c2"),
        ("counter", 6),
        ("expires_at", NOW + 2000),
        ("name", "restart"),
        ("args", '{"a":1}'),
    ):
        message = signed()
        message[name] = other
        assert refusal(message) == ("mac", "forged"), name


def test_replayed_expired_foreign_and_forged():
    assert refusal(signed(counter=4)) == ("counter", "replayed")
    assert refusal(signed(), last=5) == ("counter", "replayed")
    assert refusal(signed(expires_at=NOW)) == ("expires_at", "expired")
    assert refusal(signed(device="CP2")) == ("device", "foreign")
    assert refusal(signed(key=b"another key of sufficient length")) == ("mac", "forged")


def test_without_a_clock_nothing_is_done():
    assert refusal(signed(), now=0) == ("at", "not_yet")


def test_a_charger_without_a_proper_key_takes_no_command():
    for key in (b"", b"short", b"fifteen bytes !"):
        assert refusal(signed(key=key), key=key) == ("mac", "forged")


def test_malformed_fields_are_named():
    for name, value in (
        ("id", 5),
        ("id", ""),
        ("id", "x" * 65),
        ("id", "a\nb"),
        ("device", None),
        ("counter", "5"),
        ("counter", -1),
        ("counter", 5.0),
        ("counter", True),
        ("expires_at", None),
        ("name", []),
        ("args", {}),
        ("mac", 7),
        ("mac", "00"),
    ):
        message = signed()
        message[name] = value
        code = "forged" if name == "mac" else "malformed"
        assert refusal(message) == (name, code), (name, value)
        del message[name]
        assert refusal(message) == (name, code), name


def test_a_mac_in_capitals_or_not_hex_is_refused():
    message = signed()
    message["mac"] = message["mac"].upper()
    assert refusal(message) == ("mac", "forged")
    message["mac"] = "\u20ac" * 64
    assert refusal(message) == ("mac", "forged")


def test_arguments_must_be_an_object():
    for text in ("", "[]", "null", "5", "{", '{"a":1'):
        assert refusal(signed(args=text)) == ("", "malformed"), text


def test_the_answer_has_the_same_fields_from_json():
    assert verify(json.loads(json.dumps(signed())))["id"] == "c1"
