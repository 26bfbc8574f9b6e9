"""meter.json: what firmware/meter/auto.py found, or how many searches found nothing. The file is
replaced whole.
"""

import json
import os

from micropython import const

_FILE = const("/meter.json")


def lost(files: str) -> None:
    """The kept meter is forgotten: the next start searches."""
    keep(files, {"missed": read(files).get("missed", 0) + 1})


def patience_s(files: str) -> int:
    """How long a meter may be away before the next search: a minute, twice as long after each
    search that found nothing, at most an hour.
    """
    return min(60 << min(read(files).get("missed", 0), 6), 3600)


def read(files: str) -> dict:
    """What the file says; {} when it is not there or not whole."""
    try:
        with open(files + _FILE) as f:
            kept = json.load(f)
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    if "model" in kept and not (
        isinstance(kept.get("line"), str) and isinstance(kept.get("unit"), int)
    ):
        return {}
    return kept


def keep(files: str, what: dict) -> None:
    fresh = files + _FILE + ".new"
    with open(fresh, "w") as f:
        json.dump(what, f)
    os.rename(fresh, files + _FILE)
