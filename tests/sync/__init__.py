"""Tests of what goes between charger and back office."""
