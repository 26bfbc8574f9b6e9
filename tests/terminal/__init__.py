"""Tests of the card terminal, its driver and its simulator, and of the RFID reader."""
