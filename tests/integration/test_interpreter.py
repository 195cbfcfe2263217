"""uv is never let at a base Python, whatever it remembers of an environment that was a ruin."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from rig import Command, Tree

from uvflow.uv import find

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies a Python by its parts")

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base Python to lose: the binary, and links to the parts of its library."""
    library = tmp_path / "base" / "lib" / VERSION
    (library / "site-packages").mkdir(parents=True)
    for part in Path(sysconfig.get_path("stdlib")).iterdir():
        if part.name != "site-packages":
            (library / part.name).symlink_to(part)
    (tmp_path / "base" / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "base" / "bin" / VERSION)
    (tmp_path / "base" / "bin" / "python").symlink_to(VERSION)
    return tmp_path / "base"


def installed(prefix: Path) -> list[str]:
    infos = (prefix / "lib" / VERSION / "site-packages").glob("*.dist-info")
    return sorted(path.name.removesuffix(".dist-info") for path in infos)


def test_a_recreated_environment_is_not_used_as_the_base(
    tree: Tree, base: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON", str(base / "bin" / "python"))
    root = tree({"requirements.txt": "six==1.16.0\n"})
    subprocess.run([find().path, "venv", "-q"], cwd=root, check=True)
    (root / ".venv" / "pyvenv.cfg").unlink()
    assert uvflow("init", cwd=root).code == 0  # uv has looked at the ruin, to lock
    manifest = root / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("1.16.0", "1.17.0"))
    subprocess.run([find().path, "lock", "-q"], cwd=root, check=True)
    assert uvflow("sync", cwd=root).code == 0
    assert installed(root / ".venv") == ["six-1.17.0"]
    assert installed(base) == []
