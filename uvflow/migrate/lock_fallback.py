"""An explanation of a `uv lock` that failed: the lines it is about, and what to do.

pip resolves for the machine it runs on, uv for every Python that `requires-python` allows and for
every platform (uv docs, "Universal resolution"). So versions that pip has installed may have no
solution.
"""

import re
from collections.abc import Collection

from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.uv import ERROR

_MOST_LINES = 6  # uv's output, above, names all of them


def reason_in(output: str) -> str:
    """uv's error without the output above it, which may mention unrelated names."""
    return re.split(ERROR, output, maxsplit=1)[-1].strip()


def failure_cause(
    refusal: str, missing: Collection[str], imported: ImportedRequirements
) -> str | None:
    """The lines that require `missing` packages, else those that `refusal`, uv's error, is about.

    A sentence such as "uv finds no version for `six==9` (requirements.txt:1)"; None where uv's
    error mentions no line.
    """
    requirements = (*imported.requirements, *imported.constraints)
    if missing:
        required = {requirement.name for requirement in requirements}
        others = [name for name in missing if name not in required]  # another package needs them
        lines = [_with_origin(one) for one in requirements if one.name in missing]
        return f"uv finds no version for {', '.join([*lines, *others])}"
    named = [_with_origin(one) for one in requirements if one.name and is_named(one.name, refusal)]
    more = len(named) - _MOST_LINES
    if more > 0:
        named[_MOST_LINES:] = [f"{more} more"]
    return f"uv's error is about {', '.join(named)}" if named else None


def _with_origin(requirement: Requirement) -> str:
    return f"`{requirement.text}` ({requirement.origin})"


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


# An exact version that no index has, an unknown name, or a range that holds no version: whatever
# requires one of these is the only reason, and no other version of anything else would help.
_MISSING = re.compile(
    r"""
      \bno\ versions?\ of\ (?P<exact>[\w.-]+)(?:\[[^]]*\])?(?:\{[^}]*\})?==
    | (?P<unknown>[\w.-]+)\ was\ not\ found\ in\ (?:the\ package\ registry|the\ provided)
    | Because\ only\ (?:the\ following\ versions\ of\ )?(?P<range>[\w.-]+)(?:(?!And\ because).)*?
      available(?:(?!And\ because).)*?\ on\ (?P=range)\b(?:(?!And\ because).)*?
      (?:unsatisfiable|cannot\ be\ used)
    """,
    re.DOTALL | re.VERBOSE,
)


def missing_package(refusal: str) -> str | None:
    """The package that no index has, or not as it is required, by uv's error; None for others."""
    match = _MISSING.search(refusal)
    return match["exact"] or match["unknown"] or match["range"] if match else None


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
    r"Consider limiting your project's supported Python versions": (
        "narrow `requires-python`: uv resolves for every Python that it allows"
    ),
    _NO_SOLUTION: "remove the version from one of these lines, and uv finds one that fits",
    rf"{_UNBUILT}==": (
        "ask for a version of {name} that has a wheel, or try another Python with `--python`"
    ),
}


def failure_hint(refusal: str, missing: Collection[str]) -> str | None:
    """What to do about uv's error `refusal`, and about `missing` packages, where that is known."""
    for pattern, text in _HINTS.items():
        match = re.search(pattern, refusal)
        if match:
            values = match.groupdict()
            if len(missing) > 1:
                values["name"] = "each of them"
            return text.format(**values)
    return None
