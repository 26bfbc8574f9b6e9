"""Provisioning: a key that stays on the charger, a certificate that fits it, files the firmware
takes, and no secret in anything that is printed.
"""

import datetime
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from board.host_flash import FileFlash
from hostsim.commission import DEFAULT_TARIFF
from hostsim.pki import Pki, PkiError
from hostsim.technician import keys, provision, sign
from hostsim.technician.link import TechnicianError
from tests.pure.test_ledger_ring import ledger_on
from tests.technician.technician_rig import FolderLink
from tests.technician.test_technician_flash import append

CONFIG = {"mqtt": {"host": "broker.example"}, "supplier": {"name": "Yard"}}
COMMAND_KEY = "0123456789abcdef" * 4


class Authority:
    """A certificate authority that signs requests."""

    def __init__(self, name: str = "Test CA") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.cert = self._issue(self.name, self.key.public_key(), 10)

    def _issue(self, name: x509.Name, key: object, days: int) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        start = now - datetime.timedelta(days=20)
        end = now + datetime.timedelta(days=days)
        number = x509.random_serial_number()
        made = x509.CertificateBuilder(self.name, name, key, number, start, end)  # type: ignore[arg-type]
        return made.sign(self.key, hashes.SHA256())

    def sign(self, request: Path, folder: Path, days: int = 400, name: str = "") -> Path:
        csr = x509.load_pem_x509_csr(request.read_bytes())
        assert csr.is_signature_valid
        subject = csr.subject
        if name:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        path = folder / "cert.pem"
        issued = self._issue(subject, csr.public_key(), days)
        path.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        return path

    def write(self, folder: Path) -> Path:
        path = folder / "ca.pem"
        path.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))
        return path


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where requests are left."""
    monkeypatch.setattr(provision, "FOLDER", tmp_path / "left")
    return tmp_path / "left"


@pytest.fixture
def run(tmp_path: Path, left: Path, monkeypatch: pytest.MonkeyPatch):
    """`make provision` on a flashed board in a folder; gives the exit code."""
    board = tmp_path / "board"
    (board / "files").mkdir(parents=True)
    (board / "files" / "board.txt").write_text("w5500_evb_pico")
    monkeypatch.setattr(provision, "Link", lambda port: FolderLink(board))

    def go(*words: object) -> int:
        return provision.main(["", "port", "FC-0042", *map(str, words)])

    return go


def config_file(folder: Path, **changes: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(CONFIG | changes))
    return path


def on_board(tmp_path: Path, name: str) -> bytes:
    return (tmp_path / "board" / "files" / name).read_bytes()


def test_first_run_makes_key_request_and_configuration_second_one_puts_the_certificate_in(
    tmp_path: Path, left: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    ca = Authority()
    first = run("--CONFIG", config_file(tmp_path), "--TARIFF", DEFAULT_TARIFF)
    said = capsys.readouterr()
    assert first == 0, said.err
    assert "STILL MISSING: charger.crt" in said.out and "STILL MISSING: ca.crt" in said.out
    key = on_board(tmp_path, "charger.key")
    private = serialization.load_der_private_key(key, None)
    request = x509.load_pem_x509_csr((left / "FC-0042.csr").read_bytes())
    assert request.public_key() == private.public_key()
    assert request.subject.rfc4514_string() == "CN=FC-0042"
    config = json.loads(on_board(tmp_path, "config.json"))
    assert config["charger"] == "FC-0042" and len(config["salt"]) == 32
    assert on_board(tmp_path, "tariff.json") == DEFAULT_TARIFF.read_bytes()
    command = left / "FC-0042.command-key"
    assert command.read_text() == config["mqtt"]["command_key"]
    assert stat.S_IMODE(command.stat().st_mode) == 0o600

    cert = ca.sign(left / "FC-0042.csr", tmp_path)
    assert run("--CERT", cert, "--CA", ca.write(tmp_path)) == 0
    said = capsys.readouterr()
    assert "certificate for FC-0042, valid until" in said.out and "MISSING: slot" in said.out
    assert on_board(tmp_path, "charger.key") == key, "the key stays"
    assert json.loads(on_board(tmp_path, "config.json")) == config, "the configuration too"
    installed = x509.load_der_x509_certificate(on_board(tmp_path, "charger.crt"))
    assert installed.public_key() == private.public_key()
    assert x509.load_der_x509_certificate(on_board(tmp_path, "ca.crt")) == ca.cert


def test_board_without_network_misses_no_certificate(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "board" / "files" / "board.txt").write_text("pico")
    assert run("--CONFIG", config_file(tmp_path)) == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if "MISSING" in line] == [
        "  STILL MISSING: tariff.json", "  STILL MISSING: slot",
    ]  # fmt: skip


@pytest.mark.parametrize("body", [b"\xff\xfe\x00" * 11, b"hunter2"])
def test_command_key_that_is_none_is_refused_and_not_shown(
    body: bytes, tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "command.key"
    path.write_bytes(body)
    assert run("--CONFIG", config_file(tmp_path), "--COMMAND_KEY", path) == 1
    said = capsys.readouterr().err
    assert "not 64 lower-case hexadecimal digits" in said and "hunter2" not in said


def test_nothing_that_is_printed_or_left_is_a_secret(
    tmp_path: Path, left: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    key_file, wifi = tmp_path / "key", tmp_path / "wifi"
    key_file.write_text(COMMAND_KEY)
    wifi.write_text("yard\nvery-secret-words\n")
    assert run("--CONFIG", config_file(tmp_path, salt="salt-of-this-charger"), "--COMMAND_KEY",
               key_file, "--WIFI", wifi) == 0  # fmt: skip
    said = capsys.readouterr()
    printed = said.out + said.err
    key = on_board(tmp_path, "charger.key")
    number = serialization.load_der_private_key(key, None).private_numbers().private_value  # type: ignore[union-attr]
    words = (COMMAND_KEY, "very-secret-words", "salt-of-this-charger", key.hex(), str(number))
    assert [secret for secret in words if secret in printed] == []
    assert on_board(tmp_path, "wifi.txt") == b"yard\nvery-secret-words\n"
    assert json.loads(on_board(tmp_path, "config.json"))["mqtt"]["command_key"] == COMMAND_KEY
    assert [path.name for path in left.iterdir()] == ["FC-0042.csr"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hold_minor": -1}, "config: hold_minor must be a whole number"),
        ({"mqtt": {}}, "config: mqtt.host must be given"),
        ({"salt": "hunter2"}, "config: salt must be text of 8 to 64"),
        ({"colour": "red"}, "config: colour is not a field"),
        ({"currency": "SEK"}, "tariff: currency must be SEK"),
        ({"time_zone": "Mars"}, "config: time_zone"),
        ({"charger": "FC-0001"}, "for another charger than FC-0042"),
    ],
)
def test_files_the_firmware_would_refuse_are_refused_before_anything_is_written(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str], changes: dict, says: str
) -> None:
    path = config_file(tmp_path, **changes)
    assert run("--CONFIG", path, "--TARIFF", DEFAULT_TARIFF) == 1
    said = capsys.readouterr().err
    assert says in said and "hunter2" not in said
    assert [p.name for p in (tmp_path / "board" / "files").iterdir()] == ["board.txt"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("other key", "for another key than this charger's"),
        ("other name", "is for ['FC-0001'], not for FC-0042"),
        ("other CA", "not issued by this CA"),
        ("over", "valid from"),
        ("no certificate", "is no certificate"),
    ],
)
def test_certificate_the_charger_could_not_use_is_refused(
    tmp_path: Path, left: Path, run, capsys: pytest.CaptureFixture[str], fault: str, says: str
) -> None:
    ca = Authority()
    assert run("--CONFIG", config_file(tmp_path)) == 0
    days = -10 if fault == "over" else 400
    name = "FC-0001" if fault == "other name" else ""
    cert = ca.sign(left / "FC-0042.csr", tmp_path, days, name)
    trusted = (Authority("Test CA") if fault == "other CA" else ca).write(tmp_path)
    more = ["--new-key"] if fault == "other key" else []
    if fault == "no certificate":
        cert.write_text("hello")
    capsys.readouterr()
    assert run("--CERT", cert, "--CA", trusted, *more) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "board" / "files" / "charger.crt").exists()


def test_board_without_firmware_and_bad_names_are_refused(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "board" / "files" / "board.txt").unlink()
    assert run("--CONFIG", config_file(tmp_path)) == 1
    assert "make flash comes first" in capsys.readouterr().err
    assert provision.main(["", "port", "no/good"]) == 1
    assert "ID is 1 to 32" in capsys.readouterr().err


def test_wifi_file_is_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "wifi"
    path.write_text("yard\nshort\n")
    with pytest.raises(TechnicianError, match="8 to 63") as e:
        provision.wifi_of(path)
    assert "short" not in str(e.value)
    path.write_text("yard\n")
    with pytest.raises(TechnicianError, match="line 2 its password"):
        provision.wifi_of(path)
    path.write_text("yard\n\n")
    assert provision.wifi_of(path) == b"yard\n\n"


def test_request_is_signed_by_the_authority_of_the_broker_and_the_certificate_goes_in(
    tmp_path: Path, left: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--CONFIG", config_file(tmp_path), "--TARIFF", DEFAULT_TARIFF) == 0
    capsys.readouterr()
    assert sign.main([str(tmp_path / "pki"), str(left / "FC-0042.csr")]) == 0
    said = dict(word.split("=") for word in capsys.readouterr().out.split())
    words = [part for name, value in said.items() for part in (f"--{name}", value)]
    assert run(*words) == 0
    key = (tmp_path / "pki" / "FC-0042" / "command.key").read_text()
    assert json.loads(on_board(tmp_path, "config.json"))["mqtt"]["command_key"] == key
    assert key not in capsys.readouterr().out


def test_authority_signs_no_name_of_the_systems_own(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    for name in ("broker", "ca", "a b"):
        with pytest.raises(PkiError, match="no charger's name"):
            pki.sign(keys.request(keys.new_key(), name))
    with pytest.raises(PkiError, match="no certificate request"):
        pki.sign(b"hello")


def test_tariff_of_an_open_session_is_not_taken_away(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_file(tmp_path)
    book = ledger_on(FileFlash(str(tmp_path / "board" / "flash.bin"), 64))
    append(book, "hold_asked", hold_minor=6000, currency="EUR")
    assert run("--CONFIG", config, "--TARIFF", DEFAULT_TARIFF) == 1
    assert "session 1 is open and needs the tariff" in capsys.readouterr().err
    assert not (tmp_path / "board" / "files" / "tariff.json").exists()
    assert run("--CONFIG", config) == 0
    append(book, "declined", code=5)
    assert run("--TARIFF", DEFAULT_TARIFF) == 0
    assert on_board(tmp_path, "tariff.json") == DEFAULT_TARIFF.read_bytes()


def test_configuration_of_an_open_session_stays_unless_the_charger_cannot_start_with_it(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--CONFIG", config_file(tmp_path)) == 0
    before = on_board(tmp_path, "config.json")
    book = ledger_on(FileFlash(str(tmp_path / "board" / "flash.bin"), 64))
    append(book, "hold_asked", hold_minor=6000, currency="EUR")
    other = config_file(tmp_path, currency="SEK")
    assert run("--CONFIG", other) == 1
    said = capsys.readouterr().err
    assert "session 1 is open and needs the configuration" in said and "leave CONFIG out" in said
    assert on_board(tmp_path, "config.json") == before
    assert run("--WIFI", _wifi(tmp_path)) == 0, "what the session does not need"
    (tmp_path / "board" / "files" / "config.json").write_text(json.dumps({"hold_minor": -1}))
    assert run("--CONFIG", config_file(tmp_path)) == 0, "without it nothing settles the session"
    append(book, "declined", code=5)
    assert run("--CONFIG", config_file(tmp_path, currency="SEK")) == 0


def test_configuration_that_the_stored_tariff_does_not_fit_is_refused(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--CONFIG", config_file(tmp_path), "--TARIFF", DEFAULT_TARIFF) == 0
    before = on_board(tmp_path, "config.json")
    capsys.readouterr()
    swedish = config_file(tmp_path, currency="SEK")
    assert run("--CONFIG", swedish) == 1
    said = capsys.readouterr().err
    assert "tariff it has: tariff: currency must be SEK" in said and "Give TARIFF=file" in said
    assert on_board(tmp_path, "config.json") == before
    text = DEFAULT_TARIFF.read_text().replace('"EUR"', '"SEK"')
    assert text != DEFAULT_TARIFF.read_text()
    tariff = tmp_path / "sek.json"
    tariff.write_text(text)
    assert run("--CONFIG", swedish, "--TARIFF", tariff) == 0


def test_new_key_means_both_keys_and_the_command_key_is_left_for_the_back_office(
    run, left: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    given = tmp_path / "command.key"
    given.write_text(COMMAND_KEY)
    files = tmp_path / "board" / "files"

    def keys_there() -> tuple[bytes, str]:
        there = json.loads((files / "config.json").read_text())
        return (files / "charger.key").read_bytes(), there["mqtt"]["command_key"]

    assert run("--CONFIG", config, "--COMMAND_KEY", given) == 0
    first = keys_there()
    assert first[1] == COMMAND_KEY
    assert run("--WIFI", _wifi(tmp_path)) == 0
    assert keys_there() == first, "what is not given stays"
    assert run("--new-key") == 0
    second = keys_there()
    assert second[0] != first[0] and second[1] != first[1]
    assert (left / "FC-0042.command-key").read_text() == second[1]
    assert run("--new-key", "--COMMAND_KEY", given) == 0
    assert keys_there()[1] == COMMAND_KEY
    assert run("--new-key", "--CONFIG", config) == 0
    assert keys_there()[1] not in (COMMAND_KEY, second[1])


def _wifi(folder: Path) -> Path:
    path = folder / "wifi"
    path.write_text("Yard\n12345678\n")
    return path
