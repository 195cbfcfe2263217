import subprocess
import sys
from pathlib import Path

import pytest

from uvflow.environment.installed import Environment
from uvflow.environment.integrity import relocation_problem

posix = pytest.mark.skipif(sys.platform == "win32", reason="launchers are programs on Windows")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """What relocation needs of an environment: no interpreter, no distribution."""
    root = tmp_path / ".venv"
    folder = "Lib/site-packages" if sys.platform == "win32" else "lib/python3.12/site-packages"
    (root / folder).mkdir(parents=True)
    environment = Environment(root)
    environment.scripts.mkdir()
    (root / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.12.1\n")
    return environment


LAUNCHER = "import sys\nsys.argv[0] = sys.argv[0].removesuffix('.exe')\nsys.exit(main())\n"


def script(environment: Environment, text: str) -> None:
    (environment.scripts / "tool").write_text(text)


def test_an_environment_created_here_has_no_problems(environment: Environment) -> None:
    (environment.scripts / "activate").write_text(
        f"VIRTUAL_ENV='{environment.path}'\nexport VIRTUAL_ENV\n"
    )
    script(environment, f"#!{environment.scripts}/python\n{LAUNCHER}")
    assert relocation_problem(environment) == ""


@pytest.mark.parametrize(
    "line",
    [
        "VIRTUAL_ENV='/other/.venv'",
        'VIRTUAL_ENV="/other/.venv"',
        "VIRTUAL_ENV=/other/.venv",
        "        export VIRTUAL_ENV=/other/.venv",  # venv of Python 3.13
    ],
)
def test_activate_shows_where_it_was_created(environment: Environment, line: str) -> None:
    (environment.scripts / "activate").write_text(
        f"deactivate () {{\n}}\n{line}\nexport VIRTUAL_ENV\n"
    )
    assert relocation_problem(environment) == (
        "it was created at /other/.venv, and its scripts point there"
    )


CREATORS = {
    "venv": (sys.executable, "-m", "venv", "--without-pip"),
    "uv": ("uv", "venv", "-q"),
    "relocatable": ("uv", "venv", "-q", "--relocatable"),
}


@pytest.mark.parametrize("creator", CREATORS)
def test_what_each_creator_writes_is_understood(tmp_path: Path, creator: str) -> None:
    subprocess.run([*CREATORS[creator], str(tmp_path / "old")], check=True)
    assert relocation_problem(Environment(tmp_path / "old")) == ""
    (tmp_path / "old").rename(tmp_path / "new")
    moved = f"it was created at {tmp_path / 'old'}, and its scripts point there"
    expected = "" if creator == "relocatable" else moved
    assert relocation_problem(Environment(tmp_path / "new")) == expected


@posix
def test_a_link_to_an_environment_is_that_environment(
    environment: Environment, tmp_path: Path
) -> None:
    (environment.scripts / "activate").write_text(f"VIRTUAL_ENV='{tmp_path / 'link'}'\n")
    (tmp_path / "link").symlink_to(environment.path)
    assert relocation_problem(environment) == ""
    assert relocation_problem(Environment(tmp_path / "link")) == ""


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
def test_a_launcher_shows_it_too(environment: Environment, text: str) -> None:
    script(environment, text + LAUNCHER)
    assert relocation_problem(environment) == "bin/tool points to /other/.venv/bin"


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
def test_other_programs_show_nothing(environment: Environment, text: str) -> None:
    script(environment, text + LAUNCHER)
    assert relocation_problem(environment) == ""


@posix
def test_a_script_that_no_installer_wrote_shows_nothing(environment: Environment) -> None:
    script(environment, "#!/build/machine/bin/python\nprint('hello')\n")
    assert relocation_problem(environment) == ""


@posix
def test_a_base_python_may_have_scripts_for_others(environment: Environment) -> None:
    (environment.site_packages[0].parent / "os.py").touch()
    script(environment, f"#!/other/.venv/bin/python\n{LAUNCHER}")
    assert relocation_problem(environment) == ""


def test_a_missing_environment_has_no_problems(tmp_path: Path) -> None:
    assert relocation_problem(Environment(tmp_path / "missing")) == ""
