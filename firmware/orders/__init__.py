"""What the back office may ask of a charger, and what becomes of it."""
