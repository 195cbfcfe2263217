"""Virtual environments: sync, run, status, verify and repair."""
