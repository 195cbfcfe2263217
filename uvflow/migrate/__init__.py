"""`uvflow init` and `uvflow undo`: import a project of another tool, and take that back."""
