"""A command line of a Procfile, say, in the exec form of CMD: a program and its arguments. Pure."""

import re
import shlex
from collections.abc import Iterator

from uvflow.docker.lint import shell
from uvflow.docker.lint.shell import Words
from uvflow.errors import UsageError

# What runs a command in an environment that the image does not need.
_RUNNER = re.compile(
    rf"""(?P<start>(?:^|&&|;)\s*)(?P<before>(?:exec\s+)?(?:\w+=(?:"[^"]*"|'[^']*'|[^\s"'])*\s+)*)
    (?:
        (?:python3?\ -m\ )?uv\ run\ +
        (?P<options>(?:{shell.OPTION_WITH_VALUE}\ +\S+\ +|-(?!m\ |-module)\S*\ +)*)
        | (?:poetry|pipenv|pdm|rye|hatch)\ run\ +(?!-|[\w.-]+:)
    )
    (?P<python>(?:-m|--module)\ |(?=\S+\.py\b))?""",
    re.VERBOSE,
)
_DIRECTORY = re.compile(r"--directory[ =]+(\S+)")
_LEFT_OUT = re.compile(r"--(?:with(?:-editable|-requirements)?|env-file)[ =]+\S+|-w +\S+")
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
_SUBSTITUTION = re.compile(r"\$\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")  # `$(… f(g()))`
_OF_BASH = re.compile(r"(?:^|[;&|(] *)source |\[\[|\bpipefail\b|<\(|<<<")
_OF_A_SHELL = 3  # words: `sh -c LINE`
TRAP = "trap 'trap : TERM; kill 0; wait' TERM;"


def exec_form(line: str, evidence: str) -> Words:
    """A line for a shell in the exec form, without a shell where none is needed.

    Raises UsageError where a shell could not read it.
    """
    line = without_runners(line)
    if re.match(r"\w+=", line):
        line = f"env {line}"
    try:
        plain = tuple(shlex.split(line))
    except ValueError as error:
        raise UsageError(
            f"{evidence} is not a command that a shell can read",
            cause=f"{str(error).lower()} in `{line.removeprefix('env ')}`",
            hint="correct it, or set `command` in [tool.uvflow.docker]",
        ) from error
    if len(plain) == _OF_A_SHELL and shell.is_interpreter(plain[0]) and plain[1] == "-c":
        inner = exec_form(plain[2], evidence) if "python" not in plain[0] else plain
        return (*plain[:2], *inner[2:]) if inner[:1] in {("sh",), ("bash",)} else inner
    # Quoted characters mean nothing to a shell, but for variables in double quotes.
    bare = _QUOTED.sub(lambda q: re.sub("." if q[0][0] == "'" else "[^$`]", "_", q[0]), line)
    if not re.search(r"[$`|&;<>*?~()#]", bare):
        return plain[1:] if plain[:1] == ("exec",) else plain
    name = "bash" if _OF_BASH.search(bare) else "sh"
    bare = re.sub(r"[<>]&|&>|\$\([^()]*\)", lambda match: "_" * len(match[0]), bare)
    operators = list(re.finditer(r"&&|\|\||[|;&()]", bare))
    end = operators[-1].end() if operators else 0
    # The last command replaces the shell, which would not hand on signals; else that does, to all.
    is_program = re.match(r"\s*(?!\w+=|(?:done|esac|fi)\b|\})\S", bare[end:])
    if is_program and {match[0] for match in operators} <= {"&&", ";"}:
        last = line[end:].strip().removeprefix("exec ")
        return (name, "-c", f"{line[:end]} exec {last}".strip())
    # One line, which a person can copy, unless the last is a comment.
    is_ended = re.search(r"(?<!\\)[;&]\s*$", line)
    end_of_list = "\n" if "#" in bare else " " if is_ended else "; "
    return (name, "-c", forwarding(f"{line}{end_of_list}"))


def without_runners(line: str) -> str:
    """A line of a shell without what runs commands in an environment."""

    def replaced(match: re.Match[str]) -> str:
        directory = _DIRECTORY.search(match["options"] or "")
        changed = f"cd {directory[1]} && " if directory else ""
        python = {None: "", "": "python "}.get(match["python"], "python -m ")
        return f"{match['start']}{changed}{match['before']}{python}"

    return _RUNNER.sub(replaced, line)


def options_left_out(line: str) -> Iterator[str]:
    """The options of `uv run` that would change the environment of the image."""
    for match in _RUNNER.finditer(line):
        yield from (found[0] for found in _LEFT_OUT.finditer(match["options"] or ""))


def without_substitutions(line: str) -> str:
    return _SUBSTITUTION.sub("_", line)


def forwarding(commands: str) -> str:
    """A line for a shell that hands SIGTERM on to what `commands` start, and waits for it."""
    return f"{TRAP} {{ {commands}}} & wait $!"
