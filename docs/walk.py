"""The tutorial on the sample project: migrate, sync, write a Dockerfile.

    uv run --no-dev docs/walk.py [DIRECTORY]

Copies docs/sample to DIRECTORY (default: a new temporary one) and runs the tutorial's commands
there, each shown before its output. Needs a package index, as any installation does.
"""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SAMPLE = Path(__file__).parent / "sample"
UVFLOW = Path(sysconfig.get_path("scripts")) / "uvflow"


def main() -> None:
    given = sys.argv[1:]
    project = Path(given[0] if given else tempfile.mkdtemp(prefix="uvflow-")).resolve() / "shop"
    shutil.copytree(SAMPLE, project)
    print(f"$ cd {project}", flush=True)

    uvflow(project, "init")
    uvflow(project, "sync", "--prod")
    python(project, "import django; print('django', django.__version__)")
    assert not tool(project, "ruff").exists(), "prod has development tools"
    uvflow(project, "sync", "--dev")
    run(project, tool(project, "ruff"), "check")
    run(project, tool(project, "pytest"), "-q", "--disable-warnings")
    uvflow(project, "docker")
    print(f"\nEverything is in {project}; `docker build -t shop .` there makes the image.")


def uvflow(project: Path, *arguments: str) -> None:
    run(project, UVFLOW, *arguments)


def python(project: Path, code: str) -> None:
    run(project, tool(project, "python"), "-c", code)


def tool(project: Path, name: str) -> Path:
    folder = "Scripts" if sys.platform == "win32" else "bin"
    suffix = ".exe" if sys.platform == "win32" else ""
    return project / ".venv" / folder / (name + suffix)


def run(project: Path, program: Path, *arguments: str) -> None:
    shown = program.relative_to(project) if program.is_relative_to(project) else program.name
    print(f"\n$ {shown} {' '.join(arguments)}", flush=True)
    subprocess.run([program, *arguments], cwd=project, check=True)


if __name__ == "__main__":
    main()
