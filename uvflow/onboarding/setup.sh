#!/bin/sh
# Made by `uvflow setup --script sh`: makes a fresh clone ready, and may be run again at any time.
set -eu
CDPATH= cd "$(dirname "$0")"
if ! command -v uv >/dev/null 2>&1; then
    export UV_INSTALL_DIR="${UV_INSTALL_DIR:-$HOME/.local/bin}"
    curl -LsSf https://astral.sh/uv/@uv@/install.sh | sh
    export PATH="$UV_INSTALL_DIR:$PATH"
fi
exec uv tool run --from 'uvflow==@uvflow@' uvflow setup "$@"
