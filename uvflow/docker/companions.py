"""The files and commands beside a Dockerfile: bake, compose, how to build and run. Pure."""

import json
import posixpath
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from uvflow.docker.facts import Facts
from uvflow.errors import DriftError
from uvflow.paths import LOCKFILE
from uvflow.project.manifest import Table
from uvflow.project.profiles import Profile

_BAKE = """\
# For a registry, with a builder of your own: docker buildx bake release --push
# A cache, read and written: CACHE=type=registry,ref=registry.example/shop:cache
variable "CACHE" {
  default = ""
}

group "default" {
  targets = ["prod"]
}
"""
_BAKE_CACHE = """\
  cache-from = CACHE == "" ? [] : [CACHE]
  cache-to = CACHE == "" ? [] : ["${CACHE},mode=max"]
"""


def bake_file(facts: Facts) -> str:
    """docker-bake.hcl without its header; paths are relative to the build context.

    Only `release` has several platforms and attestations, and only `CACHE` a cache: the builder
    that Docker starts with may be able to do none of these (Docker docs, "Docker driver").
    """
    blocks = [_BAKE]
    for selection in reversed(facts.selections):
        values = {
            "context": ".",
            "dockerfile": _dockerfile_path(facts),
            "target": selection.name,
            "tags": [image_tag(facts, selection.name)],
            "secret": [f"id={secret},env={secret}" for secret in facts.secrets],
            "ssh": ["default"] if facts.uses_ssh else [],
        }
        cache = _BAKE_CACHE if selection.name == "prod" else ""
        blocks.append(_bake_target(selection.name, values, cache))
    if all(selection.name != "release" for selection in facts.selections):
        attestations = ["type=provenance,mode=max", "type=sbom"]
        values = {"inherits": ["prod"], "platforms": facts.settings.platforms}
        blocks.append(_bake_target("release", {**values, "attest": attestations}))
    return "\n".join(blocks)


def _bake_target(name: str, values: Table, expressions: str = "") -> str:
    lines = (f"  {key} = {_hcl(value)}\n" for key, value in values.items() if value)
    return f"target {_hcl(name)} {{\n{''.join(lines)}{expressions}}}\n"


def _hcl(value: Any) -> str:
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")


def compose_file(facts: Facts) -> str:
    """compose.yaml without its header.

    Raises DriftError where Compose would read it instead of the user's file of another name.
    """
    if facts.shadowed:
        raise DriftError(
            f"Compose would read compose.yaml instead of {facts.shadowed}",
            cause=f"{facts.shadowed} was not made by uvflow",
            hint=f"rename or delete {facts.shadowed}, or leave out `--compose`",
        )
    name = facts.name
    services = {
        name if selection.name == "prod" else f"{name}-{selection.name}": _service(facts, selection)
        for selection in reversed(facts.selections)
    }
    for process, words in facts.processes:
        only = {"entrypoint": words, "ports": [], "healthcheck": {"disable": True}}
        profiles = ["release"] if process == "release" else []  # run by hand
        prod = {**_service(facts, facts.selections[-1]), **only, "profiles": profiles}
        services[f"{name}-{process}"] = prod
    secrets = {name: {"environment": name} for name in facts.secrets}
    return "\n".join(_yaml_lines({"services": services, "secrets": secrets}, "")) + "\n"


# As little as the service needs.
_HARDENED: Table = {
    "read_only": True,
    "tmpfs": ["/tmp"],  # noqa: S108  inside the container
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}


def _service(facts: Facts, selection: Profile) -> Table:
    port = facts.start.port
    context = posixpath.relpath(".", facts.directory)  # as seen from the project's directory
    build = {
        "context": context,
        "dockerfile": _dockerfile_path(facts),
        "target": selection.name,
        "secrets": facts.secrets,
        "ssh": ["default"] if facts.uses_ssh else [],
    }
    # For `docker compose watch`; the sources need no copy, since they are the project's own.
    rebuild = {"action": "rebuild", "path": posixpath.normpath(posixpath.join(context, LOCKFILE))}
    live = {"volumes": [f"{context}:/app"], "develop": {"watch": [rebuild]}}
    variables = [{"path": selection.env_file, "required": False}] if selection.env_file else []
    return {
        "profiles": [] if selection.name == "prod" else [selection.name],
        "image": image_tag(facts, selection.name),
        "build": build,
        "init": True,
        "env_file": variables,
        "ports": [f"{port}:{port}"] if port else [],
        **(live if selection.editable else _HARDENED),
    }


def _yaml_lines(table: Table, indent: str) -> Iterator[str]:
    """Keys without a value are left out."""
    for key, value in ((key, value) for key, value in table.items() if value):
        name = key if key.replace("_", "").replace("-", "").isalnum() else _yaml(key)
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _yaml_lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {_yaml(value)}"


def _yaml(value: Any) -> str:
    return json.dumps(value).replace("$", "$$")  # Compose would expand a variable


def usage_lines(facts: Facts) -> tuple[str, ...]:
    """Shell commands: build, run, try, build for development, and run the other processes."""
    name, port = facts.name, facts.start.port
    file = () if facts.directory == "." else ("--file", _dockerfile_path(facts))
    build = ("docker", "build", *file, *credential_options(facts))
    run, published = ("docker", "run", "--rm"), ("--publish", f"{port}:{port}") if port else ()
    hardened = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")  # noqa: S108  inside
    others = (
        ("--entrypoint", words[0], name, *words[1:]) if facts.start.is_program else (name, *words)
        for _, words in facts.processes
    )
    targets = (selection.name for selection in facts.selections if selection.editable)
    commands = (
        (*build, "--tag", name, "."),
        (*run, *published, *hardened, name),
        ("uvflow", "docker", "build", "--try"),
        *((*build, "--target", each, "--tag", image_tag(facts, each), ".") for each in targets),
        *((*run, "--no-healthcheck", *hardened, *each) for each in others),
    )
    return tuple(map(shlex.join, commands))


def image_tag(facts: Facts, profile: str) -> str:
    """What the image of a profile is tagged as; that of prod has no tag but the name."""
    return facts.name if profile == "prod" else f"{facts.name}:{profile}"


def credential_options(facts: Facts) -> tuple[str, ...]:
    """Options of `docker build` that hand on credentials, which the Dockerfile never holds."""
    secrets = (w for name in facts.secrets for w in ("--secret", f"id={name},env={name}"))
    return (*secrets, *(("--ssh", "default") if facts.uses_ssh else ()))


def _dockerfile_path(facts: Facts) -> str:
    """The path of the Dockerfile, relative to the build context."""
    return posixpath.normpath(f"{facts.directory}/Dockerfile")
