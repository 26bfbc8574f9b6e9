"""The operator's back office: takes the chargers' records, acknowledges them after its commit,
shows and commands."""
