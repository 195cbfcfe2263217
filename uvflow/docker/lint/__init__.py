"""Rules for Dockerfiles that were written by hand."""
