"""What benchmarks/kills.py needs to kill syncs in: packages, an index, a project, a base Python."""

import base64
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from uvflow import uv

PACKAGES, FILES = 20, 100  # 2,000 modules in an environment with everything
UPGRADED = range(0, PACKAGES, 2)
DEVELOPMENT = range(PACKAGES // 2, PACKAGES)

MANIFEST = """\
[project]
name = "victim"
version = "1.0"
requires-python = ">=3.11"
dependencies = [{runtime}]

[dependency-groups]
dev = [{development}]

[tool.uvflow.profiles.prod]
compile-bytecode = false
editable = true

[tool.uvflow.profiles.released]
extends = "prod"
editable = false
environment = ".venv-released"
releases = 2

[tool.uvflow.profiles.compiled]
extends = "prod"
compile-bytecode = true
"""

# What uv is to be told for what uvflow calls a profile.
SELECTIONS = {
    "dev": (),
    "prod": ("--no-default-groups",),
    "compiled": ("--no-default-groups", "--compile-bytecode"),
}

Command = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A project with an old and a new lockfile, an index and a warm cache, all in one place."""

    directory: Path
    uv: str

    @classmethod
    def built(cls, directory: Path) -> "Rig":
        rig = cls(directory=directory, uv=uv.find().path)
        rig.project.mkdir(parents=True)
        _copy_python(directory / "python")
        _build_index(directory / "index")
        rig._lock("old", "1.0")
        rig._lock("new", "2.0")
        return rig

    @property
    def project(self) -> Path:
        return self.directory / "project"

    @property
    def environment(self) -> Path:
        return self.project / ".venv"

    def sync(self, command: str, profile: str) -> Command:
        """The words that sync the project with `command`, which is uv or uvflow."""
        if command == "uvflow":
            return (sys.executable, "-m", "uvflow", "sync", "--profile", profile)
        return (self.uv, "sync", "--locked", *SELECTIONS[profile])

    def start_over(self) -> None:
        """No environment, nothing remembered, and the old lockfile."""
        shutil.rmtree(self.environment, ignore_errors=True)
        shutil.rmtree(self.directory / "uvflow-cache", ignore_errors=True)
        self.use_lock("old")

    def use_lock(self, name: str) -> None:
        for file in ("pyproject.toml", "uv.lock"):
            shutil.copy(self.directory / f"{name}.{file}", self.project / file)

    def run(self, command: Command, mode: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.project,
            env=self.environ(mode),
            check=False,
            capture_output=True,
            text=True,
        )

    def seconds(self, command: Command, mode: str) -> float:
        """How long the command takes, which has to succeed."""
        began = time.perf_counter()
        done = self.run(command, mode)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        return time.perf_counter() - began

    def kill(
        self, command: Command, mode: str, number: signal.Signals, instant: float
    ) -> float | None:
        """Kill the command and its children after `instant` seconds.

        Where it was done before, nothing is killed, and the seconds it took are returned.
        """
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environ(mode),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(instant)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, number)
        return time.perf_counter() - began if process.wait() == 0 else None

    def environ(self, mode: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("UV", "VIRTUAL_ENV"))}
        return {
            **kept,
            "TMPDIR": str(self.directory),  # uv leaves its locks there
            "UV_CACHE_DIR": str(self.directory / "cache"),
            "UV_DEFAULT_INDEX": (self.directory / "index").as_uri(),
            "UV_LINK_MODE": mode,
            "UV_PYTHON": str(self.directory / "python" / "bin" / "python"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UVFLOW_CACHE_DIR": str(self.directory / "uvflow-cache"),
            "UVFLOW_UV": self.uv,
        }

    def _lock(self, name: str, upgraded: str) -> None:
        """Write the project with `upgraded` packages, lock it, and warm the cache."""
        pins = [f'"pkg{i:02}=={upgraded if i in UPGRADED else "1.0"}"' for i in range(PACKAGES)]
        runtime = ", ".join(pin for i, pin in enumerate(pins) if i not in DEVELOPMENT)
        development = ", ".join(pins[i] for i in DEVELOPMENT)
        text = MANIFEST.format(runtime=runtime, development=development)
        (self.project / "pyproject.toml").write_text(text)
        self.seconds((self.uv, "sync", "--quiet"), "hardlink")
        for file in ("pyproject.toml", "uv.lock"):
            shutil.copy(self.project / file, self.directory / f"{name}.{file}")


def _copy_python(prefix: Path) -> None:
    """A base Python to lose: uv changes it where an environment was left without pyvenv.cfg."""
    library = Path(sysconfig.get_path("stdlib"))
    version = "python{}.{}".format(*sys.version_info)
    left_out = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__")
    shutil.copytree(library, prefix / "lib" / version, ignore=left_out)
    (prefix / "lib" / version / "site-packages").mkdir()
    (prefix / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), prefix / "bin" / version)
    (prefix / "bin" / "python").symlink_to(version)


def _build_index(directory: Path) -> None:
    for number in range(PACKAGES):
        folder = directory / f"pkg{number:02}"
        folder.mkdir(parents=True)
        for version in ("1.0", "2.0"):
            _build_wheel(folder, f"pkg{number:02}", version, number)
        links = (f'<a href="{path.name}">{path.name}</a>' for path in sorted(folder.glob("*.whl")))
        (folder / "index.html").write_text("<!DOCTYPE html>" + "\n".join(links))


def _build_wheel(folder: Path, name: str, version: str, number: int) -> None:
    """A wheel whose modules come before its metadata in RECORD, or after: uv removes in order."""
    module = f"{'a' if number % 3 else 'z'}_{name}"
    info = f"{name}-{version}.dist-info"
    draw = random.Random(f"{name} {version}")
    there = range(FILES) if version == "1.0" else range(FILES // 2, FILES + FILES // 2)
    contents = {f"{module}/part{i % 10}/module_{i}.py": _source(draw) for i in there}
    contents[f"{module}/__init__.py"] = b"def main(): pass\n"
    contents[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    )
    contents[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: kills\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if number % 2:
        contents[f"{info}/entry_points.txt"] = (
            f"[console_scripts]\n{name} = {module}:main\n".encode()
        )
    rows = [f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in contents.items()]
    contents[f"{info}/RECORD"] = f"{''.join(rows)}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)


def _source(draw: random.Random) -> bytes:
    """A module of 0.2 to 8 kB."""
    return f'HELD = "{draw.randbytes(draw.randrange(100, 4000)).hex()}"\n'.encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
