"""What a session costs: money, local time, OCPI tariffs, the live engine, the receipt.

Memory is short on a charger: what is needed only now and then (reading a tariff, closing a bill)
is entered when needed and left again.
"""

import sys


def leave(*names: str) -> None:
    """Give back the memory of modules of this package that nobody holds; MicroPython only."""
    if sys.implementation.name != "micropython":
        return
    package = sys.modules["firmware.pricing"]
    for name in names:
        if sys.modules.pop("firmware.pricing." + name, None):
            delattr(package, name)
