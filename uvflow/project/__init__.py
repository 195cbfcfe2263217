"""What pyproject.toml says: the project, its workspace and its profiles."""
