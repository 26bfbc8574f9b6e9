"""Signed meter values: OCMF records read, verified and summed up on the host."""
