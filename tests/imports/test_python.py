from collections.abc import Mapping

import pytest

from uvflow.imports.python import RequiresPython, required


def evidence(files: Mapping[str, str]) -> RequiresPython:
    def read(path: str) -> bytes:
        return files[path].encode()

    return required(files, read)


def candidates(files: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(str(c.origin), c.specifier) for c in evidence(files).candidates]


def test_a30_no_evidence_is_none() -> None:
    assert evidence({"requirements.txt": "six\n"}) == RequiresPython(specifier=None)


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
    assert evidence({name: text}).specifier == specifier


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
    assert evidence({name: text}) == RequiresPython(specifier=None)


def test_a30_the_oldest_python_in_use_decides_and_others_need_action() -> None:
    found = evidence({".python-version": "3.11\n", "Dockerfile": "FROM python:3.9-slim\n"})
    assert found.specifier == ">=3.9"
    assert [(str(f), f.hint) for f in found.findings] == [
        (
            ".python-version:1: this says Python 3.11; requires-python is >=3.9 (Dockerfile:1)",
            "make them agree, or choose with `--python`",
        )
    ]


def test_a30_what_is_declared_decides() -> None:
    declared = {"setup.cfg": "[options]\npython_requires = >3.8.1,<3.12\n"}
    found = evidence({**declared, ".python-version": "3.8\n", "runtime.txt": "python-3.11.1\n"})
    assert (found.specifier, found.findings) == (">3.8.1,<3.12", ())
    (finding,) = evidence({**declared, ".python-version": "3.12.0\n"}).findings
    assert str(finding) == (
        ".python-version:1: this says Python 3.12; requires-python is >3.8.1,<3.12 (setup.cfg:2)"
    )


def test_a30_a_file_that_cannot_be_read_is_no_evidence() -> None:
    def read(path: str) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    assert required([".python-version"], read) == RequiresPython(specifier=None)
