import platform
import subprocess
import sys
from pathlib import Path

import pytest

from uvflow.environment.installed import Environment
from uvflow.environment.relocation import origin_problems, python_version

posix = pytest.mark.skipif(sys.platform == "win32", reason="launchers are programs on Windows")


@pytest.fixture
def there(tmp_path: Path) -> Environment:
    """An environment as far as its making goes: no interpreter, no distribution."""
    root = tmp_path / ".venv"
    folder = "Lib/site-packages" if sys.platform == "win32" else "lib/python3.12/site-packages"
    (root / folder).mkdir(parents=True)
    environment = Environment.at(root)
    environment.scripts.mkdir()
    (root / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.12.1\n")
    return environment


LAUNCHER = "import sys\nsys.argv[0] = sys.argv[0].removesuffix('.exe')\nsys.exit(main())\n"


def script(there: Environment, text: str) -> None:
    (there.scripts / "tool").write_text(text)


def wheel(there: Environment, *tags: str) -> None:
    info = there.site_packages[0] / "spam-1.0.dist-info"
    info.mkdir()
    (info / "WHEEL").write_text("Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags))


def test_an_environment_of_this_place_has_nothing_to_tell(there: Environment) -> None:
    (there.scripts / "activate").write_text(f"VIRTUAL_ENV='{there.path}'\nexport VIRTUAL_ENV\n")
    script(there, f"#!{there.scripts}/python\n{LAUNCHER}")
    wheel(there, "py3-none-any")
    assert origin_problems(there) == ()


@pytest.mark.parametrize(
    "line",
    [
        "VIRTUAL_ENV='/other/.venv'",
        'VIRTUAL_ENV="/other/.venv"',
        "VIRTUAL_ENV=/other/.venv",
        "        export VIRTUAL_ENV=/other/.venv",  # venv of Python 3.13
    ],
)
def test_activate_tells_where_it_was_made(there: Environment, line: str) -> None:
    (there.scripts / "activate").write_text(f"deactivate () {{\n}}\n{line}\nexport VIRTUAL_ENV\n")
    assert origin_problems(there) == ("it was made at /other/.venv, and its scripts point there",)


MAKERS = {
    "venv": (sys.executable, "-m", "venv", "--without-pip"),
    "uv": ("uv", "venv", "-q"),
    "relocatable": ("uv", "venv", "-q", "--relocatable"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_what_makers_write_is_understood(tmp_path: Path, maker: str) -> None:
    subprocess.run([*MAKERS[maker], str(tmp_path / "old")], check=True)
    assert origin_problems(Environment.at(tmp_path / "old")) == ()
    assert python_version(Environment.at(tmp_path / "old")) == platform.python_version()
    (tmp_path / "old").rename(tmp_path / "new")
    moved = f"it was made at {tmp_path / 'old'}, and its scripts point there"
    expected = () if maker == "relocatable" else (moved,)
    assert origin_problems(Environment.at(tmp_path / "new")) == expected


@posix
def test_a_link_to_an_environment_is_that_environment(there: Environment, tmp_path: Path) -> None:
    (there.scripts / "activate").write_text(f"VIRTUAL_ENV='{tmp_path / 'link'}'\n")
    (tmp_path / "link").symlink_to(there.path)
    assert origin_problems(there) == ()
    assert origin_problems(Environment.at(tmp_path / "link")) == ()


@posix
@pytest.mark.parametrize(
    "text",
    [
        "#!/other/.venv/bin/python\n",
        "#!/other/.venv/bin/python3.12\nimport sys\n",
        "#!/bin/sh\n'''exec' '/other/.venv/bin/python' \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' /other/.venv/bin/python \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_a_launcher_tells_too(there: Environment, text: str) -> None:
    script(there, text + LAUNCHER)
    assert origin_problems(there) == ("bin/tool points to /other/.venv/bin",)


@posix
@pytest.mark.parametrize(
    "text",
    [
        f"#!{Path(sys.executable).resolve()}\n",
        "#!/usr/bin/env python3\n",
        "#!/bin/sh\nexec something\n",
        "#!/usr/bin/perl\n",
        "\x7fELF",
        "",
    ],
)
def test_other_programs_tell_nothing(there: Environment, text: str) -> None:
    script(there, text + LAUNCHER)
    assert origin_problems(there) == ()


@posix
def test_a_script_that_no_installer_wrote_tells_nothing(there: Environment) -> None:
    script(there, "#!/build/machine/bin/python\nprint('hello')\n")
    assert origin_problems(there) == ()


@posix
def test_a_whole_python_may_have_scripts_of_others(there: Environment) -> None:
    (there.site_packages[0].parent / "os.py").touch()
    script(there, f"#!/other/.venv/bin/python\n{LAUNCHER}")
    assert origin_problems(there) == ()


def test_the_other_kind_of_system_has_other_directories(there: Environment) -> None:
    other = "bin" if sys.platform == "win32" else "Scripts"
    there.scripts.rename(there.path / other)
    made = "a POSIX system" if sys.platform == "win32" else "Windows"
    assert origin_problems(there) == (f"it was made on {made}",)


OTHER = {"linux": "macosx_11_0_arm64", "darwin": "win_amd64", "win32": "manylinux_2_17_x86_64"}
HERE = {
    "linux": f"manylinux2014_{platform.machine()}.manylinux_2_17_{platform.machine()}",
    "darwin": "macosx_10_9_universal2",
    "win32": "win_amd64",
}


def test_a_wheel_of_another_system_is_told(there: Environment) -> None:
    wheel(there, f"cp312-cp312-{OTHER[sys.platform]}")
    assert origin_problems(there) == (f"spam 1.0 is for {OTHER[sys.platform]}",)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere programs of other machines may run")
def test_a_wheel_of_another_machine_is_told(there: Environment) -> None:
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    wheel(there, f"cp312-cp312-musllinux_1_2_{other}")
    assert origin_problems(there) == (f"spam 1.0 is for musllinux_1_2_{other}",)


@pytest.mark.parametrize(
    "tags",
    [
        (f"cp312-cp312-{HERE[sys.platform]}",),
        (f"cp312-cp312-{OTHER[sys.platform]}", f"cp312-cp312-{HERE[sys.platform]}"),
        ("py2.py3-none-any",),
        ("cp312-cp312-emscripten_3_1_46_wasm32",),
        (),
    ],
)
def test_a_wheel_that_may_run_here_is_not(there: Environment, tags: tuple[str, ...]) -> None:
    wheel(there, *tags)
    assert origin_problems(there) == ()


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("version_info = 3.12.1", "3.12.1"),
        ("version = 3.11.0", "3.11.0"),
        ("version_info = 3.13.0.final.0", "3.13.0"),
        ("VERSION_INFO=3.14", "3.14"),
        ("versions = 3.12.1", None),
    ],
)
def test_the_version_of_python_stands_in_pyvenv_cfg(
    there: Environment, line: str, version: str | None
) -> None:
    (there.path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{line}\n")
    assert python_version(there) == version


def test_what_is_not_there_tells_nothing(tmp_path: Path) -> None:
    nothing = Environment.at(tmp_path / "nothing")
    assert origin_problems(nothing) == ()
    assert python_version(nothing) is None
