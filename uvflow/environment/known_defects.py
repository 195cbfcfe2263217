"""Known defects: wheels whose own RECORD is wrong, remembered so that they do not count as damage.

Some wheels have a RECORD that lists a file they do not contain, or another size or hash. What uv
installs from such a wheel always looks damaged. It is recognised by this: a distribution that was
downloaded and reinstalled has the very same problem. The state of the file and of the RECORD is
remembered with it, so that any later change to either one counts as damage.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from uvflow.environment.installed import Environment, distributions
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.fingerprint import open_regular
from uvflow.state.store import State

_NAME = "known-defects.json"
_OF_FILES = (DamageKind.MISSING, DamageKind.TRUNCATED, DamageKind.EDITED, DamageKind.REPLACED)

_Entry = tuple[str, str, str]  # an environment, str(damage), a digest of the files it is about


def can_be_defect(damage: Damage) -> bool:
    """Whether a wheel can cause this; an unfinished install is never due to the wheel."""
    return damage.kind in _OF_FILES


def describe_defect(defect: Damage) -> str:
    return f"{defect}: the wheel itself is like this, and its RECORD is wrong"


def select_known(
    state: State, environment: Environment, damages: Iterable[Damage]
) -> tuple[Damage, ...]:
    """Those of `damages` that were recorded as defects and have not changed since."""
    entries = set(_read_entries(state))
    if not entries:
        return ()
    records = _records(environment)
    return tuple(d for d in damages if _entry(environment, d, records) in entries)


def record_defects(state: State, environment: Environment, defects: Iterable[Damage]) -> None:
    """Remember `defects` of what is installed in `environment`. Raises DiskError."""
    records = _records(environment)
    entries = (*_read_entries(state), *(_entry(environment, d, records) for d in defects))
    latest = {entry[:2]: entry for entry in entries}
    state.write(_NAME, json.dumps(list(latest.values())).encode())


def _read_entries(state: State) -> Iterator[_Entry]:
    """Entries that cannot be read are skipped: repairs find those defects again."""
    try:
        entries = json.loads(state.read(_NAME) or b"[]")
    except (ValueError, RecursionError):
        return
    for entry in entries if isinstance(entries, list) else ():
        match entry:
            case [str(environment), str(damage), str(digest)]:
                yield environment, damage, digest


def _records(environment: Environment) -> dict[str, Path]:
    return {distribution.name: distribution.record for distribution in distributions(environment)}


def _entry(environment: Environment, damage: Damage, records: dict[str, Path]) -> _Entry:
    import hashlib  # 3 ms, and there is hardly ever a defect

    digest = hashlib.sha256()
    record = records.get(damage.distribution)
    for path in (*((record,) if record else ()), environment.path / damage.path):
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else (path,)
        for file in files:
            digest.update(os.fsencode(file) + b"\0" + _digest(file) + b"\0")
    return str(environment.path), str(damage), digest.hexdigest()


def _digest(path: Path) -> bytes:
    import hashlib  # as above

    try:
        with os.fdopen(open_regular(str(path)), "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
