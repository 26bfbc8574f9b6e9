"""Tests of payment gateways."""
