"""What is made from the code's own declarations: cli.md, and the JSON Schemas of `[tool.uvflow]`
and uvflow.local.toml; and docs/index-page.md, which is README.md for a package index.

    python docs/reference/generate.py          write them
    python docs/reference/generate.py --check  fail where one is not current

What the declarations do not say stands on the pages beside them. The descriptions in the schemas
are those of configuration.md.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from uvflow.cli.main import HELP_GROUPS, uvflow
from uvflow.docker import settings
from uvflow.onboarding import setup
from uvflow.project import profiles
from uvflow.project.schema import OnlyKeys, Rule

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

HEAD = """\
# Command line

Made by `docs/reference/generate.py` from what the commands declare; not to be edited by hand.
"""

AFTERWORD = """\
Results go to stdout, everything else to stderr. At a terminal, lines are wrapped between words;
elsewhere each message, result or cause is one line.
[Exit codes](exit-codes.md) and [environment variables](environment-variables.md) have pages of
their own; the objects that `--json` prints are described [beside this page](json/README.md).
"""


def main() -> int:
    stale = {HERE / name: text for name, text in made().items() if is_other(HERE / name, text)}
    for path, text in stale.items():
        if "--check" in sys.argv[1:]:
            print(f"{path.name} is not current: `python docs/reference/generate.py` writes it anew")
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
    return 1 if stale and "--check" in sys.argv[1:] else 0


def is_other(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


def made() -> dict[str, str]:
    """The text of each file, by its name."""
    return {
        "cli.md": page(),
        "../index-page.md": index_page(),
        "uvflow.schema.json": configuration("[tool.uvflow] of pyproject.toml", "partial-uvflow"),
        "uvflow-local.schema.json": configuration("uvflow.local.toml", "uvflow-local"),
    }


def index_page() -> str:
    """README.md as a package index shows it: every link is absolute."""
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    home = manifest["project"]["urls"]["Repository"]

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link[1] else "blob"
        return f"{link[1]}[{link[2]}]({home}/{kind}/main/{link[3]})"

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"(!?)\[([^]]+)\]\((?!https:|#)([^)]+)\)", absolute, text)


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


def configuration(title: str, name: str) -> str:
    """A JSON Schema as SchemaStore keeps them, of all keys or of those that are a person's own."""
    properties = object_of(profiles._OWN_SHAPE, "Top level")["properties"]
    tables = properties["profiles"]
    tables["propertyNames"] = {"pattern": anchored(profiles._NAME)}
    tables["additionalProperties"] = object_of(profiles._PROFILE, "Profiles")
    if name.startswith("partial-"):
        properties |= object_of({"docker": {}, "setup": [{}]}, "Top level")["properties"]
        properties["docker"] |= object_of(settings._SHAPE, "Docker")
        properties["setup"]["items"] = step()
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"https://json.schemastore.org/{name}.json",
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def step() -> dict[str, Any]:
    table = object_of(setup._SHAPE, "Setup")
    table["properties"]["copy"]["required"] = ["from", "to"]
    return {
        **table,
        "required": ["name"],
        "oneOf": [{"required": [kind]} for kind in setup._KINDS],
        "dependencies": {"inputs": ["run"], "creates": ["run"]},
    }


def object_of(shape: Mapping[str, Any], heading: str) -> dict[str, Any]:
    """The table of a heading of configuration.md, whose keys have the shapes that are declared."""
    told = documented(heading)
    properties = {key: {**told[key], **schema_of(one)} for key, one in shape.items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def documented(heading: str) -> dict[str, dict[str, Any]]:
    """The description and the default of each key in the first table below a heading."""
    below = (HERE / "configuration.md").read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+) \|$", below.split("\n## ")[0], re.MULTILINE)
    return {
        key: {
            "description": re.sub(
                r"\[([^]]+)\]\([^)]+\)", r"\1", meaning.removesuffix(", see below")
            ),
            **({"default": json.loads(default.strip("`"))} if default.startswith("`") else {}),
        }
        for key, default, meaning in rows
    }


TYPES = {str: "string", bool: "boolean"}


def schema_of(shape: Any) -> dict[str, Any]:
    """What `uvflow.project.schema` validates, in the words of JSON Schema."""
    match shape:
        case Rule():
            return dict(with_anchors(shape.keywords))
        case [each]:
            return {"type": "array", "items": schema_of(each)}
        case Mapping():
            named = {key: schema_of(one) for key, one in shape.items() if key != "*"}
            others = schema_of(shape["*"]) if "*" in shape else not isinstance(shape, OnlyKeys)
            known = {"properties": named} if named else {}
            return {"type": "object", **known, "additionalProperties": others}
        case tuple():
            return {"type": [TYPES[one] for one in shape]}
    return {"type": TYPES[shape]}


def with_anchors(keywords: Any) -> Any:
    match keywords:
        case Mapping():
            return {
                key: anchored(value) if key == "pattern" else with_anchors(value)
                for key, value in keywords.items()
            }
        case list() | tuple():
            return [with_anchors(one) for one in keywords]
    return keywords


def anchored(pattern: str) -> str:
    return f"^(?:{pattern})$"


if __name__ == "__main__":
    sys.exit(main())
