"""A wheel that says wrong things of itself is warned of, and no sync fails for it."""

import json
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


def synced(root: Path, uvflow: Command, change: Callable[[Contents], None]) -> None:
    add_odd_wheel(root.parent / "index", "odd", change)
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert uvflow("sync", cwd=root).code == 0


def lose_power(root: Path) -> None:
    """What is remembered is that a sync was under way, at another start of the machine."""
    state = State.of(root)
    state.delete("dev.fingerprint")
    entry = {"environment": str(root / ".venv"), "boot": "another"}
    state.write("dev.journal", json.dumps(entry).encode())


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


# uv before 0.12 lists what the wheel's RECORD lists, missing files too, but not all that exist.
AS_OLD_UV = """#!/bin/sh
{uv} "$@" || exit
[ "$1" = sync ] || exit 0
cd .venv/lib/*/site-packages
sed -i.bak -e '/more.py/d' -e '/top.py/d' -e '/gone.txt/d' odd-1.0.dist-info/RECORD
echo 'odd/gone.txt,sha256=AAAA,1' >> odd-1.0.dist-info/RECORD
rm odd-1.0.dist-info/RECORD.bak
"""


@pytest.fixture
def old_uv(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "old" / "uv"
    path.parent.mkdir()
    path.write_text(AS_OLD_UV.format(uv=shutil.which("uv", path=str(BIN))))
    path.chmod(0o755)
    return {"UVFLOW_UV": str(path)}


@pytest.mark.skipif(sys.platform == "win32", reason="the scripted uv is a shell script")
def test_a_repair_keeps_what_uv_would_not_reinstall(
    shop: Path, uvflow: Command, old_uv: dict[str, str]
) -> None:
    synced(shop, uvflow, lambda contents: contents.update({"top.py": "needed = True\n"}))
    python = shop / ".venv" / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "-q", "--python", python, "toml"], check=True)
    site_packages = data_of(shop).parents[1]
    (site_packages / "stray.py").touch()
    subprocess.run(["sed", "-i.bak", "/top.py/d", *site_packages.glob("odd-*/RECORD")], check=True)
    next(site_packages.glob("odd-*/RECORD.bak")).unlink()
    done = uvflow("verify", "--repair", "--json", cwd=shop, environ=old_uv)
    assert done.code == 0, done.err
    inside = site_packages.relative_to(shop / ".venv").as_posix()
    assert json.loads(done.out)["removed"] == [f"{inside}/stray.py"]
    assert (site_packages / "top.py").exists()
    assert (site_packages / "toml" / "__init__.py").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the scripted uv is a shell script")
@pytest.mark.parametrize("name", ["odd/more.py", "top.py"])
def test_files_that_a_wheel_contains_without_listing_them_stay(
    shop: Path, uvflow: Command, old_uv: dict[str, str], name: str
) -> None:
    synced(shop, uvflow, lambda contents: contents.update({name: "needed = True\n"}))
    lose_power(shop)
    site_packages = data_of(shop).parents[1]
    (site_packages / "stray.py").write_text("")
    done = uvflow("sync", "--json", cwd=shop, environ=old_uv)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    inside = site_packages.relative_to(shop / ".venv").as_posix()
    assert [(f["kind"], f["path"]) for f in result["known_defects"]] == [
        ("missing", f"{inside}/odd/gone.txt"),
        ("orphan", f"{inside}/{name}"),
    ]
    assert result["removed"] == [f"{inside}/stray.py"]
    assert (site_packages / name).read_text() == "needed = True\n"
    assert (
        f"orphan: {inside}/{name}: the wheel contains it, but its RECORD does not list it"
        in done.err
    )
