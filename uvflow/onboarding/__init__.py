"""`uvflow setup` and `doctor`, and what a shell and git need to know of uvflow."""
