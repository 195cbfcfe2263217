"""`uvflow init` with what lies outside the project, or on the web, with real uv."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import Command, Tree
from site_of_tests import Page, Site, served

FILES = {
    "requirements.txt": "-r ../shared/base.txt\nrequests\n",
    "../shared/base.txt": "six\n",
    "../shared/untouched.txt": "idna\n",
}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    pages = {
        "/c.txt": Page("six==1.15.0\nattrs<24\n"),
        "/r/base.txt": Page("-r more.txt\nsix\n"),
        "/r/more.txt": Page("idna==3.7\n"),
    }
    with served(pages) as site:
        yield site


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_without_leave_nothing_outside_is_read(tree: Tree, uvflow: Command, site: Site) -> None:
    root = tree({**FILES, "requirements-dev.txt": f"-c {site.url}/c.txt\nidna\n"})
    before = contents(root.parent)
    done = uvflow("init", cwd=root)
    assert (done.code, done.err) == (
        1,
        (
            "error: 2 lines cannot be imported as they are; nothing was written\n"
            f"  requirements-dev.txt:1: {site.url}/c.txt is not fetched"
            " (`--allow-outside`, or save the file in the project and include that)\n"
            "  requirements.txt:1: ../shared/base.txt is outside the project, and is not read"
            " (`--allow-outside`, or copy the file into the project and include that)\n"
        ),
    )
    assert site.asked == []
    left = {p: b for p, b in contents(root.parent).items() if not p.startswith("uvflow-cache")}
    assert left == before


def test_what_is_outside_is_read_and_left_as_it_is(tree: Tree, uvflow: Command) -> None:
    root = tree(FILES)
    before = contents(root.parent / "shared")
    done = uvflow("init", "--allow-outside", cwd=root)
    assert done.code == 0, done.err
    assert '    "six",\n    "requests",\n' in (root / "pyproject.toml").read_text()
    assert "  ../shared/base.txt  project  1 line: 1 imported\n" in done.err
    assert done.err.endswith("  You can delete these once everything works: requirements.txt\n")
    assert contents(root.parent / "shared") == before


def test_the_web_is_asked_where_that_is_allowed(tree: Tree, uvflow: Command, site: Site) -> None:
    root = tree({"requirements.txt": f"-c {site.url}/c.txt\n-r {site.url}/r/base.txt\n"})
    done = uvflow("init", "--allow-outside", cwd=root)
    assert done.code == 0, done.err
    assert sorted(path for path, _ in site.asked) == ["/c.txt", "/r/base.txt", "/r/more.txt"]
    assert f"Fetching {site.url}/c.txt\n" in done.err
    assert f"  {site.url}/c.txt       constraints  2 lines: " in done.err
    manifest = (root / "pyproject.toml").read_text()
    assert 'constraint-dependencies = [\n    "attrs<24",\n]\n' in manifest
    assert 'name = "six"\nversion = "1.15.0"\n' in (root / "uv.lock").read_text()


def test_no_network_is_9_and_changes_nothing(tree: Tree, uvflow: Command) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/c.txt"
        root = tree({"requirements.txt": f"six\n-c {url}\n"})
        done = uvflow("init", "--allow-outside", cwd=root, environ={"no_proxy": "*"})
    assert done.code == 9
    assert done.err.splitlines()[-2:] == [
        f"error: requirements.txt:2: {url} cannot be reached: Connection refused",
        "hint: try again, or save the file in the project and include that",
    ]
    assert [path.name for path in root.iterdir()] == ["requirements.txt"]


def test_constraints_by_url_on_the_command_line(tree: Tree, uvflow: Command, site: Site) -> None:
    root = tree({"requirements.txt": "six\n"})
    done = uvflow("init", "--no-sync", "--constraint", f"{site.url}/c.txt", cwd=root)
    assert done.code == 0, done.err
    assert 'name = "six"\nversion = "1.15.0"\n' in (root / "uv.lock").read_text()


def test_files_that_are_not_looked_for_are_named(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six\n", "docs/requirements.in": "idna\n"})
    (root / "docs" / "requirements.txt").write_text("idna==3.7\n")
    done = uvflow("init", "--dry-run", cwd=root)
    assert done.err.endswith("""
Needs action
  docs/requirements.in:1: not imported, nor 1 more beside it: requirements files are looked for in \
the root and in requirements/
    hint: `--from docs/requirements.in` imports it for the project, \
`--group docs=docs/requirements.in` for a group
""")
    done = uvflow("init", "--no-sync", "--group", "docs=docs/requirements.in", cwd=root)
    assert done.code == 0, done.err
    assert 'docs = [\n    "idna",\n]\n' in (root / "pyproject.toml").read_text()
    assert "created, pins kept 1/1" in done.err


def test_a_failure_has_the_findings_of_a_success(tree: Tree, uvflow: Command) -> None:
    files = {"requirements.txt": "six==9\n--trusted-host h.example\n", "docs/requirements.txt": ""}
    done = uvflow("init", "--json", cwd=tree(files))
    told = json.loads(done.out)
    assert (done.code, told["exit_code"], told["changes"]) == (1, 1, [])
    assert "uv lock" in told["error"]["message"]
    assert [finding["code"] for finding in told["findings"]] == ["trusted-host", "not-looked-for"]
    assert [file["path"] for file in told["files"]] == ["requirements.txt"]
