"""The card terminal: ZVT framing, APDUs, transport, and the PaymentTerminal a session sees."""
