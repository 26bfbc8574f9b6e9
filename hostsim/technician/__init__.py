"""What a technician does at a charger with a laptop: flash, provision, read the ledger out, look.
All of it through the real mpremote's serial transport, and only with the service jumper set.
"""
