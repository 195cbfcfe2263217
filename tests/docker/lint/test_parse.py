"""Instructions are read as BuildKit reads them: lines, flags, heredocs, variables."""

import pytest
from dockerfiles import linted

from uvflow.docker.lint.parse import Parsed, expanded


def test_a_byte_order_mark_is_no_keyword() -> None:
    assert linted("\ufeffFROM scratch\nUSER x\n").stages[0].line == 1


def test_an_instruction_begins_where_it_is_written_and_goes_on() -> None:
    text = "FROM a\n\nRUN one \\\n  # a comment inside\n\n  two\nUSER x\n"
    [stage] = linted(text).stages
    assert stage.instructions == (
        Parsed(keyword="RUN", line=3, text="one two"),
        Parsed(keyword="USER", line=7, text="x"),
    )


def test_flags_and_mounts_are_taken_apart() -> None:
    line = "RUN --mount=type=cache,target=/c --mount=from=x,source=/uv,target=/bin/uv uv sync\n"
    [run] = linted(f"FROM a\n{line}").stages[0].instructions
    assert run.text == "uv sync"
    assert run.mounts == (
        {"type": "cache", "target": "/c"},
        {"from": "x", "source": "/uv", "target": "/bin/uv"},
    )


def test_a_heredoc_is_part_of_its_instruction() -> None:
    text = "FROM a\nRUN <<-'EOF'\n\tone\n\tEOF\nUSER x\n"
    run, user = linted(text).stages[0].instructions
    assert run.text == "<<-'EOF'\n\tone"
    assert user.line == 5


def test_several_heredocs_are_read_one_after_the_other() -> None:
    text = 'FROM a\nRUN cat <<A 3<<"B" > /x\n1\nA\n2\nB\nUSER x\n'
    run, user = linted(text).stages[0].instructions
    assert run.text == 'cat <<A 3<<"B" > /x\n1\n2'
    assert user.line == 7


@pytest.mark.parametrize(
    "line",
    [
        "RUN --mount=type=bind,source=<<A/x,target=/x cat /x",
        "RUN echo 'a <<A b' $((1<<A)) <<<A",
        'COPY ["<<A", "/x"]',
        "CMD cat <<A",
    ],
)
def test_what_is_no_word_of_its_own_begins_no_heredoc(line: str) -> None:
    keywords = [step.keyword for step in linted(f"FROM a\n{line}\nUSER x\n").stages[0].instructions]
    assert keywords == [line.partition(" ")[0], "USER"]


def test_a_keyword_ends_with_any_blank() -> None:
    [run] = linted("FROM a\nRUN\tone  two \n").stages[0].instructions
    assert (run.keyword, run.text) == ("RUN", "one  two")


def test_a_quote_that_is_not_closed_is_read_as_it_stands() -> None:
    [run] = linted("FROM a\nRUN --mount=type='bind x\n").stages[0].instructions
    assert run.flags == (("mount", "type='bind"),)


def test_both_forms_of_a_command_have_words() -> None:
    cmd, health = linted('FROM a\nCMD ["a b", "c"]\nENTRYPOINT a \'b c\'\n').stages[0].instructions
    assert (cmd.exec_form, cmd.words) == (("a b", "c"), ("a b", "c"))
    assert (health.exec_form, health.words) == (None, ("a", "b c"))


def test_assignments_of_both_kinds() -> None:
    new, old, arg = linted('FROM a\nENV A="1 2" B=3\nENV C 4 5\nARG D\n').stages[0].instructions
    assert new.assignments == (("A", "1 2"), ("B", "3"))
    assert old.assignments == (("C", "4 5"),)
    assert arg.assignments == (("D", ""),)


def test_windows_line_ends_are_line_ends() -> None:
    assert linted("FROM a\r\nRUN b \\\r\n c\r\n").stages[0].instructions[0].text == "b c"


def test_a_directive_lets_a_backtick_continue_a_line() -> None:
    text = "# syntax=x\n# escape=`\nFROM a\nRUN b \\\nUSER `\n c\n"
    texts = [step.text for step in linted(text).stages[0].instructions]
    assert texts == ["b \\", "c"]


def test_an_array_too_deep_to_be_read_is_a_command_of_a_shell() -> None:
    (stage,) = linted(f"FROM a\nCMD {'[' * 5000}\n").stages
    assert stage.instructions[-1].exec_form is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("$A-${A}", "1-1"), ("${B:-x}${A:-x}", "x1"), ("${B-x}", "x"), ("${A:+y}${B:+y}", "y")),
        *(("$B/${B}", "$B/${B}"), ("${E}${E:-x}", "x")),
    ],
)
def test_variables_are_filled_in_as_far_as_they_are_known(text: str, value: str) -> None:
    assert expanded(text, {"A": "1", "E": ""}) == value


def test_fields_of_mounts_have_one_name() -> None:
    line = "RUN --mount=type=bind,src=a,dst=b --mount=type=cache,destination=c x\n"
    [run] = linted(f"FROM a\n{line}").stages[0].instructions
    assert run.mounts == (
        {"type": "bind", "source": "a", "target": "b"},
        {"type": "cache", "target": "c"},
    )


def test_an_empty_array_has_no_words() -> None:
    [entry] = linted("FROM a\nENTRYPOINT []\n").stages[0].instructions
    assert entry.words == ()
