"""Known defects of wheels: what looks damaged because the RECORD of the wheel itself is wrong.

It lists a file that the wheel does not contain, or another size or hash, so that what uv installs
always looks damaged. It is recognised by this: a distribution that was downloaded and reinstalled
has the very same problem. The state of the file and of the RECORD is remembered with it, so that
any later change to either counts as damage.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from uvflow.environment.copies import digest_of
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.fingerprint import MAX_BYTES
from uvflow.state.store import State

DEFECTS = "known-defects.json"
_OF_FILES = (DamageKind.MISSING, DamageKind.TRUNCATED, DamageKind.EDITED, DamageKind.REPLACED)


def can_be_defect(damage: Damage) -> bool:
    """Whether a wheel can cause this; an unfinished install is never due to the wheel."""
    return damage.kind in _OF_FILES


def describe_defect(defect: Damage) -> str:
    return f"{defect}: the wheel itself is like this, and its RECORD is wrong"


def select_known(
    known: Mapping[str, Any], environment: Environment, damages: Iterable[Damage]
) -> tuple[Damage, ...]:
    """Those of `damages` that `known` has as the file DEFECTS does, and have not changed since."""
    found = _defect_entries(environment, damages) if known else ()
    return tuple(damage for damage, name, digest in found if known.get(name) == digest)


def record_defects(state: State, environment: Environment, defects: Iterable[Damage]) -> None:
    """Remember `defects` of what is installed in `environment`. Raises DiskError."""
    found = {name: digest for _, name, digest in _defect_entries(environment, defects)}
    state.write(DEFECTS, json.dumps(state.read_json(DEFECTS) | found).encode())


def _defect_entries(
    environment: Environment, damages: Iterable[Damage]
) -> Iterator[tuple[Damage, str, str]]:
    """Each with a name, and a digest of the files that it is about, its RECORD among them."""
    records = {one.name: Path(one.record) for one in environment.distributions}
    for damage in damages:
        path = environment.path / damage.path
        files = sorted(filter(Path.is_file, path.rglob("*"))) if path.is_dir() else [path]
        about = filter(None, (records.get(damage.distribution), *files))
        digest = digest_of(((os.fsencode(file), b"") for file in about), MAX_BYTES)
        yield damage, f"{environment.path} {damage}", digest
