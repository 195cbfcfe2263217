#!/bin/sh
# Made by `uvflow hook install`: says what is due, and never fails.
case "$0,$3" in *post-checkout,0) exit 0 ;; esac # of single files
cd @folder@ 2>/dev/null && [ -f pyproject.toml ] && command -v uvflow >/dev/null || exit 0
@command@
exit 0
