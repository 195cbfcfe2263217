"""`uvflow init` and `undo`: files are read by format, merged, planned, written, locked, proven."""
