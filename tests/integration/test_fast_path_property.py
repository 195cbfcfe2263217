"""Random histories of a project: whenever the fast path says "already in sync", uv agrees."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import BIN, already_in_sync
from wheels import add_wheel

from uvflow.project.profiles import BUILT_IN

BUILD = '[build-system]\nrequires = ["uv_build>=0.9,<1"]\nbuild-backend = "uv_build"\n'
FILES = {
    "pyproject.toml": """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [
    "six==1.16.0",
    "lib",
    "member",
    "copied",
    "toy @ ${WHEELS}/toy-1.0-py3-none-any.whl",
]

[project.optional-dependencies]
web = ["idna"]

[dependency-groups]
dev = ["iniconfig"]

[tool.uv]
find-links = ["links"]

[tool.uv.workspace]
members = ["members/*"]

[tool.uv.sources]
lib = { path = "../other/lib", editable = true }
member = { workspace = true }
copied = { path = "copied" }
""",
    "members/one/pyproject.toml": """[project]
name = "member"
version = "0.1.0"
requires-python = ">=3.11"

[tool.uv]
package = false
""",
    "members/api/pyproject.toml": f"""[project]
name = "api"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["attrs"]

{BUILD}""",
    "members/api/src/api/__init__.py": "x = 1\n",
    "copied/pyproject.toml": f'[project]\nname = "copied"\nversion = "0.1.0"\n\n{BUILD}',
    "copied/src/copied/__init__.py": "x = 1\n",
    "../other/pyproject.toml": """[tool.uv.workspace]
members = ["lib", "more"]

[tool.uv.sources]
more = { workspace = true }
""",
    "../other/lib/pyproject.toml": f"""[project]
name = "lib"
version = "0.1.0"
dependencies = ["toml", "more"]

{BUILD}""",
    "../other/lib/src/lib/__init__.py": "",
    "../other/more/pyproject.toml": f'[project]\nname = "more"\nversion = "0.1.0"\n\n{BUILD}',
    "../other/more/src/more/__init__.py": "",
    "links/README": "",
    ".gitignore": ".venv\n",
}
EDITS = {
    "pyproject.toml": [
        ("1.16.0", "1.15.0"),
        ('["iniconfig"]', '["iniconfig", "toml"]'),
        ("[tool.uv]", "[tool.uv]\nlink-mode = 'copy'"),
        ("[tool.uv]", "[tool.uv]\nreinstall-package = ['six']"),
        ("[tool.uv]", "[tool.uv]\npython-preference = 'only-managed'"),
        ('web = ["idna"]', 'web = ["idna", "attrs"]'),
        ("dependencies", "# a comment\ndependencies"),
        (">=3.11", ">=3.11,<4"),
        ('"members/*"]', '"members/one"]'),
    ],
    "../other/lib/pyproject.toml": [('"toml"', '"certifi"'), ("0.1.0", "0.2.0")],
    "../other/pyproject.toml": [(', "more"]', "]"), ("more =", "less =")],
    "members/one/pyproject.toml": [("0.1.0", "0.2.0"), ("[tool.uv]", "[tool.uv]\n# more")],
    "members/api/pyproject.toml": [('["attrs"]', '["attrs", "toml"]')],
    "uv.lock": [('version = "1.16.0"', 'version = "1.15.0"'), ("revision", "# revision")],
}

Step = Callable[[Path], None]


def edit(name: str, old: str, new: str) -> Step:
    def step(root: Path) -> None:
        path = root / name
        if path.exists():
            path.write_text(path.read_text().replace(old, new.replace("\\\n", "\n")))

    return step


def write(name: str, text: str) -> Step:
    def step(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    return step


def remove(name: str) -> Step:
    def step(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    return step


def touch(name: str) -> Step:
    def step(root: Path) -> None:
        if (root / name).exists():
            os.utime(root / name)

    return step


def replace_by_copy(name: str) -> Step:
    """A directory by one that looks the same, with the times that a copy keeps."""

    def step(root: Path) -> None:
        if (root / name).exists():
            shutil.copytree(root / name, root / "copy", symlinks=True)
            shutil.rmtree(root / name)
            (root / "copy").rename(root / name)

    return step


def set_variable(name: str, value: str | None) -> Step:
    """`{above}` in the value is the directory that the project is in."""

    def step(root: Path) -> None:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value.format(above=root.parent)

    return step


def use_wheels(name: str) -> Step:
    def step(root: Path) -> None:
        os.environ["WHEELS"] = (root.parents[1] / name / "toy").as_uri()

    return step


def take_another_uv(root: Path) -> None:
    """A uv that refuses whatever it is asked is the first on PATH."""
    uv = root.parent / "bin" / "uv"
    uv.parent.mkdir(exist_ok=True)
    uv.write_text('#!/bin/sh\n[ "$1" = --version ] && echo uv 0.99.0 || exit 2\n')
    uv.chmod(0o755)
    os.environ["PATH"] = f"{uv.parent}{os.pathsep}{os.environ['PATH']}"


def git(*commands: str) -> Step:
    def step(root: Path) -> None:
        for command in commands if shutil.which("git") else ():
            words = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *command.split()]
            subprocess.run(words, cwd=root, check=False, capture_output=True)

    return step


def replace_by_link(name: str) -> Step:
    def step(root: Path) -> None:
        if (root / name).exists():
            (root / name).rename(root.parent / "elsewhere")
            (root / name).symlink_to(root.parent / "elsewhere")

    return step


def by_hand(*arguments: str) -> Step:
    def step(root: Path) -> None:
        environ = {k: v for k, v in os.environ.items() if k != "UV_PYTHON"}
        environ["VIRTUAL_ENV"] = str(root / ".venv")
        subprocess.run(["uv", *arguments], cwd=root, env=environ, check=False, capture_output=True)

    return step


def remove_from_environment(pattern: str) -> Step:
    def step(root: Path) -> None:
        for path in sorted(root.glob(f".venv/[Ll]ib/*/site-packages/{pattern}")):
            remove(path.name)(path.parent)

    return step


def write_in_environment(name: str, text: str) -> Step:
    def step(root: Path) -> None:
        for place in root.glob(".venv/[Ll]ib/*/site-packages"):
            write(name, text)(place)

    return step


def uvflow(*arguments: str, place: str = ".") -> Step:
    def step(root: Path) -> None:
        command = [str(BIN / "uvflow"), *arguments]
        if (root / place).exists():
            subprocess.run(command, cwd=root / place, check=False, capture_output=True)

    return step


# Of uv, with values that change something, that change nothing, and that it refuses.
VARIABLES = {
    "UV_PROJECT_ENVIRONMENT": "elsewhere",
    "UV_PROJECT": "members/api",
    "UV_WORKING_DIR": "members",
    "UV_PYTHON": "3.99",
    "UV_PYTHON_PREFERENCE": "only-managed",
    "UV_MANAGED_PYTHON": "1",
    "UV_CONFIG_FILE": "pyproject.toml",
    "UV_NO_CONFIG": "1",
    "UV_INDEX": "file:///nowhere",
    "UV_DEFAULT_INDEX": "file:///nowhere",
    "UV_INDEX_STRATEGY": "unsafe-best-match",
    "UV_PRERELEASE": "allow",
    "UV_EXCLUDE_NEWER": "2020-01-01",
    "UV_FROZEN": "1",
    "UV_NO_SOURCES": "1",
    "UV_NO_BUILD": "1",
    "UV_NO_BINARY": "1",
    "UV_NO_EDITABLE": "1",
    "UV_NO_GROUP": "dev",
    "UV_NO_DEFAULT_GROUPS": "1",
    "UV_COMPILE_BYTECODE": "1",
    "UV_LINK_MODE": "none-such",
    "UV_CACHE_DIR": "cache",
    "UV_NO_CACHE": "1",
    "UV_OFFLINE": "1",
    "UV_PREVIEW": "1",
    "UV_TORCH_BACKEND": "cpu",
    "UV_CONSTRAINT": "constraints.txt",
    "UV_ENV_FILE": ".env",
    "UV_REQUIRED_VERSION": ">=99",
    "UV_HTTP_TIMEOUT": "soon",
    "HOME": "{above}/home",
    "XDG_CONFIG_DIRS": "{above}/config",
    "PROJECT_ROOT": "elsewhere",
}

STEPS: dict[str, Step] = {
    **{f"{n}: {o} → {w}": edit(n, o, w) for n, edits in EDITS.items() for o, w in edits},
    **{f"back: {n}": write(n, text) for n, text in FILES.items()},
    ".python-version": write(".python-version", "3.99\n"),
    "no .python-version": remove(".python-version"),
    "uv.toml": write("uv.toml", "no-binary = true\n"),
    "uv.toml that reinstalls": write("uv.toml", "reinstall = true\n"),
    "uv.toml above": write("../uv.toml", "reinstall = true\n"),
    "uv.toml of the user": write("../config/uv/uv.toml", "reinstall = true\n"),
    "no uv.toml": remove("uv.toml"),
    "another pyproject.toml above": write("members/pyproject.toml", '[project]\nname = "x"\n'),
    "no other pyproject.toml above": remove("members/pyproject.toml"),
    "no links": remove("links"),
    "a directory that is no member": write("members/junk/x", ""),
    "a directory in the other workspace": write("../other/more/x", ""),
    "no other workspace": remove("../other/pyproject.toml"),
    "copied code": write("copied/src/copied/__init__.py", "x = 2\n"),
    "more copied code": write("copied/src/copied/more.py", ""),
    "copied code touched": touch("copied/src/copied/__init__.py"),
    "setup.py": write("copied/setup.py", ""),
    "copied src replaced": replace_by_copy("copied/src"),
    "api replaced": replace_by_copy("members/api"),
    "api's src replaced": replace_by_copy("members/api/src"),
    "api code": write("members/api/src/api/__init__.py", "x = 2\n"),
    "the wheels": use_wheels("wheels"),
    "other wheels": use_wheels("other-wheels"),
    "no wheels": set_variable("WHEELS", None),
    "UV_RESOLUTION": set_variable("UV_RESOLUTION", "lowest"),
    "no UV_RESOLUTION": set_variable("UV_RESOLUTION", None),
    "UV_NO_INSTALLER_METADATA": set_variable("UV_NO_INSTALLER_METADATA", "1"),
    "UV_NO_DEV": set_variable("UV_NO_DEV", "1"),
    "UV_FIND_LINKS": set_variable("UV_FIND_LINKS", "links"),
    "XDG_CONFIG_HOME": set_variable("XDG_CONFIG_HOME", "{above}/config"),
    **{f"{name} = {value}": set_variable(name, value) for name, value in VARIABLES.items()},
    "another uv": take_another_uv,
    "git switch": git("add -A", "commit -qm x", "switch -q other"),
    "git switch back": git("add -A", "commit -qm x", "switch -q main"),
    "git stash": git("stash -u"),
    "a new member": write("members/two/pyproject.toml", '[project]\nname = "two"\nversion = "1"\n'),
    "no new member": remove("members/two"),
    "no lockfile": remove("uv.lock"),
    "touched": touch("pyproject.toml"),
    "touched copied": touch("copied/pyproject.toml"),
    "uv lock": by_hand("lock"),
    "uv sync": by_hand("sync"),
    "uv sync --no-dev": by_hand("sync", "--no-dev"),
    "uv pip install": by_hand("pip", "install", "certifi"),
    "uv pip uninstall": by_hand("pip", "uninstall", "six"),
    "another version": by_hand("pip", "install", "six==1.17.0"),
    "reinstall": by_hand("pip", "install", "--reinstall", "six==1.16.0"),
    "no six": remove_from_environment("six*"),
    "no metadata": remove_from_environment("six*.dist-info/METADATA"),
    "no environment": remove(".venv"),
    "the environment elsewhere": replace_by_link(".venv"),
    "a .pth": write_in_environment("more.pth", "/elsewhere\n"),
    "a module": write_in_environment("more.py", ""),
    "a distribution by hand": write_in_environment(
        "more-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: more\nVersion: 1\n"
    ),
    "another record": write_in_environment("six-1.16.0.dist-info/RECORD", "six.py,,\n"),
    "an edited module": write_in_environment("six/__init__.py", "x = 2\n"),
    "a member by a link": replace_by_link("members/api"),
    "copied by a link": replace_by_link("copied"),
    "lib by a link": replace_by_link("../other/lib"),
    "no member": remove("members/api"),
    "no lib": remove("../other/lib"),
    "no copied": remove("copied"),
    "uv.toml of a member": write("members/api/uv.toml", "reinstall = true\n"),
    ".python-version of a member": write("members/api/.python-version", "3.99\n"),
    ".python-versions": write(".python-versions", "3.99\n"),
    "settings of one's own": write("uvflow.local.toml", 'default-profile = "prod"\n'),
    "a file beside": write("README.md", "shop\n"),
    "no configuration": remove(".venv/pyvenv.cfg"),
    "no interpreter": remove(".venv/bin/python"),
    "byte code": write(".venv/__pycache__/x.pyc", ""),
    "sync --dev": uvflow("sync", "--dev"),
    "sync --prod": uvflow("sync", "--prod"),
    "sync": uvflow("sync"),
    "sync in api": uvflow("sync", place="members/api"),
    "sync --prod in api": uvflow("sync", "--prod", place="members/api"),
}
REPAIRS = ("uv lock", "sync --dev", "sync --prod", "sync", "sync in api")
START = (
    *(write(name, text) for name, text in FILES.items()),
    use_wheels("wheels"),
    by_hand("lock"),
    git("init -q -b main", "add -A", "commit -qm x", "switch -qc other"),
    *(edit("pyproject.toml", "1.16.0", "1.15.0"), remove("copied/src"), by_hand("lock")),
    git("commit -qam y", "switch -q main"),
    uvflow("sync", "--dev"),
)


EACH = list(itertools.product(STEPS, ("dev", "prod"), (".", "members/api")))
SOME = EACH if os.environ.get("EVERY_STEP") else EACH[::79]


def uv_agrees(place: Path, profile: str) -> bool:
    chosen = BUILT_IN[profile]
    command = ["uv", *chosen.sync_arguments(), "--check"]
    environ = chosen.environ(os.environ)
    done = subprocess.run(command, cwd=place, env=environ, check=False, capture_output=True)
    return done.returncode == 0


def copies_are_as_their_sources(root: Path) -> bool:
    for name, source in {"copied": "copied/src/copied", "api": "members/api/src/api"}.items():
        for copy in root.glob(f".venv/[Ll]ib/*/site-packages/{name}"):
            installed, written = (
                {path.name: path.read_text() for path in directory.glob("*.py")}
                for directory in (copy, root / source)
            )
            if installed != written:
                return False
    return True


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    above = tmp_path_factory.mktemp("property")
    for folder, text in {"wheels": "x = 1", "other-wheels": "x = 2"}.items():
        add_wheel(above / folder, "toy", "1.0", more={"toy_of.py": text})
    return above / "projects" / "shop"


def begin(shop: Path) -> None:
    shutil.rmtree(shop.parent, ignore_errors=True)
    for step in START:
        step(shop)


def check_in(place: Path, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    """In the project and in a member: whenever the fast path says "in sync", it is."""
    for member, profile in itertools.product((".", "members/api"), ("dev", "prod")):
        if (place / member).exists():
            monkeypatch.chdir(place / member)
            message = already_in_sync(("sync", f"--{profile}"))
            where = f"after {after}, in {member}: {message}"
            assert message is None or uv_agrees(place / member, profile), where
            assert message is None or copies_are_as_their_sources(place), where
    monkeypatch.chdir(place.parents[1])


@pytest.mark.parametrize(("change", "profile", "place"), SOME)
def test_uv_agrees_after_each_change(
    shop: Path, monkeypatch: pytest.MonkeyPatch, change: str, profile: str, place: str
) -> None:
    """Some of them in the default run; with EVERY_STEP=1 all of them, in ten minutes."""
    with mock.patch.dict(os.environ):
        begin(shop)
        uvflow("sync", f"--{profile}", place=place)(shop)
        STEPS[change](shop)
        check_in(shop, monkeypatch, change)


@settings(max_examples=int(os.environ.get("FAST_PATH_EXAMPLES", "8")))
@given(steps=st.lists(st.sampled_from(list(STEPS)) | st.sampled_from(REPAIRS), max_size=4))
def test_uv_agrees_with_the_fast_path(
    shop: Path, monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    with mock.patch.dict(os.environ):
        begin(shop)
        monkeypatch.chdir(shop)
        assert already_in_sync(("sync",)) == "Already in sync: dev (as last time)"
        check_in(shop, monkeypatch, "start")
        for name in steps:
            STEPS[name](shop)
            check_in(shop, monkeypatch, name)
