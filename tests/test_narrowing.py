import platform
import sys
from collections.abc import Callable

import pytest

from uvflow.imports.model import Severity
from uvflow.narrowing import Range, told, widest

SYSTEM = f"sys_platform == '{sys.platform}'"


def between(lowest: int, below: int, environment: str = "") -> Callable[[Range], bool]:
    """Everything within these minor versions is possible, in `environment` or everywhere."""

    def is_possible(asked: Range) -> bool:
        above = asked.below[1] if asked.below else 99
        fits = lowest <= asked.lowest[1] and above <= below
        return fits and asked.environment.startswith(environment)

    return is_possible


@pytest.mark.parametrize(
    ("declared", "possible", "found"),
    [
        (">=3.11", between(11, 12), ">=3.11,<3.12"),
        (">=3.11", between(3, 14), ">=3.11,<3.14"),
        (">=3.6", between(9, 99), ">=3.9"),
        (">=3.6", between(10, 13), ">=3.10,<3.13"),
        (">=3.6,<3.13", between(9, 99), ">=3.9,<3.13"),
        (">=3.9", between(9, 10), ">=3.9,<3.10"),
        (">=3.11", between(10, 11), None),
    ],
)
def test_the_widest_range_around_a_python_is_found(
    declared: str, possible: Callable[[Range], bool], found: str | None
) -> None:
    result = widest(declared, (3, 11), possible)
    assert (result and result.requires_python) == found


def test_where_nothing_is_possible_everywhere_it_is_asked_for_this_platform() -> None:
    found = widest(">=3.11", (3, 11), between(11, 12, SYSTEM))
    assert found == Range(lowest=(3, 11), below=(3, 12), environment=SYSTEM)
    machine = f"{SYSTEM} and platform_machine == '{platform.machine()}'"
    found = widest(">=3.11", (3, 11), between(11, 12, machine))
    assert found == Range(lowest=(3, 11), below=(3, 12), environment=machine)


def test_it_is_asked_a_few_times_only() -> None:
    asked = []

    def is_possible(one: Range) -> bool:
        asked.append(one.requires_python)
        return between(9, 12)(one)

    widest(">=3.8", (3, 11), is_possible)
    assert asked == [
        *(">=3.11,<3.12", ">=3.11", ">=3.11,<3.13"),
        *(">=3.10,<3.12", ">=3.9,<3.12", ">=3.8,<3.12"),
    ]


def test_a_declared_python_that_is_shut_out_needs_action() -> None:
    (finding,) = told(">=3.6", Range(lowest=(3, 9)))
    assert (finding.severity, finding.code) == (Severity.ACTION, "python-narrowed")
    assert finding.message == (
        "requires-python is >=3.9, and not >=3.6: the versions that are asked for do not fit"
        " together for other Pythons"
    )


def test_later_pythons_that_are_shut_out_are_a_warning() -> None:
    (finding,) = told(">=3.11", Range(lowest=(3, 11), below=(3, 12)))
    assert finding.severity is Severity.WARNING


def test_another_platform_that_is_shut_out_needs_action() -> None:
    findings = told(">=3.11", Range(lowest=(3, 11), environment="sys_platform == 'linux'"))
    assert [(f.severity, f.code) for f in findings] == [(Severity.ACTION, "platform-narrowed")]
