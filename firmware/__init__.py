"""Forecourt's firmware: pay-at-pump for EV chargers in MicroPython; it knows no board and no
simulator.
"""
