"""`make soak`: many random sessions under random faults on all real parts, and the books after."""
