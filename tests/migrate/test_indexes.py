from typing import Any

import pytest

from uvflow.findings import Severity
from uvflow.migrate.indexes import PYPI
from uvflow.migrate.model import ImportedRequirements

Assembled = Any  # see conftest


def messages(imported: ImportedRequirements, *severities: Severity) -> list[str]:
    return [str(f) for f in imported.findings if f.severity in severities]


def buckets(imported: ImportedRequirements) -> dict[str, int]:
    return {bucket.value: n for bucket, n in imported.files[0].buckets.items()}


def test_a16_an_index_becomes_the_default(assembled: Assembled) -> None:
    text = "--index-url https://idx.acme.example/simple\nsix\n"
    imported = assembled({"requirements.txt": text})
    assert imported.indexes == (
        {"name": "idx-acme-example", "url": "https://idx.acme.example/simple", "default": True},
    )
    assert imported.findings == ()
    assert buckets(imported) == {"imported": 1, "settings": 1}


@pytest.mark.parametrize(
    "url",
    [PYPI, f"{PYPI}/", PYPI.replace("https", "http")],
)
def test_pypis_own_index_is_the_default_already(assembled: Assembled, url: str) -> None:
    imported = assembled({"requirements.txt": f"-i {url}\n--extra-index-url {url}\n"})
    assert imported.indexes == ()
    assert buckets(imported) == {"already_default": 2}


EXTRA = "--extra-index-url https://me:s3cr%40t@idx.acme.example/simple/\nsix\n"


def test_a17_credentials_are_taken_out(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": EXTRA})
    assert imported.indexes == (
        {
            "name": "idx-acme-example",
            "url": "https://idx.acme.example/simple/",
            "authenticate": "always",
        },
    )
    assert imported.credentials == {
        "UV_INDEX_IDX_ACME_EXAMPLE_USERNAME": "me",
        "UV_INDEX_IDX_ACME_EXAMPLE_PASSWORD": "s3cr@t",
    }
    assert messages(imported, Severity.ACTION) == [
        (
            "requirements.txt:1: the credentials of https://idx.acme.example/simple/ were removed, "
            "but uv has them for this run; requirements.txt still contains them"
        )
    ]
    assert "s3cr" not in repr(imported)


def test_a17_the_hint_says_how_to_log_in(assembled: Assembled) -> None:
    hints = [f.hint for f in assembled({"requirements.txt": EXTRA}).findings]
    assert hints == [
        (
            "bind packages to their index in [tool.uv.sources], or do as pip does with"
            ' `index-strategy = "unsafe-best-match"`'
        ),
        (
            "log in with `uv auth login https://idx.acme.example/simple/`, or set "
            "UV_INDEX_IDX_ACME_EXAMPLE_USERNAME and UV_INDEX_IDX_ACME_EXAMPLE_PASSWORD"
        ),
    ]


def test_a17_that_uv_goes_through_indexes_in_order_is_a_warning(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": EXTRA})
    assert messages(imported, Severity.WARNING) == [
        (
            "requirements.txt:1: pip installs the best version of all indexes, uv that of the first"
            " index with the package: https://idx.acme.example/simple/ comes before the default"
            " index"
        )
    ]


VARIABLES = "--index-url https://${ACME_USER}:${ACME_PASS}@idx.acme.example/simple\nsix\n"


def test_a18_variables_are_looked_up_and_stay_out_of_everything(assembled: Assembled) -> None:
    environ = {"ACME_USER": "me", "ACME_PASS": "s3cret"}
    imported = assembled({"requirements.txt": VARIABLES}, environ=environ)
    assert imported.credentials == {
        "UV_INDEX_IDX_ACME_EXAMPLE_USERNAME": "me",
        "UV_INDEX_IDX_ACME_EXAMPLE_PASSWORD": "s3cret",
    }
    assert imported.indexes[0]["url"] == "https://idx.acme.example/simple"
    assert messages(imported, Severity.ACTION) == [
        (
            "requirements.txt:1: the credentials of https://idx.acme.example/simple were removed, "
            "but uv has them for this run"
        )
    ]
    assert "s3cret" not in repr(imported)


def test_a18_an_unset_variable_stops_the_import(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": VARIABLES}, environ={"ACME_PASS": ""})
    assert messages(imported, Severity.ERROR) == [
        (
            "requirements.txt:1: https://idx.acme.example/simple needs ACME_USER and ACME_PASS "
            "in the environment"
        )
    ]


def test_a18_keep_going_leaves_the_login_to_the_user(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": VARIABLES}, keep_going=True)
    assert (imported.errors, imported.credentials) == ((), {})
    assert imported.indexes[0]["authenticate"] == "always"
    assert buckets(imported) == {"imported": 1, "needs_action": 1}


def test_a_token_is_a_user_without_a_password(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "-i https://token@idx.example:8443/simple\n"})
    assert imported.credentials == {"UV_INDEX_IDX_EXAMPLE_8443_USERNAME": "token"}


@pytest.mark.parametrize("url", ["${INDEX}", "https://${HOST}/simple"])
def test_a_variable_in_the_url_itself_stops_the_import(assembled: Assembled, url: str) -> None:
    imported = assembled({"requirements.txt": f"-i {url}\n"}, environ={"INDEX": "x", "HOST": "x"})
    assert messages(imported, Severity.ERROR) == [
        f"requirements.txt:1: uv does not expand variables in an index URL: {url}"
    ]


def test_credentials_that_cannot_be_told_apart_stop_the_import(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "-i https://me:se/cret@idx.example/simple\n"})
    assert messages(imported, Severity.ERROR) == [
        "requirements.txt:1: the credentials of this URL have no clear end"
    ]
    assert "cret@" not in repr(imported)


def test_two_indexes_of_one_host_have_two_names(assembled: Assembled) -> None:
    text = "-i https://idx.example/a\n--extra-index-url https://idx.example/b\n"
    imported = assembled({"requirements.txt": text})
    assert [index["name"] for index in imported.indexes] == ["idx-example", "idx-example-2"]


def test_an_index_that_is_said_twice_is_one(assembled: Assembled) -> None:
    files = {
        "requirements.in": "-i https://idx.example/a\nsix\n",
        "requirements.txt": "-i https://idx.example/a/\nsix==1.16.0\n",
    }
    imported = assembled(files)
    assert [index["url"] for index in imported.indexes] == ["https://idx.example/a"]
    assert [f.buckets for f in imported.files] == [
        {"imported": 1, "settings": 1},
        {"imported": 1, "merged": 1},
    ]


def test_of_two_index_urls_pip_takes_the_last(assembled: Assembled) -> None:
    text = "-i https://one.example/simple\n-i https://two.example/simple\n"
    imported = assembled({"requirements.txt": text})
    assert [index["url"] for index in imported.indexes] == ["https://two.example/simple"]
    assert messages(imported, Severity.ACTION) == [
        (
            "requirements.txt:1: https://one.example/simple ignored: another "
            "`--index-url` is the default index"
        )
    ]


def test_pypi_besides_another_index_is_asked_last(assembled: Assembled) -> None:
    text = f"-i https://idx.example/simple\n--extra-index-url {PYPI}\n"
    imported = assembled({"requirements.txt": text})
    assert imported.indexes == ({"name": "idx-example", "url": "https://idx.example/simple"},)


PYTORCH = "https://download.pytorch.org/whl"


def test_a_pytorch_index_is_for_pytorch_alone(assembled: Assembled) -> None:
    text = (
        f"--extra-index-url {PYTORCH}/cu121\ntorch==2.1.0\ntorchvision ; os_name == 'posix'\n"
        "xformers==0.0.23+cu121\nsix\n"
    )
    imported = assembled({"requirements.txt": text})
    assert imported.indexes == (
        {"name": "pytorch-cu121", "url": f"{PYTORCH}/cu121", "explicit": True},
    )
    assert imported.sources == {
        "torch": {"index": "pytorch-cu121"},
        "torchvision": {"index": "pytorch-cu121", "marker": 'os_name == "posix"'},
        "xformers": {"index": "pytorch-cu121"},
    }
    assert imported.findings == ()


def test_the_build_of_a_pin_decides_between_pytorch_indexes(assembled: Assembled) -> None:
    files = {
        "requirements.txt": f"-i {PYTORCH}/cpu\n--extra-index-url {PYTORCH}/cu121\n"
        "torch==2.1.0+cu121\n"
    }
    assert assembled(files).sources == {"torch": {"index": "pytorch-cu121"}}


def test_a_pytorch_index_that_nothing_comes_from_needs_action(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": f"--extra-index-url {PYTORCH}/cpu\nsix\n"})
    assert messages(imported, Severity.ACTION) == [
        f"requirements.txt:1: no requirement uses {PYTORCH}/cpu: torch is not among them"
    ]
    assert buckets(imported) == {"imported": 1, "needs_action": 1}
