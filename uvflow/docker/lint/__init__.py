"""Rules for Dockerfiles that were written by hand; each was met in one of a uv project."""
