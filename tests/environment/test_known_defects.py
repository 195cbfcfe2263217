import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from uvflow.environment import repair
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.state.store import State

SITE = "lib/python3.12/site-packages"
EDITED = Damage(
    kind=DamageKind.EDITED, path=f"{SITE}/odd/data.txt", distribution="odd", detail="sha256 differs"
)
GONE = Damage(kind=DamageKind.MISSING, path=f"{SITE}/odd/gone.txt", distribution="odd")
STRAY = Damage(kind=DamageKind.REPLACED, path=f"{SITE}/stray", detail="a directory")
ALL = (EDITED, GONE, STRAY)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    site = tmp_path / ".venv" / SITE
    for name in ("odd/data.txt", "odd-1.0.dist-info/RECORD", "stray/__init__.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    return Environment(tmp_path / ".venv")


@pytest.fixture
def state(tmp_path: Path, environment: Environment) -> State:
    state = State.of(tmp_path)
    repair.record_defects(state, environment, ALL)
    return state


def known(state: State) -> Mapping[str, Any]:
    return state.read_json("known-defects.json")


def test_a_recorded_defect_is_known(state: State, environment: Environment) -> None:
    assert repair.select_known(known(state), environment, ALL) == ALL
    other = Damage(kind=DamageKind.MISSING, path=f"{SITE}/odd/data.txt", distribution="odd")
    assert repair.select_known(known(state), environment, (other,)) == ()


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
def test_a_defect_is_known_until_its_file_or_the_record_changes(
    state: State, environment: Environment, changed: str, left: tuple[Damage, ...]
) -> None:
    (environment.path / SITE / changed).write_text("changed")
    assert repair.select_known(known(state), environment, ALL) == left


def test_a_defect_is_known_in_every_environment_with_scripts_of_its_own(
    state: State, environment: Environment, tmp_path: Path
) -> None:
    prod = Environment(environment.path.rename(tmp_path / ".venv-prod"))
    with (prod.path / SITE / "odd-1.0.dist-info/RECORD").open("a") as record:
        record.write("\n../../../bin/odd,sha256=x,1\n")
    assert repair.select_known(known(state), prod, ALL) == ALL


def test_a_defect_recorded_again_replaces_the_former(
    state: State, environment: Environment
) -> None:
    (environment.path / EDITED.path).write_text("another build")
    repair.record_defects(state, environment, (EDITED,))
    assert repair.select_known(known(state), environment, ALL) == ALL
    assert len(json.loads(state.read("known-defects.json") or b"")) == len(ALL)


@pytest.mark.parametrize("garbage", [b"", b"{", b"{}", b"[1]", b'[["a", "b"]]', b"\xff", b"1"])
def test_entries_that_cannot_be_read_are_not_known(
    state: State, environment: Environment, garbage: bytes
) -> None:
    state.write("known-defects.json", garbage)
    assert repair.select_known(known(state), environment, ALL) == ()
    repair.record_defects(state, environment, ALL)
    assert repair.select_known(known(state), environment, ALL) == ALL


@pytest.mark.parametrize("kind", DamageKind)
def test_only_damage_to_files_can_be_a_defect(kind: DamageKind) -> None:
    of_files = {DamageKind.MISSING, DamageKind.TRUNCATED, DamageKind.EDITED, DamageKind.REPLACED}
    assert repair.can_be_defect(Damage(kind=kind, path="x")) == (kind in of_files)
