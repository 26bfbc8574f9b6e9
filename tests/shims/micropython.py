"""Stands in for MicroPython's `micropython` module, so that pure firmware modules import on
CPython.
"""

from typing import Any


def const(value: Any) -> Any:
    """As in MicroPython without its compiler: the value itself."""
    return value


def native(function: Any) -> Any:
    """Decorator of the native emitter: here without effect."""
    return function


def viper(function: Any) -> Any:
    """Decorator of the viper emitter: here without effect."""
    return function
