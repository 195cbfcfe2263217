"""Every image that `uvflow docker` makes of six kinds of projects: built, run and searched.

    uv run benchmarks/docker/matrix.py [--only WORD]... [--patience SECONDS]

Needs a Linux engine as compare.py does. Each image is built, says or answers what it should while
its file system is read-only and all capabilities are dropped, stops within a second, runs as a user
that is not root, has no uv, no compiler (dev keeps those that a build needs), no secret and nothing
of the host in any layer, and has the same files once more from the same tree with other file times.
A row for each; the exit code is 1 where something is wrong with one.
"""

import argparse
import datetime as dt
import itertools
import mmap
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.append(f"{sys.path[0]}/tests")

import engine as engines  # the engine that the tests use
from engine import Container, Engine

from benchmarks.docker import measures, service
from benchmarks.docker.contenders import UVFLOW
from benchmarks.docker.kinds import ON_THE_HOST, Kind, kinds
from benchmarks.import_world import SECRET, world
from uvflow.errors import UsageError

BASES = ("slim", "managed", "distroless")
TARGETS = ("prod", "dev")
UV = frozenset({"uv", "uvx"})
COMPILERS = frozenset({"cc", "gcc", "g++", "ld", "make", "pg_config"})
TAG = "uvflow-matrix"


@dataclass(frozen=True, kw_only=True)
class Image:
    kind: Kind
    base: str
    target: str

    def __str__(self) -> str:
        return f"{self.kind.name}, {self.base}, {self.target}"

    @property
    def is_possible(self) -> bool:
        """Distroless has nothing of Debian."""
        return self.base != "distroless" or not self.kind.needs_debian


def main() -> int:
    options = _options()
    engine = engines.find()
    if isinstance(engine, str):
        sys.exit(engine)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="matrix-") as directory:
        place = Path(directory).resolve()
        with world(place) as around:
            chosen = _chosen(around.host, options.only or [""])
            trials = (Trial(engine, image, place / "it", options.patience) for image in chosen)
            wrong = [bool(_row(trial)) for trial in trials]
    minutes = (time.monotonic() - begun) / 60
    print(f"\n{len(wrong)} images, {sum(wrong)} with something wrong, {minutes:.0f} minutes")
    return int(any(wrong))


def _chosen(host: str, words: Sequence[str]) -> Iterator[Image]:
    for kind, base, target in itertools.product(kinds(host), BASES, TARGETS):
        image = Image(kind=kind, base=base, target=target)
        if any(word in str(image) for word in words):
            yield image


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", metavar="WORD", help="such as 'django, slim'")
    patience = "seconds from the signal to the end; a busy machine needs more"
    parser.add_argument("--patience", type=float, default=1.0, help=patience)
    return parser.parse_args()


def _row(trial: "Trial") -> list[str]:
    """Prints what is wrong with an image, and returns it."""
    begun = time.monotonic()
    faults: list[str] = []
    try:
        faults.extend(trial.faults())  # keeps those that are found before it cannot go on
    except AssertionError as error:
        faults.append(str(error))
    if not faults:
        verdict = "good" if trial.image.is_possible else "refused, as it has to be"
    else:
        verdict = "\n    ".join(("WRONG", *faults))
    print(f"{trial.image!s:38} {time.monotonic() - begun:4.0f} s  {verdict}", flush=True)
    return faults


@dataclass(frozen=True)
class Trial:
    """One image, made in `root`; `patience` are the seconds that it may take to stop."""

    engine: Engine
    image: Image
    root: Path
    patience: float

    def faults(self) -> Iterator[str]:
        """What is wrong with the image; raises AssertionError where it cannot even be built."""
        self.image.kind.write(self.root)
        locked = self._run("uv", "lock", "--quiet", f"--python={sys.executable}")
        assert locked.returncode == 0, locked.stderr
        made = self._run(str(UVFLOW), "docker", f"--base={self.image.base}")
        if made.returncode or not self.image.is_possible:
            if self.image.is_possible or made.returncode != UsageError.exit_code:
                yield f"uvflow docker ended with {made.returncode}: {made.stderr}"
            return
        # uv keeps what it compiled, and would take what the Python of another base compiled.
        self._build(*(_own_caches() if self.image.kind.needs_debian else ()))
        yield from self._inside()
        yield from self._behaviour()
        before = self.engine.files(TAG)
        for path in self.root.rglob("*"):
            os.utime(path, (0, 0))
        self._build("--no-cache", *_own_caches())
        yield from _differences(before, self.engine.files(TAG))
        self.engine.docker("image", "rm", "--force", TAG)

    def _build(self, *options: str) -> None:
        target = f"--profile={self.image.target}"
        words = ("docker", "build", target, f"--tag={TAG}", "--", "--network=host", *options)
        with self.engine.building(TAG):
            done = self._run(str(UVFLOW), *words)
        assert done.returncode == 0, done.stderr[-3000:]

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, **self.image.kind.credentials}
        return subprocess.run(
            words, cwd=self.root, env=environ, check=False, capture_output=True, text=True
        )

    def _inside(self) -> Iterator[str]:
        user = self.engine.inspect(TAG)["Config"]["User"]
        if not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user):
            yield f"runs as {user or 'root'}"
        forbidden = UV if self.image.target == "dev" else UV | COMPILERS
        unwanted = forbidden & measures.programs(self.engine, TAG)
        if unwanted:
            yield f"has {', '.join(sorted(unwanted))}"
        for secret in _found(self.engine, TAG, (SECRET, ON_THE_HOST)):
            yield f"has {secret} in its history or in a layer"

    def _behaviour(self) -> Iterator[str]:
        kind = self.image.kind
        if not kind.serves:
            said = self.engine.output(TAG)
            if said != kind.says:
                yield f"says {said!r}"
        if kind.stays is not None:
            with self.engine.running(TAG, {**kind.environ, **kind.stays}) as container:
                yield from self._answers(container) if kind.serves else _begins(container, kind)
                seconds = _seconds_to_stop(container)
                if seconds > self.patience:
                    yield f"takes {seconds:.1f} s to stop"

    def _answers(self, container: Container) -> Iterator[str]:
        status, body = container.get(service.PORT, service.HEALTH, seconds=60)
        if (status, body) != (200, self.image.kind.says.encode()):
            yield f"answers {status} {body!r}"
        if container.probe():
            yield "its health check fails"


def _own_caches() -> tuple[str, ...]:
    return measures.own_caches(uuid.uuid4().hex)


def _begins(container: Container, kind: Kind) -> Iterator[str]:
    """Waits for its words: Python that has just been started does not know of signals yet."""
    deadline = time.monotonic() + 60
    while kind.says not in container.logs():
        if time.monotonic() > deadline:
            yield f"says {container.logs()!r}"
            return
        time.sleep(0.1)


def _seconds_to_stop(container: Container) -> float:
    """From the signal that the image asks for to the end; the engine's clock is this machine's."""
    asked = dt.datetime.now(dt.UTC)
    container.engine.docker("stop", "--time=10", container.id)
    ended = container.engine.inspect(container.id)["State"]["FinishedAt"]
    return (dt.datetime.fromisoformat(ended) - asked).total_seconds()


def _found(engine: Engine, image: str, words: tuple[str, ...]) -> Iterator[str]:
    """Which of `words` are anywhere in `image`: its configuration, its history, its layers."""
    with tempfile.TemporaryDirectory() as directory:
        saved = Path(directory, "image.tar")
        engine.docker("save", f"--output={saved}", image)
        with saved.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            yield from (word for word in words if text.find(word.encode()) >= 0)


def _differences(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[str]:
    """The files that two builds of one tree do not agree on."""
    paths = first.keys() | second.keys()
    differing = sorted(path for path in paths if first.get(path) != second.get(path))
    if differing:
        yield f"another build has other files: {', '.join(differing[:9])} ({len(differing)})"


if __name__ == "__main__":
    sys.exit(main())
