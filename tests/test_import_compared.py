"""The judge of benchmarks/imports.py is fair, and the page shows what it found."""

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.import_cases import KEPT, Case, Wants
from benchmarks.import_judge import Judgement, Run, judged

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "import-compared.md"
DATA = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
SECRET = "s3cret"


def judgement(pyproject: str, *, code: int = 0, said: str = "", **wants: Any) -> Judgement:
    """Of an import of requirements.txt that left `pyproject`."""
    inputs = {"requirements.txt": b"six==1.16.0"}
    run = Run(
        code=code,
        said=said,
        inputs=inputs,
        before=inputs,
        after={**inputs, **({"pyproject.toml": pyproject.encode()} if pyproject else {})},
        elsewhere={},
    )
    return judged(Case(id="A00", about="", files=inputs, wants=Wants(**wants)), run, SECRET)


def project(*dependencies: str, rest: str = "") -> str:
    return f'[project]\nname = "shop"\ndependencies = {json.dumps(dependencies)}\n{rest}'


def test_what_is_there_in_other_words_is_kept() -> None:
    theirs = project("Six == 1.16", "idna>3,<4 ; python_full_version >= '3.12'", "idna")
    wanted = ("six==1.16.0", "idna", "idna<4,>3; python_version>='3.12'")
    assert judgement(theirs, project=wanted) == Judgement(verdict=KEPT)


def test_what_is_gone_is_lost_or_said() -> None:
    assert judgement(project(), project=("six",)) == Judgement(
        verdict="lost", why=("! project: six is gone",)
    )
    assert judgement(project(), project=("six",), said="Skipped Six\n").verdict == "said"


def test_one_of_two_that_nobody_is_told_of_is_lost() -> None:
    wanted = ("six", "idna")
    assert judgement(project(), project=wanted, said="Skipped six\n") == Judgement(
        verdict="lost", why=("project: six is gone", "! project: idna is gone")
    )


def test_what_nobody_asked_for_is_a_change() -> None:
    assert judgement(project("six", "idna"), project=("six",)).verdict == "lost"


def test_a_bound_that_is_added_is_let_pass_but_where_it_is_asked_for() -> None:
    assert judgement(project("six>=1.17"), project=("six",)).verdict == "kept"
    assert judgement(project("six>=1.17"), project=("six",), unbounded=True).verdict == "lost"
    assert judgement(project("six>=1.17"), project=("six>=1",)).verdict == "lost"


def test_extras_and_sources_count() -> None:
    source = '[tool.uv.sources]\nsix = { path = "./libs/six" }\n'
    theirs = project("six[x]", rest=source)
    sources = {"six": "path:libs/six"}
    assert judgement(theirs, project=("six[x]",), sources=sources).verdict == "kept"
    assert judgement(theirs, project=("six",), sources=sources).verdict == "lost"
    assert judgement(project("six[x]"), project=("six[x]",), sources=sources).verdict == "lost"


def test_a_group_has_what_it_includes_and_what_the_project_has() -> None:
    groups = '[dependency-groups]\ntest = ["idna"]\ndev = [{ include-group = "test" }, "toml"]\n'
    theirs = project("six", rest=groups)
    wanted = {"dev": ("idna", "toml", "six")}
    assert judgement(theirs, project=("six",), groups=wanted).verdict == "kept"
    assert judgement(theirs, project=("six",), groups={"test": ("toml",)}).verdict == "lost"


def test_the_editables_of_pdm_are_in_a_group() -> None:
    editable = '[tool.pdm.dev-dependencies]\ndev = ["-e file:///${PROJECT_ROOT}/libs/a#egg=a"]\n'
    sources = {"a": "path:libs/a editable"}
    groups = {"dev": ("a",)}
    assert judgement(project(rest=editable), groups=groups, sources=sources).verdict == "kept"
    assert judgement(project(rest=editable), project=("a",)).verdict == "lost"


def test_a_comment_is_not_a_value() -> None:
    theirs = project(rest="# -e /home/dev/app\n")
    assert judgement(theirs, told=("/home/dev/app",)).verdict == "lost"


def test_a_failure_is_refused_unless_files_changed() -> None:
    assert judgement("", code=1, said="error: no\n") == Judgement(
        verdict="refused", why=("error: no",)
    )
    assert judgement(project(), code=1).verdict == "broke"
    assert judgement("", code=1, said="Traceback (most recent call last):\n").verdict == "broke"


def test_a_secret_that_is_written_is_seen() -> None:
    rest = f'[[tool.uv.index]]\nurl = "https://u:{SECRET}@idx.example/simple"\n'
    indexes = {"https://idx.example/simple": "extra"}
    assert judgement(project(rest=rest), indexes=indexes) == Judgement(
        verdict="kept", secret=("pyproject.toml",)
    )


def test_the_page_shows_the_data() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    shown = [line for line in lines if re.match(r"\| A\d\d ", line)]
    assert shown == [_row(case) for case in DATA["cases"]]


def _row(case: dict[str, Any]) -> str:
    """As the page has it: the best there is in bold, `!` for a secret that was written."""
    cells = []
    for judgement in case["verdicts"].values():
        secret = bool(judgement["secret"])
        is_best = judgement["verdict"] in (KEPT, case["asks"]) and not secret
        mark = "**" if is_best else ""
        cells.append(f"{mark}{judgement['verdict']}{mark}{' !' if secret else ''}")
    return f"| {case['id']} {case['about']} | {' | '.join(cells)} |"
