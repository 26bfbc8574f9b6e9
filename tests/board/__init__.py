"""Tests of the boards, on CPython and on the emulated board."""
