"""What `uvflow init` will do, as values, and the options that were given. Pure."""

import difflib
import functools
import os
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from packaging.utils import canonicalize_name

from uvflow.errors import ImportNeedsUserError, NetworkError, UsageError, UvflowError
from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.formats.pip import direct_reference
from uvflow.migrate.formats.pip.direct_reference import is_outside
from uvflow.migrate.model import Bucket, FileReport, ImportedRequirements, ImportOptions
from uvflow.migrate.pins import Comparison, HashCheck, Moved
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project.profiles import Profile
from uvflow.state.locks import DEFAULT_TIMEOUT

Section = tuple[str, tuple[str, ...]]  # a title and its lines

_DONE = {"create": "created", "edit": "edited"}
_WOULD = {"create": "would be created", "edit": "would be edited"}
_UNENDED = "\n\\ No newline at end of file\n"  # as diff and patch have it
_BUCKETS = {
    Bucket.IMPORTED: "imported",
    Bucket.MERGED: "merged",
    Bucket.SETTING: "became settings",
    Bucket.DEFAULT: "already the default",
    Bucket.ACTION: "need action",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A path relative to the root (POSIX), and what happens to it."""

    path: str
    action: Literal["create", "edit"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that will be done.

    `before` is the text of pyproject.toml, None where there is none, and `text` what it becomes.
    `seed` is a first uv.lock of the old pins, empty for none. `profile` is what gets synced.
    `may_narrow` tells that nobody has said for which Pythons it is to be.
    """

    root: Path
    before: str | None
    text: str
    imported: ImportedRequirements = field(default_factory=ImportedRequirements)
    changes: tuple[Change, ...] = ()
    seed: str = ""
    profile: Profile = field(default_factory=lambda: Profile(name="dev"))
    environment: Path | None = None
    may_narrow: bool = False
    is_there: bool = False  # a project with its lockfile already: nothing to do

    @functools.cached_property
    def values(self) -> Mapping[str, Any]:
        """What `text` says."""
        return tomllib.loads(self.text)

    def told(self, *findings: Finding) -> "Plan":
        """This plan with more to tell of it."""
        known = self.imported.findings
        return replace(self, imported=replace(self.imported, findings=(*known, *findings)))


@dataclass(frozen=True, kw_only=True)
class Done:
    """A plan, carried out: what the finished lockfile made of the old pins and hashes."""

    plan: Plan
    pins: Comparison = field(default_factory=lambda: Comparison(kept=(), moved=()))
    hashes: HashCheck = field(
        default_factory=lambda: HashCheck(expected=0, verified=0, findings=())
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything there is to tell: of the files, of pins that moved, of hashes that differ."""
        moved = tuple(map(_moved, self.pins.moved))
        return (*self.plan.imported.findings, *moved, *self.hashes.findings)

    @property
    def files(self) -> tuple[FileReport, ...]:
        """The books of the files; a line whose pin moved needs action."""
        moves = {moved.pin.origin: Bucket.ACTION for moved in self.pins.moved if moved.new}
        return tuple(recounted(file, moves) for file in self.plan.imported.files)


def recounted(file: FileReport, moves: Mapping[Origin, Bucket]) -> FileReport:
    """`file` with its imported lines that `moves` knows in the buckets they went to instead."""
    went = Counter(bucket for origin, bucket in moves.items() if origin.path == file.path)
    counts = Counter(file.buckets)
    counts.update(went)
    counts[Bucket.IMPORTED] -= went.total()
    return replace(file, buckets={bucket: counts[bucket] for bucket in Bucket if counts[bucket]})


def needs_user(errors: tuple[Finding, ...]) -> UvflowError:
    """All of them in one error: who has five lines to correct wants to know them at once.

    Where it is only for want of a network, that is a NetworkError.
    """
    is_offline = all(error.code == "include-unreachable" for error in errors)
    message, hint = _summed_up(errors)
    kind = NetworkError if is_offline else ImportNeedsUserError
    return kind(message, hint=hint, findings=errors)


def _summed_up(errors: tuple[Finding, ...]) -> tuple[str, str | None]:
    if len(errors) == 1:
        return str(errors[0]), errors[0].hint
    in_order = sorted(errors, key=lambda error: (error.origin is not None, error.origin))
    lines = (f"  {error}{f' ({error.hint})' if error.hint else ''}" for error in in_order)
    head = f"{len(errors)} lines need a decision; nothing was written"
    files = "`--from FILE` and `--group NAME=FILE` choose the files that count"
    hint = files if any(error.code == "conflict" for error in errors) else None
    return "\n".join((head, *lines)), hint


def sections(plan: Plan, done: Done | None = None, *, verbose: bool = False) -> tuple[Section, ...]:
    """What went where, what was noticed, what needs action, what comes next; if not done, would."""
    if plan.is_there:
        return ((f"{plan.root.name} is a locked uv project already; nothing to do", ()),)
    found = done.findings if done else plan.imported.findings
    files = done.files if done else plan.imported.files
    noticed = (Severity.WARNING, Severity.NOTE) if verbose else (Severity.WARNING,)
    parts = (
        ("Read", _columns((f.path, f.role, _counted(f)) for f in files)),
        ("Written" if done else "To be written", _columns(_written(plan, done))),
        ("Noticed", format_findings(found, *noticed)),
        ("Needs action", format_findings(found, Severity.ACTION)),
        ("Next", _next_steps(done) if done else ()),
    )
    return tuple((title, lines) for title, lines in parts if lines)


def _written(plan: Plan, done: Done | None) -> Iterator[tuple[str, str]]:
    for change in plan.changes:
        words = [(_DONE if done else _WOULD)[change.action]]
        if done and change.path == LOCKFILE:
            words += _lock_summary(done)
        yield change.path, ", ".join(words)


def _lock_summary(done: Done) -> Iterator[str]:
    pins = len(done.pins.kept) + len(done.pins.moved)
    if pins:
        yield f"pins kept {len(done.pins.kept)}/{pins}"
    if done.hashes.expected:
        yield f"hashes verified {done.hashes.verified}/{done.hashes.expected}"


def _moved(moved: Moved) -> Finding:
    pin, new = moved.pin, ", ".join(moved.new)
    if not new:
        message = f"{pin.name} {pin.version} is not locked: nothing requires it"
        hint = f"if it is needed, `uv add {pin.name}=={pin.version}`"
        severity = Severity.WARNING
    else:
        message = f"{pin.name} {pin.version} became {new}"
        hint = "look whether that will do; uv could not have the old version"
        severity = Severity.ACTION
    return Finding(severity, "pin-moved", message, pin.origin, hint)


def _counted(file: FileReport) -> str:
    counts = (f"{n} {_BUCKETS[bucket]}" for bucket, n in file.buckets.items() if n)
    lines = f"{file.lines} line{'' if file.lines == 1 else 's'}"
    return f"{lines}: {', '.join(counts)}" if file.lines else "empty"


def _columns(rows: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    rows = tuple(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = (zip(row, widths, strict=True) for row in rows)
    return tuple(f"  {'  '.join(c.ljust(width) for c, width in row)}".rstrip() for row in cells)


def pressing(plan: Plan, done: Done | None = None) -> tuple[Finding, ...]:
    """What even those want to know who want to hear nothing."""
    found = done.findings if done else plan.imported.findings
    return tuple(f for f in found if f.severity in (Severity.WARNING, Severity.ACTION))


def format_findings(findings: Iterable[Finding], *severities: Severity) -> tuple[str, ...]:
    """A line for each finding of `severities`, and its fix on a line below it."""
    return tuple(
        line
        for finding in findings
        if finding.severity in severities
        for line in (f"  {finding}", *((f"    hint: {finding.hint}",) if finding.hint else ()))
    )


def _next_steps(done: Done) -> tuple[str, ...]:
    is_locked = LOCKFILE in {change.path for change in done.plan.changes}
    steps = (
        *(() if is_locked else (("uvflow init", "makes the lockfile, of the versions in force"),)),
        *(() if done.plan.environment else (("uvflow sync", "makes the environment"),)),
        ("uvflow sync --prod", "makes the environment as production has it"),
        ("uvflow docker", "writes a Dockerfile"),
        ("uvflow undo", "puts everything back"),
    )
    return (*_columns(steps), *_not_synced(done.plan), *_not_needed_any_more(done))


def _not_synced(plan: Plan) -> tuple[str, ...]:
    """What was one `pip install -r` of a file is a choice now, and dev is not all of them."""
    groups = plan.values.get("dependency-groups", {})
    waiting = list(plan.profile.groups or _default_groups(plan) or groups)
    within = set[str]()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in within:
            within.add(name)
            waiting += [e["include-group"] for e in groups.get(name, ()) if isinstance(e, dict)]
    left_out = [name for name in plan.imported.groups if name not in within]
    hint = "`uv sync --group NAME`, or `default-groups` in [tool.uv]"
    return (f"  Not in the dev profile: {', '.join(left_out)} ({hint})",) if left_out else ()


def _default_groups(plan: Plan) -> list[str]:
    """Those of uv; nothing stands for all of them (uv docs, "Default groups")."""
    said = plan.values.get("tool", {}).get("uv", {}).get("default-groups", ["dev"])
    return said if isinstance(said, list) else []


def _not_needed_any_more(done: Done) -> tuple[str, ...]:
    """Nothing is deleted by uvflow; a file that still needs action has not done its duty."""
    if LOCKFILE not in {change.path for change in done.plan.changes}:
        return ()
    ours = [file for file in done.files if not is_outside(file.path)]
    files = [f.path for f in ours if not f.buckets.get(Bucket.ACTION)]
    return (f"  To be removed by hand, once all is well: {', '.join(files)}",) if files else ()


def diff(plan: Plan) -> str:
    """What becomes of pyproject.toml, as a unified diff; empty where nothing does."""
    old = (plan.before or "").splitlines(keepends=True)
    new = plan.text.splitlines(keepends=True)
    before = "/dev/null" if plan.before is None else MANIFEST
    lines = difflib.unified_diff(old, new, before, MANIFEST)
    return "".join(line if line.endswith("\n") else line + _UNENDED for line in lines)


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """What is asked for. `python` is a version or a specifier, for `requires-python`."""

    name: str | None = None
    python: str | None = None
    lock: bool = True
    sync: bool = True
    direct_only: bool = False  # leave to the lockfile what others bring along
    timeout: float = DEFAULT_TIMEOUT  # seconds to wait for another uvflow
    options: ImportOptions = field(default_factory=ImportOptions)


def init_options(root: Path, asked: Mapping[str, Any]) -> InitOptions:
    """What the command line asks for; `asked` has its options by their names.

    Files are named there as seen from where it is typed. Raises UsageError.
    """
    how = (
        *("allow_outside", "encoding", "keep_going", "strict"),
        *("on_conflict", "strip_credentials"),
    )
    options = ImportOptions(
        from_files=tuple(_seen_from(root, path) for path in asked["from_files"]),
        groups=tuple(_group(root, text) for text in asked["groups"]),
        constraints=tuple(_seen_from(root, path) for path in asked["constraints"]),
        environ=os.environ,
        **{name: asked[name] for name in how},
    )
    return InitOptions(
        name=asked["name"],
        python=asked["python"],
        lock=not asked["no_lock"],
        sync=not asked["no_sync"],
        direct_only=asked["direct_only"],
        timeout=asked["timeout"],
        options=options,
    )


def _seen_from(root: Path, path: str) -> str:
    if direct_reference.is_url(path):
        return path
    return Path(os.path.relpath(path, root)).as_posix()


def _group(root: Path, text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not (name and path):
        raise UsageError(f"`--group {text}` is not NAME=FILE")
    return name, _seen_from(root, path)
