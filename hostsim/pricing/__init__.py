"""Prices finished charging records with the firmware's own engine, under MicroPython."""
