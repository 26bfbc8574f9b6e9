"""Pay by phone: the code on the charger's screen, the payment at the gateway, its way through the
session (docs/gateways.md).
"""
