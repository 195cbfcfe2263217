import pytest

from uvflow.findings import Severity
from uvflow.migrate.formats.pip import direct_reference
from uvflow.migrate.formats.pip.direct_reference import (
    DirectReference,
    parse_direct_reference,
    requirement_at,
)
from uvflow.migrate.formats.pip.requirements_txt import parse_requirements
from uvflow.migrate.model import LineResult, Requirement


def reading(text: str) -> LineResult:
    (line,) = parse_requirements(text.encode(), "requirements.txt").lines
    target = parse_direct_reference(line)
    assert target
    return direct_reference.read_git_reference(target)


def requirement(text: str) -> Requirement:
    found = reading(text).requirement
    assert found
    return found


def messages(reading: LineResult) -> list[tuple[Severity, str]]:
    return [(finding.severity, str(finding)) for finding in reading.findings]


@pytest.mark.parametrize(
    ("line", "name", "text", "source"),
    [
        (
            "git+https://h.example/o/r.git@main#egg=gitpkg",
            "gitpkg",
            "gitpkg",
            {"git": "https://h.example/o/r.git", "rev": "main"},
        ),
        (
            "git+file:///srv/r@v0.3.0#egg=gitpkg",
            "gitpkg",
            "gitpkg",
            {"git": "file:///srv/r", "rev": "v0.3.0"},
        ),
        (
            "-e git+https://h/r@stable#egg=subpkg[x]&subdirectory=sub",
            "subpkg",
            "subpkg[x]",
            {"git": "https://h/r", "rev": "stable", "subdirectory": "sub"},
        ),
        (
            "Foo[b,a] @ git+ssh://git@h/o/r.git@0123abc ; python_version < '3.9'",
            "foo",
            "Foo[a,b] ; python_version < '3.9'",
            {"git": "ssh://git@h/o/r.git", "rev": "0123abc"},
        ),
        (
            "git+git@h.example:org/repo.git",
            None,
            "git+ssh://git@h.example/org/repo.git",
            {"git": "ssh://git@h.example/org/repo.git"},
        ),
        (
            "git+ssh://git@h:org/repo.git@v1#subdirectory=a/b",
            None,
            "git+ssh://git@h/org/repo.git@v1#subdirectory=a/b",
            {"git": "ssh://git@h/org/repo.git", "rev": "v1", "subdirectory": "a/b"},
        ),
        (
            "git+ssh://git@h:2222/org/repo.git#egg=foo==1.0",
            "foo",
            "foo",
            {"git": "ssh://git@h:2222/org/repo.git"},
        ),
        ("-e git+https://h/o/r@v1#egg=q-1.0", "q", "q", {"git": "https://h/o/r", "rev": "v1"}),
        ("git+http://h.example/o/r#egg=q", "q", "q", {"git": "http://h.example/o/r"}),
    ],
)
def test_a23_git_sources(line: str, name: str, text: str, source: dict[str, str]) -> None:
    found = requirement(line)
    assert (found.name, found.text, found.source) == (name, text, source)


def test_a23_git_by_what_uv_does_not_speak_needs_action() -> None:
    (finding,) = reading("git://h.example/r@v1#egg=q").findings
    assert str(finding) == "requirements.txt:1: uv does not support git repositories by git://"
    assert finding.hint == "try `git+https://h.example/r@v1`"


def test_a23_an_editable_git_source_becomes_a_plain_one_and_that_is_said() -> None:
    assert messages(reading("-e git+https://h/r#egg=q")) == [
        (
            Severity.NOTE,
            "requirements.txt:1: uv has no editable git sources: it becomes a regular one",
        )
    ]


def test_a19_the_token_of_a_git_url_is_taken_out() -> None:
    found = reading("foo @ git+https://oauth2:TOKEN@h.example/acme/foo.git@main")
    assert found.requirement
    assert found.requirement.source == {"git": "https://h.example/acme/foo.git", "rev": "main"}
    assert messages(found) == [
        (
            Severity.ACTION,
            (
                "requirements.txt:1: the credentials of https://h.example/acme/foo.git were "
                "removed; requirements.txt still contains them"
            ),
        )
    ]
    assert "TOKEN" not in repr(found)


def test_a19_a_variable_in_a_git_url_is_not_expanded() -> None:
    found = requirement("foo @ git+https://${GH_TOKEN}@h/foo.git")
    assert found.source == {"git": "https://h/foo.git"}


def test_a19_the_password_of_an_ssh_url_is_taken_out_and_the_user_stays() -> None:
    found = requirement("git+ssh://git:secret@h/foo.git#egg=foo")
    assert found.source == {"git": "ssh://git@h/foo.git"}


def target(text: str) -> DirectReference | None:
    (line,) = parse_requirements(text.encode(), "requirements.txt").lines
    return parse_direct_reference(line)


@pytest.mark.parametrize("text", ["six", "six==1.16.0 ; os_name == 'nt'", "six[a,b]>=1"])
def test_a_name_with_a_version_is_no_place(text: str) -> None:
    assert target(text) is None


@pytest.mark.parametrize(
    ("text", "location", "name", "extras", "marker"),
    [
        ("six@https://h/s.zip", "https://h/s.zip", "six", (), ""),
        ("six[b,a] @ ./six ; os_name == 'nt'", "./six", "six", ("a", "b"), "os_name == 'nt'"),
        ("git+https://h/r#egg=q[x]&subdirectory=s", "git+https://h/r", "q", ("x",), ""),
        ("https://h/a.zip#egg=q-1.0", "https://h/a.zip", "q", (), ""),
        ("""-e "./libs/foo[x] ; os_name == 'nt'" """, "./libs/foo", "", ("x",), "os_name == 'nt'"),
        ("-e foo", "foo", "", (), ""),
        ("six-1.0.tar.gz", "six-1.0.tar.gz", "", (), ""),
        ("h/s-1-py3-none-any.whl", "h/s-1-py3-none-any.whl", "s", (), ""),
        ("h/\u00e9-1-py3-none-any.whl", "h/\u00e9-1-py3-none-any.whl", "", (), ""),  # no name
    ],
)
def test_a_place_has_what_stands_around_it(
    text: str, location: str, name: str, extras: tuple[str, ...], marker: str
) -> None:
    found = target(text)
    assert found
    assert (found.location, found.name) == (location, name)
    assert (found.extras, found.marker) == (extras, marker)


def test_the_digest_of_a_fragment_is_a_hash() -> None:
    found = target("https://h/a.zip#sha256=aa&egg=q")
    assert found
    assert requirement_at(found, "https://h/a.zip", "q", {}).hashes == ("sha256:aa",)
