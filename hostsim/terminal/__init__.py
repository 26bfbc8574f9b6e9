"""A simulated ZVT card terminal (PT) with its own codec and its own books."""
