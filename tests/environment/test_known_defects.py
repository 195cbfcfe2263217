import json
from pathlib import Path

import pytest

from uvflow.environment import known_defects
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.state.store import State

SITE = "lib/python3.12/site-packages"
EDITED = Damage(
    kind=DamageKind.EDITED, path=f"{SITE}/odd/data.txt", distribution="odd", detail="sha256 differs"
)
GONE = Damage(kind=DamageKind.MISSING, path=f"{SITE}/odd/gone.txt", distribution="odd")
STRAY = Damage(kind=DamageKind.ORPHAN, path=f"{SITE}/stray")
ALL = (EDITED, GONE, STRAY)


@pytest.fixture
def there(tmp_path: Path) -> Environment:
    site = tmp_path / ".venv" / SITE
    for name in ("odd/data.txt", "odd-1.0.dist-info/RECORD", "stray/__init__.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    return Environment.at(tmp_path / ".venv")


@pytest.fixture
def state(tmp_path: Path, there: Environment) -> State:
    found = State.of(tmp_path)
    known_defects.record_defects(found, there, ALL)
    return found


def test_what_is_remembered_is_known(state: State, there: Environment) -> None:
    assert known_defects.known(state, there, ALL) == ALL
    other = Damage(kind=DamageKind.MISSING, path=f"{SITE}/odd/data.txt", distribution="odd")
    assert known_defects.known(state, there, (other,)) == ()


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ("odd/data.txt", (GONE, STRAY)),
        ("odd/gone.txt", (EDITED, STRAY)),
        ("odd-1.0.dist-info/RECORD", (STRAY,)),
        ("stray/__init__.py", (EDITED, GONE)),
        ("stray/more.py", (EDITED, GONE)),
    ],
)
def test_a_flaw_is_known_as_it_was_found_and_not_otherwise(
    state: State, there: Environment, changed: str, left: tuple[Damage, ...]
) -> None:
    (there.path / SITE / changed).write_text("changed")
    assert known_defects.known(state, there, ALL) == left


def test_a_flaw_of_another_environment_is_not_known(
    state: State, there: Environment, tmp_path: Path
) -> None:
    there.path.rename(tmp_path / ".venv-prod")
    assert known_defects.known(state, Environment.at(tmp_path / ".venv-prod"), ALL) == ()


def test_a_flaw_found_again_takes_the_place_of_the_former(state: State, there: Environment) -> None:
    (there.path / EDITED.path).write_text("another build")
    known_defects.record_defects(state, there, (EDITED,))
    assert known_defects.known(state, there, ALL) == ALL
    assert len(json.loads(state.read("known-defects.json") or b"")) == len(ALL)


@pytest.mark.parametrize("garbage", [b"", b"{", b"{}", b"[1]", b'[["a", "b"]]', b"\xff", b"1"])
def test_what_cannot_be_read_is_not_known(state: State, there: Environment, garbage: bytes) -> None:
    state.write("known-defects.json", garbage)
    assert known_defects.known(state, there, ALL) == ()
    known_defects.record_defects(state, there, ALL)
    assert known_defects.known(state, there, ALL) == ALL


@pytest.mark.parametrize("kind", DamageKind)
def test_only_of_a_file_can_a_wheel_be_wrong(kind: DamageKind) -> None:
    of_files = {DamageKind.MISSING, DamageKind.TRUNCATED, DamageKind.EDITED, DamageKind.ORPHAN}
    assert known_defects.can_be_defect(Damage(kind=kind, path="x")) == (kind in of_files)
