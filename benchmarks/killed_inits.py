"""Is a project ever left half-way where `uvflow init` or `uvflow undo` is killed in it?

    uv run benchmarks/killed_inits.py [--trials 84] [--command init] [--seed 1]

Each trial lays out a project, starts the command in it, and sends a signal to that and to all it
has started, at a random instant: SIGKILL, and now and then SIGINT or SIGTERM. One instant in four
is any, the others are after the first change. Another uvflow command follows, drawn by lot from
init, sync and undo; then everything is undone. Caches are warm and the index is on disk: no
network.

The columns from "reading" to "done" tell what was under way when the signal came. "old" and "new"
count the projects that were, after the command that followed, what they were before the init or
what an init that is let alone makes of them: every path with its kind, mode and bytes, and what is
old with its times, the environment included. All else is broken, and so is a project that is not
the old one after the undo, a command that puts something back without saying so, and a traceback:
the exit code is 1 then.
"""

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from wheels import build_index, build_wheel  # the tests' own index builder

from uvflow import uv
from uvflow.files import SET_ASIDE
from uvflow.paths import state_name
from uvflow.state import backup
from uvflow.state.store import State

MODULES = 400  # of the one large package: copying and syncing are to take their time
SIGNALS = {signal.SIGKILL: 8, signal.SIGINT: 1, signal.SIGTERM: 1}  # how often each is drawn
ANY_INSTANT = 0.25  # how many of them; half of an init is reading, which changes nothing
COMMANDS = ("init", "undo")
FOLLOWING = ("init", "sync", "undo")
PHASES = ("reading", "locking", "syncing", "putting back", "tidying up", "done")
TOLD = "An earlier command was interrupted"

Tree = Mapping[str, tuple[int, str]]  # path → its kind and mode, and what it holds


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What a project is made of; `modes` are those of files, `links` are path → where it leads.

    `installed` are the packages of an environment that is there before the init.
    """

    name: str
    files: Mapping[str, str]
    modes: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    installed: tuple[str, ...] = ()


REQUIREMENTS = {
    "requirements.txt": "# what the app needs\nlarge==1.0\nrequests==2.28.0  # http\nsix\n",
    "requirements-dev.txt": "-r requirements.txt\npytest==8.0.0\n",
}
FOLDER = {
    "requirements/base.in": "requests\nlarge\n",
    "requirements/base.txt": "certifi==2024.2.2\nidna==2.10\nlarge==1.0\nrequests==2.28.0\n",
    "requirements/test.txt": "-r base.txt\niniconfig==2.0.0\n",
    "requirements/dev.txt": "-r base.txt\n-r test.txt\ntoml\n",
    "constraints.txt": "packaging<25\n",
}
THEIRS = '[project]\r\nname = "theirs"\r\nversion = "1"\r\ndependencies = ["six"]  # ours\r\n'
TOOLS = "[tool.ruff]\nline-length = 100\n"
LOCK = 'version = 1\nrequires-python = ">=3.8"\n'  # too old for a sync with --locked
# A package whose build takes a moment and leaves its traces, as setuptools does.
BACKEND = """\
import pathlib, sys, time
sys.path.insert(0, {tests!r})
from wheels import build_wheel as build

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    for trace in ("local.egg-info", "build"):
        pathlib.Path(trace).mkdir(exist_ok=True)
    time.sleep(0.1)
    return build(pathlib.Path(wheel_directory), "local", "1.0").name
"""
BUILT = """\
[project]
name = "local"
version = "1.0"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
SCENARIOS = (
    Scenario(name="fresh", files={**REQUIREMENTS, "setup.py": "print('mine')\n"}),
    Scenario(
        name="manifest",
        files={**REQUIREMENTS, "pyproject.toml": THEIRS},
        modes={"pyproject.toml": 0o600, "requirements.txt": 0o444},
    ),
    Scenario(name="venv", files=REQUIREMENTS, installed=("large==2.0", "six==1.15.0")),
    Scenario(
        name="lock",
        files={**REQUIREMENTS, "pyproject.toml": TOOLS, "uv.lock": LOCK},
        modes={"uv.lock": 0o640},
        installed=("large==2.0", "toml"),
    ),
    Scenario(
        name="folder",
        files={**FOLDER, "conf/pyproject.toml": TOOLS},
        links={"pyproject.toml": "conf/pyproject.toml", ".venv": "environments/one"},
        installed=("large==2.0", "iniconfig==1.1.1"),
    ),
    Scenario(
        name="local",
        files={
            "requirements.txt": "./libs/local\nlarge\n",
            "libs/local/pyproject.toml": BUILT,
            "libs/local/backend.py": BACKEND.format(tests=sys.path[0]),
        },
    ),
)


def main() -> int:
    options = _options()
    print(f"seed {options.seed}, {options.trials} trials each\n")
    print(ROW.format("killed", "project", *PHASES, "old", "new", "broken"))
    broken = 0
    with tempfile.TemporaryDirectory(prefix="uvflow-killed-inits-") as directory:
        place = Place.built(Path(directory).resolve())
        for command in COMMANDS if options.command == "both" else (options.command,):
            for scenario in SCENARIOS:
                draw = random.Random(f"{options.seed} {command} {scenario.name}")
                attack = Attack.on(scenario, command, place)
                outcomes = [attack.trial(draw) for _ in range(options.trials)]
                print(_row(command, scenario, outcomes), flush=True)
                for wrong in (line for outcome in outcomes for line in outcome.wrong):
                    print(f"  {wrong}", flush=True)
                broken += sum(bool(outcome.wrong) for outcome in outcomes)
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="for each row of the table")
    parser.add_argument("--command", choices=(*COMMANDS, "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


ROW = " ".join(("{:<6} {:<10}", *(f"{{:>{len(phase)}}}" for phase in PHASES), "{:>4} {:>4} {:>6}"))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """When the signal came, what the project was after the next command, and what was wrong."""

    phase: str
    became: str
    wrong: tuple[str, ...]


def _row(command: str, scenario: Scenario, outcomes: list[Outcome]) -> str:
    phases = Counter(outcome.phase for outcome in outcomes)
    became = Counter(outcome.became for outcome in outcomes if not outcome.wrong)
    counts = (*(phases[phase] for phase in PHASES), became["old"], became["new"])
    return ROW.format(command, scenario.name, *counts, sum(bool(o.wrong) for o in outcomes))


@dataclass(frozen=True, kw_only=True)
class Place:
    """An index, a cache, and one directory for the project of every trial."""

    directory: Path
    environ: Mapping[str, str]

    @classmethod
    def built(cls, directory: Path) -> "Place":
        index = build_index(directory / "index")
        _build_large(index / "large")
        for name in ("home", "tmp"):
            (directory / name).mkdir()
        outside = ("UV", "PIP_", "PYTHON", "XDG_", "VIRTUAL_ENV", "CONDA")
        environ = {k: v for k, v in os.environ.items() if not k.startswith(outside)}
        environ |= {
            "HOME": str(directory / "home"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(directory / "tmp"),
            "UV_CACHE_DIR": str(directory / "cache"),
            "UV_DEFAULT_INDEX": index.as_uri(),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
            "UVFLOW_CACHE_DIR": str(directory / "state"),
            "UVFLOW_UV": uv.find().path,
        }
        return cls(directory=directory, environ=environ)

    @property
    def root(self) -> Path:
        return self.directory / "project"

    @property
    def state(self) -> State:
        directory = self.directory / "state" / "projects" / state_name(str(self.root))
        return State(directory=directory, root=self.root)

    def make(self, scenario: Scenario) -> None:
        """The project of `scenario`, of which uvflow knows nothing."""
        self._clear()
        for name, text in scenario.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            path.chmod(scenario.modes.get(name, 0o644))
        for name, target in scenario.links.items():
            (self.root / name).symlink_to(target)
        if scenario.installed:
            (self.root / ".venv").resolve().mkdir(parents=True, exist_ok=True)
            found = self.environ["UVFLOW_UV"]
            self.run(found, "venv", "--allow-existing", ".venv")
            self.run(found, "pip", "install", "--python", ".venv", *scenario.installed)

    def keep(self, name: str) -> None:
        """Put a copy of the project, and of what uvflow knows of it, aside as `name`."""
        shutil.rmtree(self.directory / name, ignore_errors=True)
        for part in ("project", "state"):
            _copy(self.directory / part, self.directory / name / part)

    def lay_out(self, name: str) -> None:
        """The project again as it was when it was put aside as `name`."""
        self._clear()
        for part in ("project", "state"):
            _copy(self.directory / name / part, self.directory / part)

    def _clear(self) -> None:
        for part in ("project", "state"):
            shutil.rmtree(self.directory / part, ignore_errors=True)

    def run(self, *words: str) -> None:
        """Run to the end, which has to be a good one."""
        done = self.attempt(*words)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")

    def attempt(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words,
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=120,
        )


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        shutil.copytree(source, target, symlinks=True)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One row of the table: what is there before and after an init.

    `unbuilt` is `new` without the traces of a build, which uv may have in its cache from before.
    `seconds` is what the command takes, `changing` what of it is left after its first change.
    """

    place: Place
    command: str
    seconds: float
    changing: float
    old: Tree
    new: Tree
    unbuilt: Tree
    times: Mapping[str, int]

    @classmethod
    def on(cls, scenario: Scenario, command: str, place: Place) -> "Attack":
        place.make(scenario)
        place.keep("before init")
        old, times = _tree(place.root), _times(place.root)
        place.run(*_uvflow("init"))  # the first one fills the caches
        place.lay_out("before init")
        place.run(*_uvflow("init"))
        place.keep("before undo")
        new = _tree(place.root)
        seconds, changing = min(_timed(place, command) for _ in range(3))
        return cls(
            place=place,
            command=command,
            seconds=seconds,
            changing=changing,
            old=old,
            new=new,
            unbuilt={path: new[path] for path in new if path in old or "/libs/" not in f"/{path}"},
            times=times,
        )

    def trial(self, draw: random.Random) -> Outcome:
        number = draw.choices(list(SIGNALS), list(SIGNALS.values()))[0]
        is_any, following = draw.random() < ANY_INSTANT, draw.choice(FOLLOWING)
        seconds = draw.uniform(0, self.seconds if is_any else self.changing)
        self.place.lay_out(f"before {self.command}")
        phase, code = self._interrupted(number, seconds, after_change=not is_any)
        wrong = [] if number == signal.SIGKILL else list(self._left_behind(code))
        is_unfinished = backup.is_unfinished(self.place.state)
        followed = self.place.attempt(*_uvflow(following))
        became = self._compared()
        if is_unfinished and following != "undo" and TOLD not in followed.stderr:
            wrong.append("nobody is told")
        undone = self.place.attempt(*_uvflow("undo"))
        if became not in ("old", "new"):
            wrong.append(f"it became {became}")
        if self._compared() != "old":
            wrong.append(f"after the undo it is {self._compared()}")
        if "Traceback" in followed.stderr + undone.stderr:
            wrong.append("a traceback")
        if wrong:
            said = (following, followed.stderr), ("undo", undone.stderr)
            wrong += [f"{command} said: …{err[-200:].strip()!r}" for command, err in said]
        when = f"{number.name}, {phase}: "
        return Outcome(phase=phase, became=became, wrong=tuple(when + what for what in wrong))

    def _interrupted(self, number: int, seconds: float, *, after_change: bool) -> tuple[str, int]:
        """What was under way when the signal came, and the exit code."""
        process = _started(self.place, self.command)
        if after_change:
            _await_change(process, self.place.state)
        time.sleep(seconds)
        phase = self._phase() if process.poll() is None else "done"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        code = process.wait()
        _await_end(process.pid)
        return phase, code

    def _phase(self) -> str:
        """By what is on disk."""
        state = self.place.state
        is_changed = state.read("backup.json") is not None
        is_unfinished = is_changed and backup.is_unfinished(state)
        if self.command == "undo":
            return ("putting back" if is_unfinished else "reading") if is_changed else "tidying up"
        if not is_unfinished:
            return "tidying up" if is_changed else "reading"
        is_syncing = any(
            any(state.directory.glob(f"*.{kind}")) for kind in ("journal", "fingerprint")
        )
        return "syncing" if is_syncing else "locking"

    def _left_behind(self, code: int) -> Iterator[str]:
        """What is wrong with a project right after a command that had the time to tidy up."""
        target = "new" if self.command == "init" else "old"
        found = self._compared()
        if found not in ((target,) if code == 0 else ("old", "new")):
            yield f"{self.command} left with exit code {code}, and {found}"

    def _compared(self) -> str:
        """`old`, `new`, or the first few paths that are neither."""
        found = _tree(self.place.root)
        if found in (self.new, self.unbuilt):
            return "new"
        if found == self.old:
            times = _times(self.place.root)
            later = [path for path, at in self.times.items() if times[path] != at]
            return f"old, with other times of {', '.join(later)}" if later else "old"
        strange = sorted(
            path
            for path in {*found, *self.old, *self.new}
            if found.get(path) not in (self.old.get(path), self.new.get(path))
        )
        return f"neither: {', '.join(strange[:5]) or 'some of both'}"


def _uvflow(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "uvflow", *words)


def _started(place: Place, command: str) -> "subprocess.Popen[bytes]":
    """The command, in a session of its own."""
    return subprocess.Popen(
        _uvflow(command),
        cwd=place.root,
        env=place.environ,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _await_change(process: "subprocess.Popen[bytes]", state: State) -> None:
    """Until there is something to put back, or the command is done."""
    while process.poll() is None and not backup.is_unfinished(state):
        time.sleep(0.001)


def _timed(place: Place, command: str) -> tuple[float, float]:
    """What the command takes, and what of it comes after its first change; in seconds."""
    place.lay_out(f"before {command}")
    began = time.perf_counter()
    process = _started(place, command)
    _await_change(process, place.state)
    changed = time.perf_counter()
    process.wait()
    return time.perf_counter() - began, time.perf_counter() - changed


def _await_end(group: int) -> None:
    """What was killed last may still be at work on the disk."""
    with contextlib.suppress(ProcessLookupError):
        for _ in range(1000):
            os.killpg(group, 0)
            time.sleep(0.01)


def _tree(root: Path) -> Tree:
    paths = (root, *root.rglob("*"))
    return {p.relative_to(root).as_posix(): (p.lstat().st_mode, _held(p)) for p in paths}


def _held(path: Path) -> str:
    """What is there, but for the time at which uv installed a local package, and for inodes."""
    if path.is_symlink():
        return str(path.readlink())
    if path.is_dir() or path.name in {"uv_cache.json", SET_ASIDE}:
        return ""
    rows = path.read_bytes().splitlines(keepends=True)
    return _digest(b"".join(row for row in rows if b"uv_cache.json," not in row))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _times(root: Path) -> dict[str, int]:
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in files}


def _build_large(folder: Path) -> None:
    folder.mkdir()
    for version in ("1.0", "2.0"):
        _enlarge(build_wheel(folder, "large", version), version)
    links = (f'<a href="{path.name}">{path.name}</a>' for path in sorted(folder.glob("*.whl")))
    (folder / "index.html").write_text(f"<!DOCTYPE html>{''.join(links)}")


def _enlarge(wheel: Path, version: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    added = {f"large/module_{i}.py": f"V = {version!r}\n".encode() * 99 for i in range(MODULES)}
    record = next(name for name in contents if name.endswith("/RECORD"))
    rows = "".join(f"{name},,{len(data)}\n" for name, data in added.items())
    contents[record] = rows.encode() + contents[record]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in {**added, **contents}.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)


if __name__ == "__main__":
    sys.exit(main())
