"""docs/reference/cli.md, made from the command line's own declarations.

    python docs/reference/generate.py          write it
    python docs/reference/generate.py --check  fail where it is not current

What the declarations do not say stands on the pages beside it.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from uvflow.cli.main import HELP_GROUPS, uvflow

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# Command line

Made by `docs/reference/generate.py` from what the commands declare; not to be edited by hand.
"""

AFTERWORD = """\
Results go to stdout, everything else to stderr. [Exit codes](exit-codes.md) and
[environment variables](environment-variables.md) have pages of their own; the objects that
`--json` prints are described [beside this page](json/README.md).
"""


def main() -> int:
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8", newline="\n")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.name} is not current: `python docs/reference/generate.py` writes it anew")
    return 1


def page() -> str:
    """The whole page."""
    context = click.Context(uvflow, info_name="uvflow", **uvflow.context_settings)
    everywhere = common_options(context)
    parts = [HEAD, *contents(context)]
    for act, commands in HELP_GROUPS.items():
        parts += [f"## {act}\n"]
        parts += [p for c in commands for p in described(context, str(c.name), everywhere)]
    parts += ["## Options of every command\n", *table(everywhere.values()), AFTERWORD]
    return "\n".join(parts)


def contents(context: click.Context) -> Iterator[str]:
    yield "| command | does |\n|---|---|"
    for sub in walk(context):
        anchor = sub.command_path.replace(" ", "-")
        yield f"| [`{sub.command_path}`](#{anchor}) | {sub.command.short_help} |"
    yield ""


def common_options(context: click.Context) -> dict[str, click.Option]:
    """What every command takes that does something by itself, by its spellings."""
    doing = (sub for sub in walk(context) if does_something(sub.command))
    commands = [{named(option): option for option in options(sub)} for sub in doing]
    return {name: o for name, o in commands[0].items() if all(name in c for c in commands)}


def does_something(command: click.Command) -> bool:
    return not isinstance(command, click.Group) or command.invoke_without_command


def walk(context: click.Context) -> Iterator[click.Context]:
    """A context for every command below that of `context`, in the order of the help."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command and not command.hidden:
            sub = click.Context(command, info_name=name, parent=context)
            yield sub
            yield from walk(sub)


def described(
    context: click.Context, name: str, everywhere: dict[str, click.Option]
) -> Iterator[str]:
    for sub in walk(context):
        if sub.command_path.split()[1] == name:
            own = (option for option in options(sub) if named(option) not in everywhere)
            yield f"### `{sub.command_path}`\n"
            yield f"```text\n{usage(sub)}\n```\n"
            yield from (f"{paragraph}\n" for paragraph in paragraphs(sub.command))
            yield from table(own)


def usage(context: click.Context) -> str:
    return " ".join((context.command_path, *context.command.collect_usage_pieces(context)))


def paragraphs(command: click.Command) -> Iterator[str]:
    text = (command.help or "").replace("\b\n", "")
    return (" ".join(part.split()) for part in text.split("\n\n"))


def options(context: click.Context) -> Iterator[click.Option]:
    found = context.command.get_params(context)
    return (p for p in found if isinstance(p, click.Option) and not p.hidden)


def table(rows: Iterable[click.Option]) -> Iterator[str]:
    lines = [f"| {named(option)} | {meaning(option)} |" for option in rows]
    if lines:
        yield "| option | does |\n|---|---|"
        yield from lines
        yield ""


def named(option: click.Option) -> str:
    value = "" if option.is_flag else f" {value_of(option)}"
    spellings = ", ".join(f"`{spelling}`" for spelling in option.opts)
    return f"{spellings[:-1]}{value}`".replace("|", r"\|")


def value_of(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return (option.name or "").upper()


def meaning(option: click.Option) -> str:
    times = " May be given several times." if option.multiple else ""
    is_told = not option.is_flag and not option.multiple and isinstance(option.default, str | int)
    default = f" Default: `{option.default}`." if is_told else ""
    return f"{option.help or ''}{times}{default}"


if __name__ == "__main__":
    sys.exit(main())
