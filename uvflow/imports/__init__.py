"""What other tools left behind, read into values."""
