import pytest

from uvflow.imports.requirements import parse
from uvflow.imports.target import Target, requirement_at, target_of


def target(text: str) -> Target | None:
    (line,) = parse(text.encode(), "requirements.txt").lines
    return target_of(line)


@pytest.mark.parametrize("text", ["six", "six==1.16.0 ; os_name == 'nt'", "six[a,b]>=1"])
def test_a_name_with_a_version_is_no_place(text: str) -> None:
    assert target(text) is None


@pytest.mark.parametrize(
    ("text", "place", "name", "extras", "marker"),
    [
        ("six@https://h/s.zip", "https://h/s.zip", "six", (), ""),
        ("six[b,a] @ ./six ; os_name == 'nt'", "./six", "six", ("a", "b"), "os_name == 'nt'"),
        ("git+https://h/r#egg=q[x]&subdirectory=s", "git+https://h/r", "q", ("x",), ""),
        ("https://h/a.zip#egg=q-1.0", "https://h/a.zip", "q", (), ""),
        ("""-e "./libs/foo[x] ; os_name == 'nt'" """, "./libs/foo", "", ("x",), "os_name == 'nt'"),
        ("-e foo", "foo", "", (), ""),
        ("six-1.0.tar.gz", "six-1.0.tar.gz", "", (), ""),
    ],
)
def test_a_place_has_what_stands_around_it(
    text: str, place: str, name: str, extras: tuple[str, ...], marker: str
) -> None:
    found = target(text)
    assert found
    assert (found.place, found.name, found.extras, found.marker) == (place, name, extras, marker)


def test_the_digest_of_a_fragment_is_a_hash() -> None:
    found = target("https://h/a.zip#sha256=aa&egg=q")
    assert found
    assert requirement_at(found, "https://h/a.zip", "q", {}).hashes == ("sha256:aa",)
