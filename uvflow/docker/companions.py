"""The files and commands beside a Dockerfile: bake, compose, how to build and run. Pure."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from uvflow.docker.facts import Facts
from uvflow.docker.targets import Selection


def bake_file(facts: Facts) -> str:
    """The file without its first lines, to be used from the build context."""
    groups = [_block("group", "default", (f"targets = {_strings(['prod'])}",))]
    targets = (_target(facts, selection) for selection in reversed(facts.selections))
    return "\n".join([*groups, *targets])


def _target(facts: Facts, selection: Selection) -> str:
    name = image_name(facts)
    tag = name if selection.name == "prod" else f"{name}:{selection.name}"
    secrets = [f"id={secret},env={secret}" for secret in facts.secrets]
    return _block(
        "target",
        selection.name,
        (
            f"context = {_string('.')}",
            f"dockerfile = {_string(dockerfile_path(facts))}",
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


Table = Mapping[str, Any]


def compose_file(facts: Facts) -> str:
    """The file without its first lines."""
    services = {_service_name(facts, s): _service(facts, s) for s in reversed(facts.selections)}
    secrets = {name: {"environment": name} for name in facts.secrets}
    whole = {"services": services, **({"secrets": secrets} if secrets else {})}
    return "\n".join(_lines(whole, "")) + "\n"


def _service_name(facts: Facts, selection: Selection) -> str:
    name = image_name(facts)
    return name if selection.name == "prod" else f"{name}-{selection.name}"


def _service(facts: Facts, selection: Selection) -> Table:
    port = facts.start.port
    name = image_name(facts)
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
        "dockerfile": dockerfile_path(facts),
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


def usage_lines(facts: Facts) -> tuple[str, ...]:
    """Lines for a reader: build, run, and build for development where there is such a target."""
    name = image_name(facts)
    building = ("docker", "build", *build_arguments(facts))
    development = (selection.name for selection in facts.selections if selection.is_development)
    return (
        shlex.join((*building, "--tag", name, ".")),
        shlex.join(("docker", "run", "--rm", *run_arguments(facts), name)),
        *(shlex.join((*building, "--target", d, "--tag", f"{name}:{d}", ".")) for d in development),
    )


def image_name(facts: Facts) -> str:
    """The project's name as far as an image may be called so (OCI distribution specification)."""
    return re.sub(r"[^a-z0-9]+", "-", facts.name.lower()).strip("-") or "app"


def dockerfile_path(facts: Facts) -> str:
    """The path of the Dockerfile, as seen from the build context."""
    return "Dockerfile" if facts.directory == "." else f"{facts.directory}/Dockerfile"


def build_arguments(facts: Facts) -> tuple[str, ...]:
    """Options of `docker build` for what the Dockerfile needs besides its context."""
    file = () if facts.directory == "." else ("--file", dockerfile_path(facts))
    return (*file, *access(facts))


def access(facts: Facts) -> tuple[str, ...]:
    """Options of `docker build` that hand on credentials, which the Dockerfile never holds."""
    secrets = (w for name in facts.secrets for w in ("--secret", f"id={name},env={name}"))
    return (*secrets, *(("--ssh", "default") if facts.uses_ssh else ()))


def run_arguments(facts: Facts) -> tuple[str, ...]:
    """Options of `docker run`: as little as the service needs."""
    ports = ("--publish", f"{facts.start.port}:{facts.start.port}") if facts.start.port else ()
    return (*ports, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")  # noqa: S108  inside
