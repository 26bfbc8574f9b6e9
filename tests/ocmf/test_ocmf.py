"""Signed meter values: the records SAFE-eV publishes, and what is done to them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from hostsim.__main__ import app

CASES = json.loads((Path(__file__).parents[1] / "cases" / "ocmf" / "records.json").read_text())[
    "records"
]
IDS = [f"{one['file']}-{index}" for index, one in enumerate(CASES)]
KEY = ec.generate_private_key(ec.SECP256R1())
NUMBERS = KEY.public_key().public_numbers()
POINT = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()
READING: dict[str, Any] = {
    "TM": "2026-05-01T10:00:00,000+0200 S", "TX": "B", "RV": "@1.25@", "RI": "1-b:1.8.0",
    "RU": "kWh", "EF": "", "ST": "G",
}  # fmt: skip
PAYLOAD: dict[str, Any] = {
    "FV": "1.0", "GI": "G", "GS": "7", "PG": "T4", "MV": "Maker", "MM": "M1", "MS": "0012",
    "IS": False, "IT": "NONE", "RD": [READING],
}  # fmt: skip


def check(text: str | bytes, key: str = "", *more: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, JSON (empty where there is none), stderr."""
    words = ["ocmf", "check", "-", "--json", *(["--key", key] if key else []), *more]
    done = CliRunner().invoke(app, words, input=text)
    return done.exit_code, json.loads(done.stdout) if done.stdout else {}, done.stderr


def signed(payload: dict[str, Any], **more: str) -> str:
    """A record by KEY; text between @ is written as a number."""
    text = json.dumps(payload).replace('"@', "").replace('@"', "")
    data = KEY.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    sd = base64.b64encode(data).decode() if more.get("SE") == "base64" else data.hex()
    return f"OCMF|{text}|{json.dumps({'SD': sd} | more)}"


def reading(**changed: Any) -> dict[str, Any]:
    return {k: v for k, v in {**READING, **changed}.items() if v is not None}


def end(**changed: Any) -> str:
    """The record that ends PAYLOAD's session."""
    last = reading(TM="2026-05-01T11:00:00,000+0200 R", TX="E", RV="@3.1000@")
    return signed({**PAYLOAD, "PG": "T5", "RD": [last], **changed})


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_published_record_verifies_as_it_says(case: dict[str, Any]) -> None:
    code, found, _ = check(case["ocmf"], case["public_key"])
    assert (code, found["valid"]) == ((0, True) if case["valid"] else (1, False)), found
    code, found, _ = check(case["ocmf"])
    assert (code, found["valid"]) == (1, None) and "no key" in found["reason"]


@pytest.mark.parametrize("case", [one for one in CASES if one["valid"]])
def test_a_published_record_that_was_changed_does_not_verify(case: dict[str, Any]) -> None:
    changed = re.sub(r'("FV" ?: ?"\d)\.', r"\g<1>9.", case["ocmf"])
    assert changed != case["ocmf"]
    code, found, _ = check(changed, case["public_key"])
    assert (code, found["valid"]) == (1, False) and "not this key's" in found["reason"]
    spaced = case["ocmf"].replace("{", "{ ", 1)
    assert check(spaced, case["public_key"])[0] == 1


@pytest.mark.parametrize(
    "file",
    [
        "20211007-device-with-evt-ocmf-sss-ses.xml", "OCMF_Test_Data_00.xml", "ocmf_sec.xml",
        "brainpoolP256r1.xml", "nistP384_0Wh.xml", "test_ocmf_ebee_01.xml",
    ],
)  # fmt: skip
def test_two_published_records_are_a_session(file: str) -> None:
    both = [one for one in CASES if one["file"] == file]
    text = "\n".join(one["ocmf"] for one in both)
    code, found, _ = check(text, both[0]["public_key"])
    assert code == 0 and found["valid"] is True and found["energy_wh"] == 0
    assert len(found["readings"]) >= 2 and len(found["pagination"]) == 2
    if "20211007" in file:
        assert "EF Et says energy is not usable" in " ".join(found["notes"])


def test_both_ends_in_one_record_are_a_session_too() -> None:
    case = next(one for one in CASES if one["file"] == "test_ocmf_keba_kcp30.xml")
    done = CliRunner().invoke(app, ["ocmf", "check", "-", "--json", "--key", case["public_key"]],
                              input=case["ocmf"])  # fmt: skip
    assert '"energy_wh": 0.1,' in done.stdout and '"RV": "0.2597"' in done.stdout
    assert '"sync": "R"' in done.stdout and '"serial": "17619300"' in done.stdout


def test_a_session_of_two_records_gives_its_exact_energy(tmp_path: Path) -> None:
    file, key = tmp_path / "s.ocmf", tmp_path / "key"
    file.write_text(signed(PAYLOAD) + "\n" + end() + "\n")
    key.write_bytes(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    done = CliRunner().invoke(app, ["ocmf", "check", str(file), "--key", str(key)])
    assert done.exit_code == 0 and done.stdout.startswith("valid\nmeter Maker M1, serial 0012")
    assert "energy 1850 Wh" in done.stdout and "3.1000 kWh" in done.stdout
    assert "T4 to T5" in done.stdout and "relative" in done.stdout


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"MS": "0013"}, "serial numbers differ: 0012 and 0013"),
        ({"GS": "8"}, "GS differs"),
        ({"PG": "T4"}, "pagination does not rise: T4 and T4"),
        ({"PG": "F5"}, "pagination does not rise"),
        ({"RD": [READING]}, "ends nothing"),
        ({"RD": [READING, reading(TX="E", RV="@30@")]}, "second record begins something as well"),
        ({"RD": [reading(TX="E", RI="1-b:2.8.0")]}, "no reading ends what one begins"),
        ({"RD": [reading(TX="E", RV="@1.2@")]}, "the register falls: 1.25 kWh and 1.2 kWh"),
    ],
)
def test_two_records_that_are_no_session_are_not_valid(
    changed: dict[str, Any], reason: str
) -> None:
    code, found, _ = check(signed(PAYLOAD) + end(**changed), POINT)
    assert (code, found["valid"], found["energy_wh"]) == (1, False, None)
    assert reason in found["reason"]


def test_a_first_record_that_is_a_whole_session_is_no_begin() -> None:
    whole = signed({**PAYLOAD, "RD": [reading(RV="@0@"), reading(TX="E", RV="@10@")]})
    code, found, _ = check(whole + end(), POINT)
    assert (code, found["energy_wh"]) == (1, None)
    assert "first record ends something as well" in found["reason"]


@pytest.mark.parametrize(
    ("ends", "energy", "said"),
    [
        ("E100 B100 E130", 30000, ""),
        ("E100 B100", None, ""),
        ("B100 E110 E130", 10000, "2 readings end RI"),
        ("B0 E10 B10 E30", None, "more than one reading begins"),
    ],
)
def test_in_one_record_the_end_comes_after_the_begin(
    ends: str, energy: int | None, said: str
) -> None:
    readings = [reading(TX=one[0], RV=f"@{one[1:]}@") for one in ends.split()]
    found = check(signed({**PAYLOAD, "RD": readings}), POINT)[1]
    assert found["energy_wh"] == energy
    assert said in found["reason"] + " ".join(found["notes"])
    assert found["valid"] is not said.startswith("more")


def test_units_and_tails_of_a_session(tmp_path: Path) -> None:
    last = reading(TX="L", RV="@1250.3@", RU="Wh", ST="M")
    found = check(signed(PAYLOAD) + end(RD=[last]), POINT)[1]
    assert found["energy_wh"] == 0.3 and "ST is M" in " ".join(found["notes"])
    left_out = {"TM": "2026-05-01T11:00:00,000+0200 S", "TX": "P", "RV": "@2@"}
    found = check(signed({**PAYLOAD, "RD": [READING, left_out], "Q1": 1}), POINT)[1]
    assert found["energy_wh"] == 750 and found["readings"][1]["RI"] == "1-b:1.8.0"
    assert "Q1: is no field" in found["notes"][0]


@pytest.mark.parametrize(
    "key",
    [
        POINT, POINT[2:], f"{2 + (NUMBERS.y & 1):02x}{NUMBERS.x:064x}",
        base64.b64encode(bytes.fromhex(POINT)).decode(), "0x" + POINT.upper(),
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        base64.b64encode(
            KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode(),
    ],
    # the key is another one in each worker
    ids=["point", "without 04", "compressed", "base64", "0x", "PEM", "DER"],
)  # fmt: skip
def test_a_key_may_have_every_usual_form(key: str) -> None:
    assert check(signed(PAYLOAD, SE="base64", SA="ECDSA-secp256r1-SHA256"), key)[0] == 0


def test_another_key_or_curve_is_not_valid_and_says_so() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = other.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()
    code, found, _ = check(signed(PAYLOAD), point)
    assert code == 1 and "not this key's" in found["reason"]
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    spki = p384.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()
    assert "is of secp384r1" in check(signed(PAYLOAD), spki)[1]["reason"]
    broken = signed(PAYLOAD, SD="00ff")
    assert check(broken, POINT)[:1] == (1,)
    assert "no DER" in check(broken, POINT)[1]["reason"]


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("", "", "file: is empty"),
        ("OCMX|{}|{}", "", "header: must be OCMF"),
        ("OCMF|{}", "", "record: must be OCMF|payload|signature"),
        ("OCMF|{|{}", "", "payload: must be JSON"),
        ('OCMF|{"FV":"1.0","FV":"1.0"}|{}', "", "payload.FV: is given twice"),
        (signed(PAYLOAD) + " x", "", "signature: must be one JSON object"),
        (signed(PAYLOAD) * 3, "", "file: must hold one record"),
        (b"OCMF|{\"\xff\":1}|{}", "", "payload: must be UTF-8"),
        (signed({**PAYLOAD, "PG": "T04"}), "", "PG: must be T or F"),
        (signed({**PAYLOAD, "FV": "one"}), "", "FV: must be a version"),
        (signed({**PAYLOAD, "MS": "\ud800"}), "", "payload.MS: has half of a surrogate pair"),
        (signed({**PAYLOAD, "IF": ["\ud800"]}), "", "payload.IF: has half of"),
        (signed({**PAYLOAD, "\ud800": 1}), "", "payload.\\ud800: has half of"),
        ('OCMF|"\\ud800"|{}', "", "payload: must be one JSON object (given \\ud800)"),
        (signed({**PAYLOAD, "RD": [reading(RV="\u0661\u0662")]}), "", "RD[0].RV: must be a dec"),
        (signed({**PAYLOAD, "MS": "", "GS": ""}), "", "MS: must be given"),
        (signed({**PAYLOAD, "IS": "no"}), "", "IS: must be true or false"),
        (signed({**PAYLOAD, "MV": "@5@"}), "", "MV: must be a text (given 5)"),
        (signed({**PAYLOAD, "RD": []}), "", "RD: must be a list"),
        (signed({**PAYLOAD, "RD": [reading(TM="2026-05-01 10:00")]}), "", "RD[0].TM: must be"),
        (signed({**PAYLOAD, "RD": [reading(TM="2026-02-30T10:00:00,000+0200 S")]}), "",
         "RD[0].TM: is no time"),
        (signed({**PAYLOAD, "RD": [reading(TX="Q")]}), "", "RD[0].TX: must be one of"),
        (signed({**PAYLOAD, "RD": [reading(RV="@1e3@")]}), "", "RD[0].RV: must be a decimal"),
        (signed({**PAYLOAD, "RD": [reading(RV=None)]}), "", "RD[0].RV: must be given"),
        (signed({**PAYLOAD, "RD": [reading(RU=None)]}), "", "RD[0].RU: must be given"),
        (signed({**PAYLOAD, "RD": [reading(ST="Q")]}), "", "RD[0].ST: must be a meter's"),
        (signed(PAYLOAD, SA="RSA"), POINT, "SA: must be one of ECDSA-brainpool256r1"),
        (signed(PAYLOAD, SE="octal"), "", "SE: must be hex or base64"),
        (signed(PAYLOAD, SD="xyz"), POINT, "SD: must be hex"),
        (signed(PAYLOAD, SM="text/plain"), "", "SM: must be application/x-der"),
        (signed(PAYLOAD), "zz!", "key: must be hexadecimal or base64"),
        (signed(PAYLOAD), "3003020101", "key: is no public key"),
        (signed(PAYLOAD), "04" + "11" * 64, "key: is no point of secp256r1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_field(
    text: str | bytes, key: str, reason: str
) -> None:
    code, found, err = check(text, key)
    assert code == 2 and found == {} and err.startswith(f"ocmf: {reason}"), err


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["ocmf", "check", str(tmp_path / "none")])
    assert done.exit_code == 2 and "none: cannot be read" in done.stderr
