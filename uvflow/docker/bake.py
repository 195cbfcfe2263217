"""Facts as a docker-bake.hcl: one target for each profile, prod by default. Pure.

The format is that of the Docker documentation, "Bake file reference"; strings are HCL templates.
"""

import json
from collections.abc import Iterable

from uvflow.docker import usage
from uvflow.docker.facts import Facts
from uvflow.docker.selections import Selection


def bake_file(facts: Facts) -> str:
    """The file without its first lines, to be used from the build context."""
    groups = [_block("group", "default", (f"targets = {_strings(['prod'])}",))]
    targets = (_target(facts, selection) for selection in reversed(facts.selections))
    return "\n".join([*groups, *targets])


def _target(facts: Facts, selection: Selection) -> str:
    name = usage.image_name(facts)
    tag = name if selection.name == "prod" else f"{name}:{selection.name}"
    secrets = [f"id={secret},env={secret}" for secret in facts.secrets]
    return _block(
        "target",
        selection.name,
        (
            f"context = {_string('.')}",
            f"dockerfile = {_string(usage.dockerfile(facts))}",
            f"target = {_string(selection.name)}",
            f"tags = {_strings([tag])}",
            *([f"secret = {_strings(secrets)}"] if secrets else []),
            *([f"ssh = {_strings(['default'])}"] if facts.uses_ssh else []),
        ),
    )


def _block(kind: str, name: str, lines: Iterable[str]) -> str:
    inner = "".join(f"  {line}\n" for line in lines)
    return f"{kind} {_string(name)} {{\n{inner}}}\n"


def _strings(values: list[str]) -> str:
    return f"[{', '.join(map(_string, values))}]"


def _string(value: str) -> str:
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")
