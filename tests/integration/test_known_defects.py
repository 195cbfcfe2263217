"""A wheel that says wrong things of itself is warned of, and no sync fails for it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import BIN, Command, Tree
from wheels import add_odd_wheel

from uvflow.state.store import State

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0", "odd"]
"""
Contents = dict[str, str]


def replaced(contents: Contents, old: str, new: str) -> None:
    record = "odd-1.0.dist-info/RECORD"
    assert old in contents[record]
    contents[record] = contents[record].replace(old, new)


def other_size(contents: Contents) -> None:
    replaced(contents, ",500\n", ",499\n")


def other_hash(contents: Contents) -> None:
    replaced(contents, "odd/data.txt,sha256=", "odd/data.txt,sha256=x")


WRONG: dict[str, tuple[Callable[[Contents], None], str]] = {
    "size": (other_size, "500 bytes, installed with 499"),
    "hash": (other_hash, "sha256 differs"),
}


@pytest.fixture
def shop(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Path) -> Path:
    """A project whose wheel `odd` is still to be made, in copy mode: no link tells of the cache."""
    shutil.copytree(index, tmp_path / "index")
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "index").as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    return tree({"pyproject.toml": MANIFEST})


def synced(
    root: Path,
    uvflow: Command,
    change: Callable[[Contents], None],
    environ: dict[str, str] | None = None,
) -> None:
    add_odd_wheel(root.parent / "index", "odd", change)
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert uvflow("sync", cwd=root, environ=environ).code == 0


def lose_power(root: Path) -> None:
    """What is remembered is that a sync began long ago, at another start of the machine."""
    os.utime(root / ".venv" / "pyvenv.cfg", (1000, 1000))  # it has not made the environment
    state = State.of(root)
    state.delete("dev.fingerprint")
    entry = {"environment": str(root / ".venv"), "boot": "another"}
    state.write("dev.journal", json.dumps(entry).encode())
    os.utime(state.directory / "dev.journal", (2000, 2000))


def data_of(root: Path) -> Path:
    return next(root.glob(".venv/[Ll]ib/**/odd/data.txt"))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wheel_with_a_wrong_record_is_a_warning(shop: Path, uvflow: Command, wrong: str) -> None:
    change, detail = WRONG[wrong]
    synced(shop, uvflow, change)
    shown = f"odd: edited: {data_of(shop).relative_to(shop / '.venv').as_posix()} ({detail})"
    warning = f"warning: {shown}: the wheel itself is like this, and its RECORD is wrong\n"
    lose_power(shop)
    done = uvflow("sync", cwd=shop)
    assert done.code == 0, done.err
    assert (
        done.err.count(f"Repairing .venv: {shown}\n") == 2
    )  # from the cache, then downloaded again
    assert warning in done.err
    lose_power(shop)
    again = uvflow("sync", "--json", cwd=shop)
    assert "Repairing" not in again.err  # it is remembered
    assert warning in again.err
    assert [defect["detail"] for defect in json.loads(again.out)["known_defects"]] == [detail]


def test_a_run_warns_of_it_too(shop: Path, uvflow: Command) -> None:
    synced(shop, uvflow, other_size)
    lose_power(shop)
    done = uvflow("run", "python", "-c", "print('run')", cwd=shop)
    assert (done.code, done.out) == (0, "run\n")
    warned = [line for line in done.err.splitlines() if line.startswith("warning: odd: edited: ")]
    assert len(warned) == 1


def test_damage_beside_a_known_defect_is_repaired(shop: Path, uvflow: Command) -> None:
    synced(shop, uvflow, other_hash)
    lose_power(shop)
    uvflow("sync", cwd=shop)
    data = data_of(shop)
    lose_power(shop)
    data.write_bytes(b"\0" * 500)  # "sha256 differs", as it did, but not as it did
    done = uvflow("sync", cwd=shop)
    assert (done.code, done.err.count("Repairing")) == (0, 1)
    assert data.read_text() == "data\n" * 100


def test_verify_recognises_a_known_defect_after_trying_to_repair_it(
    shop: Path, uvflow: Command
) -> None:
    synced(shop, uvflow, other_hash)
    assert uvflow("verify", "--deep", cwd=shop).code == 5  # it may be damage, for all one knows
    repaired = uvflow("verify", "--deep", "--repair", cwd=shop)
    assert (repaired.code, repaired.out.splitlines()[-1]) == (
        0,
        "Repaired: dev (as last time); odd",
    )
    verified = uvflow("verify", "--deep", cwd=shop)
    shown = data_of(shop).relative_to(shop / ".venv").as_posix()
    defect = f"odd: edited: {shown} (sha256 differs)"
    warning = f"{defect}: the wheel itself is like this, and its RECORD is wrong\n"
    assert (verified.code, verified.out) == (0, f"{warning}Intact: dev (as last time)\n")


RELEASES = """
[tool.uvflow.profiles.prod]
environment = ".venv-prod"
releases = 2
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs links replaced by a rename")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_release_with_a_known_defect_is_intact_and_can_be_live_again(
    shop: Path, uvflow: Command, wrong: str
) -> None:
    (shop / "pyproject.toml").write_text(MANIFEST + RELEASES)
    synced(shop, uvflow, WRONG[wrong][0])
    assert "RECORD is wrong\n" in uvflow("sync", "--prod", cwd=shop).err
    (shop / "pyproject.toml").write_text(MANIFEST.replace('"odd"', '"odd", "idna"') + RELEASES)
    subprocess.run(["uv", "lock", "-q"], cwd=shop, check=True)
    done = uvflow("sync", "--prod", cwd=shop)
    assert (done.code, "Repairing" in done.err) == (0, False), done.err  # it is known by now
    assert uvflow("verify", "--prod", "--deep", cwd=shop).code == 0
    assert uvflow("rollback", "--prod", cwd=shop).code == 0


# uv before 0.12 lists what the wheel's RECORD lists, missing files too, but not all that exist.
AS_OLD_UV = """#!/bin/sh
{uv} "$@" || exit
[ "$1" = sync ] || exit 0
cd .venv/lib/*/site-packages
sed -i.bak -e '/more.py/d' -e '/top.py/d' -e '/gone.txt/d' odd-1.0.dist-info/RECORD
{echo}
rm odd-1.0.dist-info/RECORD.bak
"""
LISTS_GONE = "echo 'odd/gone.txt,sha256=AAAA,1' >> odd-1.0.dist-info/RECORD"

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the scripted uv is a shell script")
unlisted = pytest.mark.parametrize("name", ["odd/more.py", "top.py"])


def old_uv(root: Path, echo: str = "") -> dict[str, str]:
    path = root.parent / "old" / "uv"
    path.parent.mkdir()
    path.write_text(AS_OLD_UV.format(uv=shutil.which("uv", path=str(BIN)), echo=echo))
    path.chmod(0o755)
    return {"UVFLOW_UV": str(path)}


@posix_only
@unlisted
def test_files_that_a_wheel_contains_without_listing_them_are_no_damage(
    shop: Path, uvflow: Command, name: str
) -> None:
    uv = old_uv(shop)
    synced(shop, uvflow, lambda contents: contents.update({name: "needed = True\n"}), uv)
    path = (data_of(shop).parents[1] / name).relative_to(shop / ".venv").as_posix()
    done = uvflow("verify", "--repair", "--json", cwd=shop, environ=uv)
    assert (done.code, json.loads(done.out)["unowned"]) == (0, [path])
    assert (shop / ".venv" / path).read_text() == "needed = True\n"


@posix_only
@unlisted
def test_files_that_a_wheel_contains_without_listing_them_survive_an_interruption(
    shop: Path, uvflow: Command, name: str
) -> None:
    uv = old_uv(shop)
    synced(shop, uvflow, lambda contents: contents.update({name: "needed = True\n"}), uv)
    lose_power(shop)
    site_packages = data_of(shop).parents[1]
    (site_packages / ".tmpHalf").write_text("")
    done = uvflow("sync", "--json", cwd=shop, environ=uv)
    assert done.code == 0, done.err
    inside = site_packages.relative_to(shop / ".venv").as_posix()
    assert json.loads(done.out)["removed"] == [f"{inside}/.tmpHalf"]
    assert (site_packages / name).read_text() == "needed = True\n"


@posix_only
def test_a_file_that_a_wheel_lists_and_does_not_contain_is_a_known_defect(
    shop: Path, uvflow: Command
) -> None:
    uv = old_uv(shop, LISTS_GONE)
    synced(shop, uvflow, lambda _: None, uv)
    lose_power(shop)
    done = uvflow("sync", "--json", cwd=shop, environ=uv)
    assert done.code == 0, done.err
    [defect] = json.loads(done.out)["known_defects"]
    path = (data_of(shop).parent / "gone.txt").relative_to(shop / ".venv").as_posix()
    assert (defect["kind"], defect["path"]) == ("missing", path)
