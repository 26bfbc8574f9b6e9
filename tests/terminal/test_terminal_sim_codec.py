"""The simulated terminal's codec and decoder against captures, and against noise."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hostsim.terminal import answers, codec, printing
from hostsim.terminal import fields as f
from hostsim.terminal.cards import CARDS, card_named
from hostsim.terminal.cli import app
from hostsim.terminal.codec import CodecError, Deframer, Sign
from hostsim.terminal.codes import RESULTS
from hostsim.terminal.decode import decode, decode_frame, masked_hex
from hostsim.terminal.faults import FAULTS
from hostsim.terminal.profiles import PROFILES
from tests.terminal.test_terminal_sim_ecr import cases, framed

CAPTURED = {case["kind"]: bytes.fromhex(case["hex"]) for case in cases("apdus.json")}


@pytest.mark.parametrize("case", cases("frames.json"), ids=lambda case: case["kind"][:20])
def test_frames_both_ways(case: dict[str, str]) -> None:
    apdu, wire = bytes.fromhex(case["apdu"]), bytes.fromhex(case["frame"])
    assert codec.frame(apdu) == wire
    for step in (1, 2, len(wire)):
        deframer = Deframer()
        pieces = [wire[at : at + step] for at in range(0, len(wire), step)]
        signs = [item for piece in pieces for item in deframer.feed(piece)]
        assert [(item.sign, item.apdu) for item in signs] == [(Sign.FRAME, apdu)]


@pytest.mark.parametrize(
    ("apdu", "crc"), [("060102d49a", "1010"), ("06010250fb", "1003"), ("06010233ee", "1002")]
)
def test_a_crc_may_look_like_the_line_s_own_signs(apdu: str, crc: str) -> None:
    wire = codec.frame(bytes.fromhex(apdu))
    assert wire.hex() == f"1002{apdu}1003{crc}" and wire == framed(bytes.fromhex(apdu))
    assert [item.apdu.hex() for item in Deframer().feed(wire)] == [apdu]


@pytest.mark.parametrize("kind", CAPTURED)
def test_captured_apdus_are_split_and_joined(kind: str) -> None:
    command, _, body = codec.split(CAPTURED[kind])
    assert codec.join(command, body) == CAPTURED[kind]
    assert "errors" not in decode(CAPTURED[kind])


def test_the_captured_result_is_built_byte_for_byte() -> None:
    card = replace(card_named("mastercard"), pan="5598830000008074", expiry="2405")
    outcome = answers.Outcome(
        result=0,
        when=datetime(2023, 4, 5, 22, 55, 58),
        terminal_id=52523535,
        vu_number="804011926",
        currency=978,
        amount_minor=2500,
        receipt=231,
        trace=975,
        authorisation="750071",
        card=card,
    )
    assert answers.status_information(outcome) == CAPTURED["040F after reservation"]


def test_the_captured_print_block_is_built_byte_for_byte() -> None:
    lines = decode(CAPTURED["06D3 print block"])["lines"]
    assert len(lines) == 33
    assert printing.block(lines, printing.CUSTOMER) == CAPTURED["06D3 print block"]


def test_decoder_gives_the_fields_of_the_captures() -> None:
    told = decode(CAPTURED["040F after reservation"])
    wanted = {
        "command": "040F",
        "result": 0,
        "amount_minor": 2500,
        "currency": 978,
        "receipt": 231,
        "trace": 975,
        "terminal_id": "52523535",
        "pan": "559883******8074",
        "card_name": "MasterCard",
        "expiry": "2405",
        "date": "0405",
        "time": "225558",
        "payment_type": 96,
        "aid": "750071",
    }
    assert {key: told[key] for key in wanted} == wanted
    told = decode(CAPTURED["060F completion"])
    assert (told["status_byte"], told["terminal_id"], told["currency"]) == (16, "52523535", 978)
    told = decode(CAPTURED["0600 registration"])
    assert (told["password"], told["config"], told["currency"]) == ("123456", 0xDE, 978)
    assert decode(CAPTURED["0650 end of day"])["password"] == "123456"
    told = decode(CAPTURED["061E to 0623 87FFFF"])
    assert (told["result"], told["receipt"]) == (0xB8, "FFFF")
    assert decode(CAPTURED["040F after ReadCard"])["aid"] == "a0000000041010"
    assert decode(CAPTURED["0623 partial reversal"])["amount_minor"] == 1295


def test_decoder_reads_end_of_day_totals_and_several_holds() -> None:
    totals = answers.totals(233, 234, {"mastercard": (2, 958)})
    told = decode(codec.join(0x040F, f.bmp(0x27, b"\0") + f.bmp(0x04, 958) + totals))
    assert (told["receipts"], told["total_minor"]) == ([233, 234], 958)
    told = decode(codec.join(0x061E, b"\xb8" + answers.pending([2, 3], tlv=True)))
    assert (told["receipt"], told["receipts"]) == (2, [2, 3])


@pytest.mark.parametrize(
    ("data", "offset", "reason"),
    [
        ("0622", 2, "an APDU has at least three bytes"),
        ("06220401", 2, "the length field says 7 bytes in all, there are 4"),
        ("06220107", 3, "unknown bitmap 07"),
        ("0622030400 00", 3, "bitmap 04 needs 6 bytes, 2 are left"),
        ("06220704ffffffffffff", 4, "FFFFFFFFFFFF is not BCD"),
        ("040f02221f", 4, "the length of a bitmap is cut off"),
        ("040f03221ff0", 4, "1F is not a length digit F0 to F9"),
        ("040f0406024c05", 5, "TLV 4C needs 5 bytes, 0 are left"),
        ("040f0306011f", 6, "a TLV tag is cut off"),
        ("040f0306014c", 6, "a TLV length is missing"),
    ],
)
def test_errors_say_where_and_why(data: str, offset: int, reason: str) -> None:
    errors = decode(bytes.fromhex(data))["errors"]
    assert {"offset": offset, "reason": reason} in errors


def test_no_card_number_leaves_the_decoder() -> None:
    pan, track2 = "4111111111111111", "4111111111111111D30122010000000000"
    body = f.bmp(0x22, f.pan_bytes(pan, masked=False)) + f.bmp(0x23, bytes.fromhex(track2))
    body += f.bmp(0x3C, b"CARD 4111111111111111 MR TEST")
    body += f.container(f.tlv(0x25, f.tlv(0x07, b"4111111111111111")))
    apdu = codec.join(0x040F, body)
    told = (
        json.dumps(decode(apdu))
        + masked_hex(apdu)
        + bytes.fromhex(masked_hex(apdu)).decode("latin-1")
    )
    assert "411111******1111" in told
    for secret in ("111111111111", "11111111D", "3D30122", b"1111111111".hex()):
        assert secret not in told
    only_track = codec.join(0x040F, f.bmp(0x23, bytes.fromhex(track2)))
    assert decode(only_track)["pan"] == "411111******1111"


@pytest.mark.parametrize("pan", ["378282246310005", "4111111111111111", "6725900000000000007"])
def test_masked_numbers_keep_six_and_four(pan: str) -> None:
    sent = f.pan_bytes(pan, masked=True)
    hidden = pan[:6] + "*" * (len(pan) - 10) + pan[-4:]
    assert f.pan_text(sent) == f.pan_text(f.pan_bytes(pan, masked=False)) == hidden


def test_every_card_s_number_is_valid_and_every_result_has_words() -> None:
    for card in CARDS.values():
        assert card.result in RESULTS
        digits = [int(d) for d in reversed(card.pan)]
        total = sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits))
        assert total % 10 == 0, card.name


@given(st.binary(max_size=300))
def test_noise_gives_only_the_declared_error(data: bytes) -> None:
    assert isinstance(decode(data), dict) and isinstance(decode_frame(data), dict)
    assert isinstance(masked_hex(data), str)
    Deframer().feed(data)
    for start in range(0, min(len(data), 8)):
        try:
            f.parse(data[start:])
        except CodecError as exc:
            assert exc.reason and exc.offset >= 0


@given(st.binary(max_size=600), st.integers(0, 0xFFFF))
def test_any_apdu_survives_the_line(body: bytes, command: int) -> None:
    apdu = codec.join(command, body)
    assert codec.frame(apdu) == framed(apdu)
    signs = Deframer().feed(b"\xff\x06" + codec.frame(apdu) + b"\x15")
    assert [item.sign for item in signs] == [Sign.ACK, Sign.FRAME, Sign.NAK]
    assert codec.split(signs[1].apdu)[::2] == (command, body)


def test_decode_command_prints_json() -> None:
    told = CliRunner().invoke(app, ["zvt", "decode", "--serial", "10 02 80 00 00 10 03 F5 1F"])
    assert told.exit_code == 0
    assert json.loads(told.stdout) == {"command": "8000", "name": "acknowledge"}
    told = CliRunner().invoke(app, ["zvt", "decode", "06xx"])
    assert told.exit_code == 1
    assert json.loads(told.stdout)["errors"] == [
        {"offset": 1, "reason": "'x' is not a hexadecimal digit"}
    ]


def test_help_lists_cards_faults_and_commands() -> None:
    told = CliRunner().invoke(app, ["terminal", "--help"], env={"COLUMNS": "200"}).stdout
    for name in [*CARDS, *FAULTS, *PROFILES]:
        assert name in told
    told = CliRunner().invoke(app, ["zvt", "talk", "--help"], env={"COLUMNS": "200"}).stdout
    assert "pending" in told and "end-of-day" in told
