"""`zvt decode` on frames nobody prepared it for: captures published with EVerest/zvt beyond those
in cases/, every bitmap and tag it names, damage of every kind."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hostsim.terminal import codec
from hostsim.terminal import fields as f
from hostsim.terminal.cli import app
from hostsim.terminal.codes import RESULTS, STATUS_TEXTS
from hostsim.terminal.decode import decode, decode_frame, masked_hex
from hostsim.terminal.explain import (
    _BYTES,
    _NUMBERS,
    _TAG_DIGITS,
    _TAG_HEX,
    _TAG_NUMBERS,
    _TAG_TEXTS,
)
from hostsim.terminal.masking import readable

FOUR_APPLICATIONS = (
    "040f642700 06604c0a00000000000008ff69141f450c0c78807403 8031c073d631c01f4c01011f4d02fe04"
    "1f4f0204001f500120600b4309a0000000594543010060 0c430aa0000003591010028001600b4309d276000025"
    "4741010060094307a0000000041010"
)
FLEET_CARD = "040f222700061e4c0a0000000463c8b2ae4f801f4c01011f4d0200031f4f0244001f500100"
VERSION = b"GER-APP-v2.0.9;cS02.01.01-10.10-2-2;CC26"


def told(text: str) -> dict[str, Any]:
    """What the decoder says of hexadecimal."""
    return decode(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("apdu", "wanted"),
    [
        (FOUR_APPLICATIONS, {"aid": "a0000000594543" + "0100", "sak": 32, "card_kind": 1}),
        (FLEET_CARD, {"uid": "0000000463c8b2ae4f80", "sak": 0, "atqa": "4400"}),
        ("061e04b8870231", {"result": 0xB8, "receipt": 231}),
        (
            "061e10b8870231060a230808020231080202 32",
            {"receipt": 231, "receipts": [231, 232], "result_text": RESULTS[0xB8]},
        ),
        ("061e036f0978", {"result": 0x6F, "currency": 978}),
        ("061e046f490978", {"result": 0x6F, "currency": 978}),
        ("06300612345687 0231", {"password": "123456", "receipt": 231}),
        ("063003870231", {"receipt": 231}),
        ("06310d123456040000000010 00490978", {"password": "123456", "amount_minor": 1000}),
        ("065003870231", {"password": "870231"}),
        ("069506123456654321", {"password": "123456", "new_password": "654321"}),
        ("069303123456", {"password": "123456", "name": "initialisation"}),
        ("0501020304", {"service_byte": 4}),
        ("050103123456", {"password": "123456"}),
        ("040109aa2611220c1703", {}),
        ("0fa105123456 0001", {"password": "123456", "function": 1}),
        ("06e00bf005f1f0f548616c6c6f", {"text": "Hallo", "display_s": 5}),
        ("06e00ff1f0f548616c6c6ff2f0f457656c74", {"text": "Hallo\nWelt"}),
        ("04ff0a4a010606240407024f4b", {"text": "OK", "timeout": 1, "status": 0x4A}),
        ("04ff024a01", {"timeout": 1}),
        ("04ff014c", {"text": STATUS_TEXTS[0x0C] + "; please remove card"}),
        ("848300", {"command": "8483", "result": 0x83}),
        ("849c00", {"result_text": "please wait"}),
        ("060008123456de0978 0305", {"config": 0xDE, "service_byte": 5}),
        (
            "060012123456de0978060a26040a0206d31a020400",
            {"commands": ["06D3"], "max_apdu": 1024, "currency": 978},
        ),
        ("060006123456de0348", {"currency": 348, "service_byte": None, "errors": None}),
        ("060008123456de0392 0305", {"currency": 392, "service_byte": 5, "errors": None}),
        (
            "06000a123456de0376 06021a00",
            {"currency": 376, "service_byte": None, "errors": None},
        ),
        ("06000a123456de0643 06021a00", {"currency": 643, "errors": None}),
        ("060006123456de0643", {"currency": 643, "errors": None}),
        ("060006123456de0305", {"currency": None, "service_byte": 5, "errors": None}),
        ("060006123456de0600", {"currency": None, "errors": None}),
        ("06000a123456de06041a020400", {"currency": None, "max_apdu": 1024, "errors": None}),
        (
            "06000c123456de06041a0204000305",
            {"currency": None, "max_apdu": 1024, "service_byte": 5, "errors": None},
        ),
        ("060f0151", {"status": 0x51}),
        ("040f0c0b000000 06071f2b0412345678".replace("0c0b", "0d0b"), {"trace": 12345678}),
        ("040f0e27ff060a1f160201171f17024142", {"extended_error": "0117", "text": "AB"}),
        ("06d10a0048656c6c6f20796f75", {"lines": ["Hello you"], "attribute": 0}),
        ("06d30d060b1f070103250507034142" + "43", {"lines": ["ABC"], "receipt_type": 3}),
        ("081306060411112222", {"name": "change configuration"}),
    ],
)
def test_what_the_wire_may_carry(apdu: str, wanted: dict[str, Any]) -> None:
    said = told(apdu)
    assert {key: said.get(key) for key in wanted} == wanted


def test_a_completion_may_bring_the_version_and_the_device() -> None:
    inside = f.tlv(0x1F44, f.to_bcd(52523535, 4)) + f.tlv(
        0xE4, f.tlv(0x1F40, b"cVEND plug") + f.tlv(0x1F42, f.to_bcd(18632442, 4))
    )
    head = bytes(0xF0 | int(digit) for digit in f"{len(VERSION):03d}")
    said = decode(codec.join(0x060F, head + VERSION + b"\x00" + f.bmp(0x06, inside)))
    assert said["software"] == VERSION.decode() and said["status"] == 0
    assert (said["terminal_id"], said["device"]) == ("52523535", "cVEND plug")
    assert said["serial_number"] == "18632442" and "errors" not in said


@pytest.mark.parametrize("size", [0xFE, 0xFF, 0x100, 0x1234])
def test_long_apdus_have_their_own_length(size: int) -> None:
    text = ("print " * 1000)[:size]
    line = decode(codec.join(0x06D1, b"\x00" + text.encode()))
    assert line["lines"] == [text] and "errors" not in line
    wrong = bytearray(codec.join(0x06D1, b"\x00" + text.encode()))
    wrong[-1:] = b""
    assert decode(bytes(wrong))["errors"][0]["offset"] == 2


def test_every_bitmap_it_names_is_read() -> None:
    for tag, name in {**_NUMBERS, **_BYTES}.items():
        body = f.bmp(tag, 7)
        assert decode(codec.join(0x0601, body))[name] == 7, hex(tag)
    for tag, size in f.LENGTHS.items():
        body = b"\x11" * size if size > 0 else b"\x01\x02\x03\x04"
        said = decode(codec.join(0x0622, f.bmp(0x49, 978) + f.bmp(tag, body)))
        assert said["currency"] == (1111 if tag == 0x49 else 978)


def test_a_bad_field_does_not_hide_the_others() -> None:
    said = told(
        "040f14" + "04000000002500" + "0b00f123" + "270d"[:2] + "05" + "06034c05aa" + "8a06"
    )
    assert (said["amount_minor"], said["result"], said["card_type"]) == (2500, 5, 6)
    assert said["errors"] == [
        {"offset": 18, "reason": "TLV 4C needs 5 bytes, 1 are left"},
        {"offset": 11, "reason": "00F123 is not BCD"},
    ]


def test_a_registration_in_forints_is_read_from_the_line() -> None:
    frame = codec.frame(codec.join(0x0600, bytes.fromhex("123456de0348")))
    said = decode_frame(frame)
    assert (said["currency"], said["config"]) == (348, 0xDE)
    assert "service_byte" not in said and "errors" not in said


@pytest.mark.parametrize(
    ("frame", "offset", "words"),
    [
        ("1002800000 1003f51e", 8, "CRC is 1EF5, must be 1FF5"),
        ("1002800000 1003f5", 8, "no end"),
        ("1002800000 1004f51f", 6, "DLE followed by 04"),
        ("800000", 3, "no frame"),
        ("55aa 1002800000 1003f51f", 0, "2 bytes before the frame"),
        ("1002800000 1003f51f 06", 9, "1 bytes after the frame"),
        ("1002 8000 1003 06c1", 7, "CRC"),
    ],
)
def test_damage_of_the_line_is_placed(frame: str, offset: int, words: str) -> None:
    errors = decode_frame(bytes.fromhex(frame))["errors"]
    assert any(error["offset"] == offset and words in error["reason"] for error in errors)


def test_a_wrong_crc_is_told_with_what_the_frame_carried() -> None:
    said = decode_frame(bytes.fromhex("10020623 0387ffff 1003 fbbe"))
    assert (said["name"], said["receipt"]) == ("partial reversal", "FFFF") and said["errors"]


def test_a_frame_given_as_an_apdu_is_said_to_be_one() -> None:
    assert "--serial" in decode(bytes.fromhex("1002800000 1003f51f"))["errors"][0]["reason"]


def test_the_command_takes_the_ways_people_write_bytes() -> None:
    for text in ("06:23:03:87:FF:FF", "06-23-03-87-ff-ff", "0623 0387 ffff", "06 23 03 87 ff ff"):
        said = CliRunner().invoke(app, ["zvt", "decode", *text.split()])
        assert said.exit_code == 0 and json.loads(said.stdout)["receipt"] == "FFFF"
    for text in ("", "0", "06", "zz", "062", "--serial ff"):
        said = CliRunner().invoke(app, ["zvt", "decode", *text.split()] or ["zvt", "decode", ""])
        assert said.exit_code != 0


def test_card_data_given_twice_or_in_tags_stays_inside() -> None:
    pan, track = "4111111111111111", bytes.fromhex("4111111111111111D30122010000000000")
    body = f.bmp(0x22, f.pan_bytes(pan, masked=False)) * 2 + f.bmp(0x23, track) * 2
    tags = (0x1F08, 0x1F09, 0x1F0A, 0x1F1A, 0x57, 0x5A)
    body += f.container(*(f.tlv(tag, track) for tag in tags), f.tlv(0x42, pan.encode()))
    apdu = codec.join(0x040F, body)
    for words in (json.dumps(decode(apdu)), masked_hex(apdu)):
        assert "1111111111" not in words and "D3012" not in words
    assert f.pan_text(bytes.fromhex("1234567890")) == "******7890"
    assert "4111" in readable(b"411111 is not a card number")


PACKED = bytes.fromhex("4111111111111111")


def in_every_field(value: bytes) -> list[bytes]:
    """APDUs that carry it in each field it fits in, and cut to those it does not."""
    out = []
    for tag, size in f.LENGTHS.items():
        if tag != 0x06:
            fitted = (value + b"\xff" * 20)[:size] if size > 0 else value
            out.append(codec.join(0x040F, f.bmp(tag, fitted)))
    tags = [*_TAG_NUMBERS, *_TAG_DIGITS, *_TAG_HEX, *_TAG_TEXTS, 0x42, 0x09, 0x1F02, *f.CARD_TAGS]
    for tag in tags:
        if tag not in f.WHOLE_TAGS:
            out.append(codec.join(0x040F, f.container(f.tlv(tag, value))))
            out.append(codec.join(0x061E, b"\xb8" + f.container(f.tlv(0x23, f.tlv(0x08, value)))))
    lines = f.tlv(0x25, f.tlv(0x07, b"OK") + f.tlv(0x09, value))
    out.append(codec.join(0x06D3, f.container(lines, f.tlv(0x26, f.tlv(0x0A, value)))))
    return out


def test_a_card_number_in_packed_digits_stays_inside_whatever_field_it_is_in() -> None:
    track = PACKED + bytes.fromhex("d3012201")
    for value in (PACKED, b"\0\0" + PACKED, PACKED + b"\xf0", PACKED + b"\0\0", track):
        for apdu in in_every_field(value):
            for words in (json.dumps(decode(apdu)), masked_hex(apdu)):
                assert "4111111111111" not in words, (apdu.hex(), words)
                assert str(int.from_bytes(value, "big")) not in words


def test_what_only_looks_like_packed_digits_is_shown() -> None:
    seen = (
        FOUR_APPLICATIONS,
        FLEET_CARD,
        "040f093b3132333435363738",
        "04ff0a4a010606240407024f4b",
        "040f0c060a4c084111111111111111",
    )
    for apdu in seen:
        assert masked_hex(bytes.fromhex(apdu.replace(" ", ""))) == apdu.replace(" ", "").upper()


def test_a_name_that_is_no_schemes_is_not_told() -> None:
    body = f.bmp(0x8B, b"ERIKA MUSTERMANN\0") + f.container(f.tlv(0x42, b"ERIKA MUSTERMANN"))
    apdu = codec.join(0x040F, body)
    said = decode(apdu)
    assert (said["card_name"], said["application"]) == ("card", "card")
    assert b"ERIKA".hex().upper() not in masked_hex(apdu)
    body = f.bmp(0x8B, b"MasterCard\0") + f.container(f.tlv(0x42, b"Visa Debit"))
    apdu = codec.join(0x040F, body)
    said = decode(apdu)
    assert (said["card_name"], said["application"]) == ("MasterCard", "Visa Debit")
    assert masked_hex(apdu) == apdu.hex().upper()


@given(st.binary(max_size=80), st.sampled_from([0x0600, 0x060F, 0x061E, 0x04FF, 0x06D3, 0x040F]))
def test_any_body_is_told_or_refused(body: bytes, command: int) -> None:
    said = decode(codec.join(command, body))
    assert said["command"] == f"{command:04X}"
    json.dumps(said)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("Karte 5598830000008074", "Karte 559883******8074"),
        ("5598 8300 0000 8074 OK", "5598 83** **** 8074 OK"),
        ("5598-8300-0000-8074", "5598-83**-****-8074"),
        ("559883000000807425122010000012300000", "*" * 36),
        (";5598830000008074=25122010000?", ";559883******8074" + "*" * 13),
        ("%B5598830000008074^MUELLER/ANNA^2512201", "%B559883******8074" + "*" * 21),
        ("MUELLER/ANNA 5.00", "*" * 13 + "5.00"),
        ("A0000000041010 12/2025 3,50 EUR", "A0000000041010 12/2025 3,50 EUR"),
        *((line, line) for line in (
            "TID 52500041 29.11.2026 12:34", "29.11.2026 12.34.56", "05.11.2026 12.34.56 OK",
            "52500041 2026-11-29 12.34", "52500041 29-11-26 004711", "52500041 1.2.26 12.34.56",
            "52500041 5.00 12.34 78",
        )),
        ("5598830000008074 29.11.2026", "559883******8074 29.11.2026"),
        ("29.11.2026 12.34.56 5598 8300 0000 8074",
         "29.11.2026 12.34.56 5598 83** **** 8074"),
        ("5598.8300.0000.8074", "5598.83**.****.8074"),
        ("3782 822463 10005", "3782 82**** *0005"),
        ("3782.822463.10005", "3782.82****.*0005"),
        ("5598830000008074 12.28", "*" * 16 + " **.**"),
    ],
)
def test_card_data_is_masked_however_it_is_printed(printed: str, shown: str) -> None:
    """One whole line, a block's line and the bytes themselves say the same."""
    line = codec.join(0x06D1, b"\0" + printed.encode())
    block = f.container(f.tlv(0x1F07, b"\1"), f.tlv(0x25, f.tlv(0x07, printed.encode())))
    assert decode(line)["lines"] == [shown]
    assert decode(codec.join(0x06D3, block))["lines"] == [shown]
    assert bytes.fromhex(masked_hex(line))[4:].decode() == shown


@pytest.mark.parametrize(
    ("apdu", "offset", "reason"),
    [
        ("06220e040000000010000400000000 2000", 10, "bitmap 04 comes again"),
        ("061e07b8870231870232", 7, "bitmap 87 comes again"),
        ("040f030d1332", 4, "1332 is no date"),
        ("040f030d0230", 4, "0230 is no date"),
        ("040f030d0229", 0, ""),
        ("040f030d0100", 4, "0100 is no date"),
        ("040f040c256199", 4, "256199 is no time"),
        ("040f040c235960", 4, "235960 is no time"),
        ("040f030e2713", 4, "2713 is no date"),
        ("040f04aa261301", 4, "261301 is no date"),
        ("040f0906071f0e0420261301", 8, "20261301 is no date"),
        ("060006 12345ade0978", 3, "12345A is not BCD"),
        ("050103 12345a", 3, "12345A is not BCD"),
        ("06930312345a", 3, "12345A is not BCD"),
        ("06c0051e3d12345a", 5, "12345A is not BCD"),
        ("0695061234561234ff", 6, "1234FF is not BCD"),
    ],
)
def test_what_comes_twice_or_is_no_date_time_or_password_is_an_error(
    apdu: str, offset: int, reason: str
) -> None:
    found = told(apdu)
    wanted = [{"offset": offset, "reason": reason}] if reason else []
    assert found.get("errors", []) == wanted, found
    assert len(found) > 2 + bool(wanted), "what could be read is told"


def test_hexadecimal_may_come_from_a_pipe_and_with_its_prefix() -> None:
    for words, piped in (
        (["-"], "04 0f 03\n0D 12 31\n"),
        (["0x040f030d1231"], ""),
        (["0x04", "0x0f", "030d1231"], ""),
    ):
        done = CliRunner().invoke(app, ["zvt", "decode", *words], input=piped)
        assert done.exit_code == 0 and json.loads(done.stdout)["date"] == "1231", done.output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--serial", "/dev/nonexist"], "cannot open /dev/nonexist"),
        (["--tcp", "0", "--fault", "nope"], "nope"),
        (["--tcp", "0", "--tap", "nobody"], "nobody"),
    ],
)
def test_a_terminal_that_cannot_start_says_why_and_nothing_else(
    words: list[str], reason: str
) -> None:
    done = CliRunner().invoke(app, ["terminal", *words])
    assert done.exit_code == 2 and reason in done.stderr and done.stdout == "", done.output


def test_a_card_number_in_letters_is_masked_in_fields_that_are_told_in_hexadecimal() -> None:
    value = b"5598830000008074"
    for apdu in in_every_field(value):
        for words in (json.dumps(decode(apdu)), masked_hex(apdu).lower()):
            assert value.hex()[12:-8] not in words, (apdu.hex(), words)


@pytest.mark.parametrize("text", ["1.1.26 ", "1.", "12.34 ", "5 "])
def test_a_line_as_long_as_any_is_told_at_once(text: str) -> None:
    begun, count = time.process_time(), 20_000 // len(text)
    shown = readable(text.encode() * count)
    assert time.process_time() - begun < 5 and len(shown) == count * len(text)
    assert (shown == text * count) == (text in ("1.1.26 ", "1."))


@pytest.mark.parametrize("tag", [0x43, 0x4C])
def test_a_card_in_the_place_of_an_application_or_a_uid_is_masked(tag: int) -> None:
    for value in ("5598830000008074d2912201000000000", "5598830000008074d29122010000"):
        card = bytes.fromhex(value + "0" * (len(value) % 2))
        apdu = codec.join(0x040F, f.container(f.tlv(tag, card)))
        for words in (json.dumps(decode(apdu)), masked_hex(apdu).lower()):
            assert "0000008074" not in words and "d2912" not in words
    card = bytes.fromhex("5598830000008074ffffffff" if tag == 0x4C else "5598830000008074")
    apdu = codec.join(0x040F, f.container(f.tlv(tag, card)))
    for words in (json.dumps(decode(apdu)), masked_hex(apdu).lower()):
        assert "559883eeeeee8074" in words
    for known in ("a0000000041010", "d27600002545500200", "04a1b2c3d4e5f6"):
        apdu = codec.join(0x040F, f.container(f.tlv(tag, bytes.fromhex(known))))
        assert known in json.dumps(decode(apdu)) and known in masked_hex(apdu).lower()


def test_a_card_number_that_begins_in_the_bytes_without_a_tag_is_masked() -> None:
    said = masked_hex(bytes.fromhex("06950b4006623286012904047969"))
    assert said == "06950B400662EEEEEEEEEEEE7969"
    for registered in ("060008000000de09780300", "06000d00000086097803002952500041"):
        assert masked_hex(bytes.fromhex(registered)) == registered.upper()
