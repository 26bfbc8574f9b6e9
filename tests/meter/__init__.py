"""Tests of meters, their line and their simulator."""
