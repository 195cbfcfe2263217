import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvflow.findings import Origin, Severity
from uvflow.migrate.discover import input_files
from uvflow.migrate.groups import import_files
from uvflow.migrate.includes import Reader
from uvflow.migrate.indexes import PYPI
from uvflow.migrate.model import (
    Bucket,
    FileReport,
    ImportedRequirements,
    ImportOptions,
    IncludeGroup,
    InputFile,
    Requirement,
    Role,
)
from uvflow.redaction import redacted

Assembled = Any  # see conftest


def texts(entries: Iterable[Requirement | IncludeGroup]) -> list[str]:
    return [e.text if isinstance(e, Requirement) else f"[{e.group}]" for e in entries]


def groups(imported: ImportedRequirements) -> dict[str, list[str]]:
    return {name: texts(entries) for name, entries in imported.groups.items()}


def messages(imported: ImportedRequirements, *severities: Severity) -> list[str]:
    return [str(f) for f in imported.findings if not severities or f.severity in severities]


def counted(imported: ImportedRequirements) -> dict[str, dict[str, int]]:
    return {f.path: {b.value: n for b, n in f.buckets.items()} for f in imported.files}


def test_a01_requirements_stay_as_they_are_written(assembled: Assembled) -> None:
    lines = ["six", "idna==3.7", "certifi>=2020.1,<2030", "toml~=0.10.1", "attrs==23.*"]
    imported = assembled({"requirements.txt": "\n".join([*lines, "packaging!=23.0"])})
    assert texts(imported.dependencies) == [*lines, "packaging!=23.0"]
    assert imported.findings == ()
    assert imported.files == (
        FileReport(
            path="requirements.txt",
            format="requirements",
            role="project",
            outcomes={
                Origin(path="requirements.txt", line=line): Bucket.IMPORTED for line in range(1, 7)
            },
        ),
    )


def test_a02_comments_travel(assembled: Assembled) -> None:
    text = "# header\n\nsix==1.16.0  # do not bump\n# why\nidna==3.7\n#certifi==2020.1.1\n"
    imported = assembled({"requirements.txt": text})
    assert [(r.above, r.text, r.comment) for r in imported.dependencies] == [
        (("# header",), "six==1.16.0", "# do not bump"),
        (("# why",), "idna==3.7", ""),
    ]
    assert imported.tails == {"": ("#certifi==2020.1.1",)}


def test_comments_pass_over_lines_that_are_no_requirements(assembled: Assembled) -> None:
    files = {
        "requirements.txt": "# one\n-r base.txt  # two\n# three\n--pre  # four\nsix\n",
        "base.txt": "# five\nidna\n# six\n",
    }
    assert [r.above for r in assembled(files).dependencies] == [
        ("# one", "# two", "# five"),
        ("# six", "# three", "# four"),
    ]


def test_credentials_in_comments_are_not_carried_over(assembled: Assembled) -> None:
    text = "# -i https://me:secret@idx.acme.example/simple\nsix  # https://me:secret@h/\n"
    assert "secret" not in repr(assembled({"requirements.txt": text}))


def test_comments_have_nothing_that_toml_forbids(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "six # a\x00b\x7f\t\n-e \x01\n"}, keep_going=True)
    assert imported.dependencies[0].comment == "# ab"
    assert imported.tails == {"": ("# -e ",)}


def test_a03_includes_are_followed_in_place(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements.txt": "-r reqs/base.txt\n--requirement reqs/more.txt\ntoml==0.10.2\n",
            "reqs/base.txt": "six==1.16.0\n-r deep.txt\n",
            "reqs/deep.txt": "idna==3.7\n",
            "reqs/more.txt": "attrs\n",
        }
    )
    assert [(r.text, str(r.origin)) for r in imported.dependencies] == [
        ("six==1.16.0", "reqs/base.txt:1"),
        ("idna==3.7", "reqs/deep.txt:1"),
        ("attrs", "reqs/more.txt:1"),
        ("toml==0.10.2", "requirements.txt:3"),
    ]
    assert {f.path: f.role for f in imported.files} == dict.fromkeys(
        ("requirements.txt", "reqs/base.txt", "reqs/deep.txt", "reqs/more.txt"), "project"
    )


def test_a04_a_missing_include_stops_the_import(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "-r nope.txt\n"})
    assert messages(imported) == ["requirements.txt:1: included file nope.txt not found"]
    assert imported.errors == imported.findings


def test_a04_every_missing_include_is_told(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "-r a.txt\n-c b.txt\n-r a.txt\n"})
    assert messages(imported, Severity.ERROR) == [
        "requirements.txt:1: included file a.txt not found",
        "requirements.txt:2: included file b.txt not found",
        "requirements.txt:3: included file a.txt not found",
    ]


def test_a04_keep_going_leaves_a_missing_include_to_the_user(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "-r nope.txt\nsix\n"}, keep_going=True)
    assert imported.errors == ()
    assert imported.dependencies[0].above == ("# -r nope.txt",)
    assert counted(imported) == {"requirements.txt": {"imported": 1, "needs_action": 1}}


def test_a_path_that_no_system_has_is_told() -> None:
    def read(path: str) -> bytes:
        if path == "requirements.txt":
            return b"-r a\0b\n-e ./a\0b\n"
        raise ValueError("embedded null byte")

    imported = import_files(input_files(["requirements.txt"]), Reader(read_file=read))
    assert messages(imported, Severity.ERROR) == [
        "requirements.txt:1: a\0b cannot be read: no file can have this name",
        (
            "requirements.txt:2: a\0b is not a package: no wheel, sdist, pyproject.toml, setup.py"
            " or setup.cfg"
        ),
    ]


OUTSIDE = {
    "requirements.txt": "-r ../shared/base.txt\nsix\n-c https://h.example/c.txt\n",
    "../shared/base.txt": "-r more.txt\nidna\n",
    "../shared/more.txt": "toml\n",
}


def test_includes_from_outside_are_named_and_not_followed(assembled: Assembled) -> None:
    imported = assembled(OUTSIDE)
    assert messages(imported) == [
        "requirements.txt:1: ../shared/base.txt is outside the project, and is not read",
        "requirements.txt:3: https://h.example/c.txt is not fetched",
    ]
    assert [error.hint for error in imported.errors] == [
        "`--allow-outside`, or copy the file into the project and include that",
        "save the file in the project and include that",
    ]
    assert [file.path for file in imported.files] == ["requirements.txt"]


def test_keep_going_leaves_what_is_outside_to_the_user(assembled: Assembled) -> None:
    imported = assembled(OUTSIDE, keep_going=True)
    assert texts(imported.dependencies) == ["six"]
    assert imported.files[0].buckets == {Bucket.IMPORTED: 1, Bucket.ACTION: 2}
    assert imported.tails == {"": ("# -c https://h.example/c.txt",)}


def test_what_is_outside_is_read_where_that_is_allowed(assembled: Assembled) -> None:
    files = {**OUTSIDE, "requirements.txt": "-r ../shared/base.txt\nsix\n-c ../c.txt\n"}
    files["../c.txt"] = "six==1.16.0\nattrs<24\n"
    imported = assembled(files, allow_outside=True)
    assert texts(imported.dependencies) == ["toml", "idna", "six"]
    assert [(pin.name, pin.version) for pin in imported.pins] == [("six", "1.16.0")]
    assert texts(imported.constraints) == ["attrs<24"]
    assert [(file.path, file.role, file.lines) for file in imported.files] == [
        ("requirements.txt", "project", 3),
        ("../shared/base.txt", "project", 2),
        ("../shared/more.txt", "project", 1),
        ("../c.txt", "constraints", 2),
    ]


def test_what_the_command_line_names_needs_no_leave(assembled: Assembled) -> None:
    chosen = {"from_files": ("../shared/more.txt",), "constraints": ("../shared/base.txt",)}
    imported = assembled({**OUTSIDE, "../shared/base.txt": "six==1.16.0\n"}, **chosen)
    assert (texts(imported.dependencies), texts(imported.constraints)) == (
        ["toml"],
        ["six==1.16.0"],
    )


def test_what_the_command_line_names_is_no_url(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "six\n"}, constraints=("https://h.example/c.txt",))
    assert messages(imported) == ["https://h.example/c.txt is not fetched"]


@pytest.mark.parametrize(
    "url",
    [
        *("https://me:s3cret@h.example/a.txt", "https://h.example/a.txt?token=s3cret"),
        *("ftp://h.example/a.txt", "http:a.txt"),
        *("https://${T}@h.example/a.txt", "https://h.example/${T}/a.txt", "https://me:p/w@h/a.txt"),
    ],
)
def test_no_url_is_fetched_nor_shown_with_a_secret(assembled: Assembled, url: str) -> None:
    imported = assembled({"requirements.txt": f"-r {url}\n"}, allow_outside=True)
    [error] = imported.errors
    assert error.message == f"{redacted(url)} is not fetched"
    assert error.hint == "save the file in the project and include that"
    assert "s3cret" not in repr(imported)


@pytest.mark.parametrize(
    "url", ["https://me:p/s3cret@h.example", "https://me:p@s3cret/x@h.example"]
)
@pytest.mark.parametrize(
    "line",
    [
        *("-i {}/simple", "--extra-index-url {}/simple", "-f {}/w", "-r {}/r.txt", "-c {}/c.txt"),
        *("{}/x-1-py3-none-any.whl", "x @ {}/x.zip ; python_version>'3'", "-e git+{}/r.git#egg=x"),
        *("x @ git+{}/r.git", "x @ hg+{}/r", "x {}", "-i {}/simple --bad", "six  # {}", "# {}"),
        *("--use-feature {}", "'{}'"),
    ],
)
def test_no_pasted_password_is_in_the_import(assembled: Assembled, line: str, url: str) -> None:
    for text in (line.format(url), line.format("https://h.example") + "?token=s3cret"):
        for options in ({}, {"keep_going": True, "strip_credentials": True}):
            imported = assembled({"requirements.txt": f"{text}\nidna\n"}, **options)
            told_all = [redacted(str(finding)) for finding in imported.findings]
            assert "s3cret" not in repr(replace(imported, findings=())) + "".join(told_all)


def test_variables_in_includes_are_not_expanded(assembled: Assembled) -> None:
    files = {"requirements.txt": "-r ${WHERE}/a.txt\n", "reqs/a.txt": "six\n"}
    imported = assembled(files, environ={"WHERE": "reqs"})
    assert [(str(error), error.hint) for error in imported.errors] == [
        (
            "requirements.txt:1: ${WHERE}/a.txt is not read: variables in it are not expanded",
            "write the path out",
        )
    ]


def test_a05_a_cycle_is_one_warning(assembled: Assembled) -> None:
    files = {"requirements.txt": "-r a.txt\nsix\n", "a.txt": "-r requirements.txt\nidna\n"}
    imported = assembled(files)
    assert texts(imported.dependencies) == ["idna", "six"]
    assert messages(imported) == [
        "a.txt:1: files include each other: requirements.txt → a.txt → requirements.txt"
    ]
    assert imported.findings[0].severity is Severity.WARNING
    assert assembled(files, strict=True).errors[0].message == imported.findings[0].message


def test_a05_a_file_that_includes_itself_is_read_once(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "six\n-r requirements.txt\n"})
    assert texts(imported.dependencies) == ["six"]
    assert counted(imported) == {"requirements.txt": {"imported": 1, "merged": 1}}


def test_a06_a_diamond_is_read_once(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements.txt": "-r a.txt\n-r b.txt\n",
            "a.txt": "-r c.txt\nidna\n",
            "b.txt": "-r c.txt\ntoml\n",
            "c.txt": "six\n",
        }
    )
    assert texts(imported.dependencies) == ["six", "idna", "toml"]
    assert imported.findings == ()


def test_a07_includes_between_groups_stay_includes(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements/base.txt": "six\n",
            "requirements/test.txt": "-r base.txt\niniconfig\n",
            "requirements/dev.txt": "-r base.txt\n-r test.txt\ntoml\n",
            "requirements/production.txt": "-r base.txt\nidna==3.7\n",
            "requirements/local.txt": "-r dev.txt\nattrs\n",
        }
    )
    assert texts(imported.dependencies) == ["six"]
    assert groups(imported) == {
        "dev": ["[test]", "toml"],
        "local": ["[dev]", "attrs"],
        "production": ["idna==3.7"],
        "test": ["iniconfig"],
    }
    assert counted(imported)["requirements/dev.txt"] == {"imported": 2, "already_default": 1}


def test_the_group_of_production_is_part_of_the_profile_prod(assembled: Assembled) -> None:
    prod = ("tool", "uvflow", "profiles", "prod", "groups")
    files = {"requirements/base.txt": "six\n", "requirements/prod.txt": "-r base.txt\nidna\n"}
    assert {path: line.value for path, line in assembled(files).values.items()} == {prod: ["prod"]}
    assert assembled({"requirements.txt": "six\n", "requirements-dev.txt": "idna\n"}).values == {}


def test_a08_group_files_are_found_by_name_and_merged(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements.txt": "six\n",
            "requirements-dev.txt": "-r requirements.txt\niniconfig==2.0.0\n",
            "requirements-test.txt": "pytest\n",
            "dev-requirements.txt": "toml\n",
            "requirements_docs.txt": "attrs\n",
        }
    )
    assert texts(imported.dependencies) == ["six"]
    assert groups(imported) == {
        "dev": ["toml", "iniconfig==2.0.0"],
        "test": ["pytest"],
        "docs": ["attrs"],
    }
    assert messages(imported) == [
        "requirements-dev.txt:1: group dev combines this file and dev-requirements.txt"
    ]


def test_an_include_of_one_file_of_a_group_is_not_the_whole_group(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements-dev.txt": "six\n",
            "dev-requirements.txt": "toml\n",
            "requirements-test.txt": "-r dev-requirements.txt\nidna\n",
        }
    )
    assert groups(imported)["test"] == ["toml", "idna"]


def test_groups_that_include_each_other_are_no_cycle_of_groups(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements-dev.txt": "-r requirements-test.txt\nsix\n",
            "requirements-test.txt": "-r requirements-dev.txt\nidna\n",
        }
    )
    assert groups(imported) == {"dev": ["idna", "six"], "test": ["six", "idna"]}


def test_what_a_project_file_includes_is_the_projects(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements.txt": "-r requirements/production.txt\n",
            "requirements/production.txt": "-r base.txt\nidna\n",
            "requirements/base.txt": "six\n",
            "requirements/dev.txt": "-r production.txt\ntoml\n",
        }
    )
    assert texts(imported.dependencies) == ["six", "idna"]
    assert groups(imported) == {"dev": ["toml"]}


@pytest.mark.parametrize(("line", "bucket"), [("-e .", "already_default"), ("-e .[x]", "settings")])
def test_a24_the_project_itself_is_default_and_its_extras_are_a_setting(
    assembled: Assembled, line: str, bucket: str
) -> None:
    imported = assembled({"requirements.txt": line, "pyproject.toml": "[build-system]\n"})
    assert counted(imported) == {"requirements.txt": {bucket: 1}}


def test_a09_every_spelling_of_an_option_is_read(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements.txt": f"-rbase.txt\n--requirement=x.txt\n-cc.txt\n-i{PYPI}\n",
            "base.txt": "six\n",
            "x.txt": "idna\n",
            "c.txt": "attrs<24\n",
        }
    )
    assert texts(imported.dependencies) == ["six", "idna"]
    assert texts(imported.constraints) == ["attrs<24"]
    assert imported.indexes == ()
    assert counted(imported)["requirements.txt"] == {"imported": 3, "already_default": 1}


def test_a11_an_undecodable_file_stops_the_import_even_when_going_on(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "six  # é".encode("latin-1")}, keep_going=True)
    assert [str(e) for e in imported.errors] == ["requirements.txt:1: byte 7 (0xe9) is not utf-8"]


def test_a12_duplicates_are_merged(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "six==1.16.0\nSix==1.16.0\nidna\nidna>=3\n"})
    assert texts(imported.dependencies) == ["six==1.16.0", "idna>=3"]
    assert messages(imported) == [
        "requirements.txt:2: `Six==1.16.0` is covered by `six==1.16.0` (requirements.txt:1)",
        "requirements.txt:3: `idna` is covered by `idna>=3` (requirements.txt:4)",
    ]
    assert counted(imported) == {"requirements.txt": {"imported": 2, "merged": 2}}


def test_a13_two_pins_of_one_package_stop_the_import(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "six==1.16.0\nsix==1.15.0\n"})
    assert [str(error) for error in imported.errors] == [
        "requirements.txt:2: `six==1.15.0` conflicts with `six==1.16.0` (requirements.txt:1)"
    ]


A14 = {"requirements.txt": "six==1.16.0\n", "requirements-dev.txt": "idna\nsix==1.15.0\n"}


def test_a14_a_group_that_contradicts_the_project_stops_the_import(assembled: Assembled) -> None:
    (error,) = assembled(A14).errors
    assert str(error) == (
        "requirements-dev.txt:2: `six==1.15.0` conflicts with `six==1.16.0` (requirements.txt:1)"
    )
    assert error.hint == (
        "make the two lines agree, or use the project's with `--on-conflict=prefer-base`"
    )


def test_a14_prefer_base_takes_the_projects(assembled: Assembled) -> None:
    imported = assembled(A14, on_conflict="prefer-base")
    assert groups(imported) == {"dev": ["idna"]}
    assert messages(imported, Severity.ACTION) == [
        (
            "requirements-dev.txt:2: `six==1.15.0` conflicts with `six==1.16.0`"
            " (requirements.txt:1): the project's line is used"
        )
    ]
    assert counted(imported)["requirements-dev.txt"] == {"imported": 1, "needs_action": 1}


def test_a15_every_bad_line_is_told_at_once(assembled: Assembled) -> None:
    text = (
        'this is not a requirement\nsix=1.16.0\n"six==1.16.0"\nidna>=3.*\nsix==${V}\nsix[x]=1.*\n'
    )
    imported = assembled({"requirements.txt": text})
    assert [(str(e), e.hint) for e in imported.errors] == [
        (
            "requirements.txt:1: `this is not a requirement` is not a requirement",
            "correct the line, or skip it with `--keep-going`",
        ),
        (
            "requirements.txt:2: `six=1.16.0` is not a requirement",
            "did you mean `six==1.16.0`?",
        ),
        (
            'requirements.txt:3: `"six==1.16.0"` is not a requirement',
            "correct the line, or skip it with `--keep-going`",
        ),
        (
            "requirements.txt:4: `idna>=3.*` is not a requirement",
            "correct the line, or skip it with `--keep-going`",
        ),
        (
            "requirements.txt:5: `six==${V}` is not a requirement",
            "write out the value of V",
        ),
        (
            "requirements.txt:6: `six[x]=1.*` is not a requirement",
            "did you mean `six[x]==1.*`?",
        ),
    ]


def test_a15_keep_going_keeps_bad_lines_as_comments(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "six=1\nidna\n--bogus\n"}, keep_going=True)
    assert imported.errors == ()
    assert imported.dependencies[0].above == ("# six=1",)
    assert imported.tails == {"": ("# --bogus",)}
    assert counted(imported) == {"requirements.txt": {"imported": 1, "needs_action": 2}}
    assert [f.severity for f in imported.findings] == [Severity.ACTION, Severity.ACTION]


def test_a26_constraints_hold_what_is_wanted_softly_and_the_rest_for_good(
    assembled: Assembled,
) -> None:
    imported = assembled(
        {
            "requirements.txt": "-c constraints.txt\nrequests\n",
            "constraints.txt": "requests==2.28.0\nidna==2.10  # for now\nrequests!=2.29\n",
        }
    )
    assert texts(imported.dependencies) == ["requests"]
    assert [(pin.name, pin.version) for pin in imported.pins] == [("requests", "2.28.0")]
    assert [(c.text, c.comment) for c in imported.constraints] == [
        ("idna==2.10", "# for now"),
        ("requests!=2.29", ""),
    ]
    assert counted(imported)["constraints.txt"] == {"imported": 1, "settings": 2}


def test_a26_a_constraint_that_contradicts_stops_the_import(assembled: Assembled) -> None:
    files = {"requirements.txt": "six==1.16.0\n", "constraints.txt": "six<1.16\n"}
    assert [str(error) for error in assembled(files).errors] == [
        (
            "constraints.txt:1: the constraint `six<1.16` conflicts with `six==1.16.0` "
            "(requirements.txt:1)"
        )
    ]


def test_a27_a_compiled_file_gives_the_pins(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements.in": "requests\n-e ./lib\n",
            "requirements.txt": "-e ./lib\nidna==2.10 \\\n    --hash=sha256:aa\n"
            "    # via requests\nrequests==2.28.0\n    # via -r requirements.in\n",
            "requirements-dev.in": "-c requirements.txt\npytest\n",
            "requirements-dev.txt": "idna==2.10\npytest==8.0.0\n",
            "lib/pyproject.toml": '[project]\nname = "lib"\n',
        }
    )
    assert texts(imported.dependencies) == ["requests", "lib"]
    assert groups(imported) == {"dev": ["pytest"]}
    assert [(pin.name, pin.version, pin.hashes) for pin in imported.pins] == [
        ("idna", "2.10", ("sha256:aa",)),
        ("requests", "2.28.0", ()),
        ("pytest", "8.0.0", ()),
    ]
    assert imported.findings == ()
    assert counted(imported) == {
        "requirements.in": {"imported": 2},
        "requirements-dev.in": {"imported": 2},
        "requirements.txt": {"imported": 2, "merged": 1},
        "requirements-dev.txt": {"imported": 1, "merged": 1},
    }


def test_a27_pins_that_differ_go_with_the_project(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements.in": "six\n",
            "requirements.txt": "six==1.16.0\n",
            "requirements-dev.in": "toml\n",
            "requirements-dev.txt": "six==1.15.0\ntoml>=0.10\n",
        }
    )
    assert [(pin.name, pin.version) for pin in imported.pins] == [("six", "1.16.0")]
    assert messages(imported, Severity.ACTION) == [
        (
            "requirements-dev.txt:1: `six==1.15.0` conflicts with the pin 1.16.0"
            " (requirements.txt:1), which is used"
        ),
        "requirements-dev.txt:2: `toml>=0.10` is not a pin, and the `.in` file does not ask for it",
    ]


def test_a27_an_include_of_a_compiled_file_is_one_of_its_source(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements/base.in": "six\n",
            "requirements/base.txt": "six==1.16.0\n",
            "requirements/dev.in": "-r base.txt\n-r test.txt\ntoml\n",
            "requirements/test.in": "idna\n",
            "requirements/test.txt": "idna==3.7\n",
        }
    )
    assert texts(imported.dependencies) == ["six"]
    assert groups(imported) == {"dev": ["[test]", "toml"], "test": ["idna"]}
    assert [pin.name for pin in imported.pins] == ["six", "idna"]


def test_a28_what_no_index_has_needs_action(assembled: Assembled) -> None:
    imported = assembled(
        {
            "requirements.txt": "pip==24.0\nsetuptools==69.0.0\npkg-resources==0.0.0\n"
            "python-debian==0.1.43+ubuntu1.1\ndistro-info===1.1build1\nsix==1.16.0\n"
            "idna @ file:///home/conda/feedstock_root/build_artifacts/idna_1713279365350/work\n"
            "toml @ file:///croot/toml-0.10.2/work\n-e /home/dev/app\n"
        }
    )
    assert texts(imported.dependencies) == [
        "pip==24.0",
        "setuptools==69.0.0",
        "six==1.16.0",
        "idna",
        "toml==0.10.2",
    ]
    assert imported.errors == ()
    assert messages(imported) == [
        (
            "requirements.txt:3: `pkg-resources==0.0.0` is not a package: Debian's pip lists a "
            "part of setuptools under this name"
        ),
        (
            "requirements.txt:4: `python-debian==0.1.43+ubuntu1.1` is a version that only a Linux "
            "distribution has"
        ),
        "requirements.txt:5: `distro-info===1.1build1` is a version that uv cannot read (PEP 440)",
        "requirements.txt:7: `idna` was built by conda; it becomes `idna`",
        "requirements.txt:8: `toml` was built by conda; it becomes `toml==0.10.2`",
        "requirements.txt:9: /home/dev/app is not on this machine",
    ]
    assert counted(imported) == {"requirements.txt": {"imported": 3, "needs_action": 6}}
    assert imported.tails == {"": ("# -e /home/dev/app",)}


def test_nobody_is_shown_a_line_of_a_megabyte(assembled: Assembled) -> None:
    (finding,) = assembled({"requirements.txt": "=" * 10**6}).errors
    assert finding.message == f"`{'=' * 999}… (1000023 characters)"


def test_files_that_all_include_each_other_are_read_in_time(assembled: Assembled) -> None:
    names = [f"requirements/g{n}.txt" for n in range(30)]
    text = "".join(f"-r g{n}.txt\n" for n in range(30)) + "six\n"
    started = time.process_time()
    assert groups(assembled(dict.fromkeys(names, text))).keys() == {f"g{n}" for n in range(30)}
    assert time.process_time() - started < 30


def test_no_files_are_an_empty_import(assembled: Assembled) -> None:
    assert assembled({}) == ImportedRequirements(findings=(), files=())


def test_a_chosen_file_that_is_not_there_stops_the_import(assembled: Assembled) -> None:
    assert messages(assembled({}, from_files=("nope.txt",))) == ["file nope.txt not found"]


def test_includes_may_be_nested_deeper_than_the_stack(assembled: Assembled) -> None:
    files = {f"{n}.txt": f"-r {n + 1}.txt\np{n}\n" for n in range(3000)}
    imported = assembled({"requirements.txt": "-r 0.txt\n", **files, "3000.txt": "six\n"})
    assert len(imported.dependencies) == 3001


LINES = (
    *(
        "six",
        "six==1.16.0",
        "Six==1.15.0",
        "six>=1.15 # c",
        "idna ; python_version < '3.9'",
        "a[x]",
    ),
    *("-r a.txt", "-r requirements.txt", "-r requirements-dev.txt", "-c c.txt", "-r c.txt"),
    *("-c requirements.txt", "-r nope.txt", "-r requirements.in", "-r ../x.txt", "-e ./lib"),
    *("-e .[x]", "./lib ; os_name == 'nt'", "git+git@h:o/r.git@v1", "hg+https://h/r#egg=x"),
    *("x @ https://u:p@h/x-1-py3-none-any.whl", "-i https://u:${P}@idx.example/s", "-i ${I}"),
    *("--extra-index-url https://h:bad]/", "http://[x", "-f ./w", "--no-binary :all:,six"),
    *("--only-binary=six", "--pre", "--require-hashes", "six --hash=sha256:aa", "--bogus", "'"),
    *("torch==2.1.0+cpu", "-i https://download.pytorch.org/whl/cpu", "# c", "", "\\", " ", "é\\"),
    *("x @ git+https://u:p@h/r", "x @ git+https://${P}@h/s ; os_name == 'nt'", "-r a\0b"),
    *("x===1.1build1", "pkg-resources==0", "x @ file:///croot/x-1.0/work", "file:%zz", "x @ "),
)
NAMES = ("requirements.txt", "requirements.in", "requirements-dev.txt", "a.txt", "c.txt")
CONTENTS = st.lists(st.sampled_from(LINES) | st.text(max_size=12), max_size=8).map("\n".join)


@settings(max_examples=400)
@given(
    files=st.dictionaries(st.sampled_from((*NAMES, "constraints.txt")), CONTENTS | st.binary()),
    keep_going=st.booleans(),
    strict=st.booleans(),
    strip_credentials=st.booleans(),
    on_conflict=st.sampled_from(("fail", "prefer-base", "declare")),
)
def test_nothing_raises_and_the_buckets_add_up(files: Any, **chosen: Any) -> None:
    options = ImportOptions(**chosen)
    contents = {name: c if isinstance(c, bytes) else c.encode() for name, c in files.items()}

    def read(path: str) -> bytes:
        if path in contents:
            return contents[path]
        raise FileNotFoundError(2, "No such file or directory", path)

    imported = import_files(input_files(files, options), Reader(read_file=read, options=options))
    for file in imported.files:
        assert sum(file.buckets.values()) == file.lines
    needs_user = any(f.severity in (Severity.ACTION, Severity.ERROR) for f in imported.findings)
    assert needs_user or not any(file.buckets.get(Bucket.ACTION) for file in imported.files)
    assert "u:p@" not in repr(imported)


def test_of_five_thousand_requirements_none_is_lost() -> None:
    lines = "\n".join(f"package-{n}=={n}.0 --hash=sha256:{n:064x}  # via x" for n in range(5000))
    files = [InputFile(path="r.txt", role=Role.PROJECT)]
    imported = import_files(files, Reader(read_file=lambda _: lines.encode()))
    assert len(imported.dependencies) == 5000
