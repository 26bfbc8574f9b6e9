"""`make provision PORT=y ID=z`: what makes a flashed board this charger.

    python -m hostsim.technician.provision BOARD PORT ID [--CONFIG FILE] [--TARIFF FILE]
        [--CA FILE] [--CERT FILE] [--COMMAND_KEY FILE] [--WIFI FILE] [--new-key]

Everything is checked before the first byte is written; all files are written aside and read back
by their hashes, then they take their places together. What is not given stays as it is on the
charger. Without a key there it is made, and the certificate request left in
build/provision/ID.csr; with --CERT and --CA the certificate is put in. The command key is 32 bytes
in hexadecimal; a new one is left in build/provision/ID.command-key for the back office, readable
by its owner only. No secret is printed. --new-key: both keys anew (the command key unless one is
given).

Interrupted anywhere, the charger has what it had or, once all was read back, what it was given,
and the next run mends it. A command key that is on its way lies in ID.command-key.new until the
charger has it: the next run asks the charger whether it has, so none is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from board import plan
from hostsim.setup import BUILD, MICROPYTHON, ROOT
from hostsim.technician import keys, ledger
from hostsim.technician.link import Link, TechnicianError
from hostsim.technician.say import ended, say

FOLDER = BUILD / "provision"
_CHECK = Path(__file__).with_name("check_mpy.py")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_KEY = re.compile(r"[0-9a-f]{64}")


def config_of(
    given: bytes | None, there: bytes | None, charger: str, command_key: str, new: bool = False
) -> dict[str, Any]:
    """The configuration to install: the file's, else the charger's own; name, salt and command
    key filled in. `new`: the charger's own command key is not kept. Raises TechnicianError.
    """
    before = _charger_own(there, given is not None)
    config = _object(given, "the config file") if given is not None else dict(before)
    if not config:
        raise TechnicianError("there is no configuration yet", "Give CONFIG=file.")
    if config.setdefault("charger", charger) != charger:
        raise TechnicianError(f"the configuration is for another charger than {charger}")
    if "salt" not in config:
        config["salt"] = before.get("salt") or secrets.token_hex(16)
    mqtt = dict(config.get("mqtt") or {})
    kept = (before.get("mqtt") or {}).get("command_key", "")
    asked = mqtt.get("command_key", "") if given is not None else ""
    if new:
        if asked == kept:  # the file is the one of before
            asked = ""
        kept = ""
    mqtt["command_key"] = command_key or asked or kept or secrets.token_hex(32)
    config["mqtt"] = mqtt
    return config


def _charger_own(there: bytes | None, spare: bool) -> dict[str, Any]:
    """`spare`: one that is damaged counts as none. Raises TechnicianError."""
    try:
        return _object(there, "config.json on the charger") if there else {}
    except TechnicianError:
        if spare:
            return {}
        raise


def command_key_of(config: bytes | None) -> str:
    """The one a charger with this configuration has, "" for none."""
    found = _charger_own(config, True)
    return str((found.get("mqtt") or {}).get("command_key", ""))


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise TechnicianError(f"{what} is not JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("mqtt", {}), dict):
        raise TechnicianError(f"{what} is not a configuration")
    return found


def refusal(config: bytes, tariff: bytes | None) -> str:
    """Why the firmware would not take them, without a value of theirs; "" when it would."""
    with tempfile.TemporaryDirectory(prefix="forecourt-provision-") as folder:
        names = [Path(folder) / "config.json"]
        names[0].write_bytes(config)
        names[0].chmod(0o600)
        if tariff is not None:
            names.append(Path(folder) / "tariff.json")
            names[1].write_bytes(tariff)
        done = subprocess.run(
            [str(MICROPYTHON), "-X", "heapsize=8m", str(_CHECK), *map(str, names)],
            env={"MICROPYPATH": f"{ROOT}:.frozen"},
            cwd=BUILD,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[-1] if lines else ""


def wifi_of(path: Path) -> bytes:
    """The network's name and password, a line each. Raises TechnicianError."""
    lines = _read(path).decode("utf-8", "replace").splitlines()
    if len(lines) < 2 or not 1 <= len(lines[0].encode()) <= 32:
        raise TechnicianError(f"{path}: line 1 is the network's name, line 2 its password")
    if lines[1] and not 8 <= len(lines[1]) <= 63:
        raise TechnicianError(f"{path}: a password has 8 to 63 characters")
    return f"{lines[0]}\n{lines[1]}\n".encode()


def _left(charger: str, name: str) -> Path:
    return FOLDER / f"{charger}.{name}"


def _write_own(path: Path, text: str) -> None:
    """Whole or not at all, for its owner only."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def finish(charger: str, kept: str) -> None:
    """`kept`: the command key the charger has. One that was on its way is the back office's from
    now on when that is it; else nobody has it.
    """
    waiting = _left(charger, "command-key.new")
    if not waiting.exists():
        return
    if waiting.read_text() != kept:
        waiting.unlink()
        return
    path = _left(charger, "command-key")
    waiting.replace(path)
    say(f"  the command key for the back office: {path}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TechnicianError(f"{path}: {error.strerror}") from error


def files_for(link: Link, given: argparse.Namespace) -> dict[str, bytes]:
    """Everything that is to be written, checked. Raises TechnicianError."""
    there = set(link.value(f"os.listdir({link.root + '/'!r})"))
    out: dict[str, bytes] = {}
    key = link.read("charger.key") if "charger.key" in there and not given.new_key else None
    if key is None:
        key = out["charger.key"] = keys.new_key()
    given.request = keys.request(key, given.id)
    _certificates(link, given, there, key, out)
    command_key = (
        _read(given.COMMAND_KEY).decode("ascii", "replace").strip() if given.COMMAND_KEY else ""
    )
    if command_key and not _KEY.fullmatch(command_key):
        raise TechnicianError(f"{given.COMMAND_KEY}: not 64 lower-case hexadecimal digits")
    before = link.read("config.json") if "config.json" in there else None
    kept = command_key_of(before)
    finish(given.id, kept)
    config = config_of(
        _read(given.CONFIG) if given.CONFIG else None,
        before,
        given.id,
        command_key,
        given.new_key,
    )
    new = config["mqtt"]["command_key"]
    given.command_key = "" if new in (kept, command_key) else new
    text = json.dumps(config, indent=1, ensure_ascii=False).encode()
    tariff = _read(given.TARIFF) if given.TARIFF else None
    why = refusal(text, tariff)
    if why:
        raise TechnicianError(f"the charger would refuse it: {why}")
    if text != before:
        out["config.json"] = text
    if tariff is not None:
        out["tariff.json"] = tariff
    elif "tariff.json" in there and "config.json" in out:
        _check_currency(text, link.read("tariff.json"))
    if "tariff.json" in out:
        check_free(link, "the tariff", "TARIFF")
    if given.CONFIG and "config.json" in out and before and not refusal(before, None):
        check_free(link, "the configuration", "CONFIG")
    if given.WIFI:
        out["wifi.txt"] = wifi_of(given.WIFI)
    return out


def _certificates(
    link: Link, given: argparse.Namespace, there: set[str], key: bytes, out: dict[str, bytes]
) -> None:
    if given.CA:
        out["ca.crt"] = keys.der_of(keys.read_certificate(given.CA))
    if not given.CERT:
        return
    if "ca.crt" not in out and "ca.crt" not in there:
        raise TechnicianError("the charger has no CA certificate", "Give CA=file.")
    with tempfile.TemporaryDirectory() as folder:
        ca = Path(folder) / "ca"
        ca.write_bytes(out.get("ca.crt") or link.read("ca.crt"))
        certificate = keys.read_certificate(given.CERT)
        until = keys.check(certificate, keys.read_certificate(ca), key, given.id)
    out["charger.crt"] = keys.der_of(certificate)
    say(f"  certificate for {given.id}, valid until {until}")


def _check_currency(config: bytes, tariff: bytes) -> None:
    """The tariff that stays has to fit. Raises TechnicianError."""
    why = refusal(config, tariff)
    if why.startswith("tariff: currency"):  # a tariff that is wrong otherwise was so before
        raise TechnicianError(
            f"the charger would refuse the tariff it has: {why}", "Give TARIFF=file with it."
        )


def check_free(link: Link, what: str, name: str) -> None:
    """A session that is open is billed by the tariff its driver accepted, and settled with the
    configuration it began with: they stay. Raises TechnicianError.
    """
    session = ledger.session_on(link, plan.load(ledger.board_of(link)))
    if session:
        raise TechnicianError(
            f"session {session} is open and needs {what} it began with",
            f"Take the jumper off and start the charger: it settles it. Or leave {name} out.",
        )


def install(link: Link, files: dict[str, bytes]) -> None:
    """All beside what is there, all read back; then they take their places in one breath, the
    configuration last, because with it the charger is one. Raises TechnicianError.
    """
    names = sorted(files, key=lambda name: (name == "config.json", name))
    link.put_together({name: files[name] for name in names})
    for name in names:
        say(f"  {name}: {len(files[name])} bytes, read back")


def _leave_behind(given: argparse.Namespace, files: dict[str, bytes]) -> None:
    """After the charger has it all."""
    request = _left(given.id, "csr")
    _write_own(request, given.request.decode())
    if "charger.key" in files:
        say(f"  a new key; have its request signed: {request}")
    finish(given.id, given.command_key)


def missing(link: Link) -> list[str]:
    """What a charger still needs before it can sell."""
    there = set(link.value(f"os.listdir({link.root + '/'!r})"))
    wanted = ["config.json", "tariff.json", "slot"]
    if plan.load(ledger.board_of(link))["network"]:
        wanted += ["ca.crt", "charger.crt", "charger.key"]
    return [name for name in wanted if name not in there]


def arguments_of(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hostsim.technician.provision")
    for name in ("board", "port", "id"):
        parser.add_argument(name)
    for name in ("CONFIG", "TARIFF", "CA", "CERT", "COMMAND_KEY", "WIFI"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--new-key", action="store_true")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    given = arguments_of(words)
    with ended():
        if not _ID.fullmatch(given.id):
            raise TechnicianError("ID is 1 to 32 of A-Z a-z 0-9 _ . -", "Give ID=...")
        with Link(given.port) as link:
            if not link.text("board.txt"):
                raise TechnicianError("this board has no firmware yet", "make flash comes first.")
            say(f"{link.port}: charger {given.id} on a {link.text('board.txt')}")
            files = files_for(link, given)
            if given.command_key:
                _write_own(_left(given.id, "command-key.new"), given.command_key)
            install(link, files)
            _leave_behind(given, files)
            for name in missing(link):
                say(f"  STILL MISSING: {name}")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
