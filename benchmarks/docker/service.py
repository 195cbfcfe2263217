"""The service that every image serves: the sample of the documentation, locked, and its changes."""

import shutil
import subprocess
import sys
from pathlib import Path

from engine import free_port

ROOT = Path(__file__).resolve().parents[2]
PORT = free_port()  # of this machine, since containers are on its network
HEALTH = "/healthz"
ENVIRON = {"DJANGO_SECRET_KEY": "of this benchmark"}
START = ("gunicorn", f"--bind=0.0.0.0:{PORT}", "config.wsgi:application")
ONE_MORE = "attrs"  # a small wheel that none of the others requires

MANIFEST = f"""\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = [
    "django",
    "djangorestframework",
    "djangorestframework-simplejwt",
    "drf-yasg",
    "gunicorn",
    "psycopg[binary]",
    "requests",
]

[tool.uvflow.docker]
port = {PORT}
"""


def locked(root: Path) -> None:
    """Write the service into `root`, with a uv.lock of today."""
    copied(root)
    (root / "pyproject.toml").write_text(MANIFEST)
    uv(root, "lock", "--python", sys.executable)


def copied(root: Path) -> None:
    """Write its sources into `root`."""
    outside = shutil.ignore_patterns("requirements*", "tests", "conftest.py")
    shutil.copytree(ROOT / "docs" / "sample", root, ignore=outside, dirs_exist_ok=True)


def edited(root: Path, nonce: str) -> None:
    """Change one source file; `nonce` keeps a build from finding the layers of another."""
    with (root / "text" / "views.py").open("a") as file:
        file.write(f"\n# {nonce}\n")


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
