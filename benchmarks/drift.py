"""Ways in which an environment drifts: does uvflow see it, does `uv sync --locked --check`?

    uv run benchmarks/drift.py

Syncs a small project of local packages, changes its environment in one way, asks three commands,
and begins anew for the next way. Prints a table in Markdown. No network; half a minute.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.append(f"{sys.path[0]}/tests")

from drifts import DRIFT, MANIFEST
from wheels import build_index

from benchmarks.contest import environment, install_uvflow

COMMANDS = (
    ("uvflow", "status"),
    ("uvflow", "verify", "--deep"),
    ("uv", "sync", "--locked", "--check"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory).resolve()
        prepare(place)
        project = locked(place)
        table = {what: codes(project, what) for what in DRIFT}
    titles = " | ".join(f"`{' '.join(command)}`" for command in COMMANDS)
    print(f"| | {titles} |\n|---|{'---|' * len(COMMANDS)}")
    for what, found in table.items():
        print(f"| {what} | {' | '.join(map(cell, found))} |")
    seen = [sum(code != 0 for code in column) for column in zip(*table.values(), strict=True)]
    print(f"| seen | {' | '.join(f'{count} of {len(table)}' for count in seen)} |")
    both = sum(any(found[:2]) for found in table.values())
    print(f"\nuvflow, by one command or the other: {both} of {len(table)}")


def prepare(place: Path) -> None:
    """What this process and its children find in their environment variables."""
    environ = environment(place)
    scripts = install_uvflow(place, environ)
    os.environ.clear()
    os.environ.update(environ)
    os.environ["PATH"] = f"{scripts}{os.pathsep}{environ['PATH']}"
    os.environ["UV_DEFAULT_INDEX"] = build_index(place / "index").as_uri()
    os.environ["UV_LINK_MODE"] = "copy"  # so that uv's cache stays as it is


def locked(place: Path) -> Path:
    project = place / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(MANIFEST)
    subprocess.run(["uv", "lock", "-q"], cwd=project, check=True)
    return project


def codes(project: Path, what: str) -> tuple[int, ...]:
    """The exit codes of COMMANDS, all of them 0 before the environment drifts."""
    shutil.rmtree(project / ".venv", ignore_errors=True)
    subprocess.run(["uvflow", "sync", "-q"], cwd=project, check=True, capture_output=True)
    if any(ask(project)):
        sys.exit("an environment that was just made is found wanting")
    change, _, _ = DRIFT[what]
    change(project)
    return ask(project)


def ask(project: Path) -> tuple[int, ...]:
    asked = (subprocess.run(c, cwd=project, check=False, capture_output=True) for c in COMMANDS)
    return tuple(done.returncode for done in asked)


def cell(code: int) -> str:
    return f"seen, exit code {code}" if code else "0"


if __name__ == "__main__":
    main()
