import pytest

from uvflow.imports.model import Import, Origin, Requirement
from uvflow.unsolved import hint, lines


def wanted(*texts: str) -> Import:
    names = [text.partition("=")[0].partition(">")[0].lower() for text in texts]
    return Import(
        dependencies=tuple(
            Requirement(text=text, name=name, origin=Origin(path="requirements.txt", line=n))
            for n, (text, name) in enumerate(zip(texts, names, strict=True), 1)
        )
    )


SAID = """Using CPython 3.11.7 interpreter at: six
error: No solution found when resolving dependencies for split (markers: python_full_version >= '3')
  cause: Because idna{python_full_version >= '3'}==2.0 depends on toml>=2 and toml-x<1, ...
"""


def test_the_lines_that_uv_speaks_of_are_named() -> None:
    assert lines(SAID, wanted("six==1.0", "Idna==2.0", "toml==1.0", "x>1", "split")) == (
        "`Idna==2.0` (requirements.txt:2)",
        "`toml==1.0` (requirements.txt:3)",
    )


def test_of_many_lines_six_are_named() -> None:
    names = [f"p{number}==1" for number in range(9)]
    told = lines(f"error: {' and '.join(names)}", wanted(*names))
    assert (len(told), told[-1]) == (7, "3 more")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "there is no version of torch==2.1.0+cu118 and",
            "put `--extra-index-url https://download.pytorch.org/whl/cu118` into the file",
        ),
        ("there is no version of x==9 and", "ask for a version of x that an index has"),
        ("Because gone was not found in the package registry", "take gone out of the file"),
        ("the following Python ABI tags: `cp37m`, `cp310`", "choose a Python it was made for"),
        ("resolved to Python 3.11.7, which is", "take a Python that fits"),
        ("No interpreter found for Python >=3.14", "see `uv python list`"),
        (
            "your project and app:docs are incompatible",
            "make these lines agree, or leave the file of group docs out",
        ),
        (
            "No solution found. hint: Consider limiting your project's supported Python versions",
            "narrow `requires-python`",
        ),
        ("No solution found when resolving", "change one of these lines"),
        ("error: Failed to build `x==1.0`", "ask for a version of x that has a wheel"),
        ("something else", ""),
    ],
)
def test_what_uv_says_has_a_hint(said: str, told: str) -> None:
    assert (hint(said) or "").startswith(told)
    assert (hint(said) is None) is (not told)


def test_an_abi_tag_tells_which_python() -> None:
    assert hint("Python ABI tags: `cp37m`, `cp310`") == (
        "choose a Python it was made for, as in `uvflow init --python 3.10`"
    )
