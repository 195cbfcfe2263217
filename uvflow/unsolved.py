"""Why uv has made no lockfile: which lines of the old files it speaks of, and what to do. Pure."""

import re

from uvflow.imports.model import Import, Requirement

_MOST = 6  # lines; the words of uv above have all of them

_NO_SOLUTION = "No solution found"

# What uv 0.9 to 0.13 says → what to type next. The first that fits is told.
_HINTS = {
    r"no version of [\w.-]+(?:\[.*?\])?==\S+\+(?P<build>cpu|cu\d+|rocm\S+)": (
        "put `--extra-index-url https://download.pytorch.org/whl/{build}` into the file: the"
        " `+{build}` archives are there alone"
    ),
    r"no version of (?P<name>[\w.-]+)": (
        "ask for a version of {name} that an index has, or name the index that has this one"
    ),
    r"(?P<name>[\w.-]+) was not found in (?:the package registry|the provided)": (
        "take {name} out of the file, or name the index that has it"
    ),
    r"ABI tags?: (?:`\w+`, )*`cp(?P<python>3\d+)m?`": (
        "choose a Python it was made for, as in `uvflow init --python {python}`"
    ),
    r"resolved to Python (?P<python>\d+\.\d+)": (
        "take a Python that fits (`uv python list`), or `--python {python}` if that one will do"
    ),
    r"o interpreter found": "see `uv python list`, then `uvflow init --python VERSION`",
    r"project and [\w.-]+:(?P<group>[\w-]+) are incompatible": (
        "make these lines agree, or leave the file of group {group} out: `--from` and `--group`"
        " name the files that count"
    ),
    r"Consider limiting your project's supported Python versions": (
        "narrow `requires-python`: uv resolves for every Python that it allows"
    ),
    _NO_SOLUTION: (
        "change one of these lines: take the version out of it, and uv finds one that fits"
    ),
    r"Failed to build `(?P<name>[\w.-]+)==": (
        "ask for a version of {name} that has a wheel, or try another Python with `--python`"
    ),
}


def lines(said: str, imported: Import) -> tuple[str, ...]:
    """`` `idna==3.7` (requirements.txt:2) `` for every requirement that `said` speaks of."""
    reason = said[_start(said) :]
    wanted = (*imported.requirements, *imported.constraints)
    found = [r for r in wanted if r.name and _speaks_of(reason, r)]
    more = len(found) - _MOST
    return (
        *(f"`{r.text}` ({r.origin})" for r in found[:_MOST]),
        *([f"{more} more"] if more > 0 else []),
    )


def is_about_versions(said: str) -> bool:
    """Whether uv found no solution, and not that something cannot be built or fetched."""
    return _NO_SOLUTION in said


def hint(said: str) -> str | None:
    """What to do about it, where that can be told from `said`."""
    reason = said[_start(said) :]
    for pattern, text in _HINTS.items():
        match = re.search(pattern, reason)
        if match:
            said_there = match.groupdict()
            python = re.sub(r"^3(?=\d)", "3.", said_there.pop("python", ""))  # of cp310
            return text.format(python=python, **said_there)
    return None


def _start(said: str) -> int:
    """Above the error uv tells what it is doing, and hints quote what has to do with nothing."""
    return max(said.find("error:"), 0)


def _speaks_of(reason: str, requirement: Requirement) -> bool:
    """uv writes `name==1.0`, `name[extra]>=2`, `name{marker}==1.0`, or the name in backquotes."""
    name = re.escape(requirement.name or "")
    return (
        re.search(rf"(?<![\w./:-]){name}(?:\[|\{{|[<>=!~]=|[<>]|`|\s+depends|,)", reason)
        is not None
    )
