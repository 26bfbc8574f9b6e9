"""The session: a pure state machine, the bill it keeps, and the runner that performs what it
decides.
"""
