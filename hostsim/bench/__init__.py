"""`make bench`: what the charger costs and how fast it is, beside a limit or a peer of the run."""
