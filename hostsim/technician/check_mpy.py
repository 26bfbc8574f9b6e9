"""Runs under MicroPython: whether the firmware would take a configuration, and a tariff with it.

Usage: micropython check_mpy.py CONFIG [TARIFF]. Prints nothing when it would, else one line that
names the file, the field and what is wrong, never the value given: it may be a secret.
"""

import sys

from firmware.config import parse
from firmware.errors import ConfigError, TariffError
from firmware.pricing.tariff import Tariff
from firmware.usable import check


def _read(name):
    with open(name, "rb") as f:
        return f.read()


def main(config, tariff=""):
    """The line to print."""
    try:
        cfg = parse(_read(config))
        check(cfg)
    except ConfigError as e:
        return "config: %s %s" % (e.field, e.reason)
    if tariff:
        try:
            read = Tariff.from_json(_read(tariff))
        except TariffError as e:
            return "tariff: %s %s" % (e.field, e.reason)
        if read.currency != cfg.currency:
            return "tariff: currency must be %s, the charger's" % cfg.currency
    return ""


said = main(*sys.argv[1:])
if said:
    print(said)
    sys.exit(1)
