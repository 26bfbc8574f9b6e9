"""What can go wrong in the simulator itself."""


class WorldError(RuntimeError):
    """The world cannot be set up or cannot do that; str() says what to do."""
