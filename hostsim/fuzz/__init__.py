"""`make fuzz`: generated inputs into every parser; only declared errors come out."""
