"""How often does a sync that was killed at a random instant leave an environment broken for good?

Each trial prepares an environment, starts a sync in it, kills that with everything it has started
at a random instant, runs it once more to its end, and compares every file with an environment that
was never interrupted (byte code aside: Python makes it anew). Caches are warm and the index is on
disk: no network.

"passes, broken" counts environments that the second sync called good (exit 0) and that differ all
the same; "refused" counts second syncs that failed. "given up" is a first dev sync that is killed
and followed by a prod sync.

    python benchmarks/kills.py --trials 20 --command both
"""

import argparse
import base64
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from uvflow import uv

PACKAGES, FILES = 20, 250  # 5,000 files in an environment with everything
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
"""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """From one selection to another, where None is no environment at all.

    The sync that is killed is one of `after`, the one that has to heal is one of `healed_as`.
    """

    name: str
    before: str | None
    after: str
    healed_as: str
    upgrades: bool = False


SCENARIOS = (
    Scenario(name="fresh", before=None, after="dev", healed_as="dev"),
    Scenario(name="prod→dev", before="prod", after="dev", healed_as="dev"),
    Scenario(name="dev→prod", before="dev", after="prod", healed_as="prod"),
    Scenario(name="upgrade", before="dev", after="dev", healed_as="dev", upgrades=True),
    Scenario(name="given up", before=None, after="dev", healed_as="prod"),
)
MODES = ("hardlink", "copy")
COMMANDS = ("uv", "uvflow")
SELECTION = {"dev": (), "prod": ("--no-default-groups",)}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial left: `code` of the second run, and how its files differ."""

    killed: bool
    code: int
    missing: tuple[str, ...]
    different: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        return (*self.missing, *self.different, *self.extra)

    def __str__(self) -> str:
        counts = f"{len(self.missing)} missing, {len(self.different)} different"
        return f"{counts}, {len(self.extra)} extra ({self.wrong[-1]})"


def main() -> int:
    options = _options()
    names = COMMANDS if options.command == "both" else (options.command,)
    print(f"seed {options.seed}, {options.trials} trials each, SIG{options.signal}\n")
    print(ROW.format(*HEADINGS))
    bad = 0
    with tempfile.TemporaryDirectory(prefix="uvflow-kills-") as directory:
        rig = Rig.built(Path(directory), options.signal)
        for name in names:
            for mode in MODES:
                for scenario in SCENARIOS:
                    draw = random.Random(f"{options.seed} {mode} {scenario.name}")
                    trial = Trial(rig=rig, command=name, mode=mode, scenario=scenario)
                    outcomes = tuple(trial.outcomes(options.trials, draw))
                    print(_row(trial, outcomes), flush=True)
                    bad += sum(bool(o.wrong or o.code) for o in outcomes)
    return 1 if bad and options.command == "uvflow" else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="for each row of the table")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--command", choices=(*COMMANDS, "both"), default="both")
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT"), default="KILL")
    return parser.parse_args()


HEADINGS = (
    "command",
    "links",
    "scenario",
    "killed",
    "intact",
    "passes, broken",
    "refused",
    "worst",
)
ROW = "{:<8} {:<9} {:<9} {:>6} {:>7} {:>15} {:>8}   {!s}"


def _row(trial: "Trial", outcomes: tuple[Outcome, ...]) -> str:
    killed = [o for o in outcomes if o.killed]
    broken = [o for o in outcomes if o.code == 0 and o.wrong]
    worst = max(broken, key=lambda o: len(o.wrong), default="")
    return ROW.format(
        trial.command,
        trial.mode,
        trial.scenario.name,
        len(killed),
        sum(o.code == 0 and not o.wrong for o in outcomes),
        len(broken),
        sum(o.code != 0 for o in outcomes),
        worst,
    )


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A project with an old and a new lockfile, an index and a warm cache, all in one place."""

    directory: Path
    uv: str
    signal: signal.Signals

    @classmethod
    def built(cls, directory: Path, signal_name: str) -> "Rig":
        number = signal.Signals[f"SIG{signal_name}"]
        rig = cls(directory=directory, uv=uv.find().path, signal=number)
        rig.project.mkdir()
        _copy_python(directory / "python")
        _build_index(directory / "index")
        rig.lock("old", "1.0")
        rig.lock("new", "2.0")
        return rig

    @property
    def project(self) -> Path:
        return self.directory / "project"

    @property
    def environment(self) -> Path:
        return self.project / ".venv"

    def environ(self, mode: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("UV", "VIRTUAL_ENV"))}
        return {
            **kept,
            "UV_CACHE_DIR": str(self.directory / "cache"),
            "UV_DEFAULT_INDEX": (self.directory / "index").as_uri(),
            "UV_LINK_MODE": mode,
            "UV_PYTHON": str(self.directory / "python" / "bin" / "python"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UVFLOW_CACHE_DIR": str(self.directory / "uvflow-cache"),
            "UVFLOW_UV": self.uv,
        }

    def lock(self, name: str, upgraded: str) -> None:
        """Write the project with `upgraded` packages, lock it, and warm the cache."""
        pins = [f'"pkg{i:02}=={upgraded if i in UPGRADED else "1.0"}"' for i in range(PACKAGES)]
        runtime = ", ".join(pin for i, pin in enumerate(pins) if i not in DEVELOPMENT)
        development = ", ".join(pins[i] for i in DEVELOPMENT)
        text = MANIFEST.format(runtime=runtime, development=development)
        (self.project / "pyproject.toml").write_text(text)
        self.run((self.uv, "sync", "--quiet"), "hardlink", check=True)
        for file in ("pyproject.toml", "uv.lock"):
            shutil.copy(self.project / file, self.directory / f"{name}.{file}")

    def use_lock(self, name: str) -> None:
        for file in ("pyproject.toml", "uv.lock"):
            shutil.copy(self.directory / f"{name}.{file}", self.project / file)

    def run(self, command: tuple[str, ...], mode: str, *, check: bool = False) -> int:
        """Run to the end and return the exit code."""
        done = subprocess.run(
            command,
            cwd=self.project,
            env=self.environ(mode),
            check=False,
            capture_output=True,
            text=True,
        )
        if check and done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        return done.returncode

    def run_and_kill(self, command: tuple[str, ...], mode: str, seconds: float) -> bool:
        """Kill the command and its children after `seconds`; False where it was done already."""
        process = subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environ(mode),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        was_running = process.poll() is None
        if was_running:
            os.killpg(process.pid, self.signal)
        process.wait()
        return was_running


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One row of the table."""

    rig: Rig
    command: str
    mode: str
    scenario: Scenario

    def outcomes(self, trials: int, draw: random.Random) -> Iterator[Outcome]:
        duration = min(self._seconds(self.scenario.after) for _ in range(3))
        self._seconds(self.scenario.healed_as)
        intact = dict(_tree(self.rig.environment))
        for _ in range(trials):
            self._prepare()
            interrupted = self._sync(self.scenario.after)
            killed = self.rig.run_and_kill(interrupted, self.mode, draw.uniform(0, duration))
            code = self.rig.run(self._sync(self.scenario.healed_as), self.mode)
            yield _compared(killed, code, intact, dict(_tree(self.rig.environment)))

    def _seconds(self, profile: str) -> float:
        self._prepare()
        began = time.perf_counter()
        self.rig.run(self._sync(profile), self.mode, check=True)
        return time.perf_counter() - began

    def _prepare(self) -> None:
        shutil.rmtree(self.rig.environment, ignore_errors=True)
        shutil.rmtree(self.rig.directory / "uvflow-cache", ignore_errors=True)
        self.rig.use_lock("old")
        if self.scenario.before:
            self.rig.run(self._sync(self.scenario.before), self.mode, check=True)
        if self.scenario.upgrades:
            self.rig.use_lock("new")

    def _sync(self, profile: str) -> tuple[str, ...]:
        if self.command == "uvflow":
            return (sys.executable, "-m", "uvflow", "sync", f"--{profile}")
        return (self.rig.uv, "sync", "--locked", *SELECTION[profile])


def _compared(
    killed: bool,  # noqa: FBT001  the answer of the line above
    code: int,
    intact: Mapping[str, str],
    found: Mapping[str, str],
) -> Outcome:
    return Outcome(
        killed=killed,
        code=code,
        missing=tuple(sorted(intact.keys() - found.keys())),
        different=tuple(path for path, held in intact.items() if found.get(path, held) != held),
        extra=tuple(sorted(found.keys() - intact.keys())),
    )


def _tree(root: Path) -> Iterator[tuple[str, str]]:
    """Every file but byte code with what it holds, and what can be imported as a namespace."""
    for directory, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__"]
        here = Path(directory)
        for path in (here / name for name in names):
            held = str(path.readlink()) if path.is_symlink() else _digest(_essence(path))
            yield str(path.relative_to(root)), held
        if here.name == "site-packages":
            yield from ((str((here / name).relative_to(root)), "") for name in folders)


def _essence(path: Path) -> bytes:
    """What a file holds, but for what uv 0.9 does now one way and now another.

    Its scripts name `python`, or `python3` where uv found the environment made; RECORD has the
    hash of that.
    """
    data = path.read_bytes()
    if path.parent.name == "bin":
        return data.replace(b"/bin/python3\n", b"/bin/python\n")
    if path.name == "RECORD":
        return b"".join(row for row in data.splitlines(keepends=True) if row[:3] != b"../")
    return data


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


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
    changed = range(FILES) if version == "1.0" else range(FILES // 2, FILES + FILES // 2)
    contents = {
        f"{module}/part{i % 10}/module_{i}.py": draw.randbytes(draw.randrange(200, 8000))
        for i in changed
    }
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


if __name__ == "__main__":
    sys.exit(main())
