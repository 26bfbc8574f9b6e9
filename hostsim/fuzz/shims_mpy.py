# mypy: ignore-errors
"""Lets CPython import the firmware's parsers: what MicroPython brings and CPython lacks.

Nothing is done on MicroPython. The link's sockets and TLS are not fuzzed, only imported.
"""

import sys

if sys.implementation.name == "cpython":
    import asyncio
    import binascii
    import os
    import socket
    import struct
    import time
    import types

    def _module(name, **names):
        module = types.ModuleType(name)
        module.__dict__.update(names)
        sys.modules.setdefault(name, module)
        return module

    _root = os.environ["FORECOURT_ROOT"]
    sys.path += [_root, _root + "/build/lib"]  # last: its logging is MicroPython's
    _module("micropython", const=lambda value: value)
    _module("tls")
    asyncio.core = _module("asyncio.core")
    for _name, _same in (("usocket", socket), ("ustruct", struct), ("ubinascii", binascii)):
        sys.modules.setdefault(_name, _same)
    time.ticks_ms = lambda: time.monotonic_ns() // 1000000
    time.ticks_us = lambda: time.monotonic_ns() // 1000
    time.ticks_diff = lambda a, b: a - b
