"""What imports are compared in: an index, servers, git repositories, and a machine of its own."""

import base64
import functools
import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from wheels import (
    add_installed,
    add_wheel,
    build_index,
    build_wheel,
)  # the tests' own index builder

USER, SECRET = "user", "s3cret-word"
SDIST_ONLY = "fromsource"  # the one package that the index has no wheel of

_MANIFEST = '[project]\nname = "{name}"\nversion = "{version}"\n'
_BACKEND = '\n[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'

# The packages beyond those of tests/wheels.py: name → version → its requirements.
_ADDED: dict[str, dict[str, tuple[str, ...]]] = {
    "pip": {"24.0": ()},
    "setuptools": {"69.0.3": ()},
    "early": {"1.0": (), "2.0rc1": ()},
}


@dataclass(frozen=True, kw_only=True)
class World:
    """`host` is where the server is (address and port), `place` the directory of everything."""

    host: str
    place: Path

    @property
    def index(self) -> Path:
        return self.place / "www" / "simple"

    def sha256(self, file: str) -> str:
        """The digest of the one file of the server whose name begins with `file`."""
        found = min((self.place / "www").rglob(f"{file}*"))
        return hashlib.sha256(found.read_bytes()).hexdigest()

    def first_commit(self, repository: str) -> str:
        """The id of the oldest commit of a repository."""
        return _git(self, self.place / "repositories" / repository, "rev-list", "HEAD").split()[-1]

    def environ(self, uv: Path) -> dict[str, str]:
        """This machine's environment without its settings, and without a network beyond itself."""
        outside = ("UV", "PIP_", "PDM_", "PYTHON", "XDG_", "GIT_", "VIRTUAL_ENV", "CONDA")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(outside)}
        nowhere = "http://127.0.0.1:9"
        settings = {
            "PATH": f"{uv.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": self.place / "home",
            "USERPROFILE": self.place / "home",
            "APPDATA": self.place / "config",
            "LOCALAPPDATA": self.place / "home",
            "XDG_CONFIG_HOME": self.place / "config",
            "XDG_CACHE_HOME": self.place / "caches",
            "GIT_CONFIG_GLOBAL": self.place / "gitconfig",
            "GIT_CONFIG_NOSYSTEM": 1,
            "GIT_TERMINAL_PROMPT": 0,
            "UV_CACHE_DIR": self.place / "caches" / "uv",
            "UV_HTTP_RETRIES": 0,
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
            "UVFLOW_UV": uv,
            "PDM_CHECK_UPDATE": 0,
            "PDM_PYTHON": sys.executable,
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
            "ALL_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1",
            "NO_COLOR": 1,
            "COLUMNS": 200,
        }
        return {
            **{k: v for k, v in kept.items() if not k.lower().endswith("_proxy")},
            **{name: str(value) for name, value in settings.items()},
        }


@contextmanager
def world(place: Path) -> Iterator[World]:
    """Everything the cases need, below `place`; the server ends with the context."""
    (place / "home").mkdir()
    _fill_server(place / "www")
    handler = functools.partial(_Server, directory=str(place / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made = World(host=f"127.0.0.1:{server.server_port}", place=place)
        _configure(made)
        _make_repositories(made)
        threading.Thread(target=server.serve_forever).start()
        try:
            yield made
        finally:
            server.shutdown()


class _Server(http.server.SimpleHTTPRequestHandler):
    """Serves a directory; what is below /private only to who has the password."""

    def do_GET(self) -> None:
        known = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        is_open = not self.path.startswith("/private/")
        if is_open or self.headers.get("Authorization") == f"Basic {known}":
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
            self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def _fill_server(www: Path) -> None:
    index = build_index(www / "simple")
    for name, versions in _ADDED.items():
        for version, requires in versions.items():
            add_wheel(index, name, version, requires)
    for backend in ("flit_core", "poetry_core", "setuptools"):
        add_installed(index, backend)  # where a tool asks a build backend about a project
        (index / backend).rename(index / backend.replace("_", "-"))
    (index / SDIST_ONLY).mkdir()
    sdist = build_sdist(index / SDIST_ONLY, SDIST_ONLY, "1.0")
    page = f'<!DOCTYPE html><html><body><a href="{sdist.name}">{sdist.name}</a></body></html>'
    (index / SDIST_ONLY / "index.html").write_text(page)
    add_wheel(www / "private" / "simple", "acme-core", "1.0")
    for folder in ("files", "private/files"):
        (www / folder).mkdir()
        build_wheel(www / folder, "direct", "1.0")
        build_wheel(www / folder, "direct", "2.0")
    build_sdist(www / "files", "sourced", "1.0")


def build_sdist(folder: Path, name: str, version: str) -> Path:
    """An sdist whose PKG-INFO tells everything (metadata 2.2), so that nothing is ever built."""
    path = folder / f"{name}-{version}.tar.gz"
    contents = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": _MANIFEST.format(name=name, version=version) + _BACKEND,
    }
    with tarfile.open(path, "w:gz") as archive:
        for file, text in contents.items():
            member = tarfile.TarInfo(f"{name}-{version}/{file}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def package(name: str, extra: str = "") -> str:
    """The pyproject.toml of a package that nothing needs to be built of to know it."""
    extras = f'\n[project.optional-dependencies]\n{extra} = ["toml"]\n' if extra else ""
    return _MANIFEST.format(name=name, version="1.0") + extras + _BACKEND


def _configure(made: World) -> None:
    """The default index as a user's setting, so that no tool is told of it by its project."""
    (made.place / "config" / "uv").mkdir(parents=True)
    settings = f'[[index]]\nurl = "{made.index.as_uri()}"\ndefault = true\n'
    (made.place / "config" / "uv" / "uv.toml").write_text(settings)
    (made.place / "gitconfig").write_text("[user]\n\tname = c\n\temail = c@example.com\n")


def _make_repositories(made: World) -> None:
    """With a tag; with a branch and a package below it; with a moved branch; with a password."""
    www = made.place / "www"
    _repository(made, www / "tagged.git", {"pyproject.toml": package("tagged")}, "v0.3.0")
    below = {"sub/pyproject.toml": package("below", extra="x")}
    _repository(made, www / "mono.git", below, "stable")
    moved = {"pyproject.toml": package("moved")}
    _repository(made, www / "moved.git", moved, "stable", commits=2)
    hidden = {"pyproject.toml": package("hidden")}
    _repository(made, www / "private" / "hidden.git", hidden, "v1.0")


def _repository(
    made: World, served: Path, files: Mapping[str, str], reference: str, *, commits: int = 1
) -> None:
    """A repository; `reference` is a tag where it begins with a `v`, and at the last commit."""
    root = made.place / "repositories" / served.stem
    for file, text in files.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        *(("commit", "-q", "--allow-empty", "-m", f"{n}") for n in range(commits)),
        ("tag" if reference.startswith("v") else "branch", reference),
        ("clone", "-q", "--bare", str(root), str(served)),
        ("--git-dir", str(served), "update-server-info"),  # what a server without git serves
    ):
        _git(made, root, *words)


def _git(made: World, root: Path, *words: str) -> str:
    then = "2026-01-01T00:00:00Z"  # so that commits have the same ids in each run
    dates = {"GIT_AUTHOR_DATE": then, "GIT_COMMITTER_DATE": then}
    environ = {**made.environ(Path(sys.executable)), **dates}
    command = ("git", *words)
    done = subprocess.run(
        command, cwd=root, env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout
