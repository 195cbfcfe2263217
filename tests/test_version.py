import re
import tomllib
from pathlib import Path

import uvflow

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_one_that_is_released() -> None:
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert uvflow.__version__ == manifest["project"]["version"]


def test_the_version_has_a_section_of_the_changelog_and_is_the_one_to_take() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert versions[0] == uvflow.__version__
    for page in ("ci.md", "pre-commit.md"):
        text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
        assert set(re.findall(r"\bv(\d+\.\d+\.\d+)", text)) == {uvflow.__version__}
