"""Accounts that pay once a month: their sessions on one invoice, limits, blocking."""
