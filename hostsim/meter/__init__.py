"""Simulated energy meters: register maps from the facts file, served by pymodbus, with faults on
demand.
"""

from hostsim.meter.sim import MeterSim

__all__ = ["MeterSim"]
