"""Runs under MicroPython: the firmware's meter profiles as one JSON array."""

import json
import sys

from firmware.meter import registers
from firmware.meter.profiles import load, names

TYPES = {
    registers.INT16: "int16",
    registers.UINT16: "uint16",
    registers.INT32: "int32",
    registers.UINT32: "uint32",
    registers.INT64: "int64",
    registers.UINT64: "uint64",
    registers.FLOAT32: "float32",
    registers.FLOAT64: "float64",
    registers.DECADE_U: "T5",
    registers.DECADE_S: "T6",
    registers.BCD32: "bcd32",
}


def entry(name):
    profile = load(name)
    by = {field.quantity: field for field in profile.fields}
    return {
        "model": name,
        "function_code": by["E"].function,
        "import_register": by["E"].address,
        "import_type": TYPES[by["E"].kind],
        "import_power_of_ten": by["E"].power,
        "word_order": "lsw_first" if profile.low_first else "msw_first",
        "power_register": by["P"].address,
        "power_function_code": by["P"].function,
        "power_type": TYPES[by["P"].kind],
        "resolution_wh": profile.resolution_wh,
        "serial_register": profile.serial.address if profile.serial else None,
        "serial_default": profile.line,
        "requests": [[g.function, g.address, g.count] for g in profile.groups],
    }


sys.stdout.write(json.dumps([entry(name) for name in names()]))
