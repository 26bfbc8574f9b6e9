"""Tests of the technician's tools."""
