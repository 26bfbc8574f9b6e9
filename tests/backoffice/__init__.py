"""Tests of the back office and its pages."""
