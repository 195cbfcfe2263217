"""How often does a sync that was killed at a random instant leave an environment broken for good?

    uv run benchmarks/kills.py [--kills 1000] [--command uv|uvflow|both] [--jobs 2] [--seed 1]

Each trial prepares an environment, starts a sync in it, kills that with everything it has started
at a random instant, runs it once more to its end, and compares every file with an environment that
was never interrupted. Where the sync is done before the instant comes it is no trial, and another
instant is drawn: so each instant of its time is as likely as any other. Caches are warm and the
index is on disk: no network. What takes long is the disk, so a TMPDIR in memory helps.

    intact   the second sync succeeds, and every file is what it should be
    broken   it succeeds, and files are missing or different
    littered it succeeds, and files are there that should not be: modules that can be imported, or
             just uv's temporary ones
    refused  it fails

"given up" is a first dev sync that is killed and followed by a prod sync. Byte code has to be
there, to fit its source and to load in "compile-bytecode". Elsewhere Python makes it anew; but what
fits its source and does not load breaks the import, so it is wrong everywhere.

The exit code is 1 where a killed `uvflow sync` was not intact in the end.
"""

import argparse
import importlib.util
import marshal
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.kills_world import Rig


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """From one profile to another, where None is no environment at all.

    The sync that is killed is one of `after`, the one that has to heal is one of `healed_as`.
    """

    name: str
    before: str | None
    after: str
    healed_as: str
    upgrades: bool = False


SCENARIOS = (
    Scenario(name="fresh dev", before=None, after="dev", healed_as="dev"),
    Scenario(name="fresh prod", before=None, after="prod", healed_as="prod"),
    Scenario(name="prod → dev", before="prod", after="dev", healed_as="dev"),
    Scenario(name="dev → prod", before="dev", after="prod", healed_as="prod"),
    Scenario(name="upgrade", before="dev", after="dev", healed_as="dev", upgrades=True),
    Scenario(name="compile-bytecode", before=None, after="compiled", healed_as="compiled"),
    Scenario(name="given up", before=None, after="dev", healed_as="prod"),
)
MODES = ("hardlink", "copy")
COMMANDS = ("uv", "uvflow")

_BEYOND = 1.2  # instants are drawn up to this times the longest of the last whole syncs
_LOOK_AGAIN = 10  # trials; then it is measured anew how long a whole sync takes

_LOADS, _BREAKS = b"loads", b"does not load"  # what a tree has for byte code that fits its source

Tree = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial left: exit code and last words of the second sync, and how its files differ."""

    instant: float
    code: int
    said: str
    missing: tuple[str, ...]
    different: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        return (*self.missing, *self.different, *self.extra)

    @property
    def verdict(self) -> str:
        if self.code:
            return "refused"
        if self.missing or self.different:
            return "broken"
        return "littered" if self.extra else "intact"

    def __str__(self) -> str:
        if self.code:
            return f"exit code {self.code}: {self.said}"
        counts = f"{len(self.missing)} missing, {len(self.different)} different"
        return f"{counts}, {len(self.extra)} extra ({self.wrong[-1]})"


def main() -> int:
    options = _options()
    commands = COMMANDS if options.command == "both" else (options.command,)
    bad: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="uvflow-kills-") as directory:
        rigs = _rigs(Path(directory), options.jobs)
        print(f"seed {options.seed}, {options.jobs} at a time, SIG{options.signal}\n")
        print(ROW.format(*HEADINGS), RULE, sep="\n")
        for command in commands:
            outcomes = _table(command, rigs, options)
            if command == "uvflow":
                bad = [outcome for outcome in outcomes if outcome.verdict != "intact"]
    for outcome in bad:
        print(f"killed after {outcome.instant:.3f} s: {outcome}", file=sys.stderr)
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=140, help="of each command, over all rows")
    parser.add_argument("--command", choices=(*COMMANDS, "both"), default="both")
    parser.add_argument("--jobs", type=int, default=2, help="syncs to kill at the same time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT"), default="KILL")
    return parser.parse_args()


def _rigs(directory: Path, count: int) -> tuple[Rig, ...]:
    with ThreadPoolExecutor(count) as pool:
        return tuple(pool.map(Rig.built, (directory / str(number) for number in range(count))))


VERDICTS = ("intact", "broken", "littered", "refused")
ROW = "| {:<7} | {:<8} | {:<16} | {:>5} | {:>6} | {:>6} | {:>8} | {:>7} | {} |"
HEADINGS = ("command", "links", "scenario", "kills", *VERDICTS, "the worst")
RULE = "|---|---|---|--:|--:|--:|--:|--:|---|"


def _table(command: str, rigs: tuple[Rig, ...], options: argparse.Namespace) -> list[Outcome]:
    """Carry out and print the rows of one command, and their sum."""
    began = time.perf_counter()
    rows = [(mode, scenario) for mode in MODES for scenario in SCENARIOS]
    everything: list[Outcome] = []
    for place, (mode, scenario) in enumerate(rows):
        numbers = range(place, options.kills, len(rows))
        trials = [
            Trial(rig=rig, command=command, mode=mode, scenario=scenario, options=options)
            for rig in rigs
        ]
        outcomes = _side_by_side(trials, numbers)
        print(_row(command, mode, scenario.name, outcomes), flush=True)
        everything += outcomes
    print(_row(command, "both", "all", everything), flush=True)
    seconds = time.perf_counter() - began
    print(f"{len(everything)} kills of {command} in {seconds:.0f} s", file=sys.stderr)
    return everything


def _side_by_side(trials: "list[Trial]", numbers: range) -> list[Outcome]:
    """Each rig takes its share of the numbers, at the same time as the others."""
    shares = [numbers[place :: len(trials)] for place in range(len(trials))]
    with ThreadPoolExecutor(len(trials)) as pool:
        parts = pool.map(lambda trial, share: list(trial.outcomes(share)), trials, shares)
        return [outcome for part in parts for outcome in part]


def _row(command: str, mode: str, name: str, outcomes: list[Outcome]) -> str:
    counts = Counter(outcome.verdict for outcome in outcomes)
    bad = (outcome for outcome in outcomes if outcome.verdict != "intact")
    worst = max(bad, key=lambda outcome: len(outcome.wrong), default="")
    verdicts = (counts[verdict] for verdict in VERDICTS)
    return ROW.format(command, mode, name, len(outcomes), *verdicts, worst)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A share of one row of the table."""

    rig: Rig
    command: str
    mode: str
    scenario: Scenario
    options: argparse.Namespace

    def outcomes(self, numbers: range) -> Iterator[Outcome]:
        """One for each of `numbers`, from which and from the seed the instants are drawn."""
        if not numbers:
            return
        looks = range(min(len(numbers), 3))
        lasted = deque((self._seconds(self.scenario.after) for _ in looks), maxlen=3)
        if self.scenario.healed_as != self.scenario.after:
            self._seconds(self.scenario.healed_as)
        intact = dict(_tree(self.rig.environment))
        for count, number in enumerate(numbers, 1):
            draw = random.Random(f"{self.options.seed} {self.mode} {self.scenario.name} {number}")
            instant = self._kill(draw, lasted)
            done = self.rig.run(self._sync(self.scenario.healed_as), self.mode)
            found = dict(_tree(self.rig.environment))
            yield _compared(intact, found, instant=instant, code=done.returncode, said=done.stderr)
            if count % _LOOK_AGAIN == 0:
                lasted.append(self._seconds(self.scenario.after))

    def _kill(self, draw: random.Random, lasted: deque[float]) -> float:
        """Kill a sync, and return after how many seconds."""
        number = signal.Signals[f"SIG{self.options.signal}"]
        while True:
            self._prepare()
            instant = draw.uniform(0, _BEYOND * max(lasted))
            whole = self.rig.kill(self._sync(self.scenario.after), self.mode, number, instant)
            if whole is None:
                return instant
            lasted.append(whole)

    def _seconds(self, profile: str) -> float:
        self._prepare()
        return self.rig.seconds(self._sync(profile), self.mode)

    def _prepare(self) -> None:
        self.rig.start_over()
        if self.scenario.before:
            self.rig.seconds(self._sync(self.scenario.before), self.mode)
        if self.scenario.upgrades:
            self.rig.use_lock("new")

    def _sync(self, profile: str) -> tuple[str, ...]:
        return self.rig.sync(self.command, profile)


def _compared(intact: Tree, found: Tree, *, instant: float, code: int, said: str) -> Outcome:
    extra = {path: held for path, held in found.items() if path not in intact and held != _LOADS}
    breaking = [path for path, held in extra.items() if held == _BREAKS]
    changed = [path for path, held in intact.items() if found.get(path, held) != held]
    return Outcome(
        instant=instant,
        code=code,
        said=" ".join(said.split()),
        missing=tuple(sorted(intact.keys() - found.keys())),
        different=tuple(sorted(changed + breaking)),
        extra=tuple(sorted(extra.keys() - breaking)),
    )


def _tree(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file with what it holds, and what can be imported as a namespace."""
    for directory, folders, names in os.walk(root):
        here = Path(directory)
        for path in (here / name for name in names):
            held = _bytecode(path) if here.name == "__pycache__" else _held(path)
            if held is not None:
                yield str(path.relative_to(root)), held
        if here.name == "site-packages":
            namespaces = (here / name for name in folders if name != "__pycache__")
            yield from ((str(path.relative_to(root)), b"") for path in namespaces)


def _held(path: Path) -> bytes:
    """What a file holds, but for what uv 0.9 does now one way and now another.

    Its scripts name `python`, or `python3` where uv found the environment made; RECORD has the
    hash of that.
    """
    if path.is_symlink():
        return os.fsencode(path.readlink())
    data = path.read_bytes()
    if path.parent.name == "bin":
        return data.replace(b"/bin/python3\n", b"/bin/python\n")
    if path.name == "RECORD":
        return b"".join(row for row in data.splitlines(keepends=True) if row[:3] != b"../")
    return data


def _bytecode(path: Path) -> bytes | None:
    """What Python does with it: load it, break, or (None) make it anew."""
    if path.suffix != ".pyc":  # a compiler was killed before the rename
        return None
    data = path.read_bytes()
    if not _fits(data, Path(importlib.util.source_from_cache(path))):
        return None
    try:
        is_code = isinstance(marshal.loads(data[16:]), CodeType)
    except (EOFError, ValueError, TypeError):
        return _BREAKS
    return _LOADS if is_code else _BREAKS


def _fits(data: bytes, source: Path) -> bool:
    """PEP 552: a magic number, flags, then the source's hash, or its time and size for flags 0."""
    if data[:4] != importlib.util.MAGIC_NUMBER or not source.is_file():
        return False
    if any(data[4:8]):
        return data[8:16] == importlib.util.source_hash(source.read_bytes())
    status = source.stat()
    return data[8:16] == struct.pack("<II", int(status.st_mtime), status.st_size)


if __name__ == "__main__":
    sys.exit(main())
