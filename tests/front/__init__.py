"""Tests of the charger's front in a browser."""
