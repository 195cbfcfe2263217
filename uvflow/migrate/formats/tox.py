"""tox: the `deps` in tox.ini or tox.toml, and one environment as a requirements file. Pure."""

import itertools
import re
from collections.abc import Iterator, Mapping

from uvflow.errors import UsageError
from uvflow.findings import Origin
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Read, reachable
from uvflow.migrate.toml_lines import Path, TomlFile

# The lines of each key with their numbers, by section. A tox.toml gets the sections of a tox.ini.
_Lines = list[tuple[int, str]]
_Sections = Mapping[str, Mapping[str, _Lines]]

_ENVIRONMENT = re.compile(r"(?P<file>(?:.*/)?tox\.(?:ini|toml)):(?P<name>[^/]+)")
_REFERENCE = re.compile(r"\{\[([^\]]+)\](\w+)\}")
_CONDITION = re.compile(r"(?P<factors>[\w{}, .!-]+):\s+(?P<needs>\S.*?)(?P<comment>\s#.*)?")
_PYTHON = re.compile(r"py(\d)\.?(\d+)")
_IMPLICIT = re.compile(r"(?:py(?:thon)?)?\d*(?:\.\d+)?")  # environments that nobody has to list

_MAX_NAMES = 200  # that one pattern stands for


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """A finding about the `deps` of the file at `path`: tox goes on making its own environments."""
    imported = {file.removeprefix(f"{path}:") for _, file in outcomes.options.groups}
    left: dict[Origin, str] = {}
    for section, values in _sections(path, read_file(path)).items():
        names = _expanded(section.removeprefix("testenv:"))
        deps = values.get("deps")
        if section.startswith("testenv") and deps and imported.isdisjoint(names):
            texts = ", ".join(text for _, text in deps if text)
            left[Origin(path=path, line=deps[0][0])] = f"{section} ({texts})"
    if left:
        message = f"tox goes on installing the `deps` of {', '.join(left.values())}"
        hint = f"`--group NAME={path}:ENV` imports those of one environment as a group"
        outcomes.warn("left-to-tox", message, next(iter(left)), hint)
    outcomes.record_bucket(Bucket.LEFT, *left)
    return ImportedRequirements(files=(outcomes.report(path, "tox", left),))


def file_of(path: str) -> str:
    """The file of `tox.ini:ENV` or `tox.toml:ENV`; another path as it is."""
    environment = _ENVIRONMENT.fullmatch(path)
    return environment["file"] if environment else path


def with_environments(read_file: Read) -> Read:
    """As `read_file`; `tox.ini:ENV` reads as a requirements file, with the lines of tox.ini."""

    def read(path: str) -> bytes:
        environment, data = _ENVIRONMENT.fullmatch(path), read_file(file_of(path))
        if environment is None:
            return data
        try:
            sections = _sections(environment["file"], data)
        except UsageError as error:
            raise OSError(0, f"{error.cause or error}") from error
        lines = _environment(sections, environment["name"])
        return "\n".join(lines.get(at, "") for at in range(1, max(lines, default=0) + 1)).encode()

    return read


def _sections(path: str, data: bytes) -> _Sections:
    return _toml_sections(path, data) if path.endswith(".toml") else _ini_sections(data)


def _ini_sections(data: bytes) -> _Sections:
    sections: dict[str, dict[str, _Lines]] = {}
    values: dict[str, _Lines] = {}
    lines: _Lines = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if header := re.match(r"\[([^\]]+)\]", line):
            values, lines = sections.setdefault(header[1], {}), []
        elif first := re.match(r"([^\s#;=:][^=:]*)[=:](.*)", line):
            lines = values.setdefault(first[1].strip(), [])
            lines.append((number, first[2].strip()))
        elif line[:1].isspace():  # the line before goes on; a comment does not end it
            lines.append((number, line.strip()))
    return sections


def _toml_sections(path: str, data: bytes) -> _Sections:
    """By tox's documentation of tox.toml; raises UsageError where it is not valid."""
    file = TomlFile.parse(path, data)
    tables: dict[str, Path] = {"tox": (), "testenv": ("env_run_base",)}
    tables |= {f"testenv:{entry.key}": ("env", entry.key) for entry in file.entries("env")}
    return {
        section: {
            key: _toml_lines(file, *table, key)
            for key in ("env_list", "deps", "base")
            if file.value(*table, key) is not None
        }
        for section, table in tables.items()
    }


def _toml_lines(file: TomlFile, *path: str | int) -> _Lines:
    """The items of an array, or the lines of a text, with the names that tox.ini has."""
    value = file.value(*path)
    if isinstance(value, str):
        return [(file.origin(*path).line, line.strip()) for line in value.splitlines()]
    lines: _Lines = []
    for entry in file.entries(*path):
        match entry.value:
            case {"replace": "ref", "of": ["env_run_base", key]}:
                text = f"{{[testenv]{key}}}"
            case {"replace": "ref", "of": ["env", name, key]}:
                text = f"{{[testenv:{name}]{key}}}"
            case value:
                text = str(value).replace("env_run_base", "testenv")
        lines.append((entry.origin.line, text))
    return lines


def _expanded(text: str) -> Iterator[str]:
    """`py{310,311}-a, b` as the names that it stands for."""
    for name in re.findall(r"(?:\{[^{}]*\}|[^\s,{}])+", text):
        parts = enumerate(re.split(r"\{([^{}]*)\}", name))
        choices = (re.split(r"\s*,\s*", part) if at % 2 else [part] for at, part in parts)
        yield from map("".join, itertools.islice(itertools.product(*choices), _MAX_NAMES))


def _environment(sections: _Sections, name: str) -> Mapping[int, str]:
    """What `name` installs, for pip, by line number; raises OSError for an unknown environment.

    Items of a TOML array that share a line take the free numbers after it.
    """
    own = [header for header in sections if name in _expanded(header.partition("testenv:")[2])]
    tox = sections.get("tox", {})
    listed = ",".join(line for key in ("env_list", "envlist") for _, line in tox.get(key, ()))
    if not (own or name in _expanded(listed) or _IMPLICIT.fullmatch(name)):
        raise OSError(0, "tox has no such environment")

    def bases(header: str) -> list[str]:
        given = sections.get(header, {}).get("base", ())
        names = re.findall(r"[^\s,]+", " ".join(line for _, line in given)) or ["testenv"]
        return [f"testenv:{base}" if f"testenv:{base}" in sections else base for base in names]

    inherited = (sections.get(header, {}) for header in reachable(own or ["testenv"], bases))
    waiting = next((values["deps"][::-1] for values in inherited if "deps" in values), [])
    lines: dict[int, str] = {}
    seen: set[tuple[int, str]] = set()  # references may lead back
    while waiting:
        number, line = waiting.pop()
        reference = _REFERENCE.fullmatch(line)
        others = sections.get(reference[1], {}).get(reference[2]) if reference else None
        if (number, line) in seen:
            continue
        seen.add((number, line))
        if others is not None:
            waiting += reversed(others)
            continue
        while number in lines:
            number += 1
        lines[number] = _for_pip(line, name.split("-"))
    return lines


def _for_pip(line: str, factors: list[str]) -> str:
    """With a marker for a Python's factor; nothing where the condition is not about this one."""
    line = re.sub(r"\{(?:toxinidir|tox_root)\}/?", "./", line)
    condition = _CONDITION.fullmatch(line)
    if condition is None:
        return line
    found = (_marker(each.split("-"), factors) for each in _expanded(condition["factors"]))
    markers = [marker for marker in found if marker is not None]
    needs, _, own = map(str.strip, condition["needs"].partition(";"))
    comment = condition["comment"] or ""
    if not markers:
        return ""
    if "" in markers:
        return f"{condition['needs']}{comment}"
    if needs.startswith("-"):
        return line  # pip has no markers for files, and takes it for no requirement
    marker = " or ".join(markers)
    if own:
        marker = f"({own}) and ({marker})"
    return f"{needs} ; {marker}{comment}"


def _marker(wanted: list[str], factors: list[str]) -> str | None:
    """Where all of `wanted` hold, "" for everywhere and None for nowhere."""
    markers = []
    for factor in wanted:
        name = factor.removeprefix("!")
        is_negated = name != factor
        python = _PYTHON.fullmatch(name)
        if python:
            operator = "!=" if is_negated else "=="
            markers.append(f"python_version {operator} '{python[1]}.{python[2]}'")
        elif (name in factors) == is_negated:
            return None
    return " and ".join(markers)
