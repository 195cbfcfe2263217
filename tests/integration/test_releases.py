"""Releases: environments beside the live one, as installed, with real uv."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dying import count_steps, die_at
from mounts import mounted, mounting
from rig import BIN, Command, Tree, git

from uvflow.environment import repair
from uvflow.environment.installed import Environment
from uvflow.environment.repair import Depth, Past
from uvflow.fingerprint import MAX_BYTES
from uvflow.state import leases, locks
from uvflow.state.store import State

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links replaced by a rename")

HEAD = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
"""
PROFILE = """
[tool.uvflow]
default-profile = "prod"

[tool.uvflow.profiles.prod]
environment = ".venv-prod"
releases = 2
"""
PREFIX = "import sys; print(sys.prefix)"


def write_project(root: Path, *requirements: str) -> None:
    manifest = f"{HEAD}dependencies = {json.dumps(requirements)}\n{PROFILE}"
    (root / "pyproject.toml").write_text(manifest)
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)


@pytest.fixture
def shop(tree: Tree) -> Path:
    """A locked project of six whose prod profile keeps two releases."""
    root = tree({})
    write_project(root, "six==1.16.0")
    return root


def live(root: Path) -> Path:
    link = root / ".venv-prod"
    assert link.is_symlink()
    return root / link.readlink()


def versions(environment: Path) -> set[str]:
    infos = environment.glob("lib/*/site-packages/*.dist-info")
    return {path.name.removesuffix(".dist-info") for path in infos}


def names(root: Path) -> list[str]:
    """Of the releases, by their numbers."""
    paths = (root / ".venv-prod.releases").glob("*-*")
    return sorted((path.name for path in paths), key=lambda name: int(name.rpartition("-")[2]))


def test_a_sync_makes_a_release_and_a_link_to_it(shop: Path, uvflow: Command) -> None:
    done = uvflow("sync", "--prod", cwd=shop)
    assert (done.code, done.err.splitlines()[-1]) == (0, "Synced: prod")
    assert versions(live(shop)) == {"six-1.16.0"}
    assert uvflow("sync", "--prod", cwd=shop).err == "Already in sync: prod\n"
    assert uvflow("sync", "--check", cwd=shop).code == 0
    assert len(names(shop)) == 1


def test_the_releases_of_a_package_are_none_of_its_sources(shop: Path, uvflow: Command) -> None:
    build = '[build-system]\nrequires = ["uv_build>=0.9,<1"]\nbuild-backend = "uv_build"\n'
    with (shop / "pyproject.toml").open("a") as manifest:
        manifest.write(build)
    (shop / "src/shop").mkdir(parents=True)
    (shop / "src/shop/__init__.py").write_text("")
    subprocess.run(["uv", "lock", "-q"], cwd=shop, check=True)
    assert uvflow("sync", cwd=shop).code == 0
    assert uvflow("status", cwd=shop).code == uvflow("verify", cwd=shop).code == 0
    assert uvflow("sync", cwd=shop).err.startswith("Already in sync")


def test_another_lockfile_makes_another_release(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    first = live(shop)
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    write_project(shop, "six==1.15.0")
    assert uvflow("sync", "--check", cwd=shop).code == 4
    assert uvflow("sync", cwd=shop).code == 0
    assert versions(live(shop)) == {"six-1.15.0"}
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    assert [name.rpartition("-")[2] for name in names(shop)] == ["1", "2"]


def test_a_release_that_plain_uv_has_changed_is_replaced(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    first = live(shop)
    words = ("uv", "pip", "install", "-q", "--python", ".venv-prod", "six==1.15.0")
    subprocess.run(words, cwd=shop, check=True)
    assert "six is 1.15.0 instead of 1.16.0" in uvflow("status", cwd=shop).out
    assert uvflow("sync", cwd=shop).code == 0
    assert (versions(first), versions(live(shop))) == ({"six-1.15.0"}, {"six-1.16.0"})


def test_a_new_lockfile_that_asks_for_the_same_needs_no_release(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    (shop / "pyproject.toml").write_text((shop / "pyproject.toml").read_text() + "# a note\n")
    assert uvflow("sync", cwd=shop).err == "Already in sync: prod (as last time)\n"
    assert len(names(shop)) == 1


def test_releases_beyond_those_to_keep_go_unless_a_command_runs_in_one(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    words: list[str | Path] = [
        BIN / "uvflow",
        "run",
        "--prod",
        "--",
        "python",
        "-c",
        f"{PREFIX}; input()",
    ]
    with subprocess.Popen(
        words, cwd=shop, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == f"{live(shop)}\n"
        for requirement in ("six==1.15.0", "idna", "iniconfig"):
            write_project(shop, requirement)
            assert uvflow("sync", "--timeout", "0", cwd=shop).code == 0
        assert [name.rpartition("-")[2] for name in names(shop)] == ["1", "3", "4"]
        running.communicate("\n")
        assert running.returncode == 0
    write_project(shop, "six==1.16.0")
    uvflow("sync", cwd=shop)
    assert [name.rpartition("-")[2] for name in names(shop)] == ["4", "5"]


def test_a_release_stays_where_its_directory_cannot_be_locked(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS, for example, a command has a lease in the state alone."""
    uvflow("sync", cwd=shop)
    first = live(shop)
    monkeypatch.setattr(leases, "take_directory", lambda *_args: True)
    lease = locks.take_lease(State.of(shop), first, "uvflow run")
    try:
        for environ in ({}, lease.variables):  # of another process, and of one that it has started
            for requirement in ("six==1.15.0", "idna"):
                write_project(shop, requirement)
                assert uvflow("sync", cwd=shop, environ=environ).code == 0
            assert first.name in names(shop)
    finally:
        leases.close([*lease.descriptors])


def test_what_a_user_has_put_into_a_release_is_not_removed(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    first = live(shop)
    (first / "notes.txt").write_text("mine")
    for requirement in ("six==1.15.0", "idna"):
        write_project(shop, requirement)
        done = uvflow("sync", cwd=shop)
    assert f"{first} holds files that no installer made, such as notes.txt: it was kept" in done.err
    assert (first / "notes.txt").read_text() == "mine"


def test_what_a_user_has_put_into_an_unfinished_release_is_not_removed(
    shop: Path, uvflow: Command
) -> None:
    unfinished = shop / ".venv-prod.releases" / f"{'0' * 12}-7"
    unfinished.mkdir(parents=True)
    (unfinished / "notes.txt").touch()
    unfinished.with_name(f"{unfinished.name}.unfinished").touch()
    done = uvflow("sync", cwd=shop)
    assert f"{unfinished} is unfinished, and holds notes.txt: it was kept" in done.err
    assert (unfinished / "notes.txt").exists()
    (unfinished / "notes.txt").unlink()
    write_project(shop, "six==1.15.0")
    assert uvflow("sync", cwd=shop).code == 0
    assert not unfinished.exists()


def test_a_rollback_makes_an_earlier_release_live(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    first = live(shop)
    write_project(shop, "six==1.15.0")
    uvflow("sync", cwd=shop)
    second = live(shop)
    done = uvflow("rollback", cwd=shop)
    assert (done.code, done.err) == (0, f"Live: {first.name}\n")
    assert live(shop) == first
    assert uvflow("sync", "--check", cwd=shop).code == 4
    # A service that is started again stays with what was rolled back to.
    assert uvflow("run", "--prod", "--", "python", "-c", PREFIX, cwd=shop).out == f"{first}\n"
    assert uvflow("rollback", second.name, cwd=shop).code == 0
    assert uvflow("sync", cwd=shop).err == "Already in sync: prod (as last time)\n"


def test_what_was_rolled_back_to_outlives_what_it_replaced(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    first = live(shop)
    write_project(shop, "six==1.15.0")
    uvflow("sync", cwd=shop)
    assert uvflow("rollback", cwd=shop).code == 0
    write_project(shop, "idna")
    assert uvflow("sync", cwd=shop).code == 0
    assert names(shop) == [first.name, live(shop).name]
    assert uvflow("rollback", cwd=shop).code == 0
    assert live(shop) == first


def test_a_rollback_passes_over_what_was_rolled_back_from(shop: Path, uvflow: Command) -> None:
    (shop / "uvflow.local.toml").write_text("[profiles.prod]\nreleases = 3\n")
    made = []
    for requirement in ("six==1.16.0", "six==1.15.0", "idna"):
        write_project(shop, requirement)
        assert uvflow("sync", cwd=shop).code == 0
        made.append(live(shop))
        if len(made) == 2:
            assert uvflow("rollback", cwd=shop).err == f"Live: {made[0].name}\n"
    assert names(shop) == [path.name for path in made]
    assert uvflow("rollback", cwd=shop).err == f"Live: {made[0].name}\n"
    assert uvflow("rollback", made[2].name, cwd=shop).code == 0
    shutil.rmtree(made[0])
    assert uvflow("rollback", cwd=shop).err.startswith("error: there is no release before")


def test_a_release_is_not_made_from_a_lockfile_that_cannot_be_read(
    shop: Path, uvflow: Command
) -> None:
    """uv would read one that is too large for uvflow."""
    with (shop / "uv.lock").open("ab") as lockfile:
        lockfile.write(b"# a long comment\n" * (MAX_BYTES // 16))
    done = uvflow("sync", cwd=shop)
    assert (done.code, done.err.partition("\n")[0]) == (
        3,
        f"error: {shop / 'uv.lock'} cannot be read",
    )
    assert not list(shop.glob(".venv-prod.releases/*"))


def test_a_rollback_that_is_not_possible_changes_nothing(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    first = live(shop)
    done = uvflow("rollback", cwd=shop)
    assert done.err.splitlines() == [
        "error: there is no release before the live one",
        "hint: `uvflow releases` lists them; `uvflow sync` makes one from the lockfile",
    ]
    write_project(shop, "six==1.15.0")
    uvflow("sync", cwd=shop)
    second = live(shop)
    done = uvflow("rollback", "first", cwd=shop)
    assert (done.code, done.err.splitlines()[0]) == (2, "error: there is no release `first`")
    next(first.glob("lib/*/site-packages/six/data.txt")).unlink()
    done = uvflow("rollback", cwd=shop)
    assert done.code == 5
    assert done.err.startswith(f"error: the release {first.name} is damaged")
    assert live(shop) == second


def test_releases_are_listed_with_what_their_receipts_say(shop: Path, uvflow: Command) -> None:
    git(shop, "init", "-q")
    git(shop, "add", "-A")
    git(shop, "commit", "-qm", "first")
    commit = git(shop, "rev-parse", "HEAD")
    uvflow("sync", cwd=shop)
    write_project(shop, "six==1.15.0")
    uvflow("sync", cwd=shop)
    done = uvflow("releases", "--json", cwd=shop)
    first, second = json.loads(done.out)["releases"]
    assert (first["live"], second["live"]) == (False, True)
    assert (first["git_commit"], first["git_is_clean"]) == (commit, True)
    assert (second["git_commit"], second["git_is_clean"]) == (commit, False)
    lines = uvflow("releases", cwd=shop).out.splitlines()
    assert [line[:2] + line.split()[-1] for line in lines] == ["  MB", "* MB"]
    receipt = json.loads((live(shop) / "uvflow-receipt.json").read_text())
    assert [d["version"] for d in receipt["distributions"]] == ["1.15.0"]


def test_a_live_release_is_not_repaired(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    damaged = live(shop)
    module = next(damaged.glob("lib/*/site-packages/six/data.txt"))
    content = module.read_bytes()
    module.unlink()
    module.write_bytes(content[::-1])
    done = uvflow("verify", "--deep", cwd=shop)
    assert done.code == 5
    assert done.out.endswith(
        "Damaged: prod (as last time); `uvflow sync --profile prod` makes another release\n"
    )
    done = uvflow("verify", "--deep", "--repair", cwd=shop)
    assert done.code == 5
    assert done.err.endswith("hint: `uvflow sync --profile prod` makes another one\n")
    assert module.read_bytes() != content
    assert uvflow("sync", cwd=shop).code == 0
    assert live(shop) != damaged
    assert uvflow("verify", "--deep", cwd=shop).code == 0


def test_what_is_in_the_place_of_the_link_stays(shop: Path, uvflow: Command) -> None:
    (shop / ".venv-prod").mkdir()
    (shop / ".venv-prod" / "notes.txt").write_text("mine")
    done = uvflow("sync", cwd=shop)
    assert done.code == 5
    assert done.err.startswith(f"error: {shop / '.venv-prod'} is in the place of releases")
    assert (shop / ".venv-prod" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "profile",
    [
        "releases = 2",
        'releases = 2\nenvironment = ".venv"',
        'releases = 2\nenvironment = ".venv-prod"\neditable = true',
    ],
)
def test_a_profile_with_releases_has_its_own_place_and_no_editables(
    tree: Tree, uvflow: Command, profile: str
) -> None:
    root = tree({"pyproject.toml": f"{HEAD}[tool.uvflow.profiles.prod]\n{profile}\n"})
    done = uvflow("sync", "--prod", cwd=root)
    assert done.code == 2
    assert "has `releases`, which need `editable = false` and an `environment`" in done.err


def test_a_profile_without_releases_has_none(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--dev", cwd=shop)
    for command in ("releases", "rollback"):
        done = uvflow(command, "--dev", cwd=shop)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: the profile `dev` keeps no releases\n")


def test_two_at_once_make_one_release(shop: Path) -> None:
    words: list[str | Path] = [BIN / "uvflow", "sync", "--prod"]
    both = [subprocess.Popen(words, cwd=shop, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert len(names(shop)) == 1


def test_killed_at_any_step_the_live_release_is_whole(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    """Old or new, and the next sync ends with the new one and leaves nothing half made."""
    uvflow("sync", cwd=shop)
    write_project(shop, "six==1.15.0")
    state, kept = tmp_path / "uvflow-cache", tmp_path / "kept"
    shutil.copytree(shop, kept / "shop", symlinks=True)
    shutil.copytree(state, kept / "state", symlinks=True)

    def restore() -> None:
        for place, copy in ((shop, kept / "shop"), (state, kept / "state")):
            shutil.rmtree(place)
            shutil.copytree(copy, place, symlinks=True)

    steps = count_steps("sync", cwd=shop)
    assert steps > 20
    each = 1 if os.environ.get("EVERY_STEP") else 9
    for step in range(1, steps + 1, each):
        restore()
        die_at(step, "sync", cwd=shop)
        found = versions(live(shop))
        assert found in ({"six-1.16.0"}, {"six-1.15.0"}), step
        assert repair.find_damage(Environment(live(shop)), Depth.HASHES, Past())[0] == (), step
        done = uvflow("sync", "--timeout", "0", cwd=shop)
        assert (done.code, versions(live(shop))) == (0, {"six-1.15.0"}), (step, done.err)
        assert uvflow("sync", cwd=shop).err == "Already in sync: prod (as last time)\n", step
        listed = json.loads(uvflow("releases", "--json", cwd=shop).out)["releases"]
        assert [release["name"] for release in listed] == names(shop), step


def test_a_second_release_shares_its_files_with_the_first(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    first = {path.stat().st_ino for path in live(shop).rglob("six/*")}
    next(live(shop).glob("lib/*/site-packages/*.dist-info/RECORD")).unlink()
    before = live(shop)
    assert uvflow("sync", cwd=shop).code == 0
    assert live(shop) != before
    (module,) = live(shop).glob("lib/*/site-packages/six/__init__.py")
    assert module.stat().st_ino in first


def edit_receipt(release: Path, **facts: object) -> None:
    file = release / "uvflow-receipt.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))


@pytest.mark.parametrize(
    "facts",
    [
        {"git_commit": 5},
        {"git_commit": ["a"]},
        {"git_is_clean": "yes"},
        {"made": {"a": 1}},
        {"made": float("nan")},
        {"python": 3.13},
        {"name": "000000000000-9"},
        {"padding": "x" * (1 << 21)},
    ],
)
def test_a_receipt_that_no_sync_has_written_is_none(
    shop: Path, uvflow: Command, facts: dict[str, object]
) -> None:
    uvflow("sync", cwd=shop)
    edit_receipt(live(shop), **facts)
    done = uvflow("releases", cwd=shop)
    assert (done.code, done.out, done.err) == (0, "", "")
    done = uvflow("rollback", live(shop).name, cwd=shop)
    assert (done.code, done.err) == (2, f"error: there is no release `{live(shop).name}`\n")


def test_a_rollback_replaces_no_file_of_the_users(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    link, name = shop / ".venv-prod", live(shop).name
    link.unlink()
    link.write_text("mine")
    done = uvflow("rollback", name, cwd=shop)
    assert (done.code, done.err.partition("\n")[0]) == (
        5,
        f"error: {link} is in the place of releases, and was not made by a sync with them",
    )
    assert link.read_text() == "mine"
    link.unlink()
    (shop / "own").mkdir()
    link.symlink_to("own")
    assert uvflow("rollback", name, cwd=shop).code == 5
    assert link.readlink() == Path("own")


def test_releases_behind_a_link_are_not_looked_at(
    shop: Path, tmp_path_factory: pytest.TempPathFactory, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    name, directory = live(shop).name, shop / ".venv-prod.releases"
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "releases"
    directory.rename(elsewhere)
    directory.symlink_to(elsewhere)
    for words in (("sync",), ("sync", "--check"), ("run", "--", "python", "-c", "")):
        assert uvflow(*words, cwd=shop).code == 2, words
    (shop / ".venv-prod").unlink()
    assert uvflow("releases", cwd=shop).out == ""
    assert uvflow("rollback", name, cwd=shop).code == 5
    assert uvflow("sync", cwd=shop).code == 5
    assert not (shop / ".venv-prod").is_symlink()


def test_a_command_is_not_run_beside_a_release_that_is_gone(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    shutil.rmtree(live(shop))  # or the link was committed, and this is a fresh clone
    done = uvflow("run", "--", "python", "-c", PREFIX, cwd=shop)
    assert (done.code, done.out) == (0, f"{live(shop)}\n")
    assert versions(live(shop)) == {"six-1.16.0"}


def test_a_release_is_not_changed_by_another_profile(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    uvflow("sync", cwd=shop)
    write_project(shop, "six==1.15.0")
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", ".venv-prod")
    done = uvflow("sync", "--dev", cwd=shop)
    place = shop / ".venv-prod"
    assert (done.code, done.err.splitlines()) == (
        5,
        [
            f"error: {place} is a release, and a release is not changed",
            f"hint: remove the link {place}, or name another place",
        ],
    )
    assert versions(live(shop)) == {"six-1.16.0"}


def test_a_failed_sync_leaves_no_release(shop: Path, uvflow: Command, tmp_path: Path) -> None:
    """It would keep a full disk full."""
    uvflow("sync", cwd=shop)
    write_project(shop, "six==1.15.0")
    before, first = live(shop), names(shop)
    program = tmp_path / "uv"
    program.write_text(f'#!/bin/sh\n"{BIN}/uv" "$@"; [ "$1" != sync ]\n')  # when all is installed
    program.chmod(0o755)
    done = uvflow("sync", cwd=shop, environ={"UVFLOW_UV": str(program)})
    assert (done.code, live(shop), names(shop)) == (1, before, first), done.err
    assert not list(before.parent.glob("*.unfinished"))


@mounting
def test_what_cannot_be_removed_is_told_and_stops_no_release(shop: Path, uvflow: Command) -> None:
    """Byte code of another user, for example."""
    uvflow("sync", cwd=shop)
    oldest = live(shop)
    for version in ("1.15.0", "1.17.0", "1.16.0"):
        write_project(shop, f"six=={version}")
        words = f"mount -t tmpfs t '{oldest}/lib'; exec uvflow sync"
        done = mounted(words, shop)
        assert (done.returncode, versions(live(shop))) == (0, {f"six-{version}"}), done.stderr
    assert f"{oldest} cannot be removed: Something is mounted here\n" in done.stderr
    assert (oldest.parent / f"{oldest.name}.unfinished").exists()


def test_a_release_that_was_made_elsewhere_is_not_made_live(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    write_project(shop, "six==1.15.0")
    uvflow("sync", cwd=shop)
    first = live(shop)
    moved = shop.rename(shop.with_name("moved"))
    done = uvflow("rollback", cwd=moved)
    assert (done.code, live(moved).name) == (5, first.name)
    assert f"cause: it was created at {first.parent / names(moved)[0]}, and its" in done.err


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_command_is_not_run_in_a_release_that_cannot_be_used(
    shop: Path, uvflow: Command, *, is_moved: bool
) -> None:
    uvflow("sync", cwd=shop)
    first = live(shop).name
    if is_moved:
        shop = shop.rename(shop.with_name("moved"))
    else:  # else a Python on PATH would run it
        (live(shop) / "bin" / "python").unlink()
    done = uvflow("run", "--", "python", "-c", PREFIX, cwd=shop)
    assert (done.code, done.out) == (0, f"{live(shop)}\n"), done.err
    assert live(shop).name != first


def test_a_release_is_not_made_where_a_link_leads_already(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    dangling = live(shop)
    shutil.rmtree(dangling.parent)
    assert uvflow("sync", cwd=shop).code == 0
    assert live(shop) not in (dangling, shop)


def test_a_profile_without_releases_is_not_rolled_back(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--dev", cwd=shop)
    done = uvflow("rollback", "--dev", cwd=shop)
    assert (done.code, done.err.partition("\n")[0]) == (
        2,
        "error: the profile `dev` keeps no releases",
    )
