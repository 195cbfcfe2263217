from dataclasses import replace

import pytest

from uvflow.findings import Origin
from uvflow.migrate.model import (
    Bucket,
    FileReport,
    ImportedRequirements,
    Pin,
    Requirement,
)
from uvflow.migrate.truth import Source, settle


def required(path: str, *texts: str) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(text=text, name=text.split("=")[0], origin=Origin(path=path, line=line))
        for line, text in enumerate(texts, 1)
    )


def source(path: str, *texts: str, pins: str = "", **groups: str) -> Source:
    entries = required(path, *texts)
    outcomes = {entry.origin: Bucket.IMPORTED for entry in entries}
    origin = Origin(path="lock", line=1)
    pairs = (pin.split("==") for pin in pins.split())
    imported = ImportedRequirements(
        dependencies=entries,
        groups={name: required(path, text) for name, text in groups.items()},
        pins=tuple(Pin(name=name, version=version, origin=origin) for name, version in pairs),
        files=(FileReport(path=path, format="x", role="project", outcomes=outcomes),),
    )
    return Source(title=path, path=path, imported=imported)


def messages(imported: ImportedRequirements) -> list[str]:
    return [f"{finding.severity} {finding}" for finding in imported.findings]


PIPFILE = source("Pipfile", "six", pins="six==1.16.0 idna==3.7", dev="toml")


def test_requirements_files_alone_are_what_counts() -> None:
    requirements = source("requirements.txt", "six").imported
    assert settle([], requirements) == requirements


def test_an_export_of_the_lock_file_adds_nothing() -> None:
    imported = settle(
        [PIPFILE],
        source("requirements.txt", "six==1.16", "idna==3.7", dev="six==1.16").imported,
    )
    assert [entry.text for entry in imported.requirements] == ["six", "toml"]
    assert imported.files[1].buckets == {Bucket.MERGED: 2}
    message = "this is an export of the lock file of Pipfile"
    assert messages(imported) == [f"warning requirements.txt:1: {message}"] * 2


def test_pins_of_all_that_is_needed_are_kept_and_groups_come_along() -> None:
    setup = source("setup.cfg", "six")
    imported = settle(
        [setup],
        source("requirements.txt", "six==1.15", "zipp==3", dev="toml").imported,
    )
    assert [entry.text for entry in imported.requirements] == ["six", "toml"]
    assert [(pin.name, pin.version) for pin in imported.pins] == [("six", "1.15"), ("zipp", "3")]
    assert messages(imported) == [
        "warning requirements.txt:1: its versions are kept; setup.cfg says what is needed"
    ]


@pytest.mark.parametrize(
    "more", [source("requirements.txt", "six", "attrs"), source("requirements.txt", dev="attrs")]
)
def test_two_lists_are_not_added_up(more: Source) -> None:
    imported = settle([PIPFILE], more.imported)
    assert messages(imported) == [
        "error requirements.txt:1: two sources of dependencies: Pipfile and requirements.txt"
    ]
    assert imported.findings[0].hint == (
        "`--ignore requirements.txt` leaves this one out, `--from requirements.txt` takes it alone"
    )


def test_the_tables_of_pyproject_toml_complete_its_project() -> None:
    poetry = source("pyproject.toml", dev="toml")
    imported = settle(
        [poetry, source("Pipfile", "idna")],
        source("requirements.txt").imported,
        declared=("six",),
    )
    assert [entry.text for entry in imported.requirements] == ["toml"]
    assert messages(imported) == [
        "error Pipfile:1: two sources of dependencies: [project] of pyproject.toml and Pipfile"
    ]


def test_a_source_without_dependencies_leaves_them_to_the_next() -> None:
    imported = settle([source("setup.py")], source("requirements.txt", "six").imported)
    assert [entry.text for entry in imported.dependencies] == ["six"]
    assert messages(imported) == []


def test_settings_alone_are_no_source() -> None:
    """The entries of requirements files are compared with [project] where they are written."""
    required = source("requirements.txt", "six", "idna").imported
    imported = settle([source("tox.ini")], required, ["six"])
    assert [requirement.text for requirement in imported.dependencies] == ["six", "idna"]
    assert messages(imported) == []


def test_a_lock_file_is_the_one_of_whatever_counts() -> None:
    lock, export = source("pdm.lock", pins="six==1.16"), source("requirements.txt", "six==1.16")
    imported = settle([lock], export.imported, ["six"])
    assert imported.dependencies == ()
    title = "[project] of pyproject.toml"
    assert messages(imported) == [
        f"warning requirements.txt:1: this is an export of the lock file of {title}"
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["six"], "warning env.yml:1: all that is on PyPI of this is in requirements.txt"),
        (
            ["six", "idna", "toml"],
            "action env.yml:1: requirements.txt does not have what this has: idna, toml",
        ),
    ],
)
def test_what_is_aside_is_left_where_it_is(texts: list[str], message: str) -> None:
    aside = source("env.yml", *texts)._replace(is_aside=True)
    imported = settle([aside], source("requirements.txt", "six==1.16").imported)
    assert [requirement.text for requirement in imported.dependencies] == ["six==1.16"]
    assert messages(imported) == [message]
    assert {file.path: file.buckets for file in imported.files} == {
        "requirements.txt": {"imported": 1},
        "env.yml": {"left": len(texts)},
    }


def test_what_is_aside_is_compared_with_the_project() -> None:
    aside = source("env.yml", "six", "idna")._replace(is_aside=True)
    imported = settle([aside], source("requirements.txt").imported, ["Six>=1", "idna[x]"])
    title = "[project] of pyproject.toml"
    assert messages(imported) == [f"warning env.yml:1: all that is on PyPI of this is in {title}"]


def test_what_is_aside_counts_where_nothing_else_does() -> None:
    aside = source("env.yml", "six")._replace(is_aside=True)
    imported = settle([aside], source("requirements.txt").imported)
    assert [requirement.text for requirement in imported.dependencies] == ["six"]


def test_what_a_build_reads_is_left_to_it() -> None:
    script = source("setup.py")
    script = script._replace(imported=replace(script.imported, left=("requirements.txt",)))
    requirements = source("requirements.txt", "six", dev="toml").imported
    imported = settle([script], requirements)
    assert [entry.text for entry in imported.requirements] == ["toml"]
    assert imported.files[1].buckets == {Bucket.LEFT: 1}
