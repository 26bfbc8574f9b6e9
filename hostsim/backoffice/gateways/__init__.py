"""Payment gateways: what the back office asks of one (base.py), and one file for each
(docs/gateways.md).
"""
