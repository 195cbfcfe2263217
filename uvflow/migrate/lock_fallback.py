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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uvflow import findings
from uvflow.errors import NetworkError
from uvflow.files import read_bytes, write_whole
from uvflow.findings import Finding, Severity
from uvflow.lockfile.packages import read_lockfile
from uvflow.migrate import pins, pyproject
from uvflow.migrate.evidence import admits_python
from uvflow.migrate.indexes import PYPI, is_pypi
from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.migrate.plan import Plan
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.state.backup import FileBackup
from uvflow.state.store import Progress
from uvflow.uv import Streamed, Uv

_AS_BEFORE = "everything is as it was before"
_SETTLED = "uv's error above is settled"  # its output has gone to the terminal already
_WITHOUT_LOCK = "`--no-lock` writes pyproject.toml only, to try it with uv"


def retry(
    plan: Plan, failed: Streamed, *, uv: Uv, environ: Mapping[str, str], progress: Progress
) -> Plan:
    """`plan`, changed so that it has a lockfile, which is written by then.

    That is with all its indexes, or for some Pythons and platforms. Raises UvFailedError where
    neither helps, or where it is not for uvflow to choose.
    """
    failure = failed.failure("uv lock")
    if isinstance(failure, NetworkError):
        raise failure.with_context(cause=_AS_BEFORE, hint=_WITHOUT_LOCK)
    may_help = not failed.output or is_about_versions(failed.output)
    widened = _with_all_indexes(plan, uv, environ) if may_help else None
    if widened:
        progress(f"{_SETTLED}: these versions are not all on the first index that has their name")
        return widened
    trials = _RangeTrials(plan=plan, uv=uv, environ=environ)
    python = _python_of(plan, uv, environ) if may_help and plan.may_narrow else None
    if python:
        progress("Looking for the Pythons for which these versions fit together")
        pythons = widest_python_range(trials.declared, python, trials.can_lock)
        if pythons:
            range_ = f"Python {pythons.requires_python}"
            range_ += f" on {pythons.environment}" if pythons.environment else ""
            progress(f"{_SETTLED}: these versions fit together for {range_}")
            return trials.write(pythons)
    output = trials.refusal or failed.output
    lines = ", ".join(blamed_lines(output, plan.imported))
    cause = f"uv's error is about {lines}; {_AS_BEFORE}" if lines else _AS_BEFORE
    raise failure.with_context(cause=cause, hint=failure_hint(output) or _WITHOUT_LOCK)


# More indexes: a source for each package that is not on the first index that has its name.


def _with_all_indexes(plan: Plan, uv: Uv, environ: Mapping[str, str]) -> Plan | None:
    """`plan` with what it takes to find a version on a later index, where that helps."""
    if all("explicit" in index for index in plan.imported.indexes):
        return None
    before = FileBackup.of(plan.root / LOCKFILE)
    arguments = ("lock", "--index-strategy=unsafe-first-match")
    if uv.capture(arguments, cwd=plan.root, environ=environ).code != 0:
        return None
    searched = FileBackup.of(plan.root / LOCKFILE)
    pinned = pin_to_index(plan, before, uv=uv, environ=environ)
    if pinned:
        return pinned
    # What others need cannot be given a source. uv.lock was made with this setting.
    searched.put_back()
    setting = ImportedRequirements(settings={"index-strategy": "unsafe-first-match"})
    text = pyproject.edit(plan.text, setting).text
    write_whole(plan.root / MANIFEST, text.encode())
    return replace(plan, text=text).with_findings(_ALL_INDEXES)


_ALL_INDEXES = findings.action(
    "all-indexes",
    '`index-strategy = "unsafe-first-match"` is set: a version that is needed is not on'
    " the first index that has the name",
    None,
    "dependency confusion: a public package with the same name could be installed; make it a"
    " dependency that is pinned to its index in [tool.uv.sources], then remove the setting",
)

_MOST_ROUNDS = 20  # times that uv names more packages
_STOPPED_AT = re.compile(r"`([\w.-]+)` was found on \S+, but not at the requested version")
_PYPI = {"name": "pypi", "url": PYPI, "default": True}  # where uv looks last by default

Index = Mapping[str, Any]


def pin_to_index(
    plan: Plan, before: FileBackup, *, uv: Uv, environ: Mapping[str, str]
) -> Plan | None:
    """`plan` with a source for each package that uv misses; None where that is not enough.

    uv.lock has to be that of a search on all indexes, and `before` is what it was before: where uv
    has one that fits, it does not look at the indexes again.
    """
    # Where uv.lock has the packages from that can be given a source: direct requirements.
    urls, available = read_lockfile(plan.root / LOCKFILE).registries, dict[str, Index]()
    for name in {r.name for r in plan.imported.requirements if r.name and r.source is None}:
        url = urls.get(name, "")
        known = (i for i in plan.imported.indexes if _is_same(str(i["url"]), url, plan.root))
        index = next(known, _PYPI if is_pypi(url) else None)
        if index:
            available[name] = index
    missing = dict[str, Index]()
    for _ in range(_MOST_ROUNDS):
        pinned = _with_sources(plan, missing)
        write_whole(plan.root / MANIFEST, pinned.text.encode())
        before.put_back()
        completed = uv.capture(("lock",), cwd=plan.root, environ=environ)
        if completed.code == 0:
            return pinned
        names = set(_STOPPED_AT.findall(completed.err)) & available.keys() - missing.keys()
        if not names:
            return None
        missing |= {name: available[name] for name in names}
    return None


def _is_same(url: str, locked: str, root: Path) -> bool:
    """uv.lock has the path of an index that is a directory: relative to `root`, by uv 0.9.0."""
    if "://" in locked:
        return url.rstrip("/") == locked.rstrip("/")
    return os.path.normpath(root / url.removeprefix("file://")) == os.path.normpath(root / locked)


def _with_sources(plan: Plan, missing: Mapping[str, Index]) -> Plan:
    def with_source(requirement: Requirement) -> Requirement:
        index = missing.get(requirement.name or "")
        return replace(requirement, source={"index": index["name"]}) if index else requirement

    is_new = any(index is _PYPI for index in missing.values())
    indexes = (*plan.imported.indexes, *((_PYPI,) if is_new else ()))
    imported = replace(plan.imported.with_each(with_source), indexes=indexes)
    lists = ImportedRequirements(
        dependencies=imported.dependencies, groups=imported.groups, indexes=indexes
    )
    text = pyproject.edit(plan.text, lists).text
    return replace(plan, text=text, imported=imported).with_findings(
        *(
            findings.warning(
                "index-bound",
                f"`{r.text}` is not on the first index that has the name; it is pinned to"
                f" {index['url']}",
                r.origin,
                f"if that is the wrong index, change `{r.name}` in [tool.uv.sources]",
            )
            for r in imported.requirements
            if (index := missing.get(r.name or ""))
        )
    )


# Fewer Pythons: the widest range for which there is a solution.

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
        upper = f",<{_dotted(self.below)}" if self.below else ""
        return f">={_dotted(self.lowest)}{upper}"


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _python_of(plan: Plan, uv: Uv, environ: Mapping[str, str]) -> Version | None:
    """The Python that uv chooses for the project."""
    wanted = environ.get("UV_PYTHON")  # which `uv python find` ignores
    arguments = ("python", "find", "--show-version", *(("--", wanted) if wanted else ()))
    completed = uv.capture(arguments, cwd=plan.root, environ=environ)
    match = re.match(r"(\d+)\.(\d+)", completed.out)
    return (int(match[1]), int(match[2])) if match and completed.code == 0 else None


def widest_python_range(
    declared: str, here: Version, is_possible: Callable[[PythonRange], bool]
) -> PythonRange | None:
    """The widest range within the specifier `declared` that `is_possible`, around one Python.

    That is `here`, or else the lowest of `declared`. None where nothing is possible for either,
    not even on this platform only. A range may be impossible although a narrower one in it is
    possible; so it is widened step by step, and `is_possible` is called about five times.
    """
    system = f"sys_platform == '{sys.platform}'"
    machine = f"platform_machine == '{platform.machine()}'"
    admitted = [version for version in _KNOWN if admits_python(declared, version)]
    starts = dict.fromkeys((*([here] if here in admitted else []), *admitted[:1]))
    for start in starts:  # one Python, everywhere; then on platforms like this one only
        for environment in ("", system, f"{system} and {machine}"):
            narrow = PythonRange(lowest=start, below=_next(start), environment=environment)
            if is_possible(narrow):
                return _widen(narrow, admitted, is_possible)
    return None


def _next(version: Version) -> Version:
    return version[0], version[1] + 1


def _widen(
    pythons: PythonRange, admitted: list[Version], is_possible: Callable[[PythonRange], bool]
) -> PythonRange:
    """`pythons` with later and then with earlier ones, each up to the first impossible range."""
    later = [version for version in admitted if version > pythons.lowest]
    if later and later[-1] == _KNOWN[-1] and is_possible(replace(pythons, below=None)):
        pythons = replace(pythons, below=None)
    else:
        wider = (replace(pythons, below=_next(version)) for version in later)
        pythons = [pythons, *itertools.takewhile(is_possible, wider)][-1]
    earlier = [version for version in reversed(admitted) if version < pythons.lowest]
    wider = (replace(pythons, lowest=version) for version in earlier)
    return [pythons, *itertools.takewhile(is_possible, wider)][-1]


class _RangeTrials:
    """Locks `plan` for ranges of Pythons, in place: sources may be relative to the project.

    `refusal` is what uv printed about the first range that it could not lock.
    """

    def __init__(self, *, plan: Plan, uv: Uv, environ: Mapping[str, str]) -> None:
        self.declared = plan.values["project"].get("requires-python", "")
        self.refusal = ""
        self._plan, self._uv, self._environ = plan, uv, environ
        self._manifest, self._lockfile = plan.root / MANIFEST, plan.root / LOCKFILE
        self._locked: dict[PythonRange, bytes] = {}
        is_older = self._lockfile.exists() and not plan.seed
        self._older = read_bytes(self._lockfile) if is_older else b""

    def can_lock(self, pythons: PythonRange) -> bool:
        if self.refusal and not is_about_versions(self.refusal):
            return False  # what cannot be built or fetched is so for every range
        plan = self._narrow(pythons)
        write_whole(self._manifest, plan.text.encode())
        preferred = plan.seed.encode() or self._older  # the old pins, or an older lockfile
        if preferred:
            write_whole(self._lockfile, preferred)
        else:
            self._lockfile.unlink(missing_ok=True)
        completed = self._uv.capture(("lock",), cwd=plan.root, environ=self._environ)
        if completed.code != 0:
            self.refusal = self.refusal or completed.err
            return False
        self._locked[pythons] = read_bytes(self._lockfile)
        return True

    def write(self, pythons: PythonRange) -> Plan:
        """Write the project for a range that could be locked."""
        plan = self._narrow(pythons)
        write_whole(self._manifest, plan.text.encode())
        write_whole(self._lockfile, self._locked[pythons])
        return plan.with_findings(*narrowing_findings(self.declared, pythons))

    def _narrow(self, pythons: PythonRange) -> Plan:
        text = pyproject.with_python(self._plan.text, pythons.requires_python)
        if pythons.environment:
            only = ImportedRequirements(settings={"environments": [pythons.environment]})
            text = pyproject.edit(text, only).text
        seed = self._plan.seed and pins.seed_lockfile(self._plan.imported, pythons.requires_python)
        return replace(self._plan, text=text, seed=seed)


def narrowing_findings(declared: str, pythons: PythonRange) -> tuple[Finding, ...]:
    """What the user has to know about a range that is narrower than `declared`.

    That later Pythons are excluded is a warning; that declared ones are needs action.
    """
    reason = "the requested versions conflict"
    lowest = next((version for version in _KNOWN if admits_python(declared, version)), None)
    python = Finding(
        Severity.WARNING if pythons.lowest == lowest else Severity.ACTION,
        "python-narrowed",
        f"requires-python is {pythons.requires_python}, and not {declared}: {reason}"
        " on other Pythons",
        None,
        "relax the pins that conflict, then widen it in pyproject.toml",
    )
    platforms = findings.action(
        "platform-narrowed",
        f"uv.lock is for `{pythons.environment}` only: {reason} elsewhere",
        None,
        "relax the pins that conflict, then remove `environments` from [tool.uv]",
    )
    is_narrower = pythons.requires_python != declared
    return (*((python,) if is_narrower else ()), *((platforms,) if pythons.environment else ()))


# An explanation: the lines that uv's output is about, and what to do about it.


_MOST_LINES = 6  # uv's output, above, names all of them


def blamed_lines(output: str, imported: ImportedRequirements) -> tuple[str, ...]:
    """`` `idna==3.7` (requirements.txt:2) `` for every requirement that `output` mentions."""
    reason = _reason(output)
    # uv writes `name==1.0`, `name[extra]>=2`, `name{marker}==1.0`, or the name in backquotes.
    after = r"(?:\[|\{|[<>=!~]=|[<>]|`|\s+depends|,)"
    blamed = [
        requirement
        for requirement in (*imported.requirements, *imported.constraints)
        if requirement.name
        and re.search(rf"(?<![\w./:-]){re.escape(requirement.name)}{after}", reason)
    ]
    more = len(blamed) - _MOST_LINES
    return (
        *(f"`{r.text}` ({r.origin})" for r in blamed[:_MOST_LINES]),
        *([f"{more} more"] if more > 0 else []),
    )


def _reason(output: str) -> str:
    """From uv's error on: above it are progress and hints that quote unrelated names."""
    starts = (output.find(mark) for mark in ("error:", "  × ") if mark in output)
    return output[min(starts, default=0) :]


_NO_SOLUTION = "No solution found"


def is_about_versions(output: str) -> bool:
    """Whether uv found no solution, and not that something cannot be built or fetched."""
    return _NO_SOLUTION in output


# What uv 0.9 to 0.13 prints → what to type next. The first match counts.
_HINTS = {
    r"no version of [\w.-]+(?:\[.*?\])?==\S+\+(?P<build>cpu|cu\d+|rocm\S+)": (
        "add `--extra-index-url https://download.pytorch.org/whl/{build}` to the file: only that"
        " index has the `+{build}` wheels"
    ),
    r"no version of (?P<name>[\w.-]+)": (
        "ask for a version of {name} that an index has, or name the index that has this one"
    ),
    r"(?P<name>[\w.-]+) was not found in (?:the package registry|the provided)": (
        "remove {name} from the file, or name the index that has it"
    ),
    r"ABI tags?: (?:`\w+`, )*`cp(?P<python>3\d+)m?`": (
        "choose a Python that it was built for: `uvflow init --python {python}`"
    ),
    r"resolved to Python (?P<python>\d+\.\d+)": (
        "choose a Python that fits (`uv python list`), or `--python {python}` if that one will do"
    ),
    r"o interpreter found": "see `uv python list`, then `uvflow init --python VERSION`",
    r"project and [\w.-]+:(?P<group>[\w-]+) are incompatible": (
        "make these lines agree, or skip the file of group {group}: `--from` and `--group` name"
        " the files to import"
    ),
    r"Consider limiting your project's supported Python versions": (
        "narrow `requires-python`: uv resolves for every Python that it allows"
    ),
    _NO_SOLUTION: ("remove the version from one of these lines, and uv finds one that fits"),
    r"Failed to build `(?P<name>[\w.-]+)==": (
        "ask for a version of {name} that has a wheel, or try another Python with `--python`"
    ),
}


def failure_hint(output: str) -> str | None:
    """What to do about uv's `output`, where that is known."""
    reason = _reason(output)
    for pattern, text in _HINTS.items():
        match = re.search(pattern, reason)
        if match:
            values = match.groupdict()
            python = re.sub(r"^3(?=\d)", "3.", values.pop("python", ""))  # of cp310
            return text.format(python=python, **values)
    return None
