"""Refunds: from the order to the credit note, and the way back to the card at the terminal."""
