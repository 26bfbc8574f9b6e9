"""Who may use the desk: people with roles, their log-ins, how often somebody may try."""
