from pathlib import Path

from uvflow.environment.context import Subject
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.environment.repair import RepairResult
from uvflow.environment.verify import Verification, damage_lines, verdict, verification_as_json


def verification(*damages: Damage, repaired: tuple[str, ...] = ()) -> Verification:
    return Verification(
        subject=Subject("dev", "by default", Path("/shop/.venv")),
        damages=damages,
        repair=RepairResult(repaired=repaired),
    )


def test_a_few_files_of_each_distribution_are_listed() -> None:
    many = [Damage(kind=DamageKind.MISSING, path=f"a/{n}", distribution="a") for n in range(7)]
    stray = Damage(kind=DamageKind.LEFTOVER, path="stray.py")
    lines = list(damage_lines(verification(*many, stray), verbose=False))
    assert lines == [
        "leftover: stray.py",
        *(f"a: missing: a/{n}" for n in range(5)),
        "  and 2 more (`--verbose` lists them)",
    ]
    assert len(list(damage_lines(verification(*many, stray), verbose=True))) == 8


def test_the_verdict_in_words() -> None:
    stray = Damage(kind=DamageKind.LEFTOVER, path="stray.py")
    assert verdict(verification()) == "Intact: dev (by default)"
    assert verdict(verification(repaired=("a", "b"))) == "Repaired: dev (by default); a, b"
    assert verdict(verification(stray)) == (
        "Damaged: dev (by default); `uvflow verify --repair` reinstalls it"
    )


def test_an_outdated_copy_is_named() -> None:
    outdated = verification()._replace(outdated=("shop",))
    assert list(damage_lines(outdated, verbose=False)) == [
        "shop: the installed copy is older than its sources"
    ]
    assert verdict(outdated) == "Out of sync: dev (by default); a sync installs shop again"
    assert outdated.exit_code == 4


def test_what_is_left_as_it_is_is_named_with_what_was_repaired() -> None:
    damage = Damage(kind=DamageKind.MISSING, path="toml/a", distribution="toml")
    repair = RepairResult(repaired=("a",), removed=("x", "y"), kept=("toml",))
    assert verdict(verification(damage)._replace(repair=repair)) == (
        "Damaged: dev (by default); left as it is: toml; repaired: a, 2 removed"
    )


def test_what_no_distribution_has_is_listed_apart_and_is_no_damage() -> None:
    found = verification()._replace(unowned=tuple(f"{n}.py" for n in range(5)))
    assert list(damage_lines(found, verbose=False)) == [
        "not from any distribution: 0.py, 1.py, 2.py and 2 more"
    ]
    assert list(damage_lines(found, verbose=True)) == [
        "not from any distribution: 0.py, 1.py, 2.py, 3.py, 4.py"
    ]
    assert (found.exit_code, verdict(found)) == (0, "Intact: dev (by default)")


def test_while_a_sync_is_running_nothing_is_known() -> None:
    running = verification()._replace(is_running=True)
    assert verdict(running) == "Not verified: dev (by default); a sync is running"
    assert running.exit_code == 4


def test_json_has_every_damage() -> None:
    stray = Damage(kind=DamageKind.LEFTOVER, path="stray.py")
    assert verification_as_json(verification(stray, repaired=("a",))) == {
        "profile": "dev",
        "chosen_by": "by default",
        "environment": str(Path("/shop/.venv")),
        "damages": [{"kind": "leftover", "path": "stray.py", "distribution": "", "detail": ""}],
        "outdated": [],
        "known_defects": [],
        "unowned": [],
        "running": False,
        "repaired": ["a"],
        "removed": [],
    }
