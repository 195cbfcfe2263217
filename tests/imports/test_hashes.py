from typing import Any

from uvflow.imports.hashes import prove
from uvflow.imports.model import Finding, Import, Severity

Assembled = Any  # see conftest

# As uv 0.13 writes it, with made-up hashes.
LOCKFILE = """
version = 1
revision = 5
requires-python = ">=3.9"

[[package]]
name = "idna"
version = "3.7"
source = { registry = "https://idx.example/simple" }
wheels = [
    { url = "https://idx.example/idna-3.7-py3-none-any.whl", hash = "sha256:cc", size = 9 },
]

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://idx.example/simple" }
sdist = { url = "https://idx.example/six-1.16.0.tar.gz", hash = "sha256:aa", size = 9 }
wheels = [
    { url = "https://idx.example/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:bb", size = 9 },
]
"""


def told(findings: tuple[Finding, ...]) -> list[tuple[Severity, str]]:
    return [(finding.severity, str(finding)) for finding in findings]


def imported(assembled: Assembled, text: str) -> Import:
    found: Import = assembled({"requirements.txt": text})
    assert found.findings == ()
    return found


def test_a20_right_hashes_are_verified(assembled: Assembled) -> None:
    text = (
        "six==1.16.0 --hash=sha256:aa --hash=sha256:bb --hash=sha256:dd\n"
        "idna==3.7 --hash=sha256:cc\n"
    )
    proof = prove(imported(assembled, text), LOCKFILE)
    assert (proof.verified, proof.expected, proof.findings) == (2, 2, ())


def test_a20_a_wrong_hash_is_an_error(assembled: Assembled) -> None:
    text = "six==1.16.0 --hash=sha256:ff\nidna==3.7 --hash=sha256:cc\n"
    proof = prove(imported(assembled, text), LOCKFILE)
    assert (proof.verified, proof.expected) == (1, 2)
    assert told(proof.findings) == [
        (
            Severity.ERROR,
            "requirements.txt:1: no archive of six 1.16.0 has the hash that is asked for",
        )
    ]


def test_a20_archives_without_a_hash_are_a_warning(assembled: Assembled) -> None:
    proof = prove(imported(assembled, "six==1.16.0 --hash=sha256:bb\n"), LOCKFILE)
    assert (proof.verified, proof.expected) == (1, 1)
    assert told(proof.findings) == [
        (Severity.WARNING, "requirements.txt:1: 1 of 2 archives of six 1.16.0 have no hash here")
    ]


def test_a20_hashes_of_pins_are_compared_unless_the_version_moved(assembled: Assembled) -> None:
    files = {
        "requirements.in": "six\nidna\n",
        "requirements.txt": "six==1.15.0 --hash=sha256:ff\nidna==3.7 --hash=sha256:ee\n",
    }
    proof = prove(assembled(files), LOCKFILE)
    assert (proof.verified, proof.expected) == (0, 1)
    assert told(proof.findings) == [
        (
            Severity.ERROR,
            "requirements.txt:2: no archive of idna 3.7 has the hash that is asked for",
        )
    ]


def test_a21_the_hash_of_a_url_is_compared(assembled: Assembled) -> None:
    text = "https://idx.example/idna-3.7-py3-none-any.whl#sha256=ff\n"
    proof = prove(imported(assembled, text), LOCKFILE)
    assert told(proof.findings) == [
        (Severity.ERROR, "requirements.txt:1: no archive of idna has the hash that is asked for")
    ]


def test_hashes_of_another_algorithm_are_not_compared(assembled: Assembled) -> None:
    proof = prove(imported(assembled, "six==1.16.0 --hash=sha512:ff\n"), LOCKFILE)
    assert (proof.verified, proof.expected, proof.findings) == (0, 0, ())
