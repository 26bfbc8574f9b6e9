"""What a session costs: integer money, local time, OCPI tariffs, the live engine and the receipt."""
