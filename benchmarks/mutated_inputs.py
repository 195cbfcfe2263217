"""Does uvflow stand whatever is in the files it reads? 100,000 mutated inputs, and extremes.

    uv run benchmarks/mutated_inputs.py [--inputs 100000] [--seed 1] [--first N] [--show]

Every other input is a directory of one to six requirements files, mutated from files as people have
them (mutated_seeds): lines moved, doubled, joined, cut; odd characters, long runs, nested brackets;
other encodings, line ends, raw bytes; other names, includes that meet each other. `uvflow init
--dry-run --json` runs on it with options drawn by lot, in this process, with a stand-in for uv that
knows no names. The others are whole projects and every command that writes nothing
(mutated_projects).

Wrong are: an exception that is not told as an error; more than two seconds of CPU (ten for an
extreme), or ten times as long a wait; a file whose buckets do not add up to its lines, or a line
that needs action and is not told of; a password in what is said or would be written; a control
character that reaches the terminal; a pyproject.toml that is no TOML or does not list what was
imported; a file outside of the project that an import shows; a directory that is not as it was.
What is wrong is printed with the number of its input (`--first N --inputs 1 --show` is that one
alone), and the exit code is 1.

The extremes come first: long lines of one character, deep and wide includes, thousands of files.
Each runs in a process of its own, so that its memory can be told.
"""

import argparse
import contextlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvflow.migrate.planner
import uvflow.process
from benchmarks import mutated_projects
from benchmarks.mutated_projects import OUTSIDE, OUTSIDE_FILE, Content, Special, StandIn, snapshot
from benchmarks.mutated_seeds import NAMES, ODD, OTHERS, RUNS, SECRET, TEXTS
from uvflow.__main__ import find_in_sync
from uvflow.cli import main as command_line
from uvflow.migrate.model import Requirement
from uvflow.migrate.plan import Plan

PATIENCE = 2.0  # seconds of CPU for one input
PATIENCE_WITH_EXTREMES = 10.0
GIVING_UP = 60.0
WAITING = 10  # times its patience of waiting, whatever the clock of the CPU says
MEGABYTE = 1 << 20
INIT_ENDS_WELL = (0, 1, 2, 3, 8, 9)  # done, lines to correct, usage, unreadable, no network
ENDS_WELL = (0, 1, 2, 3, 4, 5, 7, 8)  # and stale, out of sync, damaged, no usable uv
HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BASE = '[project]\nname = "app"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndependencies = []\n'

Files = Mapping[str, Content]


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="uvflow-mutated-", dir=_memory()) as directory:
        root = Path(directory).resolve() / "app"
        state = str(root.with_name("state"))
        os.environ |= {"UVFLOW_CACHE_DIR": state, "ACME_USER": SECRET, "UV_OFFLINE": "1"}
        root.with_name(OUTSIDE_FILE).write_text(f"machine h login me password {OUTSIDE}\n")
        with _standing_in() as (plans, uv):
            trial = Trial(root=root, plans=plans, uv=uv)
            patient = replace(trial, patience=PATIENCE_WITH_EXTREMES)
            wrong = 0 if options.first or options.no_extremes else _extremes(patient, options.only)
            return 1 if wrong + _mutations(trial, options) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="begin with input N")
    parser.add_argument("--show", action="store_true", help="show the files and what is said")
    parser.add_argument("--no-extremes", action="store_true", help="the mutations alone")
    parser.add_argument("--only", default="", metavar="TEXT", help="extremes with TEXT alone")
    return parser.parse_args()


def _memory() -> str | None:
    """A file system in memory, where there is one: 100,000 directories are written and removed."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextlib.contextmanager
def _standing_in() -> Iterator[tuple[list[Plan], StandIn]]:
    """The stand-in takes uv's place; what is given has the plans that were made."""
    plans: list[Plan] = []
    capture, plan = uvflow.process.capture, uvflow.migrate.planner.make_plan
    uv = StandIn(BASE)

    def remembering(*arguments: Any, **keywords: Any) -> Plan:
        plans.append(plan(*arguments, **keywords))
        return plans[-1]

    uvflow.process.capture = uv
    uvflow.migrate.planner.make_plan = remembering
    try:
        yield plans, uv
    finally:
        uvflow.process.capture, uvflow.migrate.planner.make_plan = capture, plan


# An input, and what is wrong with what becomes of it.


@dataclass(frozen=True, kw_only=True)
class Outcome:
    code: int
    seconds: float  # of CPU
    said: str
    wrong: tuple[str, ...]


class _Stream(io.TextIOWrapper):
    """A standard stream in memory, with the buffer below it that scripts are written to."""

    @property
    def text(self) -> str:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(errors="replace")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Runs inputs in `root`; `patience` is in seconds of CPU."""

    root: Path
    plans: list[Plan]
    uv: StandIn
    patience: float = PATIENCE

    def outcome(self, files: Files, command: Sequence[str]) -> Outcome:
        self._lay_out(files)
        self.plans.clear()
        before = set(snapshot(self.root.parent))
        out, err = (_Stream(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        began = time.process_time()
        try:
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                _giving_up(self.patience),
            ):
                code = self._run(command)
        except BaseException:  # noqa: BLE001  whatever it is, nobody is told
            return Outcome(code=-1, seconds=0, said="", wrong=(traceback.format_exc(limit=-5),))
        seconds = time.process_time() - began
        ends_well = INIT_ENDS_WELL if command[0] == "init" else ENDS_WELL
        wrong = (
            *((f"{seconds:.1f} s",) if seconds > self.patience else ()),
            *((f"exit code {code}",) if code not in ends_well else ()),
            *_told_wrongly(command, out.text, err.text),
            *(what for plan in self.plans for what in _planned_wrongly(plan)),
            *(("the files have changed",) if set(snapshot(self.root.parent)) != before else ()),
        )
        said = f"{err.text}{out.text}"
        return Outcome(code=code, seconds=seconds, said=said, wrong=wrong)

    def _run(self, command: Sequence[str]) -> int:
        before = sys.argv
        sys.argv = ["uvflow", *command]
        try:
            if command[0] == "sync":
                find_in_sync(("sync", {}, ()))
            return command_line.main()
        finally:
            sys.argv = before

    def _lay_out(self, files: Files) -> None:
        os.chdir(self.root.parent)
        for directory in (self.root, self.root.with_name("state")):
            shutil.rmtree(directory, ignore_errors=True)
        self.root.mkdir()
        os.chdir(self.root)
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Special):
                content.make(path)
            else:
                path.write_bytes(content)


class _Hangs(BaseException):
    """Not an Exception, so that nothing takes it for one."""


@contextlib.contextmanager
def _giving_up(patience: float) -> Iterator[None]:
    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise _Hangs

    clocks = {
        signal.SIGPROF: (signal.ITIMER_PROF, GIVING_UP),
        signal.SIGALRM: (signal.ITIMER_REAL, patience * WAITING),
    }
    before = {number: signal.signal(number, give_up) for number in clocks}
    for clock, seconds in clocks.values():
        signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        for clock, _ in clocks.values():
            signal.setitimer(clock, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _told_wrongly(command: Sequence[str], out: str, err: str) -> Iterator[str]:
    if SECRET in out or SECRET in err:
        yield "a password is shown"
    if HARMFUL.search(out) or HARMFUL.search(err):
        yield f"{(HARMFUL.search(out) or HARMFUL.search(err))!r} reaches the terminal"
    if command[0] == "init" and (OUTSIDE in out or OUTSIDE in err):
        yield "a file outside of the project is shown"
    told = json.loads(out) if "--json" in command else {}
    if command[0] != "init":
        return
    needing = 0
    for file in told.get("files", ()):
        buckets = ("imported", "merged", "settings", "already_default", "left", "needs_action")
        needing += file["needs_action"]
        if sum(file[bucket] for bucket in buckets) != file["lines"]:
            yield f"the buckets do not add up: {file}"
    findings = [f for f in told.get("findings", ()) if f["severity"] in ("action", "error")]
    if needing and not findings:
        yield "a line needs action, and nobody is told"


def _planned_wrongly(plan: Plan) -> Iterator[str]:
    if plan.text.count(SECRET) > (plan.before or "").count(SECRET) or SECRET in plan.seed:
        yield "a password would be written"
    if OUTSIDE in plan.text:
        yield "a file outside of the project would be written"
    if SECRET in repr(plan) and SECRET not in (plan.before or ""):
        yield "a password is in repr()"
    try:
        written = tomllib.loads(plan.text.removeprefix("\N{BOM}"))  # which uv reads as well
        tomllib.loads(plan.seed)
    except tomllib.TOMLDecodeError as error:
        yield f"no TOML would be written: {error}"
        return
    if plan.before is None:
        groups = {
            name: [e.text for e in entries if isinstance(e, Requirement)]
            for name, entries in plan.imported.groups.items()
        }
        found = {
            name: [entry for entry in entries if isinstance(entry, str)]
            for name, entries in written.get("dependency-groups", {}).items()
        }
        project = written["project"]
        wanted = [requirement.text for requirement in plan.imported.dependencies]
        is_dynamic = "dependencies" in project.get("dynamic", ())  # each is a finding, then
        if (project.get("dependencies", []) != wanted and not is_dynamic) or found != groups:
            yield "what would be written is not what was imported"


# Mutations.


def _mutations(trial: Trial, options: argparse.Namespace) -> int:
    codes = Counter[int]()
    slowest = (0.0, 0)
    wrong = 0
    began = time.perf_counter()
    for number in range(options.first, options.first + options.inputs):
        draw = random.Random(f"{options.seed} {number}")
        trial.uv.draw = draw
        files: Files = mutated_projects.project(draw, trial.root) if number % 2 else _input(draw)
        command = ["init", "--dry-run", "--json", *_arguments(draw)]
        command = mutated_projects.command(draw) if number % 2 else command
        outcome = trial.outcome(files, command)
        codes[outcome.code] += 1
        slowest = max(slowest, (outcome.seconds, number))
        wrong += bool(outcome.wrong)
        for what in outcome.wrong:
            print(f"input {number}: {what}", flush=True)
        if options.show:
            print("\n".join(f"{name}: {data!r}" for name, data in files.items()))
            print(f"{' '.join(command)}\n{outcome.said}")
    print(
        f"{options.inputs} inputs (seed {options.seed}): {wrong} wrong;"
        f" exit codes {', '.join(f'{code}: {codes[code]}' for code in sorted(codes))};"
        f" the slowest is {slowest[1]} with {slowest[0]:.2f} s;"
        f" {_peak(resource.RUSAGE_SELF)} MB at most; {time.perf_counter() - began:.0f} s"
    )
    return wrong


def _by_chance(draw: random.Random, chance: float) -> bool:
    return draw.random() < chance


def _peak(who: int) -> int:
    """Megabytes of memory; macOS counts bytes, Linux kilobytes (getrusage(2))."""
    return resource.getrusage(who).ru_maxrss // (MEGABYTE if sys.platform == "darwin" else 1024)


def _input(draw: random.Random) -> Files:
    names = dict.fromkeys(draw.choice(NAMES) for _ in range(draw.choice((1, 1, 2, 3, 6))))
    files: dict[str, Content] = {
        name: _encoded(draw, _mutated(draw, draw.choice(TEXTS))) for name in names
    }
    for name, texts in OTHERS.items():
        if _by_chance(draw, 0.08):
            text = draw.choice(texts)
            text = text if _by_chance(draw, 0.7) else _bitten(draw, text)
            files[name] = text.encode("utf-8", "surrogatepass")
    return files


def _arguments(draw: random.Random) -> list[str]:
    flags = {
        "--keep-going": 0.7,
        "--strict": 0.1,
        "--strip-credentials": 0.5,
        "--no-lock": 0.2,
        "--allow-outside": 0.2,
        "-v": 0.5,
        "--on-conflict=prefer-base": 0.2,
        "--on-conflict=declare": 0.2,
        "--encoding=latin-1": 0.05,
        "--encoding=utf-16": 0.02,
        "--encoding=nonsense": 0.01,
        "--python=3.12": 0.1,
        "--from=base.txt": 0.05,
        "--from=.": 0.01,
        "--group=lint=base.txt": 0.05,
        "--constraint=requirements.txt": 0.05,
    }
    return ["--name=shop", *(flag for flag, chance in flags.items() if _by_chance(draw, chance))]


def _mutated(draw: random.Random, text: str) -> str:
    lines = text.splitlines()
    for _ in range(draw.choice((0, 1, 1, 2, 3, 5, 8))):
        lines = draw.choice(_OF_LINES)(draw, lines)
    if _by_chance(draw, 0.5) and lines:
        place = draw.randrange(len(lines))
        lines[place] = draw.choice(_OF_A_LINE)(draw, lines[place])
    return draw.choice(("\n", "\n", "\n", "\r\n", "\r")).join([*lines, ""])


def _any_line(draw: random.Random) -> str:
    return draw.choice(draw.choice(TEXTS).splitlines() or [""])


def _inserted(draw: random.Random, lines: list[str]) -> list[str]:
    place = draw.randint(0, len(lines))
    return [*lines[:place], _any_line(draw), *lines[place:]]


def _doubled(draw: random.Random, lines: list[str]) -> list[str]:
    return [*lines, *draw.sample(lines, min(2, len(lines)))]


def _shuffled(draw: random.Random, lines: list[str]) -> list[str]:
    return draw.sample(lines, len(lines))


def _cut(draw: random.Random, lines: list[str]) -> list[str]:
    return lines[: draw.randint(0, len(lines))]


def _continued(draw: random.Random, lines: list[str]) -> list[str]:
    return [
        f"{line}{draw.choice((' ', ''))}\\" if _by_chance(draw, 0.3) else line for line in lines
    ]


def _joined(draw: random.Random, lines: list[str]) -> list[str]:
    place = draw.randint(0, len(lines))
    return [*lines[:place], draw.choice((" ", "; ", " # ", ",")).join(lines[place : place + 2])]


def _with_odd_ends(draw: random.Random, lines: list[str]) -> list[str]:
    return [
        f"{draw.choice(ODD)} {line} {draw.choice(ODD)}" if _by_chance(draw, 0.3) else line
        for line in lines
    ]


def _with_any_text(draw: random.Random, lines: list[str]) -> list[str]:
    text = "".join(chr(draw.choice((draw.randrange(128), draw.randrange(0xD7FF)))) for _ in "12345")
    return [*lines, text.replace("\n", "")]


_OF_LINES: tuple[Callable[[random.Random, list[str]], list[str]], ...] = (
    *(_inserted, _inserted, _doubled, _shuffled, _cut, _continued, _joined),
    *(_with_odd_ends, _with_any_text),
)


def _bitten(draw: random.Random, line: str) -> str:
    """Characters lost, doubled and put in between; not in a password, which would not be one."""
    if SECRET in line:
        return line
    for _ in range(draw.randint(1, 4)):
        place = draw.randint(0, len(line))
        middle = draw.choice(("", draw.choice(ODD), draw.choice(RUNS), line[place : place + 3]))
        line = line[:place] + middle + line[place + draw.randint(0, 2) :]
    return line


def _with_a_run(draw: random.Random, line: str) -> str:
    run = draw.choice(RUNS) * draw.choice((2, 20, 200, 2000, 20_000))
    return draw.choice((f"{line} {run}", f"{run} {line}", f"{line} {run}x", f"{line}{run}"))


def _nested(draw: random.Random, line: str) -> str:
    depth = draw.choice((3, 100, 3000))
    left, right = draw.choice(("()", "[]", "{}", "''", '""'))
    inside = draw.choice((line, "", "python_version < '3'"))
    before = draw.choice((line, "six ; ", "six", "-e ", "six[x] @ "))
    return f"{before}{left * depth}{inside}{right * draw.choice((depth, depth - 1))}"


def _long_version(draw: random.Random, _line: str) -> str:
    number = draw.choice(
        ("1." * 500 + "1", "9" * 5000, "1" + "a1" * 300, "1!" * 50, "\u0663.\u0661")
    )
    return f"six{draw.choice(('==', '>=', '~=', '===', '==='))}{number}"


def _long_marker(draw: random.Random, _line: str) -> str:
    clause = draw.choice(("os_name == 'nt'", "python_version < '3.9'", "extra == 'x'"))
    return "six ; " + draw.choice((" or ", " and ")).join([clause] * draw.choice((5, 300)))


_OF_A_LINE: tuple[Callable[[random.Random, str], str], ...] = (
    *(_bitten, _bitten, _bitten, _with_a_run, _nested, _long_version, _long_marker),
)


def _encoded(draw: random.Random, text: str) -> bytes:
    encoding, before = draw.choices(
        (
            ("utf-8", b""),
            ("utf-8", b"\xef\xbb\xbf"),
            ("utf-16-le", b"\xff\xfe"),
            ("utf-16-be", b"\xfe\xff"),
            ("utf-32-le", b"\xff\xfe\x00\x00"),
            ("latin-1", b"# -*- coding: latin-1 -*-\n"),
            ("latin-1", b""),
            ("utf-16-le", b""),
            ("utf-8", b"# coding: nonsense\n"),
            ("utf-8", b"# coding: rot13\n"),
            ("utf-8", b"# coding: utf-7\n"),
        ),
        (85, 3, 2, 2, 1, 2, 2, 1, 1, 0.5, 0.5),
    )[0]
    data = before + text.encode(encoding, "replace")
    if SECRET not in text and _by_chance(draw, 0.03):
        place = draw.randint(0, len(data))
        data = data[:place] + draw.randbytes(draw.randint(1, 8)) + data[place:]
    return data


# Extremes.


def _extremes(trial: Trial, only: str) -> int:
    """Each in a process of its own; prints what it took, and returns how many went wrong."""
    wrong = 0
    for name, files in _extreme_inputs():
        if only not in name:
            continue
        sys.stdout.flush()
        child = os.fork()
        if not child:
            began = time.perf_counter()
            command = ("init", "--dry-run", "--json", "--name=shop", "--keep-going")
            outcome = trial.outcome(files, command)
            took = f"{outcome.seconds:5.2f} s of CPU, {time.perf_counter() - began:5.2f} s in all"
            memory = _peak(resource.RUSAGE_SELF)
            print(f"{name:<42} exit {outcome.code}, {took}, {memory:4} MB", flush=True)
            for what in outcome.wrong:
                print(f"  {what}", flush=True)
            os._exit(1 if outcome.wrong else 0)
        wrong += os.waitpid(child, 0)[1] != 0
    return wrong


def _extreme_inputs() -> Iterator[tuple[str, dict[str, bytes]]]:
    for character in RUNS:
        for before in ("six ; ", "-r ", "-e ", "x @ git+https://h/", "-i https://u:p@", "# "):
            line = before + character * MEGABYTE
            yield f"1 MB of {character!r} after {before!r}", {"requirements.txt": line.encode()}
    for name, text in _LONG.items():
        yield name, {"requirements.txt": text.encode()}
    for name, files in _MANY.items():
        yield name, {path: text.encode() for path, text in files().items()}


_LONG = {
    "1 MB of hashes in one line": "six==1.16.0" + f" --hash=sha256:{0:064}" * (MEGABYTE // 80),
    "1 MB of continuations": "six \\\n" * (MEGABYTE // 7),
    "1 MB of empty continuations": "\\\n" * (MEGABYTE // 2),
    "1 MB of options": "--pre " * (MEGABYTE // 6),
    "1 MB of extras": f"six[{'x,' * (MEGABYTE // 2)}x]",
    "1 MB of specifiers": f"six{'>=1,' * (MEGABYTE // 4)}<2",
    "1 MB of markers": "six ; os_name == 'x'" + " or os_name == 'x'" * (MEGABYTE // 18),
    "1 MB of brackets in a marker": f"six ; {'(' * MEGABYTE}os_name == 'x'{')' * MEGABYTE}",
    "1,000 indexes": "".join(
        f"--extra-index-url https://u:p@h{n}.example/simple\n" for n in range(1000)
    ),
    "1 MB of one index": "-i https://u:p@h.example/simple\n" * (MEGABYTE // 35),
    "1 MB of URLs in a comment": "# " + "https://u:p@h/ " * (MEGABYTE // 15),
    "1 MB of commented lines": "# six==1.0\n" * (MEGABYTE // 11),
    "one package, 20,000 times": "six>=1\n" * 20_000,
    "one package with 500 pins": "".join(f"six=={n}\n" for n in range(500)),
    "20,000 packages": "".join(f"package-{n}=={n}.0\n" for n in range(20_000)),
    "5,000 paths": "".join(f"./libs/p{n}\n" for n in range(5000)),
}


def _chain(names: Sequence[str]) -> dict[str, str]:
    """Each includes the next, and wants a package of its own."""
    following = (*names[1:], "")
    lines = (f"-r {Path(then).name}\n" if then else "" for then in following)
    pairs = enumerate(zip(names, lines, strict=True))
    return {name: f"{line}package-{number}\n" for number, (name, line) in pairs}


_MANY: dict[str, Callable[[], dict[str, str]]] = {
    "includes 1,000 deep": lambda: _chain(["requirements.txt", *(f"{n}.txt" for n in range(999))]),
    "includes 10,000 deep": lambda: _chain(
        ["requirements.txt", *(f"{n}.txt" for n in range(9999))]
    ),
    "1,000 groups, each including the next": lambda: _chain(
        [f"requirements/g{n}.txt" for n in range(1000)]
    ),
    "1,000 groups that include one": lambda: {
        "requirements/base.txt": "six\n",
        **{f"requirements/g{n}.txt": "-r base.txt\nidna\n" for n in range(1000)},
    },
    "50 files that include each other": lambda: {
        f"requirements/g{n}.txt": "".join(f"-r g{m}.txt\n" for m in range(50)) + f"package-{n}\n"
        for n in range(50)
    },
    "10,000 constraints files": lambda: {
        "requirements.txt": "six\n",
        **{f"requirements/constraints-{n}.txt": f"package-{n}<2\n" for n in range(10_000)},
    },
    "300 groups with 100 packages each": lambda: {
        f"requirements/g{n}.txt": "".join(f"package-{m}>={m}\n" for m in range(100))
        for n in range(300)
    },
}


if __name__ == "__main__":
    sys.exit(main())
