"""Memory is short on a charger: what is needed only now and then (reading a tariff, closing a
bill) is entered when needed and left again.
"""

import sys


def leave(*names: str) -> None:
    """Give back the memory of modules of this room that nobody holds; MicroPython only."""
    if sys.implementation.name != "micropython":
        return
    for name in names:
        package, _, last = name.rpartition(".")
        if sys.modules.pop(name, None) and package:  # linked modules lie in none
            delattr(sys.modules[package], last)
