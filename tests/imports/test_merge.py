import itertools

import pytest

from uvflow.imports.merge import contradict, merge, pinned_version
from uvflow.imports.model import Options, Requirement
from uvflow.imports.requirements import parse
from uvflow.imports.sources import read


def absent(_path: str) -> bytes:
    raise FileNotFoundError


def requirements(*lines: str) -> list[Requirement]:
    parsed = parse("\n".join(lines).encode(), "r.txt").lines
    found = [read(line, Options(), absent).requirement for line in parsed]
    return [requirement for requirement in found if requirement]


def merged(*lines: str) -> list[str]:
    entries = merge(requirements(*lines)).entries
    return [entry.text for entry in entries if isinstance(entry, Requirement)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("six", "Six"), ["six"]),
        (("six>=1.15", "six>=1.15,<2"), ["six>=1.15,<2"]),
        (("six>=1.15", "six", "six==1.16.0"), ["six==1.16.0"]),
        (("six==1.16", "six==1.16.0"), ["six==1.16"]),
        (("six>=1.15", "six<2"), ["six>=1.15", "six<2"]),
        (("requests", "requests[socks]"), ["requests[socks]"]),
        (("requests[socks]", "requests>=2"), ["requests[socks]", "requests>=2"]),
        (("six", "six ; os_name == 'nt'"), ["six", "six ; os_name == 'nt'"]),
        (("six ; os_name == 'nt'", "six;os_name=='nt'"), ["six ; os_name == 'nt'"]),
        (("a", "six", "b", "six==1.16.0"), ["a", "six==1.16.0", "b"]),
        (("x", "x @ git+https://h/r"), ["x"]),
        (("git+https://h/r", "git+https://h/r"), ["git+https://h/r"]),
        (("torch==2.1.0", "torch==2.1.0+cpu"), ["torch==2.1.0+cpu"]),
    ],
)
def test_a12_what_says_the_same_becomes_one(lines: tuple[str, ...], expected: list[str]) -> None:
    assert merged(*lines) == expected


def test_of_a_plain_name_and_one_with_a_source_the_source_stays() -> None:
    (kept,) = merge(requirements("x", "x @ git+https://h/r")).entries
    assert isinstance(kept, Requirement)
    assert kept.source == {"git": "https://h/r"}


def test_comments_and_hashes_of_what_is_merged_are_kept() -> None:
    lines = ("# one", "six  # two", "# three", "six==1.16.0 --hash=sha256:aa  # four")
    (kept,) = merge(requirements(*lines, "six==1.16.0 --hash=sha256:bb")).entries
    assert isinstance(kept, Requirement)
    assert (kept.above, kept.comment) == (("# three", "# one", "# two"), "# four")
    assert kept.hashes == ("sha256:aa", "sha256:bb")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("six==1.16.0", "six==1.15.0", True),
        ("six==1.16.0", "six<1.16", True),
        ("six==1.16.0", "six>=1.16", False),
        ("six==1.16.0", "six==1.*", False),
        ("six>=2", "six<1", False),
        ("torch==2.1.0+cpu", "torch==2.1.0+cu121", True),
        ("x @ git+https://h/r", "x @ git+https://h/s", True),
        ("x @ git+https://h/r@main", "x @ git+https://h/r@main", False),
        ("x @ git+https://h/r", "x==1.0", False),
        ("six==2.0b1", "six>=1", False),
    ],
)
def test_a13_what_cannot_both_hold_is_known(one: str, other: str, *, expected: bool) -> None:
    for pair in itertools.permutations(requirements(one, other)):
        assert contradict(*pair) is expected


def test_a13_each_line_is_told_once_however_many_there_are() -> None:
    findings = merge(requirements("six==1", "six==2", "six==3", "six==4")).findings
    assert [str(finding) for finding in findings] == [
        f"r.txt:{line}: `six=={line}` contradicts `six==1` (r.txt:1)" for line in (2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("six==1.16.0", "1.16.0"),
        ("six === 1.16.0", "1.16.0"),
        ("six==1.*", None),
        ("six>=1.16.0", None),
        ("six==1.16.0,!=1.17", None),
        ("six", None),
    ],
)
def test_a_pin_is_one_exact_version(line: str, version: str | None) -> None:
    assert pinned_version(requirements(line)[0]) == version
