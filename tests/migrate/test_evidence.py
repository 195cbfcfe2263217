from collections.abc import Mapping

import pytest

from uvflow.findings import Origin, Severity
from uvflow.migrate import evidence, model
from uvflow.migrate.evidence import RequiresPython, requires_python_evidence
from uvflow.migrate.formats.setuptools import local_project_name
from uvflow.migrate.model import FileReport, ImportedRequirements, InputFile, Pin, Requirement, Role


def found_in(files: Mapping[str, str]) -> RequiresPython:
    def read(path: str) -> bytes:
        return files[path].encode()

    return requires_python_evidence(files, read)


def candidates(files: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(str(c.origin), c.specifier) for c in found_in(files).candidates]


def test_a30_no_evidence_is_none() -> None:
    assert found_in({"requirements.txt": "six\n"}) == RequiresPython(specifier=None)


@pytest.mark.parametrize(
    ("name", "text", "line", "specifier"),
    [
        (".python-version", "3.11.4\n", 1, ">=3.11"),
        (".python-version", "# pyenv\nmy-env\ncpython-3.12\n3.9\n", 3, ">=3.12"),
        ("runtime.txt", "python-3.9.18\n", 1, ">=3.9"),
        ("Dockerfile", "# syntax\nFROM python:3.9-slim AS build\n", 2, ">=3.9"),
        (
            "web.Dockerfile",
            "FROM --platform=linux/amd64 reg.example/library/python:3.13.1\n",
            1,
            ">=3.13",
        ),
        ("Dockerfile.dev", "from  python:3.10@sha256:aa\n", 1, ">=3.10"),
        ("setup.cfg", "[options]\npython_requires = >=3.8,<3.12\n", 2, ">=3.8,<3.12"),
        ("setup.cfg", "[options]\npython_requires = >=3.6.*\n", 2, ">=3.6"),
        (
            "setup.cfg",
            (
                "[metadata]\nclassifiers =\n    Programming Language :: Python :: 3\n"
                "    Programming Language :: Python :: 3.10\n"
                "    Programming Language :: Python :: 3.9\n"
            ),
            3,
            ">=3.9",
        ),
        ("setup.py", "import x\nsetup(name='x',\n  python_requires='>=3.7')\n", 3, ">=3.7"),
        (
            "setup.py",
            "setuptools.setup(classifiers=['Programming Language :: Python :: 3.8'])\n",
            1,
            ">=3.8",
        ),
    ],
)
def test_a30_each_place_is_read(name: str, text: str, line: int, specifier: str) -> None:
    assert candidates({name: text}) == [(f"{name}:{line}", specifier)]
    assert found_in({name: text}).specifier == specifier


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".python-version", "pypy3.9-7.3.11\n"),
        (".python-version", "3\n"),
        ("Dockerfile", "FROM python:${VERSION}\nFROM python:latest\nFROM my-python:3.9\n"),
        ("Dockerfile", "# Made by `uvflow docker`; …\nFROM python:3.14-slim\n"),
        ("setup.cfg", "no section\n"),
        ("setup.cfg", "[options]\npython_requires = new\n"),
        ("setup.py", "setup(python_requires=REQUIRED, classifiers=x())\n"),
        ("setup.py", "setup(\n"),
        ("setup.py", "print '\\d'\n"),
    ],
)
def test_a30_what_says_nothing_is_no_evidence(name: str, text: str) -> None:
    assert found_in({name: text}) == RequiresPython(specifier=None)


def test_a30_the_oldest_python_in_use_decides_and_others_need_action() -> None:
    found = found_in({".python-version": "3.11\n", "Dockerfile": "FROM python:3.9-slim\n"})
    assert found.specifier == ">=3.9"
    assert [(str(f), f.hint) for f in found.findings] == [
        (
            ".python-version:1: this says Python 3.11; requires-python is >=3.9 (Dockerfile:1)",
            "make them agree, or choose with `--python`",
        )
    ]


def test_a30_what_is_declared_decides() -> None:
    declared = {"setup.cfg": "[options]\npython_requires = >3.8.1,<3.12\n"}
    found = found_in({**declared, ".python-version": "3.8\n", "runtime.txt": "python-3.11.1\n"})
    assert (found.specifier, found.findings) == (">3.8.1,<3.12", ())
    (finding,) = found_in({**declared, ".python-version": "3.12.0\n"}).findings
    assert str(finding) == (
        ".python-version:1: this says Python 3.12; requires-python is >3.8.1,<3.12 (setup.cfg:2)"
    )


def test_a30_a_file_that_cannot_be_read_is_no_evidence() -> None:
    def read(path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    assert requires_python_evidence([".python-version"], read) == RequiresPython(specifier=None)


def reading(files: Mapping[str, str]) -> model.Read:
    def read(path: str) -> bytes:
        if path.removeprefix("./") not in files:
            raise FileNotFoundError(path)
        return files[path.removeprefix("./")].encode()

    return read


def messages(files: Mapping[str, str], imported: ImportedRequirements | None = None) -> list[str]:
    manifest = files.get("pyproject.toml", "")
    found = evidence.obstacles(files, reading(files), imported or ImportedRequirements(), manifest)
    return [f"{finding.severity} {finding}" for finding in found]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"setup.cfg": "[metadata]\nname = shop\n"}, "shop"),
        ({"setup.py": "setup(name='shop')"}, "shop"),
        ({"setup.py": "setup(name=computed())"}, None),
        ({}, None),
    ],
)
def test_a_project_may_have_a_name_already(files: dict[str, str], name: str | None) -> None:
    assert local_project_name(".", reading(files)) == name


REQUIREMENTS = InputFile(path="requirements.txt", format="requirements", role=Role.PROJECT)
PIP_COMPILE = """\
#
# This file is autogenerated by pip-compile with Python 3.11
# by the following command:
#
#    pip-compile --extra=dev pyproject.toml
#
six==1.16.0
"""
UV_COMPILE = """\
# This file was autogenerated by uv via the following command:
#    uv pip compile pyproject.toml -o requirements.txt
six==1.16.0
"""


@pytest.mark.parametrize("text", [PIP_COMPILE, UV_COMPILE])
def test_what_was_compiled_from_the_manifest_is_its_pins(text: str) -> None:
    (file,) = evidence.with_compiled((REQUIREMENTS,), reading({"requirements.txt": text}))
    assert (file.role, file.of) == (Role.PINS, "pyproject.toml")


@pytest.mark.parametrize("text", ["six\n", PIP_COMPILE.replace("pyproject.toml", "base.in")])
def test_what_was_not_stays_what_it_is(text: str) -> None:
    read = reading({"requirements.txt": text})
    assert evidence.with_compiled((REQUIREMENTS,), read) == (REQUIREMENTS,)


def test_beside_a_uv_toml_settings_would_be_lost() -> None:
    asked = ImportedRequirements(
        indexes=({"url": "https://idx"},), settings={"no-index": True, "conflicts": []}
    )
    assert messages({"uv.toml": ""}, asked) == [
        f"{Severity.ERROR} uv.toml:1: because of this file, uv would ignore `{key}` in [tool.uv]"
        " of pyproject.toml"
        for key in ("index", "no-index")
    ]


def test_a_uv_toml_alone_is_in_nobodys_way() -> None:
    assert messages({"uv.toml": ""}, ImportedRequirements(settings={"conflicts": []})) == []


@pytest.mark.parametrize(
    ("files", "tool"),
    [
        ({"Pipfile": ""}, "pipenv"),
        ({"environment.yml": ""}, "conda"),
        ({"pyproject.toml": "[tool.poetry.dependencies]\n"}, "poetry"),
    ],
)
def test_what_is_not_imported_is_told(files: dict[str, str], tool: str) -> None:
    path = next(iter(files))
    message = f"{path}:1: the {tool} dependencies in this file are not imported"
    assert messages(files) == [f"error {message}"]  # the project would have none at all
    origin = Origin(path="requirements.txt", line=1)
    six = ImportedRequirements(dependencies=(Requirement(text="six", name="six", origin=origin),))
    assert messages(files, six) == [f"action {message}"]


@pytest.mark.parametrize("more", ['dependencies = ["six"]', 'dynamic = ["dependencies"]'])
def test_beside_declared_dependencies_others_only_need_action(more: str) -> None:
    (message,) = messages({"Pipfile": "", "pyproject.toml": f"[project]\n{more}\n"})
    assert message.startswith("action Pipfile:1: ")


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": "setup(install_requires=['six'])"},
        {"setup.cfg": "[options]\ninstall_requires = six\n"},
    ],
)
def test_dependencies_of_a_setup_script_alone_make_no_empty_project(files: dict[str, str]) -> None:
    first = messages(files)[0]
    assert first == f"error {next(iter(files))}:1: the dependencies in this file are not imported"


def test_what_is_built_would_lose_its_metadata() -> None:
    files = {"setup.py": "setup()", "pyproject.toml": "[build-system]\n"}
    (message,) = messages(files)
    assert message == (
        "error setup.py:1: a build takes version, scripts, extras and dependencies from [project]"
        " from now on"
    )


def test_what_is_imported_is_not_told() -> None:
    report = FileReport(path="Pipfile", format="pipfile", role="project", lines=0, buckets={})
    assert messages({"Pipfile": ""}, ImportedRequirements(files=(report,))) == []


@pytest.mark.parametrize(
    "files", [{"setup.py": "setup()"}, {"setup.cfg": "[metadata]\nname = shop\n"}]
)
def test_a_setup_script_loses_its_say(files: dict[str, str]) -> None:
    expected = (
        f"action {next(iter(files))}:1: a build takes version, scripts, extras and dependencies"
        " from [project] from now on, and uv does not install the project itself"
    )
    assert messages(files) == [expected]


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": "setup()", "pyproject.toml": "[project]\n[build-system]\n"},
        {"setup.cfg": "[flake8]\n"},
        {"setup.py": "import this\n"},
    ],
)
def test_a_setup_script_that_has_none_is_no_obstacle(files: dict[str, str]) -> None:
    assert messages(files) == []


def test_what_only_a_lockfile_keeps_is_told_where_none_is_made() -> None:
    origin = Origin(path="requirements.txt", line=1)
    imported = ImportedRequirements(
        pins=(Pin(name="six", version="1.16.0", origin=origin),),
        dependencies=(
            Requirement(text="six", name="six", origin=origin, hashes=("sha256:aa", "sha256:bb")),
        ),
    )
    [finding] = evidence.unlocked(imported).findings
    assert (finding.severity, finding.code) == (Severity.ACTION, "not-locked")
    messages = "without a lockfile nothing keeps 1 pinned version or compares 2 hashes"
    assert finding.message == messages
    assert evidence.unlocked(ImportedRequirements()) == ImportedRequirements()
