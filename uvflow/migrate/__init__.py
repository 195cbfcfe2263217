"""`uvflow init` and `uvflow undo`."""
