"""Tests of the ledger's image."""
