"""tox: what the environments of a tox.ini install, and one of them as a requirements file. Pure."""

import itertools
import re
from collections.abc import Iterator, Mapping

from uvflow.findings import Origin
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Read

# Its lines with their numbers, by key, by section.
_Sections = Mapping[str, Mapping[str, list[tuple[int, str]]]]

_ENVIRONMENT = re.compile(r"(?P<file>(?:.*/)?tox\.ini):(?P<name>[^/]+)")
_REFERENCE = re.compile(r"\{\[([^\]]+)\](\w+)\}")
_CONDITION = re.compile(r"(?P<factors>[\w{}, .!-]+):\s+(?P<needs>\S.*?)(?P<comment>\s#.*)?")
_PYTHON = re.compile(r"py(\d)\.?(\d+)")
_UNASKED = re.compile(r"py(?:thon)?\d*(?:\.\d+)?")  # environments that nobody has to list

_MOST = 200  # names that a pattern stands for


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """A finding about the `deps` of a tox.ini: tox goes on making its own environments."""
    imported = {file.removeprefix(f"{path}:") for _, file in outcomes.options.groups}
    wanted: dict[Origin, str] = {}
    for name, values in _sections(read_file(path)).items():
        if not name.startswith("testenv") or "deps" not in values:
            continue
        if imported.isdisjoint(_expanded(name.removeprefix("testenv:"))):
            words = ", ".join(line for _, line in values["deps"] if line)
            wanted[Origin(path=path, line=values["deps"][0][0])] = f"{name} ({words})"
    for origin in [*wanted][:1]:
        message = f"tox goes on installing the `deps` of {', '.join(wanted.values())}"
        hint = f"`--group NAME={path}:ENV` imports those of one environment as a group"
        outcomes.warn("left-to-tox", message, origin, hint)
    outcomes.record_bucket(Bucket.LEFT, *wanted)
    return ImportedRequirements(files=(outcomes.report(path, "tox", wanted),))


def file_of(path: str) -> str:
    """The tox.ini of `tox.ini:ENV`; another path as it is."""
    environment = _ENVIRONMENT.fullmatch(path)
    return environment["file"] if environment else path


def with_environments(read_file: Read) -> Read:
    """As `read_file`; `tox.ini:ENV` reads as a requirements file, with the lines of tox.ini."""

    def read(path: str) -> bytes:
        environment, data = _ENVIRONMENT.fullmatch(path), read_file(file_of(path))
        if environment is None:
            return data
        lines = _environment(_sections(data), environment["name"])
        return "\n".join(lines.get(at, "") for at in range(1, max(lines, default=0) + 1)).encode()

    return read


def _sections(data: bytes) -> _Sections:
    sections: dict[str, dict[str, list[tuple[int, str]]]] = {}
    values: dict[str, list[tuple[int, str]]] = {}
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if header := re.match(r"\[([^\]]+)\]", line):
            values, lines = sections.setdefault(header[1], {}), []
        elif first := re.match(r"([^\s#;=:][^=:]*)[=:](.*)", line):
            lines = values.setdefault(first[1].strip(), [])
            lines.append((number, first[2].strip()))
        elif line[:1].isspace():  # the line before goes on; a comment does not end it
            lines.append((number, line.strip()))
    return sections


def _expanded(text: str) -> Iterator[str]:
    """`py{310,311}-a, b` as the names that it stands for."""
    for name in re.findall(r"(?:\{[^{}]*\}|[^\s,{}])+", text):
        parts = enumerate(re.split(r"\{([^{}]*)\}", name))
        choices = (re.split(r"\s*,\s*", part) if at % 2 else [part] for at, part in parts)
        yield from map("".join, itertools.islice(itertools.product(*choices), _MOST))


def _environment(sections: _Sections, name: str) -> Mapping[int, str]:
    """What it installs, for pip, by the number of the line; raises OSError for one unknown."""
    headers = ((header.partition("testenv:")[2], header) for header in sections)
    own = [sections[header] for names, header in headers if name in _expanded(names)]
    tox = sections.get("tox", {})
    listed = ",".join(line for key in ("env_list", "envlist") for _, line in tox.get(key, ()))
    if not (own or name in _expanded(listed) or _UNASKED.fullmatch(name)):
        raise OSError(0, "tox has no such environment")
    bases = (*own, sections.get("testenv", {}))  # without `deps` of its own it has those of all
    waiting = [*next((values["deps"] for values in bases if "deps" in values), ())]
    lines: dict[int, str] = {}
    while waiting:
        number, line = waiting.pop()
        reference = _REFERENCE.fullmatch(line)
        others = sections.get(reference[1], {}).get(reference[2]) if reference else None
        if others is not None and number not in lines:  # else it leads back here
            waiting += others
        lines[number] = "" if others is not None else _for_pip(line, name.split("-"))
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
    if not markers or "" in markers:
        return f"{condition['needs']}{comment}" if markers else ""
    if needs.startswith("-"):
        return line  # pip has no markers for files, and takes it for no requirement
    marker = " or ".join(markers)
    marker = f"({own}) and ({marker})" if own else marker
    return f"{needs} ; {marker}{comment}"


def _marker(wanted: list[str], factors: list[str]) -> str | None:
    """Where all of `wanted` hold, "" for everywhere and None for nowhere."""
    markers = []
    for factor in wanted:
        name = factor.removeprefix("!")
        if python := _PYTHON.fullmatch(name):
            is_equal = "==" if name == factor else "!="
            markers.append(f"python_version {is_equal} '{python[1]}.{python[2]}'")
        elif (name in factors) != (name == factor):
            return None
    return " and ".join(markers)
