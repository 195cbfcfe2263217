"""The command line: click declarations, output, and the boundary where errors become text."""
