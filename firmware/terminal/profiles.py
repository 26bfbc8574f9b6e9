"""What differs between terminal families, as data. A profile is chosen by name in the
configuration.

capture "release": 0623 with the amount to give back; "use": 0624 with the amount used
(facts/zvt.md, "Commands"). config registration's config byte; DE: we print, we want intermediate
status, amounts and administration are ours. partial 1: TLV 1F70 is sent, a smaller approved
amount is accepted (BMP 04 of the answer). mirror 1: TLV 1F1F carries the last receipt number, so
that the terminal can reverse a lost transaction. extend 1: open reservations can be extended; the
first one is marked TLV 1F06 = 02. baud of the serial line (8N2). Sources: EVerest's payment
module for Feig, acquirers' integration notes for CCV; neither was tried on a device yet.
"""

from firmware.errors import ConfigError

_ROWS = {
    "feig-cvend": ("release", 0xDE, 1, 1, 1, 115200),
    "ccv-opm-c60": ("use", 0xDE, 0, 0, 0, 9600),
    "generic": ("release", 0xDE, 0, 1, 1, 9600),
}


class Profile:
    """One family; see the module's text for the attributes."""

    def __init__(self, name: str, row: tuple) -> None:
        self.name = name
        self.capture, self.config, self.partial, self.mirror, self.extend, self.baud = row


def load(name: str) -> Profile:
    """The profile of that name, with or without its maker; ConfigError when there is none."""
    for known, row in _ROWS.items():
        if known == name or known.endswith("-" + name):
            return Profile(known, row)
    raise ConfigError("terminal.profile", "one of " + ", ".join(sorted(_ROWS)), name)
