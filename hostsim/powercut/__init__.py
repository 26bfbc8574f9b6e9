"""The power-cut campaign: a session with the real firmware in virtual time, cut at every
moment.
"""
