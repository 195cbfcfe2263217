import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvflow.migrate.formats.pip.requirements_txt import Line, parse_requirements

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what pip carries along
    from pip._internal.exceptions import InstallationError
    from pip._internal.req.req_file import RequirementsFileParser, get_line_parser

# What a line says: its number, the requirement, whether that is editable, its options.
Said = tuple[int, str, bool, dict[str, Any]]

LISTS = {
    "--extra-index-url": "extra_index_urls",
    "--find-links": "find_links",
    "--requirement": "requirements",
    "--constraint": "constraints",
    "--editable": "editables",
    "--trusted-host": "trusted_hosts",
}
FLAGS = {
    "--no-index": "no_index",
    "--pre": "pre",
    "--prefer-binary": "prefer_binary",
    "--require-hashes": "require_hashes",
}


def by_pip(path: Path) -> list[Said] | None:
    """The lines of the file as pip's own parser has them; None where it refuses the file."""
    session: Any = None  # it is for files on the web
    parser = RequirementsFileParser(session, get_line_parser(None))
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return [said_by_pip(line) for line in parser._parse_file(str(path), constraint=False)]
    except (InstallationError, UnicodeDecodeError):
        return None


def said_by_pip(line: Any) -> Said:
    options = vars(line.opts)
    names = ("index_url", *LISTS.values(), *FLAGS.values())
    values = {name: options[name] for name in names if options.get(name)}
    values.update(options.get("hashes") or {})
    # Beside a requirement, pip lets `-e` say that it is editable and then installs it plainly.
    return line.lineno, line.requirement or "", line.is_editable and not line.args, values


def by_us(path: Path) -> list[Said] | None:
    file = parse_requirements(path.read_bytes(), path.name)
    if file.problem or any(line.problem for line in file.lines):
        return None
    return [said_by_us(line) for line in file.lines]


def said_by_us(line: Line) -> Said:
    values: dict[str, Any] = {}
    for option, value in line.options:
        algorithm, _, digest = value.partition(":")
        if option == "--index-url":
            values["index_url"] = value
        elif option == "--hash":
            values.setdefault(algorithm, []).append(digest)
        elif option in FLAGS:
            values[FLAGS[option]] = True
        elif option in LISTS:
            values.setdefault(LISTS[option], []).append(value)
    return line.origin.line, line.requirement, line.is_editable, values


# Pieces that mean something to pip, to be put together in any order.
PIECES = (
    *("six==1.16.0", "idna", "requests[socks] >=2.28,", "<3", "; python_version < '3'", "x#y"),
    *("-r x.txt", "-rx.txt", "--requirement=x.txt", "--requirement x", "-c c.txt", "-cc.txt"),
    *("-e .", "-e git+https://h/r#egg=x", "--editable=.[x]", "-i https://h/s", "-ihttps://h/s"),
    *("--index-url https://h/s", "--extra-index-url=https://h", "--extra", "--find-links", "-f x"),
    *("--no-index", "--pre", "--pr", "--prefer-binary", "--require-hashes", "--no-binary :all:"),
    *("--hash=sha256:aa", "--hash sha256:bb", "--trusted-host h", "--bogus"),
    *("\\", "\\\\", " \\\n", "\\\r\n", "\n", "\n\n", "\r\n", "\r", " ", "\t", "#", "# c", " # c\n"),
    *("'", '"', "--", "-", "-q", "\x0c", "\x85", "\u2028", "é", "${X}", "https://h/x.whl#sha256=a"),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(("", " ", "\n"))), max_size=12))
def test_what_pip_reads_is_what_we_read(tmp_path: Path, pieces: list[tuple[str, str]]) -> None:
    path = tmp_path / "requirements.txt"
    path.write_bytes("".join(piece + end for piece, end in pieces).encode())
    assert by_us(path) == by_pip(path)


def requirements(data: bytes, encoding: str | None = None) -> list[str]:
    return [
        line.requirement for line in parse_requirements(data, "requirements.txt", encoding).lines
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"six \\\n==1.16.0\n", ["six ==1.16.0"]),
        (b"requests[socks] \\\n>=2.28, \\\n<3\n", ["requests[socks] >=2.28, <3"]),
        (
            b"requests[socks] \\\r\n>=2.28, \\\r\n<3\r\nsix\r\n",
            ["requests[socks] >=2.28, <3", "six"],
        ),
        (b"six \\\n# a comment ends it\n==1.16.0\n", ["six", "==1.16.0"]),
        (b"six==1.16.0 \\\n  # via toml\nidna\n", ["six==1.16.0", "idna"]),
        (b"six==1.16.0 \\", ["six==1.16.0"]),
    ],
)
def test_a10_continuations_are_joined_as_pip_joins_them(text: bytes, expected: list[str]) -> None:
    assert requirements(text) == expected


def test_a_continued_line_has_the_number_of_its_first_line() -> None:
    lines = parse_requirements(b"# c\n\nsix \\\n==1.16.0\nidna\n", "requirements.txt").lines
    assert [str(line.origin) for line in lines] == ["requirements.txt:3", "requirements.txt:5"]


PINS = "six==1.16.0\nidna==3.7  # é\n"


@pytest.mark.parametrize(
    "data",
    [
        PINS.encode("utf-8"),
        PINS.encode("utf-8-sig"),
        b"\xff\xfe" + PINS.encode("utf-16-le"),
        b"\xfe\xff" + PINS.encode("utf-16-be"),
        PINS.replace("\n", "\r\n").encode("utf-8"),
    ],
    ids=["utf-8", "utf-8-bom", "utf-16-le", "utf-16-be", "crlf"],
)
def test_a11_every_encoding_reads_the_same(data: bytes) -> None:
    assert parse_requirements(data, "r.txt") == parse_requirements(PINS.encode(), "r.txt")


def test_a11_a_cookie_names_the_encoding() -> None:
    lines = parse_requirements(
        f"# -*- coding: latin-1 -*-\n{PINS}".encode("latin-1"), "r.txt"
    ).lines
    assert [line.comment for line in lines] == ["", "# é"]


def test_a11_an_undecodable_byte_is_told_with_its_offset_and_the_encoding() -> None:
    problem = parse_requirements(PINS.encode("latin-1"), "r.txt").problem
    assert problem
    assert str(problem) == "r.txt:2: byte 25 (0xe9) is not utf-8"
    assert problem.hint == "name the encoding of the files with `--encoding NAME`"


def test_a11_the_offset_counts_the_byte_order_mark() -> None:
    problem = parse_requirements(b"\xef\xbb\xbfsix\xff", "r.txt").problem
    assert str(problem) == "r.txt:1: byte 6 (0xff) is not utf-8"


def test_a11_utf_16_without_its_mark_is_not_taken_for_text() -> None:
    problem = parse_requirements(PINS.encode("utf-16-le"), "r.txt").problem
    assert str(problem) == "r.txt:1: byte 1 (0x00) is not utf-8"
    lines = parse_requirements(PINS.encode("utf-16-le"), "r.txt", "utf-16-le").lines
    assert [line.requirement for line in lines] == ["six==1.16.0", "idna==3.7"]


def test_a11_an_encoding_can_be_given() -> None:
    lines = parse_requirements(PINS.encode("latin-1"), "r.txt", "latin-1").lines
    assert [line.comment for line in lines] == ["", "# é"]


@pytest.mark.parametrize("cookie", ["klingon", "base64", "rot13", "undefined"])
def test_an_unknown_encoding_is_a_problem(cookie: str) -> None:
    problem = parse_requirements(f"# coding: {cookie}\nsix\n".encode(), "r.txt").problem
    assert str(problem) == f"r.txt:1: unknown encoding `{cookie}`"


def test_a02_comments_travel_with_what_they_are_about() -> None:
    file = parse_requirements(
        b"# header\n\n"
        b"six==1.16.0  # py2 compat, do not bump\n"
        b"# why\n"
        b"idna==3.7\n"
        b"#certifi==2020.1.1\n",
        "requirements.txt",
    )
    assert [(line.above, line.requirement, line.comment) for line in file.lines] == [
        (("# header",), "six==1.16.0", "# py2 compat, do not bump"),
        (("# why",), "idna==3.7", ""),
    ]
    assert file.tail == ("#certifi==2020.1.1",)


def test_what_a_comment_hides_is_no_secret_that_is_shown() -> None:
    lines = parse_requirements(
        b"six  # https:/\x00/me:s3cret@h/x\nidna #me:s3cret@h.org/x", "r.txt"
    ).lines
    assert [line.comment for line in lines] == ["# https://****@h/x", "#****@h.org/x"]


def test_an_editable_that_names_nothing_is_a_problem() -> None:
    (line,) = parse_requirements(b"-e ''", "r.txt").lines
    assert str(line.problem) == "r.txt:1: `-e ''` cannot be read: `-e` names nothing"
    (line,) = parse_requirements(b"six -e ''", "r.txt").lines
    assert (line.requirement, line.problem, line.overlooked) == ("six", None, ("--editable",))


def test_an_option_has_its_limits() -> None:
    (line,) = parse_requirements(b"-i https://h/" + b"x" * 10_000, "r.txt").lines
    assert str(line.problem).endswith("cannot be read: a word of more than 10000 characters")


def test_who_needs_a_pin_stands_behind_it() -> None:
    file = parse_requirements(
        b"six==1.16.0\n    # via toml\n"
        b"idna==3.7  # old\n    # via\n    #   requests\n    #   toml\n"
        b"# next\ntoml\n",
        "requirements.txt",
    )
    assert [(line.above, line.comment) for line in file.lines] == [
        ((), "# via toml"),
        ((), "# old via requests toml"),
        (("# next",), ""),
    ]


@pytest.mark.parametrize(
    ("line", "overlooked"),
    [
        ("six --pre --hash=sha256:aa", ("--pre",)),
        ("--pre six", ("six",)),
        ("-r a.txt -r b.txt --pre", ("--requirement b.txt", "--pre")),
        ("-c c.txt -r a.txt", ("--constraint c.txt",)),
        ("-e . -e ./x --hash=sha256:aa", ("--editable ./x", "--hash sha256:aa")),
        ("-e . ; python_version < '3'", ("; python_version < 3",)),
        ("--hash=sha256:aa", ("--hash sha256:aa",)),
        ("--pre --no-index", ()),
    ],
)
def test_what_pip_takes_no_notice_of_is_known(line: str, overlooked: tuple[str, ...]) -> None:
    assert parse_requirements(line.encode(), "r.txt").lines[0].overlooked == overlooked


def test_a_line_that_pip_cannot_read_is_a_problem_of_its_own() -> None:
    file = parse_requirements(b"six\n--bogus\nidna 'x --pre \"\n", "r.txt")
    assert [str(line.problem) for line in file.lines if line.problem] == [
        "r.txt:2: `--bogus` cannot be read: no such option: --bogus",
        "r.txt:3: `idna 'x --pre \"` cannot be read: No closing quotation",
    ]


def test_a_value_of_many_hashes_is_read_fast_and_right() -> None:
    hashes = [f"sha256:{number:064x}" for number in range(60)]
    text = " \\\n    ".join(("six==1.16.0", *(f"--hash={digest}" for digest in hashes)))
    assert list(parse_requirements(text.encode(), "r.txt").lines[0].values("--hash")) == hashes


def test_an_option_that_pip_has_dropped_is_unknown_and_others_may_be_abbreviated() -> None:
    lines = parse_requirements(b"--i https://h/s\n--use-wheel\n", "r.txt").lines
    assert lines[0].options == (("--index-url", "https://h/s"),)
    assert (
        str(lines[1].problem)
        == "r.txt:2: `--use-wheel` cannot be read: no such option: --use-wheel"
    )
