"""The first lines say what made a file, and whether it was edited since."""

from uvflow.docker.header import Header, read, with_header

OPTIONS = {"uv": "0.13.9", "base": "slim"}
TEXT = with_header("FROM x\n\nCMD y\n", OPTIONS, ("docker build .",))


def test_the_header_tells_the_command_and_the_digests() -> None:
    assert TEXT == (
        "# Made by `uvflow docker --uv=0.13.9 --base=slim`; do not edit it:\n"
        "# [tool.uvflow.docker] in pyproject.toml is the place for changes.\n"
        "# Text 5bc800fb48f8.\n"
        "#\n"
        "#   docker build .\n"
        "\n"
        "FROM x\n\nCMD y\n"
    )


def test_the_options_read_back() -> None:
    assert read(TEXT) == Header(options=OPTIONS, is_as_made=True)


def test_options_of_a_later_uvflow_are_passed_over() -> None:
    found = read(TEXT.replace("--base=slim", "--shape=round"))
    assert found is not None
    assert found.options == {"uv": "0.13.9"}


def test_a_header_that_was_edited_is_read_as_far_as_it_goes() -> None:
    found = read(TEXT.replace("--base=slim", "--base='slim"))
    assert found is not None
    assert found.options == {"uv": "0.13.9", "base": "'slim"}


def test_a_file_of_somebody_else_has_no_header() -> None:
    assert read("# syntax=docker/dockerfile:1\nFROM x\n") is None
    assert read("FROM x\n" + TEXT) is None


def test_an_edit_is_seen_and_line_ends_are_none() -> None:
    assert read(TEXT.replace("\n", "\r\n")) == Header(options=OPTIONS, is_as_made=True)
    assert read(TEXT.replace("CMD y", "CMD z")) == Header(options=OPTIONS, is_as_made=False)


def test_the_header_of_an_earlier_uvflow_is_understood() -> None:
    assert read(TEXT.replace("# Text", "# Facts 0123456789ab, text")) == read(TEXT)


def test_a_command_of_several_lines_stays_in_its_line() -> None:
    text = with_header("FROM x\n", OPTIONS, ("docker run shop sh -c 'a\n\nb'",))
    assert text.endswith("\n#   docker run shop sh -c 'a\\n\\nb'\n\nFROM x\n")
    assert read(text) == Header(options=OPTIONS, is_as_made=True)
