"""What is asked of an import: the options of `uvflow init`, its files as seen from the project."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uvflow.errors import UsageError
from uvflow.imports import places
from uvflow.imports.model import Options
from uvflow.state import DEFAULT_TIMEOUT


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for. `python` is a version or a specifier, for `requires-python`."""

    name: str | None = None
    python: str | None = None
    lock: bool = True
    sync: bool = True
    direct_only: bool = False  # leave to the lockfile what others bring along
    timeout: float = DEFAULT_TIMEOUT  # seconds to wait for another uvflow
    options: Options = field(default_factory=Options)


def requested(root: Path, asked: Mapping[str, Any]) -> Request:
    """What the command line asks for; `asked` has its options by their names.

    Files are named there as seen from where it is typed. Raises UsageError.
    """
    how = (
        *("allow_outside", "encoding", "keep_going", "strict"),
        *("on_conflict", "strip_credentials"),
    )
    options = Options(
        from_files=tuple(_seen_from(root, path) for path in asked["from_files"]),
        groups=tuple(_group(root, text) for text in asked["groups"]),
        constraints=tuple(_seen_from(root, path) for path in asked["constraints"]),
        environ=os.environ,
        **{name: asked[name] for name in how},
    )
    return Request(
        name=asked["name"],
        python=asked["python"],
        lock=not asked["no_lock"],
        sync=not asked["no_sync"],
        direct_only=asked["direct_only"],
        timeout=asked["timeout"],
        options=options,
    )


def _seen_from(root: Path, path: str) -> str:
    if places.is_url(path):
        return path
    return Path(os.path.relpath(path, root)).as_posix()


def _group(root: Path, text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not (name and path):
        raise UsageError(f"`--group {text}` is not NAME=FILE")
    return name, _seen_from(root, path)
