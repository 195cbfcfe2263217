"""What to do when `uv lock` fails: other indexes, fewer Pythons, or an explanation.

pip resolves for the machine it runs on, and takes the best version of all indexes. uv resolves for
every Python that `requires-python` allows and for every platform (uv docs, "Universal resolution"),
and stops at the first index that has a name, so that nobody can publish a package under the name of
a private one (uv docs, "Searching across multiple indexes"). So versions that pip has installed may
have no solution.
"""

import itertools
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from uvflow import findings
from uvflow.errors import NetworkError, UvflowError
from uvflow.files import read_bytes, write_whole
from uvflow.findings import Finding, Severity
from uvflow.lockfile.packages import registries
from uvflow.migrate import pins, pyproject
from uvflow.migrate.indexes import PYPI, is_pypi
from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.migrate.plan import Plan
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.state.backup import FileBackup
from uvflow.state.store import Progress
from uvflow.uv import Streamed, Uv

Version = tuple[int, int]  # major and minor

_KNOWN: tuple[Version, ...] = tuple((3, minor) for minor in range(6, 17))


@dataclass(frozen=True, kw_only=True)
class PythonRange:
    """The Pythons from `lowest` up to, and without, `below`; `environment` is a marker."""

    lowest: Version
    below: Version | None = None
    environment: str = ""

    @property
    def requires_python(self) -> str:
        """A specifier (PEP 440)."""
        upper = f",<{_told(self.below)}" if self.below else ""
        return f">={_told(self.lowest)}{upper}"


def widest_python_range(
    declared: str, here: Version, is_possible: Callable[[PythonRange], bool]
) -> PythonRange | None:
    """The widest range within the specifier `declared` that `is_possible`, around one Python.

    That is `here`, or else the lowest of `declared`. None where nothing is possible for either,
    not even on this platform alone. A range that holds a possible one within may be impossible; so
    it is widened step by step, and `is_possible` is called about five times.
    """
    admitted = [version for version in _KNOWN if _admits(declared, version)]
    starts = dict.fromkeys((*([here] if here in admitted else []), *admitted[:1]))
    for start in starts:
        found = next(filter(is_possible, _narrowest(start)), None)
        if found:
            return _lowered(_raised(found, admitted, is_possible), admitted, is_possible)
    return None


def narrowing_findings(declared: str, found: PythonRange) -> tuple[Finding, ...]:
    """What the user has to know of a range that is narrower than `declared`.

    That later Pythons are shut out is told to all; that some are which are declared needs action.
    """
    reason = "the versions that are asked for do not fit together"
    is_later_alone = _admits(declared, found.lowest) and not any(
        _admits(declared, version) for version in _KNOWN if version < found.lowest
    )
    python = Finding(
        Severity.WARNING if is_later_alone else Severity.ACTION,
        "python-narrowed",
        f"requires-python is {found.requires_python}, and not {declared}: {reason}"
        " for other Pythons",
        None,
        "let go of the pins that are in the way, then widen it in pyproject.toml",
    )
    platforms = findings.action(
        "platform-narrowed",
        f"uv.lock is for `{found.environment}` alone: {reason} elsewhere",
        None,
        "let go of the pins that are in the way, then take `environments` out of [tool.uv]",
    )
    is_narrower = found.requires_python != declared
    return (*((python,) if is_narrower else ()), *((platforms,) if found.environment else ()))


def _admits(specifier: str, version: Version) -> bool:
    """Any patch release will do."""
    return any(f"{_told(version)}.{patch}" in SpecifierSet(specifier) for patch in (0, 99))


def _told(version: Version) -> str:
    return ".".join(map(str, version))


def _next(version: Version) -> Version:
    return version[0], version[1] + 1


def _narrowest(start: Version) -> Iterator[PythonRange]:
    """One Python, everywhere; then on platforms like this one alone."""
    alone = PythonRange(lowest=start, below=_next(start))
    system = f"sys_platform == '{sys.platform}'"
    machine = f"platform_machine == '{platform.machine()}'"
    yield alone
    yield replace(alone, environment=system)
    yield replace(alone, environment=f"{system} and {machine}")


def _raised(
    found: PythonRange, admitted: list[Version], is_possible: Callable[[PythonRange], bool]
) -> PythonRange:
    """`found` for later Pythons as well, up to the first for which that is impossible."""
    later = [version for version in admitted if version > found.lowest]
    if later and later[-1] == _KNOWN[-1] and is_possible(replace(found, below=None)):
        return replace(found, below=None)
    wider = (replace(found, below=_next(version)) for version in later)
    return _last(itertools.takewhile(is_possible, wider), found)


def _lowered(
    found: PythonRange, admitted: list[Version], is_possible: Callable[[PythonRange], bool]
) -> PythonRange:
    """`found` for earlier Pythons as well, down to the first for which that is impossible."""
    earlier = [version for version in admitted if version < found.lowest]
    wider = (replace(found, lowest=version) for version in reversed(earlier))
    return _last(itertools.takewhile(is_possible, wider), found)


def _last(ranges: Iterator[PythonRange], default: PythonRange) -> PythonRange:
    for found in ranges:
        default = found
    return default


_MOST_ROUNDS = 20  # times that uv names more packages
_STOPPED_AT = re.compile(r"`([\w.-]+)` was found on \S+, but not at the requested version")
_PYPI = {"name": "pypi", "url": PYPI, "default": True}  # where uv looks last without being told

Index = Mapping[str, Any]


def pin_to_index(
    work: Plan, first: FileBackup, *, uv: Uv, environ: Mapping[str, str]
) -> Plan | None:
    """`work` with a source for each package that uv misses; None where that is not enough.

    uv.lock has to be that of a search on all indexes, and `first` is what it was before: where uv
    has one that fits, it does not look at the indexes again.
    """
    found = dict(_found(work))
    missed = dict[str, Index]()
    for _ in range(_MOST_ROUNDS):
        bound = _bound(work, missed)
        write_whole(work.root / MANIFEST, bound.text.encode())
        first.put_back()
        answer = uv.capture(("lock",), cwd=work.root, environ=environ)
        if answer.code == 0:
            return bound
        named = set(_STOPPED_AT.findall(answer.err)) & found.keys() - missed.keys()
        if not named:
            return None
        missed |= {name: found[name] for name in named}
    return None


def _found(work: Plan) -> Iterator[tuple[str, Index]]:
    """Where uv.lock has the packages from that a source can speak of: those of the lists."""
    taken = registries(read_bytes(work.root / LOCKFILE).decode())
    for name in {r.name for r in work.imported.requirements if r.name and r.source is None}:
        index = _index_at(taken.get(name, ""), work)
        if index:
            yield name, index


def _index_at(place: str, work: Plan) -> Index | None:
    indexes = work.imported.indexes
    known = (index for index in indexes if _is_same(str(index["url"]), place, work.root))
    return next(known, _PYPI if is_pypi(place) else None)


def _is_same(url: str, place: str, root: Path) -> bool:
    """uv.lock has the path of an index that is a directory: relative to `root`, by uv 0.9.0."""
    if "://" in place:
        return url.rstrip("/") == place.rstrip("/")
    return os.path.normpath(root / url.removeprefix("file://")) == os.path.normpath(root / place)


def _bound(work: Plan, missed: Mapping[str, Index]) -> Plan:
    def place(requirement: Requirement) -> Requirement:
        index = missed.get(requirement.name or "")
        return replace(requirement, source={"index": index["name"]}) if index else requirement

    is_new = any(index is _PYPI for index in missed.values())
    indexes = (*work.imported.indexes, *((_PYPI,) if is_new else ()))
    imported = replace(work.imported.with_each(place), indexes=indexes)
    lists = ImportedRequirements(
        dependencies=imported.dependencies, groups=imported.groups, indexes=indexes
    )
    text = pyproject.edit(work.text, lists).text
    return replace(work, text=text, imported=imported).told(*_findings(imported, missed))


def _findings(imported: ImportedRequirements, missed: Mapping[str, Index]) -> Iterator[Finding]:
    for requirement in imported.requirements:
        index = missed.get(requirement.name or "")
        if index:
            yield findings.warning(
                "index-bound",
                f"`{requirement.text}` is not on the first index that has the name: it is"
                f" bound to {index['url']}",
                requirement.origin,
                f"should that be a stranger's, change `{requirement.name}` in [tool.uv.sources]",
            )


_MOST_LINES = 6  # lines; the words of uv above have all of them

_NO_SOLUTION = "No solution found"

# What uv 0.9 to 0.13 says → what to type next. The first that fits is told.
_HINTS = {
    r"no version of [\w.-]+(?:\[.*?\])?==\S+\+(?P<build>cpu|cu\d+|rocm\S+)": (
        "put `--extra-index-url https://download.pytorch.org/whl/{build}` into the file: the"
        " `+{build}` archives are there alone"
    ),
    r"no version of (?P<name>[\w.-]+)": (
        "ask for a version of {name} that an index has, or name the index that has this one"
    ),
    r"(?P<name>[\w.-]+) was not found in (?:the package registry|the provided)": (
        "take {name} out of the file, or name the index that has it"
    ),
    r"ABI tags?: (?:`\w+`, )*`cp(?P<python>3\d+)m?`": (
        "choose a Python it was made for, as in `uvflow init --python {python}`"
    ),
    r"resolved to Python (?P<python>\d+\.\d+)": (
        "take a Python that fits (`uv python list`), or `--python {python}` if that one will do"
    ),
    r"o interpreter found": "see `uv python list`, then `uvflow init --python VERSION`",
    r"project and [\w.-]+:(?P<group>[\w-]+) are incompatible": (
        "make these lines agree, or leave the file of group {group} out: `--from` and `--group`"
        " name the files that count"
    ),
    r"Consider limiting your project's supported Python versions": (
        "narrow `requires-python`: uv resolves for every Python that it allows"
    ),
    _NO_SOLUTION: (
        "change one of these lines: take the version out of it, and uv finds one that fits"
    ),
    r"Failed to build `(?P<name>[\w.-]+)==": (
        "ask for a version of {name} that has a wheel, or try another Python with `--python`"
    ),
}


def blamed_lines(said: str, imported: ImportedRequirements) -> tuple[str, ...]:
    """`` `idna==3.7` (requirements.txt:2) `` for every requirement that `said` speaks of."""
    reason = said[_start(said) :]
    wanted = (*imported.requirements, *imported.constraints)
    found = [r for r in wanted if r.name and _speaks_of(reason, r)]
    more = len(found) - _MOST_LINES
    return (
        *(f"`{r.text}` ({r.origin})" for r in found[:_MOST_LINES]),
        *([f"{more} more"] if more > 0 else []),
    )


def is_about_versions(said: str) -> bool:
    """Whether uv found no solution, and not that something cannot be built or fetched."""
    return _NO_SOLUTION in said


def failure_hint(said: str) -> str | None:
    """What to do about it, where that can be told from `said`."""
    reason = said[_start(said) :]
    for pattern, text in _HINTS.items():
        match = re.search(pattern, reason)
        if match:
            said_there = match.groupdict()
            python = re.sub(r"^3(?=\d)", "3.", said_there.pop("python", ""))  # of cp310
            return text.format(python=python, **said_there)
    return None


def _start(said: str) -> int:
    """Above the error uv tells what it is doing, and hints quote what has to do with nothing."""
    return min((said.find(mark) for mark in ("error:", "  × ") if mark in said), default=0)


def _speaks_of(reason: str, requirement: Requirement) -> bool:
    """uv writes `name==1.0`, `name[extra]>=2`, `name{marker}==1.0`, or the name in backquotes."""
    name = re.escape(requirement.name or "")
    return (
        re.search(rf"(?<![\w./:-]){name}(?:\[|\{{|[<>=!~]=|[<>]|`|\s+depends|,)", reason)
        is not None
    )


_AS_BEFORE = "everything is as it was before"
_SETTLED = "uv's error above is settled"  # its words went to the terminal as it spoke
_WITHOUT_LOCK = "`--no-lock` writes pyproject.toml alone, to try it with uv"

_ALL_INDEXES = findings.action(
    "all-indexes",
    '`index-strategy = "unsafe-first-match"` is set: a version that is needed is not on'
    " the first index that has the name",
    None,
    "a stranger's package may come in by a name that is yours: make what is found elsewhere a"
    " dependency, bound to its index in [tool.uv.sources], then take the setting out",
)


def retry(
    work: Plan, ended: Streamed, *, uv: Uv, environ: Mapping[str, str], progress: Progress
) -> Plan:
    """`work` as far as there is a lockfile for it, which is written by then.

    That is with all its indexes, or for some Pythons and platforms. Raises UvFailedError where
    there is none, or where it is not for uvflow to choose.
    """
    failure = ended.failure("uv lock")
    if isinstance(failure, NetworkError):
        raise failure.with_context(cause=_AS_BEFORE, hint=_WITHOUT_LOCK)
    tries = _Tries(work=work, uv=uv, environ=environ)
    may_help = not ended.output or is_about_versions(ended.output)
    merged = _with_all_indexes(work, uv, environ) if may_help else None
    if merged:
        progress(f"{_SETTLED}: these versions are not all on the first index that has their name")
        return merged
    here = _python_of(work, uv, environ) if may_help and work.may_narrow else None
    if here:
        progress("Looking for the Pythons for which these versions fit together")
        found = widest_python_range(tries.declared, here, tries.is_possible)
        if found:
            where = f" on {found.environment}" if found.environment else ""
            progress(
                f"{_SETTLED}: these versions fit together for Python {found.requires_python}{where}"
            )
            return tries.carried_out(found)
    raise _explained(failure, work, tries.said or ended.output)


def _with_all_indexes(work: Plan, uv: Uv, environ: Mapping[str, str]) -> Plan | None:
    """`work` with what it takes to find a version on a later index, where that helps."""
    if all("explicit" in index for index in work.imported.indexes):
        return None
    first = FileBackup.of(work.root / LOCKFILE)
    searching = ("lock", "--index-strategy=unsafe-first-match")
    if uv.capture(searching, cwd=work.root, environ=environ).code != 0:
        return None
    searched = FileBackup.of(work.root / LOCKFILE)
    bound = pin_to_index(work, first, uv=uv, environ=environ)
    if bound is None:
        searched.put_back()
    return bound or _trusting_all(work)


def _trusting_all(work: Plan) -> Plan:
    """What others bring along can be bound to no index; uv.lock is made with this setting."""
    setting = ImportedRequirements(settings={"index-strategy": "unsafe-first-match"})
    text = pyproject.edit(work.text, setting).text
    write_whole(work.root / MANIFEST, text.encode())
    return replace(work, text=text).told(_ALL_INDEXES)


def _python_of(work: Plan, uv: Uv, environ: Mapping[str, str]) -> tuple[int, int] | None:
    """The Python that uv takes for `work`, as major and minor."""
    wanted = environ.get("UV_PYTHON")  # which `uv python find` does not look at
    asked = ("python", "find", "--show-version", *(("--", wanted) if wanted else ()))
    answer = uv.capture(asked, cwd=work.root, environ=environ)
    match = re.match(r"(\d+)\.(\d+)", answer.out)
    return (int(match[1]), int(match[2])) if match and answer.code == 0 else None


class _Tries:
    """Whether there is a lockfile for a range of Pythons, tried in place: sources may be near it.

    `said` is what uv said of the first range that it refused.
    """

    def __init__(self, *, work: Plan, uv: Uv, environ: Mapping[str, str]) -> None:
        self.declared = work.values["project"].get("requires-python", "")
        self.said = ""
        self._work, self._uv, self._environ = work, uv, environ
        self._lockfiles: dict[PythonRange, bytes] = {}
        lockfile = work.root / LOCKFILE
        self._older = read_bytes(lockfile) if lockfile.exists() and not work.seed else b""

    def is_possible(self, asked: PythonRange) -> bool:
        if self.said and not is_about_versions(self.said):
            return False  # what cannot be built or fetched is so for every range
        work = self._narrowed(asked)
        write_whole(work.root / MANIFEST, work.text.encode())
        _begin(work, self._older)
        answer = self._uv.capture(("lock",), cwd=work.root, environ=self._environ)
        self.said = self.said or (answer.err if answer.code else "")
        if answer.code == 0:
            self._lockfiles[asked] = read_bytes(work.root / LOCKFILE)
        return answer.code == 0

    def carried_out(self, found: PythonRange) -> Plan:
        """The work as it is written for the range `found`, which was possible."""
        work = self._narrowed(found)
        write_whole(work.root / MANIFEST, work.text.encode())
        write_whole(work.root / LOCKFILE, self._lockfiles[found])
        return work.told(*narrowing_findings(self.declared, found))

    def _narrowed(self, asked: PythonRange) -> Plan:
        text = pyproject.with_python(self._work.text, asked.requires_python)
        if asked.environment:
            only = ImportedRequirements(settings={"environments": [asked.environment]})
            text = pyproject.edit(text, only).text
        seed = self._work.seed and pins.seed_lockfile(self._work.imported, asked.requires_python)
        return replace(self._work, text=text, seed=seed)


def _begin(work: Plan, older: bytes) -> None:
    """What uv prefers: old pins, or what an `older` lockfile has."""
    if work.seed or older:
        write_whole(work.root / LOCKFILE, work.seed.encode() or older)
    else:
        (work.root / LOCKFILE).unlink(missing_ok=True)


def _explained(failure: UvflowError, work: Plan, said: str) -> UvflowError:
    """`failure`, with the lines of the old files that uv speaks of in `said`."""
    lines = blamed_lines(said, work.imported)
    cause = f"uv speaks of {', '.join(lines)}; {_AS_BEFORE}" if lines else _AS_BEFORE
    return failure.with_context(cause=cause, hint=failure_hint(said) or _WITHOUT_LOCK)
