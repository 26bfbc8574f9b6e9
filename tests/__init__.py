"""Tests. `tests/pure` also runs on MicroPython, so this file stays empty of code."""
