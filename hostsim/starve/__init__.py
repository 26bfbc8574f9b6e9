"""Memory runs out at every statement of a session (docs/reliability.md)."""
