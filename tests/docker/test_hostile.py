"""Whatever a project's names, paths and words are, its Dockerfile says them and nothing more.

HOSTILE_PROJECTS is how many projects are made up, each with files of its own.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import readback
import tomlkit
from dockerfiles import linted
from hypothesis import given, settings
from hypothesis import strategies as st
from locks import local, locked, manifest

from uvflow.console import harmless
from uvflow.docker.command import DockerOptions, ImagePlan
from uvflow.docker.instructions import can_be_mounted
from uvflow.errors import UsageError
from uvflow.project.manifest import Project

PROJECTS = int(os.environ.get("HOSTILE_PROJECTS", "25"))

ANY = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
LINE = st.characters(exclude_categories=["Cc", "Cs"])
ODD = st.sampled_from("\\\"'$`{}()#!&|;<>*?[]~-=,. äü中%@:")

NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?", fullmatch=True)
VARIABLES = st.from_regex(r"X[A-Za-z0-9_]{0,8}", fullmatch=True)
# A member whose directory has a character that nobody sees is refused (tests/project).
SEEN = LINE.filter(lambda c: c != "/" and harmless(c) == c)
DIRECTORIES = st.text(SEEN | ODD, min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."}
)
PROJECT = st.fixed_dictionaries(
    {
        "name": NAMES.filter(lambda name: name.lower() != "shelf"),
        "command": st.lists(st.text(ANY) | st.text(ODD), min_size=1, max_size=5),
        "environment": st.dictionaries(VARIABLES, st.text(LINE) | st.text(ODD), max_size=3),
        "health": st.text(SEEN | ODD, max_size=12).map(lambda text: "/" + re.sub(r"\s", "", text)),
        "directory": DIRECTORIES,
    }
)


@settings(max_examples=PROJECTS)
@given(PROJECT, st.booleans())
def test_a_hostile_project_says_what_is_meant(meant: dict[str, Any], is_member: bool) -> None:  # noqa: FBT001  hypothesis gives it
    root = Path(tempfile.mkdtemp(prefix="uvflow-hostile-"))
    try:
        try:
            found = planned(root, meant, is_member=is_member)
        except UsageError:  # what no Dockerfile can say is refused in words
            assert is_member
            assert not can_be_said(meant["directory"])
            return
        assert_said(found, meant, is_member=is_member)
    finally:
        shutil.rmtree(root)


def planned(root: Path, meant: dict[str, Any], *, is_member: bool) -> ImagePlan:
    said = {key: meant[key] for key in ("command", "environment", "health")}
    table = tomlkit.dumps({"tool": {"uvflow": {"docker": {**said, "port": 80}}}})
    own, other = (meant["directory"], ".") if is_member else (".", meant["directory"])
    write(root / own / "pyproject.toml", manifest(meant["name"], table))
    workspace = '[tool.uv.workspace]\nmembers = ["*"]\n'
    with (root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(workspace if not is_member else manifest("shelf", workspace))
    if not is_member:
        write(root / other / "pyproject.toml", manifest("shelf"))
    packages = (
        local(name, source=f"virtual = {quoted(place)}")
        for name, place in ((meant["name"].lower(), own), ("shelf", other))
    )
    write(root / "uv.lock", locked(*packages))
    write(root / ".python-version", "3.13\n")
    return ImagePlan(Project.load(root / own), DockerOptions(uv="0.13.9", bake=True, compose=True))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def can_be_said(directory: str) -> bool:
    return directory == directory.rstrip() and not directory.endswith("\\")


def assert_said(found: ImagePlan, meant: dict[str, Any], *, is_member: bool) -> None:
    prod = linted(found.dockerfile.text).stages[-1]
    keywords = [step.keyword for step in prod.instructions]
    inside = ["WORKDIR"] if is_member else []
    how = ["LABEL", "ENV", "USER", "STOPSIGNAL", "EXPOSE", "HEALTHCHECK", "CMD"]
    assert keywords == ["RUN", "COPY", *inside, *how]
    assert prod.instructions[-1].exec_form == tuple(meant["command"])
    assert repr(meant["health"]) in json.loads(prod.instructions[-2].text.removeprefix("CMD "))[3]
    assert environment(found.dockerfile.text) >= meant["environment"].items()
    if is_member:
        assert readback.value(prod.instructions[2].text) == f"/app/{meant['directory']}"
    elif can_be_mounted(meant["directory"]):
        assert f"{meant['directory']}/pyproject.toml" in mounted(found.dockerfile.text)
    _, bake, compose = (file.text for file in found.generated)
    place = f"{meant['directory']}/Dockerfile" if is_member else "Dockerfile"
    [in_bake, *_] = re.findall(r"dockerfile = (.*)", bake)
    [in_compose, *_] = re.findall(r"dockerfile: (.*)", compose)
    assert json.loads(in_bake.replace("$${", "${").replace("%%{", "%{")) == place
    assert json.loads(in_compose.replace("$$", "$")) == place


def environment(text: str) -> set[tuple[str, str]]:
    """The variables of the first ENV."""
    _, _, rest = text.partition("\nENV ")
    pairs = rest.partition("\n\n")[0].split(" \\\n")
    words = (pair.strip().partition("=") for pair in pairs)
    return {(name, readback.value(word)) for name, _, word in words}


def mounted(text: str) -> list[str | None]:
    flags = re.findall(r"--mount=type=bind,(?:\\.|\S)*", text)
    return [readback.mount(flag).get("source") for flag in flags]
