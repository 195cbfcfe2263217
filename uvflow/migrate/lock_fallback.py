"""What to make of a `uv lock` that failed: fewer Pythons, or an explanation. Pure.

pip resolves for the machine it runs on, uv for every Python that `requires-python` allows and for
every platform (uv docs, "Universal resolution"). So versions that pip has installed may have no
solution.
"""

import itertools
import platform
import re
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from uvflow import findings
from uvflow.findings import Finding, Severity
from uvflow.migrate.evidence import admits_python
from uvflow.migrate.model import ImportedRequirements, Requirement

# Fewer Pythons: the widest range for which there is a solution.

Version = tuple[int, int]  # major and minor

_KNOWN: tuple[Version, ...] = tuple((3, minor) for minor in range(6, 17))


@dataclass(frozen=True, kw_only=True)
class PythonRange:
    """The Pythons from `lowest` up to, and without, `below`; `environment` is a marker."""

    lowest: Version
    below: Version | None = None
    environment: str = ""

    @property
    def requires_python(self) -> str:
        """A specifier (PEP 440)."""
        upper = ",<{}.{}".format(*self.below) if self.below else ""
        return ">={}.{}".format(*self.lowest) + upper

    def __str__(self) -> str:
        where = f" on {self.environment}" if self.environment else ""
        return f"Python {self.requires_python}{where}"


def widest_python_range(
    declared: str, here: Version, is_possible: Callable[[PythonRange], bool]
) -> PythonRange | None:
    """The widest range within the specifier `declared` that `is_possible`, around one Python.

    That is `here`, or else the lowest of `declared`. None where nothing is possible for either,
    not even on this platform only. A range may be impossible although a narrower one in it is
    possible; so it is widened step by step, and `is_possible` is called about five times.
    """
    system = f"sys_platform == '{sys.platform}'"
    machine = f"platform_machine == '{platform.machine()}'"
    admitted = [version for version in _KNOWN if admits_python(declared, version)]
    starts = dict.fromkeys((*([here] if here in admitted else []), *admitted[:1]))
    for start in starts:  # one Python, everywhere; then on platforms like this one only
        for environment in ("", system, f"{system} and {machine}"):
            narrow = PythonRange(lowest=start, below=_next(start), environment=environment)
            if is_possible(narrow):
                return _widen(narrow, admitted, is_possible)
    return None


def _next(version: Version) -> Version:
    return version[0], version[1] + 1


def _widen(
    pythons: PythonRange, admitted: list[Version], is_possible: Callable[[PythonRange], bool]
) -> PythonRange:
    """`pythons` with later and then with earlier ones, each up to the first impossible range."""
    later = [version for version in admitted if version > pythons.lowest]
    if later and later[-1] == _KNOWN[-1] and is_possible(replace(pythons, below=None)):
        pythons = replace(pythons, below=None)
    else:
        wider = (replace(pythons, below=_next(version)) for version in later)
        pythons = [pythons, *itertools.takewhile(is_possible, wider)][-1]
    earlier = [version for version in reversed(admitted) if version < pythons.lowest]
    wider = (replace(pythons, lowest=version) for version in earlier)
    return [pythons, *itertools.takewhile(is_possible, wider)][-1]


def narrowing_findings(declared: str, pythons: PythonRange) -> tuple[Finding, ...]:
    """What the user has to know about a range that is narrower than `declared`.

    That later Pythons are excluded is a warning; that declared ones are needs action.
    """
    reason = "the requested versions conflict"
    lowest = next((version for version in _KNOWN if admits_python(declared, version)), None)
    python = Finding(
        Severity.WARNING if pythons.lowest == lowest else Severity.ACTION,
        "python-narrowed",
        f"requires-python is {pythons.requires_python}, and not {declared}: {reason}"
        " on other Pythons",
        None,
        "relax the pins that conflict, then widen it in pyproject.toml",
    )
    platforms = findings.action(
        "platform-narrowed",
        f"uv.lock is for `{pythons.environment}` only: {reason} elsewhere",
        None,
        "relax the pins that conflict, then remove `environments` from [tool.uv]",
    )
    is_narrower = pythons.requires_python != declared
    return (*((python,) if is_narrower else ()), *((platforms,) if pythons.environment else ()))


# An explanation: the lines that uv's output is about, and what to do about it.

_MOST_LINES = 6  # uv's output, above, names all of them


def blamed_lines(output: str, imported: ImportedRequirements) -> tuple[str, ...]:
    """`` `idna==3.7` (requirements.txt:2) `` for every requirement that `output` mentions."""
    names = {r.name for r in _requirements(imported) if r.name and is_named(r.name, output)}
    blamed = wanted_lines(names, imported)
    more = len(blamed) - _MOST_LINES
    return (*blamed[:_MOST_LINES], *([f"{more} more"] if more > 0 else []))


def wanted_lines(names: Collection[str], imported: ImportedRequirements) -> tuple[str, ...]:
    """Every requirement of one of `names`, as in `blamed_lines`; what others need has its name."""
    wanted = [r for r in _requirements(imported) if r.name in names]
    others = [name for name in names if all(r.name != name for r in wanted)]
    return (*(f"`{r.text}` ({r.origin})" for r in wanted), *others)


def _requirements(imported: ImportedRequirements) -> tuple[Requirement, ...]:
    return (*imported.requirements, *imported.constraints)


def is_named(name: str, output: str) -> bool:
    """Whether the reason that uv gives in `output` is about the package `name`."""
    # uv writes `name==1.0`, `name[extra]>=2`, `name{marker}==1.0`, or the name in backquotes.
    after = r"(?:\[|\{|[<>=!~]=|[<>]|`|\s+depends|,)"
    return re.search(rf"(?<![\w./:-]){re.escape(name)}{after}", _reason(output)) is not None


def _reason(output: str) -> str:
    """From uv's error on: above it are progress and hints that quote unrelated names."""
    starts = (output.find(mark) for mark in ("error:", "  × ") if mark in output)
    return output[min(starts, default=0) :]


_NO_SOLUTION = "No solution found"


def is_about_versions(output: str) -> bool:
    """Whether uv found no solution, and not that something cannot be built or fetched."""
    return _NO_SOLUTION in output


# `split (markers: python_full_version >= '3.12')`, `does not satisfy Python>=3.10`, `platform tag`.
_ENVIRONMENTS = re.compile(r"\b(?:Python\b|platform\b|(?:python|platform|sys|os|implementation)_)")


def is_about_environments(output: str) -> bool:
    """Whether what uv found has to do with Pythons or platforms, so that fewer of them may help."""
    return _ENVIRONMENTS.search(_reason(output)) is not None


# An exact version that nobody has, a name, or a range with nothing in it: of all that, whoever
# requires it is the only reason, and no other version of anything else would help.
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


def missing_package(output: str) -> str:
    """The package that uv found nowhere, or not as it is required, and stopped at; or nothing."""
    match = _MISSING.search(_reason(output))
    return (match["exact"] or match["unknown"] or match["range"]) if match else ""


# What uv 0.9 to 0.13 prints → what to type next. The first match counts.
_HINTS = {
    r"no version of [\w.-]+(?:\[.*?\])?==\S+\+(?P<build>cpu|cu\d+|rocm\S+)": (
        "add `--extra-index-url https://download.pytorch.org/whl/{build}` to the file: only that"
        " index has the `+{build}` wheels"
    ),
    r"no version of (?P<name>[\w.-]+)": (
        "ask for a version of {name} that an index has, or name the index to use"
    ),
    r"(?P<name>[\w.-]+) was not found in (?:the package registry|the provided)": (
        "remove {name} from the file, or name the index to use"
    ),
    r"ABI tags?: (?:`\w+`, )*`cp(?P<python>3\d+)m?`": (
        "choose a Python that it was built for: `uvflow init --python {python}`"
    ),
    r"resolved to Python (?P<python>\d+\.\d+)": (
        "choose a Python that fits (`uv python list`), or `--python {python}` if that one will do"
    ),
    r"o interpreter found": "see `uv python list`, then `uvflow init --python VERSION`",
    r"project and [\w.-]+:(?P<group>[\w-]+) are incompatible": (
        "make these lines agree, or skip the file of group {group}: `--from` and `--group` name"
        " the files to import"
    ),
    r"Consider limiting your project's supported Python versions": (
        "narrow `requires-python`: uv resolves for every Python that it allows"
    ),
    _NO_SOLUTION: ("remove the version from one of these lines, and uv finds one that fits"),
    r"Failed to build `(?P<name>[\w.-]+)==": (
        "ask for a version of {name} that has a wheel, or try another Python with `--python`"
    ),
}


def failure_hint(output: str, missing: Collection[str] = ()) -> str | None:
    """What to do about uv's `output`, and about all packages that are `missing`, where known."""
    reason = _reason(output)
    for pattern, text in _HINTS.items():
        match = re.search(pattern, reason)
        if match:
            values = match.groupdict()
            python = re.sub(r"^3(?=\d)", "3.", values.pop("python", ""))  # of cp310
            if len(missing) > 1:
                values["name"] = "each of them"
            return text.format(python=python, **values)
    return None
