"""The commands that pages show, run one after the other in a project: they do what is shown."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from rig import BIN, MANIFEST, Tree
from wheels import add_wheel, build_index

DOCS = Path(__file__).parents[2] / "docs"
TORCH = "https://download.pytorch.org/whl/"
WITH_EXTRA = f'{MANIFEST}\n[project.optional-dependencies]\npostgres = ["idna"]\n'
SHOP = {"pyproject.toml": MANIFEST}
BUILD = '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'
LIBRARY = {
    "pyproject.toml": MANIFEST.replace("iniconfig", "pytest")
    + f'\n{BUILD}\n[tool.uv.build-backend]\nmodule-root = ""\n',
    "shop/__init__.py": "",
    "tests/test_shop.py": "def test_it_can_be_imported():\n    import shop\n",
}
PAGES: Mapping[str, Mapping[str, str]] = {
    "quickstart.md": {},
    "how-to/air-gapped.md": SHOP,
    "how-to/environments.md": SHOP,
    "how-to/notebooks-and-torch.md": SHOP,
    "how-to/shell-and-hooks.md": SHOP,
    "how-to/undo.md": {"requirements.txt": "six\n"},
    "how-to/profiles.md": {"pyproject.toml": WITH_EXTRA, ".env.ci": ""},
    "how-to/troubleshoot.md": SHOP,
    "how-to/uninstall.md": SHOP,
}
PREPARED = {  # where their reader begins
    "how-to/shell-and-hooks.md": "git init",
    "how-to/troubleshoot.md": "uvflow sync",
    "how-to/uninstall.md": "uvflow sync",
    "how-to/undo.md": "uvflow init",
}


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """Variables for the pages' commands: an index that has also what the pages install."""
    index = build_index(tmp_path / "index")
    for name in ("ipykernel", "jupyterlab", "ruff"):
        add_wheel(index, name, "1.0")
    for kind in ("cpu", "cu128"):
        add_wheel(tmp_path / "torch" / kind, "torch", f"2.7.0+{kind}")
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),  # pip starts rustc, whose launcher writes there
        "UV_DEFAULT_INDEX": index.as_uri(),
        "PIP_INDEX_URL": index.as_uri(),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


POSIX = pytest.mark.skipif("sys.platform == 'win32'", reason="the pages' commands are of a shell")


@POSIX
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_it_shows(
    page: str, tree: Tree, environ: Mapping[str, str]
) -> None:
    root = tree(PAGES[page])
    write_blocks(page, root, "3.13")
    if "pyproject.toml" in PAGES[page]:
        run("uv lock", root, environ)
    run(PREPARED.get(page, ":"), root, environ)
    try_commands(page, root, environ)


@POSIX
@pytest.mark.network
def test_the_commands_for_libraries_do_what_they_show(tree: Tree, tmp_path: Path) -> None:
    root = tree(LIBRARY)
    environ = {name: value for name, value in os.environ.items() if name[:3] != "UV_"}
    environ |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    write_blocks("how-to/libraries.md", root, f"{sys.version_info.major}.{sys.version_info.minor}")
    run("uv lock", root, environ)
    try_commands("how-to/libraries.md", root, environ)


def write_blocks(page: str, root: Path, python: str) -> None:
    """Write what a page says that files and pyproject.toml hold, for one Python at hand."""
    tables = ""
    for file, language, text in blocks_of(page):
        if file:
            (root / file).write_text(text.replace('"3.11", "3.13"', f'"{python}"'))
        elif language == "toml":
            tables += text.replace(TORCH, f"{root.parent.as_uri()}/torch/")
    if tables:
        add_tables(root / "pyproject.toml", tables)


def add_tables(manifest: Path, tables: str) -> None:
    own = manifest.read_text(encoding="utf-8")
    if "[dependency-groups]\n" in tables:  # those of the page instead
        before, _, after = own.partition("[dependency-groups]\n")
        own = before + after.partition("\n\n")[2]
    manifest.write_text(f"{own}\n{tables}", encoding="utf-8")


def try_commands(page: str, root: Path, environ: Mapping[str, str]) -> None:
    """Fails where a command does not end as a page shows, or does not print the lines shown."""
    blocks = [text for _, language, text in blocks_of(page) if language == "console"]
    shown = [call for text in blocks for call in calls(text)]
    assert shown
    for command, wanted in shown:
        done = run(command, root, environ)
        is_failure = re.match(r"error:|Out of sync|.*: missing:", "".join(wanted[:1])) is not None
        assert (done.returncode != 0) == is_failure, f"$ {command}\n{done.stdout}"
        lines = iter(done.stdout.splitlines())
        for line in wanted:
            pattern = ".*".join(map(re.escape, line.split("…")))
            found = any(re.fullmatch(pattern, printed) for printed in lines)
            assert found, f"{line}\n$ {command}\n{done.stdout}"


FENCE = re.compile(
    r"(?:`([\w-]*\.[\w.-]+)`:\n\n)?^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL
)


def blocks_of(page: str) -> Iterator[tuple[str, str, str]]:
    """The file that a fenced block is, if it is one, its language and its text."""
    for file, indent, language, text in FENCE.findall((DOCS / page).read_text(encoding="utf-8")):
        yield file, language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def calls(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block, and the lines that are shown of its output."""
    for call in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = call.splitlines()
        yield command, [line for line in shown if line not in {"", "…"}]


def run(command: str, root: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
