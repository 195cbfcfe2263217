"""What a Dockerfile depends on, what it says, and whether it still says it."""
