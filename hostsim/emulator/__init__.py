"""The emulated board: an unmodified RPI_PICO image of MicroPython in rp2040py, and the simulator's
peers on its UARTs and pins.
"""
