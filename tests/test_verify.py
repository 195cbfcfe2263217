from pathlib import Path

from uvflow.healing import Healed
from uvflow.proof import Damage, Kind
from uvflow.verify import Verified, as_json, lines, outcome


def verified(*damages: Damage, repaired: tuple[str, ...] = ()) -> Verified:
    return Verified(
        profile="dev",
        chosen_by="by default",
        environment=Path("/shop/.venv"),
        damages=damages,
        healed=Healed(repaired=repaired),
    )


def test_a_few_files_of_each_distribution_are_told() -> None:
    many = [Damage(kind=Kind.MISSING, path=f"a/{n}", distribution="a") for n in range(7)]
    stray = Damage(kind=Kind.ORPHAN, path="stray.py")
    told = list(lines(verified(*many, stray), verbose=False))
    assert told == [
        "orphan: stray.py",
        *(f"a: missing: a/{n}" for n in range(5)),
        "  and 2 more (`--verbose` tells them)",
    ]
    assert len(list(lines(verified(*many, stray), verbose=True))) == 8


def test_the_outcome_in_words() -> None:
    stray = Damage(kind=Kind.ORPHAN, path="stray.py")
    assert outcome(verified()) == "Intact: dev (by default)"
    assert outcome(verified(repaired=("a", "b"))) == "Repaired: dev (by default); a, b"
    assert outcome(verified(stray)) == (
        "Damaged: dev (by default); `uvflow verify --repair` installs it again"
    )


def test_json_has_every_damage() -> None:
    stray = Damage(kind=Kind.ORPHAN, path="stray.py")
    assert as_json(verified(stray, repaired=("a",))) == {
        "profile": "dev",
        "chosen_by": "by default",
        "environment": str(Path("/shop/.venv")),
        "damages": [{"kind": "orphan", "path": "stray.py", "distribution": "", "detail": ""}],
        "poisoned": [],
        "flaws": [],
        "repaired": ["a"],
        "removed": [],
    }
