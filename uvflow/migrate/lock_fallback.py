"""An explanation of a `uv lock` that failed: the lines it is about, and what to do.

pip resolves for the machine it runs on, uv for every Python that `requires-python` allows and for
every platform (uv docs, "Universal resolution"). So versions that pip has installed may have no
solution.
"""

import re

from uvflow.migrate.model import ImportedRequirements
from uvflow.uv import ERROR

_MOST_LINES = 6  # uv's output, above, names all of them


def reason_in(output: str) -> str:
    """uv's error without the output above it, which may mention unrelated names."""
    return re.split(ERROR, output, maxsplit=1)[-1].strip()


def failure_cause(refusal: str, imported: ImportedRequirements) -> str | None:
    """A sentence with the lines that `refusal`, uv's error, is about; None where it names none."""
    named = [
        f"`{requirement.text}` ({requirement.origin})"
        for requirement in (*imported.requirements, *imported.constraints)
        if requirement.name and is_named(requirement.name, refusal)
    ]
    more = len(named) - _MOST_LINES
    if more > 0:
        named[_MOST_LINES:] = [f"{more} more"]
    return f"uv's error is about {', '.join(named)}" if named else None


def is_named(name: str, refusal: str) -> bool:
    """Whether uv's error `refusal` mentions the package `name`."""
    # uv writes `name==1.0`, `name[extra]>=2`, `name{marker}==1.0`, or the name in backquotes.
    after = r"(?:\[|\{|[<>=!~]=|[<>]|`|\s+depends|,)"
    return re.search(rf"(?<![\w./:-]){re.escape(name)}{after}", refusal) is not None


_NO_SOLUTION = "No solution found"


def is_about_pythons(refusal: str) -> bool:
    """Whether uv found no solution for some Pythons, so that fewer of them may help."""
    # `split (markers: python_full_version >= '3.12')`, `does not satisfy Python>=3.10`.
    return _NO_SOLUTION in refusal and re.search(r"\b(?:Python\b|python_)", refusal) is not None


# What an old sdist prints that does not build → a constraint with which it builds.
_BUILDS_WITH = {
    r"\bsetup command: use_2to3 is invalid": "setuptools<58",
    r"No module named 'pkg_resources'": "setuptools<82",
    r"AttributeError: .*\bcython_sources\b": "cython<3",
}


def build_constraint(output: str) -> str | None:
    """The one that may help the sdist that did not build, by uv's `output`; None where unknown."""
    for pattern, constraint in _BUILDS_WITH.items():
        if re.search(pattern, output):
            return constraint
    return None


_UNBUILT = r"Failed to build `(?P<name>[\w.-]+)"


def unbuilt_package(output: str) -> str:
    """The package that uv failed to build; "a package" where its name is not in `output`."""
    match = re.search(_UNBUILT, output)
    return match["name"] if match else "a package"


# What uv 0.9 to 0.13 prints → what to type next. The first match counts.
_HINTS = {
    r"no version of [\w.-]+(?:\[.*?\])?==\S+\+(?P<build>cpu|cu\d+|rocm\S+)": (
        "add `--extra-index-url https://download.pytorch.org/whl/{build}` to the file: only that"
        " index has the `+{build}` wheels"
    ),
    # So that nobody can publish a package under the name of a private one; pip has no such guard.
    r"`(?P<name>[\w.-]+)` was found on \S+, but not at the requested version": (
        "`uvflow init --no-lock`, then name the index of {name} in [tool.uv.sources], or write"
        ' `index-strategy = "unsafe-best-match"` into [tool.uv], as pip does; then `uvflow init`'
    ),
    r"no version of (?P<name>[\w.-]+)": (
        "ask for a version of {name} that an index has, or name the index to use"
    ),
    r"(?P<name>[\w.-]+) was not found in (?:the package registry|the provided)": (
        "remove {name} from the file, or name the index to use"
    ),
    r"ABI tags?: |resolved to Python \d|o interpreter found": (
        "choose a Python that fits, of those in `uv python list`: `uvflow init --python VERSION`"
    ),
    r"\b(?:sys_platform|platform_\w+|os_name)\b": (
        "uv resolves for every platform: give these lines a marker, or write `environments` into"
        " [tool.uv] after `uvflow init --no-lock`"
    ),
    _NO_SOLUTION: "remove the version from one of these lines, and uv finds one that fits",
    rf"{_UNBUILT}==": (
        "ask for a version of {name} that has a wheel, or try another Python with `--python`"
    ),
}


def failure_hint(refusal: str) -> str | None:
    """What to do about uv's error `refusal`, where that is known."""
    for pattern, text in _HINTS.items():
        match = re.search(pattern, refusal)
        if match:
            return text.format(**match.groupdict())
    return None
