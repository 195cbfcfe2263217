"""What uvflow remembers of a project, and who may change it."""
