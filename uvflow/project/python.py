"""Which Python is requested: by .python-version, UV_PYTHON or a profile."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from uvflow.files import is_inside, leads_through_proc, read_regular

# The forms of requests that name a CPython by its version (uv docs, "Requesting a version").
_CPYTHON = r"(?:(?:cpython|cp|python)[-@]?)?(?P<minor>\d\.\d{1,2})(?:\.\d+)?(?:-[\w-]+)?"

MOST_REQUESTS = 1 << 14  # bytes; a .python-version with more is not read


def python_requests(text: str) -> Iterator[tuple[int, str]]:
    """The requests in a .python-version, with their line numbers; uv takes the first."""
    for number, line in enumerate(text.splitlines(), 1):
        request = line.partition("#")[0].strip()
        if request:
            yield number, request


def find_own_interpreter(
    root: Path, workspace: Path, environ: Mapping[str, str], python: str | None = None
) -> Path | None:
    """A Python that is requested by a path into the workspace.

    Looks at `python`, the request of a profile, at UV_PYTHON and at .python-version. uv is started
    in `root`, and resolves relative paths against that.
    """
    variable = environ.get("UV_PYTHON")
    requests = [python, variable]
    above = (workspace / path for path in root.relative_to(workspace).parents)
    for directory in () if variable else (root, *above):
        for name in (".python-version", ".python-versions"):
            try:
                text = os.fsdecode(read_regular(directory / name, MOST_REQUESTS))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:  # too large, or not a regular file
                return directory / name
            requests += (request for _, request in python_requests(text))
            requests += map(str.strip, text.splitlines())  # uv takes a `#` as part of a request
    for request in filter(None, dict.fromkeys(requests)):
        path = root / request
        # Path.exists raises for a NUL.
        is_path = requested_minor(request) is None and os.path.exists(path)  # noqa: PTH110
        if (is_path and is_inside(path, workspace)) or leads_through_proc(path):
            return path
    return None


def requested_minor(request: str) -> str | None:
    """The X.Y in a request such as `3.12.4` or `cpython@3.12`; None for a range, a path, PyPy."""
    match = re.fullmatch(_CPYTHON, request.strip())
    return match["minor"] if match else None
