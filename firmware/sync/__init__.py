"""Sync: the MQTT link, the outbox of ledger records, commands, messages, and the time from the
network."""
