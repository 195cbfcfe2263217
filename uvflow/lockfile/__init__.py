"""uv.lock: its packages, and whether it is current."""
