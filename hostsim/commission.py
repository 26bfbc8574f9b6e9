"""What a technician does to a charger before it is switched on: files and wiring."""

from __future__ import annotations

import contextlib
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from hostsim.charger import ChargerError
from hostsim.rfid import RFID_CARDS
from hostsim.setup import BUILD

if TYPE_CHECKING:
    from hostsim.world import World

FLEET_TARIFF = Path(__file__).with_name("data") / "fleet-tariff.json"
_TECHNICIAN = "technician"
DEFAULT_TARIFF = Path(__file__).with_name("data") / "tariff.json"
SUPPLIER = {
    "name": "Forecourt demo operator",
    "address": "Ladeweg 1, 10115 Berlin",
    "vat_id": "DE123456788",
    "helpline": "+49 30 0000000",
}
"""Who sells, on every receipt."""


def write_files(world: World) -> None:
    """Certificates, tariff and config.json, as a technician leaves them."""
    o = world.options
    assert world.back_office
    world.pki.charger(world.charger_id).install(world.files)
    tariff = world.files / "tariff.json"
    if o.tariff is not None or not tariff.exists():
        tariff.write_text(o.tariff if o.tariff is not None else DEFAULT_TARIFF.read_text())
    config = {
        "charger": world.charger_id,
        "evse_id": "DE*FCT*E" + world.charger_id.rpartition("-")[2] + "*1",
        "currency": _currency_of(tariff),
        "hold_minor": o.hold_minor,
        "min_hold_minor": min(100, o.hold_minor),
        "salt": _salt(world.files),
        "receipt_url": o.receipt_url,
        "mqtt": {
            "host": "127.0.0.1",
            "port": world.net.port if world.net else world.broker.port,
            "command_key": world.back_office.command_key(world.charger_id).hex(),
        },
        "supplier": SUPPLIER,
        "time_server": {"host": "127.0.0.1", "port": world.time_server.port},
    }
    if world.site.gateway is not None:
        config["pay_url"] = world.site.pages_url + "/pay"
        world.back_office.send_tariff(world.charger_id, tariff.read_bytes())  # its price page
    if o.rfid:
        enrol(world)
        config["cards"] = {"kinds": ["bank", "rfid"]}
    config.update(o.config or {})
    (world.files / "config.json").write_text(json.dumps(config, indent=1))


def _salt(files: Path) -> str:
    path = files / "salt"
    if not path.exists():
        path.write_text(secrets.token_hex(16))
    return path.read_text()


def environment(world: World) -> dict[str, str]:
    """Where the charger's process finds its world."""
    return {
        "FORECOURT_WORLD": world.evse.address,
        "FORECOURT_DIR": str(world.files),
        "FORECOURT_METER": world.meter.path,
        "FORECOURT_TERMINAL": world.terminal_line.path,
        "FORECOURT_FLASH_KIB": str(world.options.flash_kib),
        "FORECOURT_RFID": world.reader.path if world.reader is not None else "",
    }


def enrol(world: World) -> None:
    """The members of the cards there are to tap (hostsim.rfid), once."""
    assert world.back_office
    members = world.back_office.members
    if members.listed():
        return
    text = FLEET_TARIFF.read_text()
    members.put_tariff("FLEET", text, "EUR", by=_TECHNICIAN)
    for card in RFID_CARDS.values():
        if card.state == "unknown":
            continue
        if card.account not in [member["account"] for member in members.listed()]:
            members.add(card.account, by=_TECHNICIAN, tariff=card.tariff, name=card.account)
        expires_at = world.clock.now_ms() - 1000 if card.state == "expired" else 0
        members.add_card(card.account, card.uid, by=_TECHNICIAN, expires_at=expires_at)
        if card.state == "revoked":
            members.revoke(card.uid, by=_TECHNICIAN)


def _currency_of(tariff: Path) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        currency = json.loads(tariff.read_text()).get("currency")
        if isinstance(currency, str) and len(currency) == 3:
            return currency
    return "EUR"


def check_build(rom: bool) -> None:
    """Raises ChargerError when there is no firmware to run."""
    missing = BUILD / "rom.img" if rom else BUILD / "mpy" / "main.mpy"
    if not missing.exists():
        raise ChargerError(f"{missing} is missing: run `make build`")
