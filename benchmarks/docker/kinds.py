"""Six kinds of projects, as `matrix.py` builds them, with what tells that their images work."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.docker import service
from benchmarks.import_world import SECRET, USER

ON_THE_HOST = "0f-this-machine-alone"  # in files that no image may have

_BUILD_SYSTEM = '[build-system]\nrequires = ["uv_build>=0.9,<1"]\nbuild-backend = "uv_build"\n'
_HELLO = """\
import os
import time

import idna


def main() -> None:
    print("hello", idna.encode("world"), flush=True)
    while "STAYS" in os.environ:
        time.sleep(60)
"""
_API = f"""\
from fastapi import FastAPI

app = FastAPI()


@app.get("{service.HEALTH}")
def health() -> dict[str, str]:
    return {{"is": "well"}}
"""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`says` is what the container prints or, where it serves, answers to GET /healthz.

    `environ` is for the container; `stays` is what makes one stay that would end. `credentials` are
    variables for locking and building. `refused` are the bases that it cannot have, `single` says
    whether one stage can build it.
    """

    name: str
    files: Mapping[str, str]
    says: str
    serves: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    stays: Mapping[str, str] | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)
    needs_debian: bool = False
    sources: Callable[[Path], None] = lambda _root: None

    def write(self, root: Path) -> None:
        """The project, and beside it what stays on this machine."""
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        self.sources(root)
        of_the_host = (".venv/bin/tool", ".env", ".git/config", "__pycache__/main.pyc")
        files = {
            **self.files,
            ".python-version": "3.12\n",
            **dict.fromkeys(of_the_host, ON_THE_HOST),
        }
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)


def kinds(host: str) -> tuple[Kind, ...]:
    """All six; the private index is at `host`."""
    return (
        Kind(
            name="package",
            files={
                "pyproject.toml": _manifest("hello", "idna", rest=_script("hello") + _BUILD_SYSTEM),
                "src/hello/__init__.py": _HELLO,
            },
            says="hello b'world'\n",
            stays={"STAYS": "1"},
        ),
        Kind(
            name="django",
            files={"pyproject.toml": service.DJANGO.manifest},
            says="ok",
            serves=True,
            environ=service.ENVIRON,
            stays={},
            sources=service.copied,
        ),
        Kind(
            name="fastapi",
            files={
                "pyproject.toml": _manifest("api", "fastapi", "uvicorn", rest=_port()),
                "main.py": _API,
            },
            says='{"is":"well"}',
            serves=True,
            stays={},
        ),
        Kind(
            name="workspace",
            files={
                "pyproject.toml": _manifest(
                    "shop",
                    "shelf",
                    "idna",
                    rest='[tool.uv.workspace]\nmembers = ["packages/*"]\n'
                    "[tool.uv.sources]\nshelf = { workspace = true }\n"
                    f"{_script('shop')}{_BUILD_SYSTEM}",
                ),
                "src/shop/__init__.py": "import shelf\n\n\ndef main():\n    print(shelf.BOOKS)\n",
                "packages/shelf/pyproject.toml": _manifest("shelf", rest=_BUILD_SYSTEM),
                "packages/shelf/src/shelf/__init__.py": "BOOKS = 3\n",
            },
            says="3\n",
        ),
        Kind(
            name="private index",
            files={
                "pyproject.toml": _manifest(
                    "buyer",
                    "acme-core",
                    rest=f'[[tool.uv.index]]\nname = "corp"\n'
                    f'url = "http://{host}/private/simple/"\n'
                    'explicit = true\nauthenticate = "always"\n'
                    '[tool.uv.sources]\nacme-core = { index = "corp" }\n'
                    '[tool.uvflow.docker]\ncommand = ["acme-core"]\n',
                )
            },
            says="acme-core\n",
            credentials={"UV_INDEX_CORP_USERNAME": USER, "UV_INDEX_CORP_PASSWORD": SECRET},
        ),
        Kind(
            name="source only",
            files={
                "pyproject.toml": _manifest(
                    "keeper",
                    "psycopg2",
                    rest='[tool.uvflow.docker]\ncommand = ["python", "main.py"]\n',
                ),
                "main.py": "import psycopg2\n\nprint(psycopg2.__libpq_version__ > 0)\n",
            },
            says="True\n",
            needs_debian=True,
        ),
    )


def _manifest(name: str, *dependencies: str, rest: str = "") -> str:
    return (
        f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = {list(dependencies)}\n"
        f'[dependency-groups]\ndev = ["iniconfig"]\n{rest}'
    )


def _script(name: str) -> str:
    return f'[project.scripts]\n{name} = "{name}:main"\n'


def _port() -> str:
    return f"[tool.uvflow.docker]\nport = {service.PORT}\n"
