"""What a session costs: money, local time, OCPI tariffs, the live engine, the receipt."""
