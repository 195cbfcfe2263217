import pytest

from uvflow.migrate.formats.markers import all_of, platform_marker, python_marker

PYTHONS = """\
<3.11           → python_version < '3.11'
~3.9 || ^3.11   → python_version == '3.9' or (python_version >= '3.11' and python_version < '4.0')
>3.9            → python_full_version > '3.9.0'
^3.9.1          → python_full_version >= '3.9.1' and python_full_version < '4.0.0'
!=3.10.*        → python_version < '3.10' or python_version >= '3.11'
!=3.10          → python_full_version != '3.10.0'
3.10            → python_version == '3.10'
3.10.2          → python_full_version == '3.10.2'
3.*             → python_full_version == '3.*'
*               →
"""


@pytest.mark.parametrize("line", PYTHONS.splitlines())
def test_pythons_are_compared_as_poetry_does(line: str) -> None:
    text, _, marker = line.partition("→")
    assert python_marker(text.strip()) == marker.strip()


def test_an_or_keeps_its_parentheses() -> None:
    either = "sys_platform == 'win32' or os_name == 'nt'"
    assert all_of(either, "", platform_marker("!=cygwin")) == (
        "(sys_platform == 'win32' or os_name == 'nt') and sys_platform != 'cygwin'"
    )
    assert all_of("", "") == ""


def test_platforms() -> None:
    assert platform_marker("linux|darwin") == "sys_platform == 'linux' or sys_platform == 'darwin'"
    assert platform_marker("*") == ""


@pytest.mark.parametrize("marker", ["python", "sys_platform = 'x'"])
def test_what_is_no_marker_is_refused(marker: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        all_of(marker)


def test_a_marker_that_is_nested_too_deeply_is_none() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        all_of("(" * 5000 + "os_name == 'nt'" + ")" * 5000)
