"""The table of Poetry's versions, and unions."""

import pytest

from uvflow.migrate.formats.versions import Constraint, read_constraint, read_python

AS_PEP_440 = """\
^1.2.3         >=1.2.3,<2.0.0
^1.2           >=1.2,<2.0
^1             >=1,<2
^0.2.3         >=0.2.3,<0.3.0
^0.2           >=0.2,<0.3
^0             >=0,<1
^0.0.3         >=0.0.3,<0.0.4
^0.0           >=0.0,<0.1
^0.0.0         >=0.0.0,<0.0.1
^1.2.3.4       >=1.2.3.4,<2.0.0.0
^1.2.3rc1      >=1.2.3rc1,<2.0.0
^1!2.3         >=1!2.3,<1!3.0
^1.2.3-alpha   >=1.2.3a0,<2.0.0
~1.2.3         >=1.2.3,<1.3.0
~1.2           >=1.2,<1.3
~1             >=1,<2
~0             >=0,<1
~1.2.3.4       >=1.2.3.4,<1.3.0.0
~1.2.3rc1      >=1.2.3rc1,<1.3.0
~1!2.3         >=1!2.3,<1!2.4
~=1.2          ~=1.2
1.2            ==1.2
=1.2           ==1.2
v1.2           ==1.2
1.2.*          ==1.2.*
==1.2.*        ==1.2.*
1.2.3-beta.1   ==1.2.3b1
==1.2.3+cu118  ==1.2.3+cu118
>=1.2 <2       >=1.2,<2
^1.2 !=1.3.0   >=1.2,<2.0,!=1.3.0
^2.5,!=2.7     >=2.5,<3.0,!=2.7
"""
UNIONS = """\
* || ^19              →
^21 || ^22 || ^23     → >=21,<24
^1 || >=1.5,<4        → >=1,<4
^20 | ^22             → >=20,<23,!=21.*
>=1,<1.5 || >=1.6,<2  → >=1,<2,!=1.5.*
>=20,<21 || >=22,<23  → >=20,<23,!=21.*
<2 || >=3             → !=2.*
<2 || >=3,<4          → <4,!=2.*
1.2.* || ~1.3.1       → >=1.2,<1.4.0,!=1.3.0.*
23.0 || 23.2          → >=23.0,<=23.2,!=23.1.*
1.25.* || 1.26        → >=1.25,<=1.26
^1 || 1.5             → >=1,<2
"""


@pytest.mark.parametrize("line", AS_PEP_440.splitlines())
def test_a_version_is_written_as_pep_440_has_it(line: str) -> None:
    text, specifier = line.rsplit(maxsplit=1)
    assert read_constraint(text.strip()) == Constraint(specifier=specifier)


@pytest.mark.parametrize("line", UNIONS.splitlines())
def test_a_union_is_its_hull_less_the_gaps(line: str) -> None:
    text, _, specifier = line.partition("→")
    assert read_constraint(text.strip()) == Constraint(specifier=specifier.strip())


@pytest.mark.parametrize(
    ("text", "chosen", "dropped"),
    [
        ("<20 || >=21.3", ">=21.3", "<20"),
        ("<1 || >2", ">2", "<1"),
        (">=2 || >=1,<1.5", ">=2", ">=1,<1.5"),
        ("^1 || ^2.0.21", ">=2.0.21,<3.0.0", ">=1,<2"),
        ("^7.4.7 || ^8.1.3", ">=8.1.3,<9.0.0", ">=7.4.7,<8.0.0"),
        ("^1 || ^30", ">=30,<31", ">=1,<2"),
        ("1.2 || >=1.4,<2", ">=1.4,<2", "==1.2"),
        ("1 || 2", "==2", "==1"),
    ],
)
def test_of_a_union_that_pep_440_cannot_say_the_highest_part_is_taken(
    text: str, chosen: str, dropped: str
) -> None:
    assert read_constraint(text) == Constraint(specifier=chosen, dropped=(dropped,))


def test_of_such_a_union_the_part_with_the_locked_version_is_taken() -> None:
    constraint = Constraint(specifier="<20", dropped=(">=21.3",))
    assert read_constraint("<20 || >=21.3", ["19.2"]) == constraint


@pytest.mark.parametrize("text", ["", "===1.2", "1.2.x", "1.x.y", "^1.x", ">=1.x", "1.2 ||", "a"])
def test_what_poetry_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_constraint(text)


@pytest.mark.parametrize(
    ("text", "specifier", "dropped"),
    [
        ("^3.8", ">=3.8,<4.0", ()),
        ("3.9", "==3.9.*", ()),
        ("3.9.7", "==3.9.7", ()),
        ("*", "", ()),
        ("~3.8 || ^3.10", ">=3.8,<4.0,!=3.9.*", ()),
        ("~2.7 || ^3.6", ">=3.6,<4.0", (">=2.7,<2.8",)),
    ],
)
def test_p37_pythons(text: str, specifier: str, dropped: tuple[str, ...]) -> None:
    assert read_python(text) == Constraint(specifier=specifier, dropped=dropped)
