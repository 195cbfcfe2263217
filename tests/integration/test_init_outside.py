"""`uvflow init` with what lies outside the project, with real uv."""

import json
from pathlib import Path

from rig import Command, Tree

URL = "https://h.example/c.txt"

FILES = {
    "requirements.txt": "-r ../shared/base.txt\nrequests\n",
    "../shared/base.txt": "six\n",
    "../shared/untouched.txt": "idna\n",
}


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_without_leave_nothing_outside_is_read(tree: Tree, uvflow: Command) -> None:
    root = tree({**FILES, "requirements-dev.txt": f"-c {URL}\nidna\n"})
    before = contents(root.parent)
    done = uvflow("init", cwd=root)
    assert (done.code, done.err) == (
        1,
        (
            "error: 2 lines cannot be imported as they are; nothing was written\n"
            f"  requirements-dev.txt:1: {URL} is not fetched"
            " (save the file in the project and include that)\n"
            "  requirements.txt:1: ../shared/base.txt is outside the project, and is not read"
            " (`--allow-outside`, or copy the file into the project and include that)\n"
        ),
    )
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


def test_files_that_are_not_looked_for_are_named(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six\n", "docs/requirements.in": "idna\n"})
    (root / "docs" / "requirements.txt").write_text("idna==3.7\n")
    done = uvflow("init", "--dry-run", cwd=root)
    assert done.err.endswith("""
Needs action
  docs/requirements.in:1: not imported: requirements files are looked for in \
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
