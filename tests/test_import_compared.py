"""The judge of benchmarks/imports.py is fair, and the page shows what it found."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.import_cases import KEPT, Case, Wants
from benchmarks.import_judge import Judgement, Run, judged
from benchmarks.import_project_cases import FORMATS
from benchmarks.import_wheels import Wheel, differences, metadata_facts

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "import-compared.md"
DATA = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
SECRET, NOT_READ = "s3cret", "—"
IsCounted = Callable[[dict[str, Any], dict[str, Any]], bool]  # of a case and a judgement of it


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


def test_a_traceback_that_a_tool_reports_is_a_refusal() -> None:
    """Of a setup.py that PDM ran, for example."""
    said = "Traceback (most recent call last):\n...\n[CalledProcessError]: Command '...'\n"
    assert judgement("", code=1, said=said).verdict == "refused"


def test_specifiers_are_one_where_they_admit_the_same() -> None:
    assert judgement(project("six~=1.16"), project=("six>=1.16,<2",)).verdict == "kept"
    assert judgement(project("six~=1.16.0"), project=("six>=1.16,<2",)).verdict == "lost"
    theirs = project(rest='requires-python = "~=3.11"\n')
    assert judgement(theirs, python=">=3.11,<4").verdict == "kept"
    assert judgement(theirs, python="==3.11.*").verdict == "lost"


def test_extras_and_what_else_is_in_the_project_table_count() -> None:
    theirs = project(rest='version = "1.2"\n[project.optional-dependencies]\nx = ["six"]\n')
    assert judgement(theirs, extras={"x": ("six",)}, metadata={"version": "1.2"}).verdict == "kept"
    assert judgement(theirs, extras={"x": ("idna",)}).verdict == "lost"
    assert judgement(theirs, metadata={"version": "1.3"}).verdict == "lost"


def test_an_index_for_one_package_is_no_index_for_all() -> None:
    url = "https://idx.example/simple"
    index = f'[[tool.uv.index]]\nname = "acme"\nurl = "{url}/"\n'
    bound = '[tool.uv.sources]\nsix = { index = "acme" }\n'
    wants: dict[str, Any] = {
        "project": ("six",),
        "indexes": {url: "explicit"},
        "indexed": {"six": url},
    }
    explicit = project("six", rest=f"{index}explicit = true\n{bound}")
    assert judgement(explicit, **wants).verdict == "kept"
    assert judgement(project("six", rest=index + bound), **wants).verdict == "lost"
    assert judgement(project("six", rest=f"{index}explicit = true\n"), **wants).verdict == "lost"
    theirs = f'[[tool.pdm.source]]\nname = "acme"\nurl = "{url}"\ninclude_packages = ["six"]\n'
    assert judgement(project("six", rest=theirs), **wants).verdict == "kept"


def test_groups_are_installed_by_default_as_each_tool_has_it() -> None:
    groups = '[dependency-groups]\ndev = ["six"]\ndocs = ["idna"]\n'
    for settings, installed in (
        ("", ("dev",)),
        ('[tool.uv]\ndefault-groups = "all"\n', ("dev", "docs")),
        ('[tool.uv]\ndefault-groups = ["docs"]\n', ("docs",)),
        ("[tool.pdm]\ndistribution = false\n", ("dev", "docs")),
    ):
        theirs = project(rest=groups + settings)
        assert judgement(theirs, default_groups=installed).verdict == "kept"
        assert judgement(theirs, default_groups=()).verdict == "lost"


METADATA = """\
Metadata-Version: 2.1
Name: my_shop
Version: 1.2
Author: Ann B
Author-email: ann@shop.example
Home-page: https://shop.example
License: MIT
Requires-Python: >=3.9,<4.0
Classifier: License :: OSI Approved :: MIT License
Requires-Dist: six (>=1.10)
Requires-Dist: idna ; python_version < "3.11" and extra == "x"
Provides-Extra: x
"""
IN_OTHER_WORDS = """\
Metadata-Version: 2.4
Name: my-shop
Version: 1.2
Author-email: Ann B <ann@shop.example>
Project-URL: Homepage, https://shop.example
License-Expression: MIT
Requires-Python: <4,>=3.9
Provides-Extra: x
Requires-Dist: idna; extra == "x" and python_full_version < "3.11"
Requires-Dist: six>=1.10
"""


def test_metadata_in_other_words_is_the_same() -> None:
    before, after = (wheel(text) for text in (METADATA, IN_OTHER_WORDS))
    assert list(differences(before, after)) == []


def test_what_a_wheel_no_longer_says_is_a_difference() -> None:
    after = wheel(METADATA.replace("six (>=1.10)", "six").replace("Author: Ann B\n", ""))
    assert list(differences(wheel(METADATA), after)) == [
        ("Author Ann is gone", "author"),
        ("Author B is gone", "author"),
        ("six>=1.10 is gone", "six"),
        ("six is new", "six"),
    ]


def wheel(metadata: str) -> Wheel:
    return Wheel(facts=frozenset(metadata_facts(metadata)))


def test_a_secret_that_is_written_is_seen() -> None:
    rest = f'[[tool.uv.index]]\nurl = "https://u:{SECRET}@idx.example/simple"\n'
    indexes = {"https://idx.example/simple": "extra"}
    assert judgement(project(rest=rest), indexes=indexes) == Judgement(
        verdict="kept", secret=("pyproject.toml",)
    )


def test_the_page_shows_the_data() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    shown = [line for line in lines if re.match(r"\| [A-Z]\d\d ", line)]
    assert shown == [_row(case) for case in DATA["cases"]]


def test_the_page_says_what_was_run_and_when() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert DATA["measured"] in text
    assert all(version in text for version in DATA["versions"].values())


def test_the_page_sums_up_the_data() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for line in summary():
        assert line in text


def _has_verdict(verdict: str) -> IsCounted:
    return lambda _case, judgement: judgement["verdict"] == verdict


COUNTED: dict[str, IsCounted] = {
    "cases whose format it reads": lambda _case, _judgement: True,
    **{verdict: _has_verdict(verdict) for verdict in ("kept", "said", "lost", "refused", "broke")},
    "deleted input files": lambda _case, judgement: bool(judgement["deleted"]),
    "wrote a secret into a file": lambda _case, judgement: bool(judgement["secret"]),
}


def summary() -> list[str]:
    """The rows of the page that count: the best there is by format, and every verdict."""
    cases = DATA["cases"]
    rows = [
        _counts(
            f"{form} ({sum(case['format'] == form for case in cases)})",
            [case for case in cases if case["format"] == form],
            _is_best,
        )
        for form in FORMATS
    ]
    return rows + [_counts(title, cases, is_counted) for title, is_counted in COUNTED.items()]


def _counts(title: str, cases: list[dict[str, Any]], is_counted: IsCounted) -> str:
    cells = []
    for tool in DATA["versions"]:
        read = [(c, c["verdicts"][tool]) for c in cases if tool in c["verdicts"]]
        cells.append(str(sum(is_counted(c, j) for c, j in read)) if read else NOT_READ)
    return f"| {title} | {' | '.join(cells)} |"


def _row(case: dict[str, Any]) -> str:
    """As the page has it: the best there is in bold, `!` for a secret that was written."""
    cells = []
    for tool in DATA["versions"]:
        judgement = case["verdicts"].get(tool)
        if judgement is None:
            cells.append(NOT_READ)
            continue
        mark = "**" if _is_best(case, judgement) else ""
        secret = " !" if judgement["secret"] else ""
        cells.append(f"{mark}{judgement['verdict']}{mark}{secret}")
    return f"| {case['id']} {case['about']} | {' | '.join(cells)} |"


def _is_best(case: dict[str, Any], judgement: dict[str, Any]) -> bool:
    return judgement["verdict"] in {KEPT, case["asks"]} and not judgement["secret"]
