"""tox: the `deps` in tox.ini or tox.toml, and one environment as a requirements file. Pure."""

import itertools
import re
from collections.abc import Iterator, Mapping

from uvflow.errors import shell_command
from uvflow.findings import Origin
from uvflow.migrate.formats.markers import all_of
from uvflow.migrate.formats.pip.requirements_txt import as_file
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Read
from uvflow.migrate.toml_lines import Path, TomlFile

# The lines of each key with their numbers, by section. A tox.toml gets the sections of a tox.ini.
_Lines = list[tuple[int, str]]
_Sections = Mapping[str, Mapping[str, _Lines]]

_ENVIRONMENT = re.compile(r"(?P<file>(?:.*/)?tox\.(?:ini|toml)):(?P<name>[^/]+)")
_REFERENCE = re.compile(r"\{\[([^\]]+)\](\w+)\}")
# tox's documentation, "Conditional settings": `py39,py310-!django4: requirement`.
_CONDITION = re.compile(r"(?P<factors>[\w{}, .!-]+):\s+(?P<requirement>\S.*?)(?P<comment>\s#.*)?")
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
        of_group = shell_command("--group", f"NAME={path}:ENV")
        hint = f"{of_group} imports those of one environment as a group"
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
        return as_file(_environment(_sections(path, data), environment["name"]))

    return read


def _sections(path: str, data: bytes) -> _Sections:
    file = file_of(path)
    return _toml_sections(file, data) if file.endswith(".toml") else _ini_sections(data)


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
    """The items of an array, or the lines of a text; a reference as tox.ini spells it."""
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
                text = str(value)
        lines.append((entry.origin.line, text))
    return lines


def _expanded(text: str) -> Iterator[str]:
    """`py{310,311}-a, b` as the names that it stands for."""
    for name in re.findall(r"(?:\{[^{}]*\}|[^\s,{}])+", text):
        parts = enumerate(re.split(r"\{([^{}]*)\}", name))
        choices = (re.split(r"\s*,\s*", part) if at % 2 else [part] for at, part in parts)
        yield from map("".join, itertools.islice(itertools.product(*choices), _MAX_NAMES))


def _environment(sections: _Sections, name: str) -> Mapping[int, str]:
    """The `deps` of an environment for pip, by line number; raises OSError if unknown."""
    headers = ((header.partition("testenv:")[2], header) for header in sections)
    own = [sections[header] for names, header in headers if name in _expanded(names)]
    tox = sections.get("tox", {})
    listed = ",".join(line for key in ("env_list", "envlist") for _, line in tox.get(key, ()))
    if not (own or name in _expanded(listed) or _IMPLICIT.fullmatch(name)):
        raise OSError(0, "tox has no such environment")
    # Without `deps` of its own it inherits those of all environments.
    found = next((each for each in (*own, sections.get("testenv", {})) if "deps" in each), {})
    if any("base" in values for values in own) and found not in own:
        raise OSError(0, "the environment inherits from another one by `base`: name that one")
    waiting = [*reversed(found.get("deps", ()))]
    lines: dict[int, str] = {}
    seen: set[tuple[int, str]] = set()  # references may lead back
    while waiting:
        number, line = waiting.pop()
        if (number, line) in seen:
            continue
        seen.add((number, line))
        reference = _REFERENCE.fullmatch(line)
        others = sections.get(reference[1], {}).get(reference[2]) if reference else None
        if others is not None:
            waiting += reversed(others)
            continue
        while number in lines:  # items of a TOML array may share a line
            number += 1
        line = re.sub(r"\{(?:toxinidir|tox_root)\}/?", "./", line)
        lines[number] = _without_condition(line, name)
    return lines


def _without_condition(line: str, environment: str) -> str:
    """`line` with a marker for a condition on Python, "" where another one is not met."""
    condition = _CONDITION.fullmatch(line)
    if condition is None:
        return line
    requirement, comment = condition["requirement"], condition["comment"] or ""
    alternatives = [_marker(each, environment) for each in _expanded(condition["factors"])]
    markers = [marker for marker in alternatives if marker is not None]
    if not markers:
        return ""
    if "" in markers:
        return f"{requirement}{comment}"
    if requirement.startswith("-"):
        return line  # no marker for an option: the condition stays, which is no requirement
    text, _, own = requirement.partition(";")
    try:
        marker = all_of(own.strip(), " or ".join(markers))
    except ValueError:
        return line  # and needs action
    return f"{text.strip()} ; {marker}{comment}"


def _marker(factors: str, environment: str) -> str | None:
    """The marker of `py310-!django4`, "" for any Python, None where the environment has others."""
    versions = []
    for factor in factors.split("-"):
        name = factor.removeprefix("!")
        is_negated = name != factor
        if python := _PYTHON.fullmatch(name):
            operator = "!=" if is_negated else "=="
            versions.append(f"python_version {operator} '{python[1]}.{python[2]}'")
        elif (name in environment.split("-")) == is_negated:
            return None
    return " and ".join(versions)
