"""Power-on, before anything else: the contactor is open. Storage and safe mode follow with the
boards (docs/boards).
"""
