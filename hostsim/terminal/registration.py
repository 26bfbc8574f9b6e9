"""What the ECR said about itself at registration (0600). Source: PA00P015 2.1, config byte and
TLV tags 12, 1A, 26."""

from __future__ import annotations

from dataclasses import dataclass

from hostsim.terminal.fields import Fields, find_all

DEFAULT_MAX_APDU = 1024


@dataclass(frozen=True)
class Registration:
    """The ECR's wishes; the default is a terminal nobody registered with."""

    active: bool = False
    config: int = 0
    currency: int = 978
    tlv: bool = False
    blocks: bool = False
    max_apdu: int = DEFAULT_MAX_APDU
    width: int = 0  # characters per line, 0: not said

    @property
    def _prints_here(self) -> bool:
        return bool(self.config & 0x80)

    @property
    def prints_payment(self) -> bool:
        """The ECR prints payment receipts, from lines the terminal sends."""
        return bool(self.config & 0x02) and self._prints_here

    @property
    def prints_admin(self) -> bool:
        """The ECR prints administrative receipts, from lines the terminal sends."""
        return bool(self.config & 0x04) and self._prints_here

    @property
    def intermediate(self) -> bool:
        """The ECR wants 04FF."""
        return bool(self.config & 0x08)


def registration(config: int, currency: int, fields: Fields) -> Registration:
    """Read the TLV container of a registration."""
    longest = fields.tlv(0x1A)
    width = fields.tlv(0x12)
    commands = {item.value for item in find_all(fields.tlvs, 0x0A)}
    return Registration(
        active=True,
        config=config,
        currency=currency,
        tlv=fields.has_tlv,
        blocks=b"\x06\xd3" in commands,
        max_apdu=max(64, int.from_bytes(longest, "big")) if longest else DEFAULT_MAX_APDU,
        width=int.from_bytes(width, "big") if width else 0,
    )
