"""What is read of setup.cfg and setup.py, and what is not."""

import pytest

from uvflow.errors import UsageError
from uvflow.migrate.formats.setup_script import (
    COMPUTED,
    SETUP_CFG,
    SETUP_PY,
    Reference,
    items_of,
    read_options,
)


def value(text: str, name: str = "x") -> object:
    return read_options(SETUP_PY, text.encode())[name].value


def test_a_setup_script_is_read_and_never_run() -> None:
    text = "raise SystemExit\nsetup(packages=['x'], zip_safe=find())\n"
    found = read_options(SETUP_PY, text.encode())
    assert {name: option.value for name, option in found.items()} == {
        "packages": ["x"],
        "zip_safe": COMPUTED,
    }
    assert [str(origin) for origin in found["packages"].origins] == ["setup.py:2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 'v'\nsetup(x=a)", "v"),
        ("a = ['v']\nsetuptools.setup(x=a)", ["v"]),
        ("a = 'v'\nf(a.upper())\nsetup(x=a)", "v"),
        ("a = {'k': ['v']}\nsetup(**{'x': a})", {"k": ["v"]}),
        ("a = 'v'\nexec(code, b)\nsetup(x=a)", "v"),
        ("a = ['v']\nsetup(x={'k': a}, y=a)", {"k": ["v"]}),
        ("a = ['v']\nb = {'k': a}\nsetup(x=b, y=a)", {"k": ["v"]}),
        ("a = ['v']\nall = a + ['w']\nfor b in a:\n    print(b)\nsetup(x=a, y=all)", ["v"]),
        ("setup(x=dict(k=('v',)))", {"k": ["v"]}),
        ("setup(x='a' 'b')", "ab"),
        ("setup(x=open('f').read())", Reference(kind="file", names=("f",))),
        ("setup(x=io.open('f', 'rb').readlines())", Reference(kind="file", names=("f",))),
        ("setup(x=Path('f').read_text())", Reference(kind="file", names=("f",))),
        ("if y:\n    setup(x=1)\nelse:\n    setup(x=1)", 1),
    ],
)
def test_what_is_a_literal_or_the_name_of_one_is_read(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a = 'v'\na = 'w'\nsetup(x=a)",
        "a = ['v']\na.append('w')\nsetup(x=a)",
        "a = ['v']\na += ['w']\nsetup(x=a)",
        "a = {}\na['k'] = 'v'\nsetup(x=a)",
        "a = b = ['v']\nb.append('w')\nsetup(x=a)",
        "a = ['v']\nb = a\nb.append('w')\nsetup(x=a)",
        "a = 'v'\ndef main(a):\n    setup(x=a)",
        "a = 'v'\nglobals()['a'] = 'w'\nsetup(x=a)",
        "a = ['v']\nchange(a)\nsetup(x=a)",
        "a = ['v']\nb = {'k': a}\nb['k'].append('w')\nsetup(x=a)",
        "a = ['v']\nb.c = [a]\nsetup(x=a)",
        "if y:\n    a = 'v'\nsetup(x=a)",
        "a = 'v'\nexec(open('b').read())\nsetup(x=a)",
        "a = 'v'\nfrom b import *\nsetup(x=a)",
        "from b import a\nsetup(x=a)",
        "def a():\n    pass\nsetup(x=a())",
        "setup(x=f'{a}')",
        "setup(x=['a', b])",
        "setup(x={b: 'a'})",
        "setup(x=open(name).read())",
        "setup(x=open('f').read().strip())",
        "if y:\n    setup(x=1)\nelse:\n    setup(x=2)",
    ],
)
def test_what_a_run_may_change_is_computed(text: str) -> None:
    assert value(text) is COMPUTED


CFG = """\
[metadata]
home-page = https://h.example
version = file: VERSION, MORE

[options]
install_requires =
    # a comment
    six; python_version < "3.11"

    idna
setup_requires = a; b

[options.extras_require]
Io = attrs
all = %(Io)s
"""


def test_the_keys_of_a_setup_cfg_are_arguments_with_their_lines() -> None:
    found = read_options(SETUP_CFG, CFG.encode())
    assert found["url"].value == "https://h.example"
    assert found["version"].value == Reference(kind="file", names=("VERSION", "MORE"))
    items = items_of(found["install_requires"].value)
    assert [(item.line, item) for item in items] == [
        (8, 'six; python_version < "3.11"'),
        (10, "idna"),
    ]
    assert items_of(found["setup_requires"].value, ";") == ["a", "b"]
    assert found["extras_require"].value == {"Io": "attrs", "all": "attrs"}
    assert [origin.line for origin in found["extras_require"].origins] == [14, 15]


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (SETUP_PY, "setup(\n", "setup.py:1 cannot be read"),
        (SETUP_PY, "\nsetup(**f())", "setup.py:2 cannot be read"),
        (SETUP_CFG, "no section\n", "setup.cfg:1 cannot be read"),
        (SETUP_CFG, "[a]\nb = %(c)s\n[options]\nx = %(c)s\n", "setup.cfg cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused(path: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_options(path, text.encode())
    assert str(caught.value) == message


def test_a_setup_script_has_the_encoding_that_it_names() -> None:
    data = "# coding: latin-1\nsetup(author='J\xe9r\xf4me')\n".encode("latin-1")
    assert read_options(SETUP_PY, data)["author"].value == "J\xe9r\xf4me"
    assert read_options(SETUP_PY, b"\xef\xbb\xbfsetup(x=1)\n")["x"].value == 1
