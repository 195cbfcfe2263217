"""What other tools left behind: one module a format, text into values."""
