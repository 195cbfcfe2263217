import pytest

from uvflow.imports.model import FileReport, Severity
from uvflow.imports.unclaimed import told


def described(*names: str, read: tuple[str, ...] = ()) -> list[str]:
    files = (
        FileReport(path=path, format="requirements", role="project", lines=0, buckets={})
        for path in read
    )
    return [f"{finding}; {finding.hint}" for finding in told(names, files)]


WHERE = "requirements files are looked for in the root and in requirements/"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("docs/requirements.txt", "`uvflow init --group docs=docs/requirements.txt` takes it in"),
        ("tests/requirements.txt", "`uvflow init --group test=tests/requirements.txt` takes it in"),
        (
            "doc/dev-requirements.in",
            "`uvflow init --group docs=doc/dev-requirements.in` takes it in",
        ),
        (
            "backend/requirements.txt",
            (
                "`--from backend/requirements.txt` takes it for the project's own,"
                " `--group backend=backend/requirements.txt` for a group"
            ),
        ),
        (
            "requirements/edx/base.txt",
            (
                "`--from requirements/edx/base.txt` takes it for the project's own,"
                " `--group edx=requirements/edx/base.txt` for a group"
            ),
        ),
        ("docs/constraints.txt", "`uvflow init --constraint docs/constraints.txt` takes it in"),
    ],
)
def test_a_file_that_is_not_looked_for_is_named_with_what_takes_it_in(path: str, hint: str) -> None:
    assert described(path) == [f"{path}:1: not imported: {WHERE}; {hint}"]


def test_it_is_left_to_the_user_even_where_warnings_are_errors() -> None:
    (finding,) = told(["docs/requirements.txt"], ())
    assert (finding.severity, finding.code) == (Severity.ACTION, "not-looked-for")


def test_a_folder_is_named_once_with_what_is_wanted_first() -> None:
    names = ("docs/requirements-dev.txt", "docs/requirements.txt", "docs/requirements.in")
    assert described(*names) == [
        (
            f"docs/requirements.in:1: not imported, nor 2 more beside it: {WHERE};"
            " `uvflow init --group docs=docs/requirements.in` takes it in"
        )
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("requirements.txt", "requirements/dev.txt", "notes.txt", "constraints.txt"),
        *("docs/index.txt", "requirements/edx/README.txt", "requirements/README.txt"),
    ],
)
def test_other_names_are_passed_over(name: str) -> None:
    assert described(name) == []


def test_what_an_include_or_an_option_took_in_is_not_named() -> None:
    assert described("docs/requirements.txt", read=("docs/requirements.txt",)) == []


@pytest.mark.parametrize("path", ["lower-constraints.txt", "requirements/min-constraints.txt"])
def test_the_lowest_versions_are_not_those_in_force(path: str) -> None:
    assert described(path) == [
        (
            f"{path}:1: not imported: it has the lowest versions, not those in force;"
            f" `uvflow init --constraint {path}` takes it in"
        )
    ]
