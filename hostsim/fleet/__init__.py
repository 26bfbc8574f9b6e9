"""Chargers at protocol level: the same records over the same broker, without firmware."""
