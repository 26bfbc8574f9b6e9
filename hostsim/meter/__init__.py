"""Simulated energy meters: register maps from the facts file, served by pymodbus, with faults."""
