from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from wheels import build_wheel

from uvflow import uv
from uvflow.findings import Severity
from uvflow.lockfile.packages import read_lockfile
from uvflow.migrate import pyproject
from uvflow.migrate.discover import input_files
from uvflow.migrate.formats.pip.requirements_txt import parse_requirements
from uvflow.migrate.formats.pip.sources import read_requirement
from uvflow.migrate.groups import import_files
from uvflow.migrate.includes import Reader
from uvflow.migrate.model import ImportOptions, LineResult, Requirement

PROJECT = '[project]\nname = "Foo.Lib"\n'
PACKAGE = f"{PROJECT}[build-system]\nrequires = []\n"


def reading(text: str, files: Mapping[str, str] | None = None, **options: Any) -> LineResult:
    def read_file(path: str) -> bytes:
        if path in (files or {}):
            return (files or {})[path].encode()
        raise FileNotFoundError(2, "No such file or directory", path)

    (line,) = parse_requirements(text.encode(), "requirements.txt").lines
    return read_requirement(line, ImportOptions(**options), read_file)


def requirement(text: str, files: Mapping[str, str] | None = None, **options: Any) -> Requirement:
    found = reading(text, files, **options).requirement
    assert found
    return found


def messages(reading: LineResult) -> list[tuple[Severity, str]]:
    return [(finding.severity, str(finding)) for finding in reading.findings]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("/croot/idna_1700501669400/work/idna", "idna"),
        ("/work/ci_py311/idna_1676822932000/work", "idna"),
        ("/home/builder/ci_310/idna_1640793678128/work", "idna"),
        ("/tmp/abs_ec11_7ze/croots/recipe/idna_1659616059936/work", "idna"),  # noqa: S108  of a builder
        ("/tmp/build/80754af9/idna_1630003229654/work/dist", "idna"),  # noqa: S108  of a builder
        ("/opt/conda/conda-bld/idna_1654597864307/work", "idna"),
        ("/private/var/folders/sy/x0p/T/abs_6x/croot/idna_1670514753622/work", "idna"),
        ("/Users/runner/miniforge3/conda-bld/idna_1747544634767/work/src", "idna"),
        ("/home/me/output/bld/rattler-build_idna_1728967256/work", "idna"),
        ("/C:/b/abs_aad84bnnw5/croot/idna_1714398896795/work", "idna"),
        ("/C:/ci/idna_1607454116140/work", "idna"),
        ("/C:/Users/dev/mkl/idna-suite_1685202500000/work", "idna"),
        ("/D:/bld/idna_1610324703282/work", "idna"),
        ("/builds/ci/idna", None),
        ("/D:/bld/idna_1610324703282/work/dist/idna-3.7-py3-none-any.whl#sha256=ab", "idna==3.7"),
        ("/croot/idna-3.7/work", "idna==3.7"),
    ],
)
def test_a28_what_conda_built_is_told_by_its_name_and_version(place: str, text: str | None) -> None:
    found = reading(f"idna @ file://{place}")
    assert [finding.code for finding in found.findings] == [
        "built-by-conda" if text else "path-not-found"
    ]
    assert (found.requirement and found.requirement.text) == text


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("x @ file:///home/ci/libs/x", "make it a git or an index dependency"),
        (
            "-e .\\libs\\x",
            "correct the path (with `/`, relative to the project's root), or remove the line",
        ),
    ],
)
def test_what_is_not_there_has_a_hint(line: str, hint: str) -> None:
    (finding,) = reading(line).findings
    assert (finding.code, finding.hint) == ("path-not-found", hint)


@pytest.mark.parametrize("kind", ["hg", "svn", "bzr"])
def test_a23_other_version_control_needs_action(kind: str) -> None:
    found = reading(f"-e {kind}+https://me:secret@h/r#egg=q")
    assert found.requirement is None
    assert messages(found) == [
        (
            Severity.ACTION,
            (
                f"requirements.txt:1: `-e {kind}+https://****@h/r#egg=q`: "
                f"uv does not install from {kind}"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("line", "name", "text", "source", "hashes"),
    [
        (
            "six @ https://h/six-1.16.0-py2.py3-none-any.whl#sha256=aa",
            "six",
            "six",
            {"url": "https://h/six-1.16.0-py2.py3-none-any.whl"},
            ("sha256:aa",),
        ),
        (
            "https://h/six-1.16.0-py2.py3-none-any.whl ; sys_platform == 'win32'",
            "six",
            "six ; sys_platform == 'win32'",
            {"url": "https://h/six-1.16.0-py2.py3-none-any.whl"},
            (),
        ),
        (
            "https://h/torch-2.1.0%2Bcpu-cp311-cp311-linux_x86_64.whl",
            "torch",
            "torch",
            {"url": "https://h/torch-2.1.0%2Bcpu-cp311-cp311-linux_x86_64.whl"},
            (),
        ),
        (
            "https://h/archive/v1.tar.gz#egg=foo[x]&subdirectory=py --hash=sha256:bb",
            "foo",
            "foo[x]",
            {"url": "https://h/archive/v1.tar.gz", "subdirectory": "py"},
            ("sha256:bb",),
        ),
        (
            "https://h/archive/v1.zip",
            None,
            "https://h/archive/v1.zip",
            {"url": "https://h/archive/v1.zip"},
            (),
        ),
    ],
)
def test_a21_archives_by_url(
    line: str, name: str, text: str, source: dict[str, str], hashes: tuple[str, ...]
) -> None:
    found = requirement(line)
    assert (found.name, found.text, found.source, found.hashes) == (name, text, source, hashes)


@pytest.mark.parametrize(
    ("line", "name", "text", "source"),
    [
        ("./w/six-1.0-py3-none-any.whl", "six", "six", {"path": "w/six-1.0-py3-none-any.whl"}),
        (".\\w\\six-1.0-py3-none-any.whl", "six", "six", {"path": "w/six-1.0-py3-none-any.whl"}),
        ("six-1.0-py3-none-any.whl", "six", "six", {"path": "six-1.0-py3-none-any.whl"}),
        ("./w/foo-1.0.tar.gz", None, "./w/foo-1.0.tar.gz", {"path": "w/foo-1.0.tar.gz"}),
        (
            "foo @ file:./w/foo-1.0.tar.gz#sha256=aa",
            "foo",
            "foo",
            {"path": "w/foo-1.0.tar.gz"},
        ),
    ],
)
def test_a21_archives_by_path(line: str, name: str, text: str, source: dict[str, str]) -> None:
    there = ("w/six-1.0-py3-none-any.whl", "six-1.0-py3-none-any.whl", "w/foo-1.0.tar.gz")
    found = requirement(line, dict.fromkeys(there, ""))
    assert (found.name, found.text, found.source) == (name, text, source)


@pytest.mark.parametrize(
    ("line", "text", "source"),
    [
        ("./libs/foo", "Foo.Lib", {"path": "libs/foo"}),
        ("libs/foo/", "Foo.Lib", {"path": "libs/foo"}),
        ("-e ./libs/foo", "Foo.Lib", {"path": "libs/foo", "editable": True}),
        ("-e ./libs/foo[b,a]", "Foo.Lib[a,b]", {"path": "libs/foo", "editable": True}),
        ("--editable=libs/foo", "Foo.Lib", {"path": "libs/foo", "editable": True}),
        ("-e file:./libs/foo#egg=foo_lib", "foo_lib", {"path": "libs/foo", "editable": True}),
        (
            "./libs/foo[x] ; python_version < '3.9'",
            "Foo.Lib[x] ; python_version < '3.9'",
            {"path": "libs/foo"},
        ),
    ],
)
def test_a24_local_projects(line: str, text: str, source: dict[str, Any]) -> None:
    found = requirement(line, {"libs/foo/pyproject.toml": PROJECT})
    assert (found.name, found.text, found.source) == ("foo-lib", text, source)


@pytest.mark.parametrize("name", ["NAME", "'ba??rar'"])
def test_a24_a_project_that_only_a_build_names_has_no_name_yet(name: str) -> None:
    found = requirement("-e ./libs/foo[x]", {"libs/foo/setup.py": f"setup(name={name})"})
    assert (found.name, found.text) == (None, "./libs/foo")
    assert found.with_name("Foo").text == "Foo[x]"


@pytest.mark.parametrize("line", ["-e .", ".", "-e ./", "-e file:."])
def test_a24_the_project_itself_is_installed_anyway(line: str) -> None:
    found = reading(line, {"pyproject.toml": PACKAGE})
    assert (found.requirement, found.findings, found.own_extras) == (None, (), ())


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"setup.py": "setup()"},
        {"pyproject.toml": PROJECT},
        {"pyproject.toml": f"{PACKAGE}[tool.uv]\npackage = false\n"},
    ],
)
def test_the_project_itself_is_left_to_the_user_where_uv_does_not_build_it(
    files: Mapping[str, str],
) -> None:
    found = reading("-e .[test]", files)
    assert found.requirement is None
    assert [(f.severity, f.code) for f in found.findings] == [(Severity.ACTION, "not-built")]


def test_a24_the_extras_of_the_project_are_for_a_profile_to_select() -> None:
    found = reading("-e .[test,docs]", {"pyproject.toml": PACKAGE})
    assert found.findings == ()
    assert found.own_extras == ("docs", "test")


@pytest.mark.parametrize(
    "line",
    ["https://host.example/o/r/zipball/v1.0#egg=x", "x @ https://host.example/x/master?a=.zip"],
)
def test_a_url_that_uv_would_refuse_is_left_to_the_user(line: str) -> None:
    found = reading(line)
    assert found.requirement is None
    assert [finding.code for finding in found.findings] == ["url-not-an-archive"]


@pytest.mark.parametrize("path", ["../foo", "/srv/foo"])
def test_a24_a_path_outside_the_project_is_kept_and_needs_action(path: str) -> None:
    found = reading(f"-e {path}", {f"{path}/setup.cfg": "[metadata]\nname = foo\n"})
    assert found.requirement
    assert (found.requirement.name, found.requirement.source) == (
        "foo",
        {"path": path, "editable": True},
    )
    assert messages(found) == [
        (
            Severity.ACTION,
            f"requirements.txt:1: {path} is outside the project, which is not portable",
        )
    ]


NOT_A_PACKAGE = "is not a package: no wheel, sdist, pyproject.toml, setup.py or setup.cfg"


def test_a24_a_path_that_is_not_there_stops_the_import() -> None:
    assert messages(reading("-e ./libs/gone")) == [
        (
            Severity.ERROR,
            f"requirements.txt:1: libs/gone {NOT_A_PACKAGE}",
        )
    ]


WHEEL = "https://me:secret@h/six-1.16.0-py3-none-any.whl"


def test_a19_a_wheel_url_with_credentials_stops_the_import() -> None:
    found = reading(WHEEL)
    assert found.requirement is None
    assert messages(found) == [
        (
            Severity.ERROR,
            (
                "requirements.txt:1: the URL https://h/six-1.16.0-py3-none-any.whl contains "
                "credentials, which uv would write into uv.lock"
            ),
        )
    ]


def test_a19_credentials_can_be_stripped() -> None:
    found = reading(WHEEL, strip_credentials=True)
    assert found.requirement
    assert found.requirement.source == {"url": "https://h/six-1.16.0-py3-none-any.whl"}
    assert [severity for severity, _ in messages(found)] == [Severity.ACTION]
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    "line",
    [
        "https://${HOST}/six-1.16.0-py3-none-any.whl",
        "./${DIR}/foo",
        "./libs/foo ; python_version <> '3'",
        "foo[a b] @ https://h/foo.zip",
        "foo>=1.0[x]",
        "six @",
        "-e ${WHERE}",
    ],
)
def test_what_uv_cannot_be_told_stops_the_import(line: str) -> None:
    assert messages(reading(line)) == [
        (Severity.ERROR, f"requirements.txt:1: `{line}` is not a requirement")
    ]


@pytest.mark.parametrize(
    "line",
    [
        f"six=={'9' * 5000}",
        "six==\u0663.1",  # a digit, but none of a version
        f"six ; {'(' * 3000}os_name == 'x'{')' * 3000}",
        f"six[{'x,' * 50_000}]",
        f"git+https://h/r#egg={'x' * 100_000}",
    ],
)
def test_what_no_parser_would_survive_is_no_requirement(line: str) -> None:
    (finding,) = reading(line).findings
    assert finding.code == "invalid-requirement"


@pytest.mark.parametrize(
    "line",
    [
        '"x @ git+https://t:s3cret@h/r"',
        "s3://u:s3cret@h/x.whl",
        "six=1.0-i https://u:s3cret@h/s",
        "https://h/x.whl#sha256=00 y @ https://u:s3cret@h/y.whl",
    ],
)
def test_a_url_that_nobody_can_read_is_no_path(line: str) -> None:
    (finding,) = reading(line).findings
    assert finding.code == "invalid-requirement"
    assert "s3cret" not in repr(finding)


def test_a22_two_archives_of_one_package_are_both_locked(tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        build_wheel(tmp_path, "dual", version)
    (tmp_path / "requirements.txt").write_text(
        "./dual-1.0-py3-none-any.whl ; sys_platform == 'win32'\n"
        "./dual-2.0-py3-none-any.whl ; sys_platform != 'win32'\n"
    )
    imported = import_files(
        input_files(["requirements.txt"]),
        Reader(read_file=lambda path: (tmp_path / path).read_bytes()),
    )
    assert imported.findings == ()
    assert imported.sources == {
        "dual": [
            {"path": "dual-1.0-py3-none-any.whl", "marker": "sys_platform == 'win32'"},
            {"path": "dual-2.0-py3-none-any.whl", "marker": "sys_platform != 'win32'"},
        ]
    }
    base = '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.9"\n'
    (tmp_path / "pyproject.toml").write_text(pyproject.edit(base, imported))
    answer = uv.find().capture(("lock",), cwd=tmp_path)
    assert answer.code == 0, answer.err
    locked = read_lockfile(tmp_path / "uv.lock").by_name
    assert [package.version for package in locked["dual"]] == ["1.0", "2.0"]


def test_what_pip_lists_has_a_hint() -> None:
    (finding,) = reading("numpy   1.26.4").findings
    assert finding.code == "invalid-requirement"
    assert finding.hint == "did you mean `numpy==1.26.4`?"


def test_an_exact_pin_is_read_as_any_requirement_by_name() -> None:
    read = requirement("Zope.Interface==5.4  # why")
    assert (read.text, read.name, read.comment) == (
        "Zope.Interface==5.4",
        "zope-interface",
        "# why",
    )
    assert read._replace(text="") == requirement("Zope.Interface>=5.4  # why")._replace(text="")
    assert reading("pkg_resources==0.0.0").requirement is None
