"""The services that the images serve, each locked, and its changes.

One is the sample of the documentation, the other has larger dependencies and next to no source.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine import free_port

ROOT = Path(__file__).resolve().parents[2]
PORT = free_port()  # of this machine, since containers are on its network
HEALTH = "/healthz"
ENVIRON = {"DJANGO_SECRET_KEY": "of this benchmark"}
ONE_MORE = "attrs"  # a small wheel that none of the others requires

_API = f"""\
import pandas
import sqlalchemy
from fastapi import FastAPI

app = FastAPI()


@app.get("{HEALTH}")
def health() -> dict[str, str]:
    return {{"pandas": pandas.__version__, "sqlalchemy": sqlalchemy.__version__}}
"""


@dataclass(frozen=True, kw_only=True)
class Service:
    """`edited` is the source file that an edit changes, `write` writes the sources."""

    name: str
    dependencies: tuple[str, ...]
    start: tuple[str, ...]
    edited: str
    write: Callable[[Path], None]

    @property
    def manifest(self) -> str:
        return f"""\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = {[*self.dependencies]}

[tool.uvflow.docker]
port = {PORT}
"""

    def lock(self, root: Path) -> None:
        """Write the service into `root`, with a uv.lock of today."""
        self.write(root)
        (root / "pyproject.toml").write_text(self.manifest)
        uv(root, "lock", "--python", sys.executable)

    def edit(self, root: Path, nonce: str) -> None:
        """Change one source file; `nonce` keeps a build from finding the layers of another."""
        with (root / self.edited).open("a") as file:
            file.write(f"\n# {nonce}\n")


def copied(root: Path) -> None:
    """Write the sources of the sample into `root`."""
    outside = shutil.ignore_patterns("requirements*", "tests", "conftest.py")
    shutil.copytree(ROOT / "docs" / "sample", root, ignore=outside, dirs_exist_ok=True)


def with_one_more(root: Path) -> None:
    """Lock one more dependency."""
    uv(root, "add", "--no-sync", "--python", sys.executable, ONE_MORE)


def requirements(root: Path, nonce: str) -> str:
    """uv.lock as pip reads it."""
    return f"# {nonce}\n" + uv(
        root, "export", "--frozen", "--no-header", "--no-hashes", "--no-emit-project"
    )


def uv(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["uv", *words, "--quiet"], cwd=root, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def _written(root: Path) -> None:
    root.mkdir()
    (root / "main.py").write_text(_API)


DJANGO = Service(
    name="Django",
    dependencies=(
        "django",
        "djangorestframework",
        "djangorestframework-simplejwt",
        "drf-yasg",
        "gunicorn",
        "psycopg[binary]",
        "requests",
    ),
    start=("gunicorn", f"--bind=0.0.0.0:{PORT}", "config.wsgi:application"),
    edited="text/views.py",
    write=copied,
)
FASTAPI = Service(
    name="FastAPI",
    dependencies=("fastapi", "httpx", "pandas", "sqlalchemy", "uvicorn"),
    start=("uvicorn", "--host=0.0.0.0", f"--port={PORT}", "main:app"),
    edited="main.py",
    write=_written,
)
EVERY = (DJANGO, FASTAPI)
