"""What the tests of imports compare: the plan of an `init`, and the wheels before and after it."""

import subprocess
import sys
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from uvflow.errors import UvflowError
from uvflow.migrate.model import ImportOptions
from uvflow.migrate.plan import InitOptions, Plan
from uvflow.migrate.planner import make_plan
from uvflow.uv import find


def planned(root: Path, *, uv_version: str = "", **options: Any) -> Plan:
    """What `init` would do below `root`, with `options` of InitOptions or ImportOptions.

    With `uv_version` uv counts for that one. On every plan: the buckets of each file add up to its
    lines.
    """
    uv = find()
    uv = uv._replace(version=uv_version or uv.version)
    names = {option.name for option in fields(ImportOptions)} & options.keys()
    imports = ImportOptions(**{name: options.pop(name) for name in names})
    plan = make_plan(root, InitOptions(imports=imports, **options), uv=uv)
    for file in plan.imported.files:
        assert sum(file.buckets.values()) == file.lines
    return plan


def refusal(root: Path, **options: Any) -> str:
    """What the error says."""
    with pytest.raises(UvflowError) as caught:
        planned(root, **options)
    return str(caught.value)


def messages(plan: Plan) -> list[str]:
    return [f"{finding.severity} {finding}" for finding in plan.imported.findings]


def wheel_by(backend: str, root: Path) -> Path:
    """What the build backend of that module makes of the project; `uv` asks the project's own."""
    out = root.parent / "wheels"
    out.mkdir(exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    code = f"from {backend} import build_wheel; build_wheel({str(out)!r})"
    by_uv = [find().path, "build", "--wheel", "--quiet", f"-o{out}"]
    command = by_uv if backend == "uv" else [sys.executable, "-c", code]
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = out.glob("*.whl")
    return wheel


def lines_in(wheel: Path) -> dict[str, list[str]]:
    """The lines of each file, sorted, since the order of metadata means nothing."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name).decode().splitlines() for name in archive.namelist()}
    return {
        name: sorted(filter(None, lines))
        for name, lines in files.items()
        if not name.endswith("/RECORD")
    }
