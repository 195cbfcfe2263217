"""What wheels say wrongly of themselves, remembered so that it is not taken for damage again.

There are wheels whose RECORD lists a file they do not have, or another size or hash. What uv makes
of one looks damaged for ever. It is told from damage by this: a distribution that was fetched and
installed anew has the very same. With it is remembered how the file was then and what the RECORD
said, so that whatever happens to either later is damage.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from uvflow.environment.installed import Environment, distributions
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.state.store import State

_NAME = "known-defects.json"
_OF_FILES = (DamageKind.MISSING, DamageKind.TRUNCATED, DamageKind.EDITED, DamageKind.ORPHAN)

_Entry = tuple[str, str, str]  # an environment, a damage in words, a digest of what was found


def can_be_defect(damage: Damage) -> bool:
    """Whether a wheel can bring this along; an unfinished install is never a wheel's fault."""
    return damage.kind in _OF_FILES


def describe_defect(flaw: Damage) -> str:
    """A flaw as a sentence."""
    if flaw.kind is DamageKind.ORPHAN:
        return f"{flaw}: a wheel brings it, and its RECORD does not list it"
    return f"{flaw}: the wheel is like that, and its RECORD is wrong"


def known(state: State, there: Environment, damages: Iterable[Damage]) -> tuple[Damage, ...]:
    """Those of `damages` that are remembered as flaws, and still are as they were found."""
    remembered = set(_recalled(state))
    if not remembered:
        return ()
    records = _records(there)
    return tuple(d for d in damages if _entry(there, d, records) in remembered)


def record_defects(state: State, there: Environment, damages: Iterable[Damage]) -> None:
    """Remember `damages` as flaws of what is installed in `there`."""
    records = _records(there)
    found = {entry[:2]: entry for entry in (_entry(there, d, records) for d in damages)}
    entries = {entry[:2]: entry for entry in _recalled(state)} | found
    state.write(_NAME, json.dumps(list(entries.values())).encode())


def _recalled(state: State) -> Iterator[_Entry]:
    """What cannot be read is as if it were not there: it will be found out again."""
    try:
        told = json.loads(state.read(_NAME) or b"[]")
    except (ValueError, RecursionError):
        return
    for entry in told if isinstance(told, list) else ():
        match entry:
            case [str(environment), str(damage), str(digest)]:
                yield environment, damage, digest


def _records(there: Environment) -> dict[str, Path]:
    return {distribution.name: distribution.record for distribution in distributions(there)}


def _entry(there: Environment, damage: Damage, records: dict[str, Path]) -> _Entry:
    record = records.get(damage.distribution)
    paths = (*((record,) if record else ()), there.path / damage.path)
    import hashlib  # 3 ms, and there is hardly ever a flaw

    told = hashlib.sha256()
    for path in (found for each in paths for found in _files(each)):
        told.update(os.fsencode(path) + b"\0" + _digest(path) + b"\0")
    return str(there.path), str(damage), told.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or every file below a directory."""
    if not path.is_dir():
        yield path
        return
    yield from sorted(below for below in path.rglob("*") if below.is_file())


def _digest(path: Path) -> bytes:
    import hashlib  # as above

    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
