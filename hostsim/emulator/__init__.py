"""The emulated board: an unmodified RPI_PICO image of MicroPython in rp2040py, with the simulator's
peers on its UARTs and pins.
"""
