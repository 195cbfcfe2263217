import pytest

from uvflow.imports.model import Import, Origin, Requirement
from uvflow.imports.platforms import elsewhere

ORIGIN = Origin(path="requirements.txt", line=3)


def told(*wheels: str, here: str = "linux", marker: str = "", source: str = "") -> list[str]:
    """What is told of `w==1`, whose archives are these."""
    lockfile = 'version = 1\n[[package]]\nname = "w"\nversion = "1"\n'
    lockfile += 'source = { registry = "https://idx.example/simple" }\n' + source
    listed = ", ".join(
        f'{{ url = "https://idx.example/f/w-1-cp311-cp311-{w}.whl" }}' for w in wheels
    )
    wanted = Requirement(text="w==1", name="w", origin=ORIGIN, marker=marker)
    found = elsewhere(Import(dependencies=(wanted,)), f"{lockfile}wheels = [{listed}]\n", here)
    return [f"{finding} ({finding.hint})" for finding in found]


def test_what_is_for_another_platform_alone_is_told() -> None:
    (windows,) = told("win_amd64", "win32")
    assert windows == (
        "requirements.txt:3: `w==1` has archives for Windows alone, and is wanted everywhere"
        " (`w==1 ; sys_platform == 'win32'`)"
    )
    assert len(told("macosx_11_0_arm64")) == 1
    assert (
        len(
            told("manylinux_2_17_x86_64.manylinux2014_x86_64", "musllinux_1_2_x86_64", here="win32")
        )
        == 1
    )


@pytest.mark.parametrize(
    ("wheels", "more"),
    [
        (("win_amd64",), {"here": "win32"}),
        (("win_amd64", "any"), {}),
        (("win_amd64", "macosx_11_0_arm64"), {}),
        (("win_amd64",), {"marker": "sys_platform == 'win32'"}),
        (("win_amd64",), {"source": 'sdist = { url = "https://idx.example/f/w-1.tar.gz" }\n'}),
        ((), {}),
    ],
)
def test_nothing_is_told_of_others(wheels: tuple[str, ...], more: dict[str, str]) -> None:
    assert told(*wheels, **more) == []
