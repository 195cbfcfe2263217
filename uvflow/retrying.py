"""A second try at a lockfile, where uv looks further than pip or less far; or why there is none."""

import re
from collections.abc import Mapping
from dataclasses import replace

from uvflow import binding, narrowing, pyproject, unsolved
from uvflow.errors import NetworkError, UvflowError
from uvflow.files import Before, read_bytes, write_whole
from uvflow.imports import pins
from uvflow.imports.model import Finding, Import, Severity
from uvflow.narrowing import Range
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.plan import Plan
from uvflow.state import Tell
from uvflow.uv import Ended, Uv

_AS_BEFORE = "everything is as it was before"
_SETTLED = "uv's error above is settled"  # its words went to the terminal as it spoke
_WITHOUT_LOCK = "`--no-lock` writes pyproject.toml alone, to try it with uv"

_ALL_INDEXES = Finding(
    severity=Severity.ACTION,
    code="all-indexes",
    message='`index-strategy = "unsafe-first-match"` is set: a version that is needed is not on'
    " the first index that has the name",
    hint="a stranger's package may come in by a name that is yours: make what is found elsewhere a"
    " dependency, bound to its index in [tool.uv.sources], then take the setting out",
)


def narrowed(work: Plan, ended: Ended, *, uv: Uv, environ: Mapping[str, str], tell: Tell) -> Plan:
    """`work` as far as there is a lockfile for it, which is written by then.

    That is with all its indexes, or for some Pythons and platforms. Raises UvFailedError where
    there is none, or where it is not for uvflow to choose.
    """
    failure = ended.failure("uv lock")
    if isinstance(failure, NetworkError):
        raise failure.but(cause=_AS_BEFORE, hint=_WITHOUT_LOCK)
    tries = _Tries(work=work, uv=uv, environ=environ)
    may_help = not ended.said or unsolved.is_about_versions(ended.said)
    merged = _with_all_indexes(work, uv, environ) if may_help else None
    if merged:
        tell(f"{_SETTLED}: these versions are not all on the first index that has their name")
        return merged
    here = _python_of(work, uv, environ) if may_help and work.may_narrow else None
    if here:
        tell("Looking for the Pythons for which these versions fit together")
        found = narrowing.widest(tries.declared, here, tries.is_possible)
        if found:
            where = f" on {found.environment}" if found.environment else ""
            tell(
                f"{_SETTLED}: these versions fit together for Python {found.requires_python}{where}"
            )
            return tries.carried_out(found)
    raise _explained(failure, work, tries.said or ended.said)


def _with_all_indexes(work: Plan, uv: Uv, environ: Mapping[str, str]) -> Plan | None:
    """`work` with what it takes to find a version on a later index, where that helps."""
    if all("explicit" in index for index in work.imported.indexes):
        return None
    first = Before.of(work.root / LOCKFILE)
    searching = ("lock", "--index-strategy=unsafe-first-match")
    if uv.ask(searching, cwd=work.root, environ=environ).code != 0:
        return None
    searched = Before.of(work.root / LOCKFILE)
    bound = binding.bound(work, first, uv=uv, environ=environ)
    if bound is None:
        searched.put_back()
    return bound or _trusting_all(work)


def _trusting_all(work: Plan) -> Plan:
    """What others bring along can be bound to no index; uv.lock is made with this setting."""
    setting = Import(settings={"index-strategy": "unsafe-first-match"})
    text = pyproject.edited(work.text, setting).text
    write_whole(work.root / MANIFEST, text.encode())
    return replace(work, text=text).told(_ALL_INDEXES)


def _python_of(work: Plan, uv: Uv, environ: Mapping[str, str]) -> tuple[int, int] | None:
    """The Python that uv takes for `work`, as major and minor."""
    wanted = environ.get("UV_PYTHON")  # which `uv python find` does not look at
    asked = ("python", "find", "--show-version", *(("--", wanted) if wanted else ()))
    answer = uv.ask(asked, cwd=work.root, environ=environ)
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
        self._lockfiles: dict[Range, bytes] = {}
        lockfile = work.root / LOCKFILE
        self._older = read_bytes(lockfile) if lockfile.exists() and not work.seed else b""

    def is_possible(self, asked: Range) -> bool:
        if self.said and not unsolved.is_about_versions(self.said):
            return False  # what cannot be built or fetched is so for every range
        work = self._narrowed(asked)
        write_whole(work.root / MANIFEST, work.text.encode())
        _begin(work, self._older)
        answer = self._uv.ask(("lock",), cwd=work.root, environ=self._environ)
        self.said = self.said or (answer.err if answer.code else "")
        if answer.code == 0:
            self._lockfiles[asked] = read_bytes(work.root / LOCKFILE)
        return answer.code == 0

    def carried_out(self, found: Range) -> Plan:
        """The work as it is written for the range `found`, which was possible."""
        work = self._narrowed(found)
        write_whole(work.root / MANIFEST, work.text.encode())
        write_whole(work.root / LOCKFILE, self._lockfiles[found])
        return work.told(*narrowing.told(self.declared, found))

    def _narrowed(self, asked: Range) -> Plan:
        text = pyproject.with_python(self._work.text, asked.requires_python)
        if asked.environment:
            only = Import(settings={"environments": [asked.environment]})
            text = pyproject.edited(text, only).text
        seed = self._work.seed and pins.seed(self._work.imported, asked.requires_python)
        return replace(self._work, text=text, seed=seed)


def _begin(work: Plan, older: bytes) -> None:
    """What uv prefers: old pins, or what an `older` lockfile has."""
    if work.seed or older:
        write_whole(work.root / LOCKFILE, work.seed.encode() or older)
    else:
        (work.root / LOCKFILE).unlink(missing_ok=True)


def _explained(failure: UvflowError, work: Plan, said: str) -> UvflowError:
    """`failure`, with the lines of the old files that uv speaks of in `said`."""
    lines = unsolved.lines(said, work.imported)
    cause = f"uv speaks of {', '.join(lines)}; {_AS_BEFORE}" if lines else _AS_BEFORE
    return failure.but(cause=cause, hint=unsolved.hint(said) or _WITHOUT_LOCK)
