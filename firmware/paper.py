"""Rooms that are needed rarely are entered and left again, so that their code is not kept in
memory:

    from firmware.config import parse      # inside the function that needs it
    cfg = parse(text)
    leave("firmware.config")
"""

import gc
import sys


def leave(*modules: str) -> None:
    """Gives the memory of modules back that nobody holds any more."""
    for name in modules:
        package, _, last = name.rpartition(".")
        if not sys.modules.pop(name, None) or not package:  # linked modules lie in none
            continue
        if hasattr(sys.modules[package], last):
            delattr(sys.modules[package], last)  # a package keeps its modules as attributes
    gc.collect()
