"""What differs between terminals on the market, as data.

feig-cvend follows captures published with EVerest/zvt; ccv-opm-c60 and generic follow
facts/zvt.md and PA00P015, and wait for a real device.
"""

from __future__ import annotations

from dataclasses import dataclass

_MONEY = (0x0601, 0x0622, 0x0623, 0x0624, 0x0625, 0x0630, 0x0631, 0x0650)


@dataclass(frozen=True)
class Profile:
    """One make of terminal."""

    name: str
    software: str
    device: str
    terminal_id: int = 52523535
    vu_number: str = "804011926"
    password: int = 123456
    currency: int = 978
    status_byte: int = 0x10  # vending machine mode
    money: tuple[int, ...] = _MONEY
    releases: bool = True  # books by 0623; if not, 0623 is for the pending query only
    functions: bool = False  # 0FA1
    tlv_always: bool = False  # sends TLV although the registration had none
    blocks_always: bool = False  # prints by 06D3 although TLV 26 did not ask for it
    prints_reservation: bool = True
    turnover_number: bool = True  # BMP 88 in 040F
    version_always: bool = False  # status enquiry tells the software version unasked
    sets_clock: bool = True  # 0401 during diagnosis
    chars_per_line: int = 40
    max_hold_minor: int = 999999
    timezone: str = "Europe/Berlin"


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(name="generic", software="Forecourt-PT 1.0", device="generic PT"),
        Profile(
            name="feig-cvend",
            software="GER-APP-v2.0.9",
            device="cVEND plug",
            money=tuple(command for command in _MONEY if command != 0x0624),
            functions=True,
            tlv_always=True,
            blocks_always=True,
            prints_reservation=False,
            turnover_number=False,
            version_always=True,
        ),
        Profile(
            name="ccv-opm-c60",
            software="OPM-C60 1.0",
            device="OPM-C60",
            releases=False,
            chars_per_line=24,
        ),
    )
}


def profile_named(name: str) -> Profile:
    """Look a profile up by its name or a part of it that only one has; raises ValueError."""
    found = [profile for key, profile in PROFILES.items() if name == key or (name and name in key)]
    if len(found) != 1:
        raise ValueError(f"no profile {name!r}; there are {', '.join(PROFILES)}")
    return found[0]
