from typing import Any

import pytest

from uvflow.findings import Severity
from uvflow.migrate.model import ImportedRequirements

Assembled = Any  # see conftest


def actions(imported: ImportedRequirements) -> list[str]:
    return [str(f) for f in imported.findings if f.severity is Severity.ACTION]


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        ("--no-index", {"no-index": True}),
        ("--find-links ./wheels", {"find-links": ["wheels"]}),
        ("-f https://h/wheels/\n-f w", {"find-links": ["https://h/wheels/", "w"]}),
        ("--pre", {"prerelease": "allow"}),
        ("--no-binary six,Idna", {"no-binary-package": ["six", "idna"]}),
        ("--only-binary=:all:", {"no-build": True}),
        ("--no-binary :all:", {"no-binary": True}),
        ("--no-index --pre", {"no-index": True, "prerelease": "allow"}),
    ],
)
def test_a25_options_become_settings(
    assembled: Assembled, lines: str, settings: dict[str, Any]
) -> None:
    imported = assembled({"requirements.txt": f"{lines}\n"})
    assert imported.settings == settings
    assert imported.findings == ()
    assert set(imported.files[0].buckets) == {"settings"}


@pytest.mark.parametrize(
    "lines",
    [
        "--only-binary a\n--no-binary a",
        "--no-binary a\n--only-binary :all:",
        "--no-binary :all:\n--no-binary :none:",
    ],
)
def test_a25_lines_of_which_one_revokes_another_are_for_the_user(
    assembled: Assembled, lines: str
) -> None:
    imported = assembled({"requirements.txt": f"{lines}\n"})
    assert imported.settings == {}
    assert [finding.code for finding in imported.findings] == ["format-exceptions"] * 2
    assert imported.files[0].buckets == {"needs_action": 2}


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        ("--no-binary :all:\n--no-binary a", {"no-binary": True}),
        ("--no-binary :all:\n--only-binary ,", {"no-binary": True}),
        (
            "--no-binary a\n--only-binary b",
            {"no-binary-package": ["a"], "no-build-package": ["b"]},
        ),
    ],
)
def test_a25_lines_that_agree_are_settings_together(
    assembled: Assembled, lines: str, settings: dict[str, Any]
) -> None:
    imported = assembled({"requirements.txt": f"{lines}\n"})
    assert (imported.settings, imported.findings) == (settings, ())
    assert imported.files[0].buckets == {"settings": 2}


def test_a25_links_are_found_beside_the_file_as_pip_finds_them(assembled: Assembled) -> None:
    files = {
        "requirements.txt": "-r reqs/base.txt\n",
        "reqs/base.txt": "-f a.html\n-f b.html\n",
        "reqs/a.html": "",
    }
    assert assembled(files).settings == {"find-links": ["reqs/a.html", "b.html"]}


def test_a25_an_option_that_is_said_twice_is_merged(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "--pre\n--pre\n"})
    assert imported.files[0].buckets == {"settings": 1, "merged": 1}


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (
            "--trusted-host idx.example",
            (
                "`--trusted-host idx.example` was not imported: in uv it would disable TLS"
                " verification for that host everywhere"
            ),
            'if that is intended: `allow-insecure-host = ["idx.example"]` in [tool.uv]',
        ),
        (
            "--prefer-binary",
            "uv has no equivalent of `--prefer-binary`",
            "see uv's settings reference for one that comes near, or remove it",
        ),
        (
            "six --config-settings=--build-option=x",
            "uv has no equivalent of `--config-settings`",
            "see uv's settings reference for one that comes near, or remove it",
        ),
        (
            "six --global-option=x",
            "uv has no equivalent of `--global-option`",
            "see uv's settings reference for one that comes near, or remove it",
        ),
        (
            "--use-feature=fast-deps",
            "uv has no equivalent of `--use-feature`",
            "see uv's settings reference for one that comes near, or remove it",
        ),
        (
            "six --pre",
            "pip ignores `--pre` here",
            "remove it, or put it on a line of its own",
        ),
        (
            "--only-binary :all: --no-binary six",
            "`--only-binary :all: --no-binary six`: in uv no line is an exception to another",
            "write what counts into [tool.uv]: see `no-binary` and `no-build` there",
        ),
        *(
            (
                f"-f {url}",
                "`--find-links` with credentials or a variable was not imported",
                "write it into `find-links` in [tool.uv] without; uv logs in with a netrc file",
            )
            for url in ("https://${HOST}/wheels", "https://me:secret@h/wheels")
        ),
    ],
)
def test_a25_what_uv_has_not_needs_action(
    assembled: Assembled, line: str, message: str, hint: str
) -> None:
    imported = assembled({"requirements.txt": f"{line}\n"})
    assert [(str(f), f.hint, f.severity) for f in imported.findings] == [
        (f"requirements.txt:1: {message}", hint, Severity.ACTION)
    ]
    assert imported.files[0].buckets == {"needs_action": 1}


def test_a20_hashes_are_demanded_of_every_line(assembled: Assembled) -> None:
    files = {
        "requirements.txt": "--require-hashes\nsix==1.16.0 --hash=sha256:aa\nidna==3.7\n-r a.txt\n",
        "a.txt": "toml==0.10.2\nattrs @ https://h/attrs-1-py3-none-any.whl#sha256=aa\n",
        "requirements-dev.txt": "pytest\n",
    }
    assert [str(error) for error in assembled(files).errors] == [
        "requirements.txt:3: `idna==3.7` has no hash, and requirements.txt:1 requires one",
        "a.txt:1: `toml==0.10.2` has no hash, and requirements.txt:1 requires one",
    ]


def test_a20_where_all_have_hashes_nothing_has_to_be_said(assembled: Assembled) -> None:
    text = "--require-hashes\nsix==1.16.0 --hash=sha256:aa\n"
    imported = assembled({"requirements.txt": text})
    assert imported.findings == ()
    assert imported.files[0].buckets == {"imported": 1, "already_default": 1}
    assert imported.dependencies[0].hashes == ("sha256:aa",)


def test_what_no_package_is_called_is_told(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "--only-binary numpy,a--pre=b\n"})
    assert imported.settings == {"no-build-package": ["numpy"]}
    assert actions(imported) == ["requirements.txt:1: `a--pre=b` is not the name of a package"]
