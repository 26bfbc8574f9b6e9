"""The doctor: what is wrong with this charger, part by part, and what to do about it."""
