"""What a package is built to, before an import and after: a wheel's files, commands and metadata.

What only another build backend, or another version of one, would say otherwise is no difference:
how a licence, an author or a homepage is spelled, the classifiers of a licence and of versions of
Python, and the order of anything.
"""

import configparser
import itertools
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, canonicalize_version

# Built with, and installed beside the tools: those that projects have, and that tools change to.
BACKENDS = (
    "flit-core<4",  # the last that reads what a project of flit has
    "hatchling",
    "pdm-backend",
    "poetry-core",
    "setuptools",
    "uv_build",
)
_OF_BACKENDS = ("License ::", "Programming Language :: Python")

# A marker is what it says on these: a tool may write it in words of its own.
MACHINES = tuple(
    {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": platform,
        "platform_system": system,
        "os_name": "nt" if platform == "win32" else "posix",
        "extra": "",
    }
    for python, (platform, system) in itertools.product(
        ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14"),
        (("linux", "Linux"), ("darwin", "Darwin"), ("win32", "Windows")),
    )
)


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """`facts` are sentences, each with the word by which a tool would speak of it."""

    facts: frozenset[tuple[str, str]]


def built(tree: Mapping[str, bytes], python: Path, environ: Mapping[str, str]) -> Wheel | str:
    """The wheel of the project with these files, by the backends of `python`; or why there is none.

    Runs the project's own build, in a directory of its own.
    """
    with tempfile.TemporaryDirectory() as directory:
        root, out = Path(directory, "shop"), Path(directory, "out")
        for name, data in tree.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        uv = shutil.which("uv", path=environ["PATH"]) or "uv"
        command = (uv, "build", "--wheel", "--no-build-isolation", "--python", str(python))
        done = subprocess.run(
            (*command, "--out-dir", str(out), str(root)),
            env={**environ, "PATH": f"{python.parent}:{environ['PATH']}"},
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode != 0:
            return done.stderr.strip().replace(directory, "")
        with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
            return Wheel(facts=frozenset(_facts(wheel)))


def differences(before: Wheel, after: Wheel) -> Iterator[tuple[str, str]]:
    """What is gone from a wheel or new in it, and the word for each."""
    for what, named in sorted(before.facts - after.facts):
        yield f"{what} is gone", named
    for what, named in sorted(after.facts - before.facts):
        yield f"{what} is new", named


def _facts(wheel: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    for path in wheel.namelist():
        if ".dist-info/" not in path and not path.endswith("/"):
            yield f"file {path}", path.rpartition("/")[2]
        elif path.endswith("/entry_points.txt"):
            yield from _entry_points(wheel.read(path).decode())
        elif path.endswith(".dist-info/METADATA"):
            yield from metadata_facts(wheel.read(path).decode())


def _entry_points(text: str) -> Iterator[tuple[str, str]]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(text)
    for group in parser.sections():
        for name, target in parser[group].items():
            yield f"entry point {group}: {name} = {''.join(target.split())}", name


def metadata_facts(text: str) -> Iterator[tuple[str, str]]:
    """The facts of a METADATA file (core metadata)."""
    headers = Parser().parsestr(text)
    yield f"name {canonicalize_name(headers['Name'])}", "name"
    for key in ("Version", "Summary", "Description-Content-Type"):
        if headers[key]:
            yield f"{key} {headers[key].partition(';')[0]}", key.lower()
    yield f"readme {_words(headers.get_payload())}", "readme"
    yield f"licence {headers['License-Expression'] or headers['License']}", "license"
    yield f"Requires-Python {_specifiers(headers['Requires-Python'] or '')}", "requires-python"
    words = ", ".join(sorted(re.split(r"[,\s]+", headers["Keywords"] or "")))
    yield f"keywords {words}", "keywords"
    for value in headers.get_all("Classifier", ()):
        if not value.startswith(_OF_BACKENDS):
            yield f"classifier {value}", "classifiers"
    yield from _people(headers)
    yield from _urls(headers)
    yield from _requirements(headers)


def _words(payload: object) -> str:
    return " ".join(str(payload).split())


def _specifiers(text: str) -> str:
    """Without zeros at the end that mean nothing: `<4` for `<4.0`."""
    parts = (
        str(part) if part.operator == "~=" else part.operator + canonicalize_version(part.version)
        for part in SpecifierSet(text)
    )
    return ",".join(sorted(parts))


def _people(headers: Message) -> Iterator[tuple[str, str]]:
    for role in ("Author", "Maintainer"):
        people = f"{headers[role] or ''} {headers[f'{role}-email'] or ''}"
        for word in sorted(set(re.split(r"[\s<>,]+", people)) - {""}):
            yield f"{role} {word}", role.lower()


def _urls(headers: Message) -> Iterator[tuple[str, str]]:
    listed = [url.partition(",") for url in headers.get_all("Project-URL", ())]
    urls = {label.strip().lower(): url.strip() for label, _, url in listed}
    if headers["Home-page"]:
        urls.setdefault("homepage", headers["Home-page"])
    for label, url in urls.items():
        yield f"URL {label}: {url}", label


def _requirements(headers: Message) -> Iterator[tuple[str, str]]:
    """Requirements by what their markers say on each machine, in each extra."""
    extras = sorted({canonicalize_name(e) for e in headers.get_all("Provides-Extra", ())})
    for extra in extras:
        yield f"extra {extra}", extra
    for requirement in map(Requirement, headers.get_all("Requires-Dist", ())):
        name = canonicalize_name(requirement.name)
        asked = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        for where in _machines(requirement, extras):
            yield f"{name}{asked}{_specifiers(str(requirement.specifier))}{where}", name


def _machines(requirement: Requirement, extras: Iterable[str]) -> Iterator[str]:
    """On which machines a requirement applies, and in which extra on others; all: no words."""
    always = _applies(requirement, "")
    if always:
        yield _shown(always)
    for extra in extras:
        found = _applies(requirement, extra)
        if found != always:
            yield f"{_shown(found)} in extra {extra}"


def _applies(requirement: Requirement, extra: str) -> list[str]:
    marker = requirement.marker
    return [
        f"{machine['python_version']} {machine['sys_platform']}"
        for machine in MACHINES
        if marker is None or marker.evaluate({**machine, "extra": extra})
    ]


def _shown(machines: list[str]) -> str:
    return "" if len(machines) == len(MACHINES) else f" on {', '.join(machines)}"
