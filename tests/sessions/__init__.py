"""Tests of whole sessions, end to end."""
