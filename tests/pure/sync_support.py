# What the pure sync tests need on CPython: umqtt from build/lib, MicroPython's names of modules,
# ticks.
import asyncio
import sys
import time

if sys.implementation.name == "micropython":
    if "build/lib" not in sys.path:
        sys.path.append("build/lib")
else:
    import binascii
    import importlib.util
    import pathlib
    import socket
    import struct
    import types

    for name, module in (("usocket", socket), ("ustruct", struct), ("ubinascii", binascii)):
        sys.modules.setdefault(name, module)
    if "umqtt.simple" not in sys.modules:
        path = (
            pathlib.Path(__file__).resolve().parents[2] / "build" / "lib" / "umqtt" / "simple.py"
        )
        spec = importlib.util.spec_from_file_location("umqtt.simple", path)
        package = types.ModuleType("umqtt")
        simple = importlib.util.module_from_spec(spec)
        setattr(package, "simple", simple)  # noqa: B010
        sys.modules["umqtt"] = package
        sys.modules["umqtt.simple"] = simple
        spec.loader.exec_module(simple)
    if not hasattr(asyncio, "core"):  # MicroPython's own, which no pure test reaches
        setattr(asyncio, "core", None)  # noqa: B010
        sys.modules["tls"] = types.ModuleType("tls")
    if not hasattr(time, "ticks_ms"):
        setattr(time, "ticks_ms", lambda: time.monotonic_ns() // 1000000)  # noqa: B010
        setattr(time, "ticks_diff", lambda a, b: a - b)  # noqa: B010


def refused(kind, call, *args):
    """The exception of this kind that the call raises."""
    try:
        call(*args)
    except kind as error:
        return error
    raise AssertionError("%s was not raised" % kind.__name__)
