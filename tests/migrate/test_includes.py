import pytest

from uvflow.migrate.formats.pip.direct_reference import as_path, is_outside
from uvflow.migrate.includes import included_path


@pytest.mark.parametrize(
    ("within", "target", "path"),
    [
        ("a/b.txt", "c.txt", "a/c.txt"),
        ("a/b.txt", "../c.txt", "c.txt"),
        ("a/b.txt", "..\\..\\c.txt", "../c.txt"),
        ("b.txt", "${HERE}/c.txt", "${HERE}/c.txt"),
        ("a/b.txt", "/c.txt", "/c.txt"),
        ("a/b.txt", "C:\\c.txt", "C:/c.txt"),
        ("a/b.txt", "file:///c%20d.txt", "/c d.txt"),
        ("a/b.txt", "https://h/c", "https://h/c"),
        ("b.txt", "ftp://h/c", "ftp://h/c"),
        ("b.txt", "c--pre=https://h/d", "c--pre=https://h/d"),
    ],
)
def test_an_include_leads_where_pip_goes(within: str, target: str, path: str) -> None:
    assert included_path(target, within) == path


@pytest.mark.parametrize("path", ["../a", "..", "/a", "C:/a", "C:a", "https://h/a", "file:a"])
def test_what_is_outside_is_told_by_its_name(path: str) -> None:
    assert is_outside(path)


@pytest.mark.parametrize("path", ["a", "a/b", "..a", ".a/b", "."])
def test_everything_else_is_inside(path: str) -> None:
    assert not is_outside(path)


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("a\\b", "a/b"),
        ("./a//b/../c", "a/c"),
        ("file:a%20b", "a b"),
        ("file://localhost/a", "/a"),
        ("file:///C:/a", "C:/a"),
        ("a%20b", "a%20b"),
    ],
)
def test_a_path_is_normalised(place: str, path: str) -> None:
    assert as_path(place) == path
