"""One small module per board: what it has and where it is wired."""
