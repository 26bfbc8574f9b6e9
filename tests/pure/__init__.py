"""Tests without pytest, I/O or clock: they run on CPython and on both MicroPython builds (see
_runner.py).
"""
