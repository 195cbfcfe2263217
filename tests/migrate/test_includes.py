import pytest

from uvflow.migrate.formats.pip.direct_reference import as_path, is_outside
from uvflow.migrate.includes import IncludePath, Reader, follow_includes, input_path
from uvflow.migrate.model import InputFile, Role

ENVIRON = {"HERE": "deps", "WEB": "https://me:s3cret@h.example/d", "TOKEN": "s3cret"}


@pytest.mark.parametrize(
    ("within", "target", "path", "address"),
    [
        ("a/b.txt", "c.txt", "a/c.txt", "a/c.txt"),
        ("a/b.txt", "../c.txt", "c.txt", "c.txt"),
        ("a/b.txt", "..\\..\\c.txt", "../c.txt", "../c.txt"),
        ("b.txt", "${HERE}/c.txt", "${HERE}/c.txt", "deps/c.txt"),
        ("b.txt", "${NOWHERE}/c.txt", "${NOWHERE}/c.txt", "${NOWHERE}/c.txt"),
        ("a/b.txt", "/c.txt", "/c.txt", "/c.txt"),
        ("a/b.txt", "C:\\c.txt", "C:/c.txt", "C:/c.txt"),
        ("a/b.txt", "file:///c%20d.txt", "/c d.txt", "/c d.txt"),
        ("a/b.txt", "https://h/c", "https://h/c", "https://h/c"),
        ("b.txt", "https://${TOKEN}@h/c", "https://h/c", "https://s3cret@h/c"),
        ("b.txt", "https://h/${TOKEN}/c", "https://h/${TOKEN}/c", "https://h/s3cret/c"),
        ("b.txt", "${WEB}/c", "${WEB}/c", "https://me:s3cret@h.example/d/c"),
        ("b.txt", "https://me:p@s/s@h/c", "https://h/c", "https://me:p@s/s@h/c"),
        ("b.txt", "ftp://me:s3cret@h/c", "ftp://h/c", ""),
        ("b.txt", "c--pre=https://me:s3cret@h/d", "c--pre=https://****@h/d", ""),
        (
            "https://s3cret@h/a/b",
            "c?sig=s3cret",
            "https://h/a/c?sig=****",
            "https://s3cret@h/a/c?sig=s3cret",
        ),
        ("https://s3cret@h/a/b", "//i/c", "https://i/c", "https://i/c"),
        ("https://h/a/b", "../../../c", "https://h/c", "https://h/c"),
        ("https://h/a/b", "file:///c", "file:///c", ""),
        ("https://h/a/b", "http://[x", "http://[x", ""),
    ],
)
def test_an_include_leads_where_pip_goes(within: str, target: str, path: str, address: str) -> None:
    place = input_path(within).resolve(target, ENVIRON)
    assert place == IncludePath(path=path, address=address)
    assert "s3cret" not in repr(place)


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


def test_a_file_behind_a_login_is_refused_with_how_to_log_in() -> None:
    def fetch(_url: str, _name: str) -> bytes:
        raise PermissionError("the server answers 401 Unauthorized")

    def no_file(path: str) -> bytes:
        raise FileNotFoundError(path)

    given = [InputFile(path="https://h.example/r.txt", role=Role.PROJECT)]
    [finding] = follow_includes(given, Reader(read_file=no_file, fetch=fetch)).findings
    assert finding.message == (
        "https://h.example/r.txt cannot be read: the server answers 401 Unauthorized"
    )
    assert (finding.hint or "").startswith(
        "log in with variables, as in `https://${USER}:${TOKEN}@…`, or save the file"
    )
