import os
from pathlib import Path
from typing import Any

import pytest

from uvflow.errors import UsageError
from uvflow.imports.model import Options
from uvflow.request import Request, requested

ASKED: dict[str, Any] = {
    "name": None,
    "python": None,
    "from_files": (),
    "groups": (),
    "constraints": (),
    "encoding": None,
    "on_conflict": "fail",
    "keep_going": False,
    "allow_outside": False,
    "strict": False,
    "strip_credentials": False,
    "direct_only": False,
    "no_lock": False,
    "no_sync": False,
    "timeout": 300.0,
}


def test_files_are_named_from_where_they_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"from_files": ("app/a.txt",), "groups": ("lint=b.txt",), "constraints": ("c.txt",)}
    assert requested(tmp_path / "app", {**ASKED, **files}) == Request(
        options=Options(
            from_files=("a.txt",),
            groups=(("lint", "../b.txt"),),
            constraints=("../c.txt",),
            environ=os.environ,
        )
    )


def test_a_url_is_what_it_is_from_anywhere(tmp_path: Path) -> None:
    url = "https://h.example/c.txt"
    asked = {**ASKED, "constraints": (url,), "groups": (f"lint={url}",)}
    options = requested(tmp_path, asked).options
    assert (options.constraints, options.groups) == ((url,), (("lint", url),))


@pytest.mark.parametrize("group", ["lint", "lint=", "=lint.txt"])
def test_a_group_is_a_name_and_a_file(tmp_path: Path, group: str) -> None:
    with pytest.raises(UsageError) as caught:
        requested(tmp_path, {**ASKED, "groups": (group,)})
    assert caught.value.message == f"`--group {group}` is not NAME=FILE"
