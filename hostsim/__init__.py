"""The world around the charger, simulated on CPython."""
