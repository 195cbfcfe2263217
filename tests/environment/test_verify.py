from dataclasses import replace
from pathlib import Path

from uvflow.environment.integrity import Damage, DamageKind
from uvflow.environment.repair import RepairResult
from uvflow.environment.verify import Verification, damage_lines, verdict, verification_as_json


def verification(*damages: Damage, repaired: tuple[str, ...] = ()) -> Verification:
    return Verification(
        profile="dev",
        chosen_by="by default",
        environment=Path("/shop/.venv"),
        damages=damages,
        repair=RepairResult(repaired=repaired),
    )


def test_a_few_files_of_each_distribution_are_listed() -> None:
    many = [Damage(kind=DamageKind.MISSING, path=f"a/{n}", distribution="a") for n in range(7)]
    stray = Damage(kind=DamageKind.ORPHAN, path="stray.py")
    lines = list(damage_lines(verification(*many, stray), verbose=False))
    assert lines == [
        "orphan: stray.py",
        *(f"a: missing: a/{n}" for n in range(5)),
        "  and 2 more (`--verbose` lists them)",
    ]
    assert len(list(damage_lines(verification(*many, stray), verbose=True))) == 8


def test_the_verdict_in_words() -> None:
    stray = Damage(kind=DamageKind.ORPHAN, path="stray.py")
    assert verdict(verification()) == "Intact: dev (by default)"
    assert verdict(verification(repaired=("a", "b"))) == "Repaired: dev (by default); a, b"
    assert verdict(verification(stray)) == (
        "Damaged: dev (by default); `uvflow verify --repair` reinstalls it"
    )


def test_an_outdated_copy_is_named() -> None:
    outdated = replace(verification(), outdated=("shop",))
    assert list(damage_lines(outdated, verbose=False)) == [
        "shop: the installed copy is older than its sources"
    ]
    assert verdict(outdated) == "Out of sync: dev (by default); a sync installs shop again"
    assert outdated.exit_code == 4


def test_json_has_every_damage() -> None:
    stray = Damage(kind=DamageKind.ORPHAN, path="stray.py")
    assert verification_as_json(verification(stray, repaired=("a",))) == {
        "profile": "dev",
        "chosen_by": "by default",
        "environment": str(Path("/shop/.venv")),
        "damages": [{"kind": "orphan", "path": "stray.py", "distribution": "", "detail": ""}],
        "outdated": [],
        "also_in_cache": [],
        "known_defects": [],
        "repaired": ["a"],
        "removed": [],
    }
