"""Facts as a compose.yaml: the image as it runs in production, and the sources in place. Pure.

The format is the Compose specification; a string in double quotes is one of JSON, and `$$` stands
for a dollar that is no variable.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from uvflow.docker import usage
from uvflow.docker.facts import Facts
from uvflow.docker.selections import Selection

Table = Mapping[str, Any]


def compose_file(facts: Facts) -> str:
    """The file without its first lines."""
    services = {_service_name(facts, s): _service(facts, s) for s in reversed(facts.selections)}
    secrets = {name: {"environment": name} for name in facts.secrets}
    whole = {"services": services, **({"secrets": secrets} if secrets else {})}
    return "\n".join(_lines(whole, "")) + "\n"


def _service_name(facts: Facts, selection: Selection) -> str:
    name = usage.image_name(facts)
    return name if selection.name == "prod" else f"{name}-{selection.name}"


def _service(facts: Facts, selection: Selection) -> Table:
    port = facts.start.port
    name = usage.image_name(facts)
    return {
        **({} if selection.name == "prod" else {"profiles": [selection.name]}),
        "image": name if selection.name == "prod" else f"{name}:{selection.name}",
        "build": _build(facts, selection),
        "init": True,
        **({"ports": [f"{port}:{port}"]} if port else {}),
        **(_in_place(facts) if selection.is_development else _HARDENED),
    }


# As little as the service needs.
_HARDENED: Table = {
    "read_only": True,
    "tmpfs": ["/tmp"],  # noqa: S108  inside the container
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}


def _in_place(facts: Facts) -> Table:
    return {"volumes": [f"{_context(facts)}:/app"]}


def _build(facts: Facts, selection: Selection) -> Table:
    return {
        "context": _context(facts),
        "dockerfile": usage.dockerfile(facts),
        "target": selection.name,
        **({"secrets": list(facts.secrets)} if facts.secrets else {}),
        **({"ssh": ["default"]} if facts.uses_ssh else {}),
    }


def _context(facts: Facts) -> str:
    """The build context, as seen from the project's directory."""
    return "." if facts.directory == "." else "/".join([".."] * len(facts.directory.split("/")))


def _lines(table: Table, indent: str) -> Iterable[str]:
    for key, value in table.items():
        match value:
            case Mapping():
                yield f"{indent}{_key(key)}:"
                yield from _lines(value, f"{indent}  ")
            case [*items]:
                yield f"{indent}{_key(key)}:"
                yield from (f"{indent}  - {_scalar(item)}" for item in items)
            case _:
                yield f"{indent}{_key(key)}: {_scalar(value)}"


def _key(text: str) -> str:
    return text if text.replace("_", "").replace("-", "").isalnum() else _scalar(text)


def _scalar(value: Any) -> str:
    return json.dumps(value).replace("$", "$$")
