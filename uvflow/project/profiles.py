"""Profiles: what `[tool.uvflow.profiles]` selects, and the uv arguments each one means. Pure."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from uvflow.errors import UsageError
from uvflow.paths import AS_LAST_TIME, FROM_VARIABLE
from uvflow.project import schema

Table = Mapping[str, Any]

ALL: Literal["all"] = "all"
Names = tuple[str, ...] | Literal["all"]
ACTIVATED = "UVFLOW_ACTIVATED"  # the UV_PROJECT_ENVIRONMENT that `uvflow activate` has set
_LONGEST_CHAIN = 20  # of profiles that extend one another

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"  # as for dependency groups, PEP 735

# uv reads these as arguments that select. The profile selects, so uv must not see them.
SET_ASIDE = (
    "UV_ENV_FILE",
    "UV_FROZEN",
    "UV_LOCKED",
    "UV_NO_DEFAULT_GROUPS",
    "UV_NO_DEV",
    "UV_NO_EDITABLE",
    "UV_NO_GROUP",
    "UV_NO_INSTALL_LOCAL",
    "UV_NO_INSTALL_PROJECT",
    "UV_NO_INSTALL_WORKSPACE",
    "UV_ONLY_INSTALL_LOCAL",
    "UV_ONLY_INSTALL_PROJECT",
    "UV_ONLY_INSTALL_WORKSPACE",
    "UV_PROJECT",  # another project than the one at hand
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",  # the earlier name of that
)


class Profile(NamedTuple):
    """A named selection of what an environment holds.

    `groups` is None for uv's default groups; `groups`, `extras` and `package` may be ALL.
    `environment` is relative to the workspace root, and None for uv's own choice (`.venv`, or
    UV_PROJECT_ENVIRONMENT). `releases` is how many environments are kept beside each other; with 0
    syncs change the environment in place. `where` names the table that declares the profile.
    """

    name: str
    where: str = ""
    groups: Names | None = None
    extras: Names = ()
    editable: bool = True
    compile_bytecode: bool = False
    environment: str | None = None
    python: str | None = None
    package: str | None = None
    env_file: str | None = None
    releases: int = 0

    def sync_arguments(self) -> tuple[str, ...]:
        """The arguments of the `uv` command that makes an environment of this profile."""
        return ("sync", "--locked", *self.selection())

    def selection(self) -> tuple[str, ...]:
        """What to install, as arguments of `uv sync`, `uv run` or `uv export`."""
        arguments = [] if self.groups in {None, ALL} else ["--no-default-groups"]
        arguments += _each("group", self.groups or ())
        arguments += _each("extra", self.extras)
        if not self.editable:
            arguments.append("--no-editable")
        if self.compile_bytecode:
            arguments.append("--compile-bytecode")
        if self.python:
            arguments.append(f"--python={self.python}")
        if self.package:
            arguments += _each("package", ALL if self.package == ALL else (self.package,))
        return tuple(arguments)

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` without what would change the selection, and with the profile's environment."""
        environ = {name: value for name, value in base.items() if name not in SET_ASIDE}
        if self.environment is not None:
            environ["UV_PROJECT_ENVIRONMENT"] = self.environment
        elif ACTIVATED in base and base[ACTIVATED] == base.get("UV_PROJECT_ENVIRONMENT"):
            del environ["UV_PROJECT_ENVIRONMENT"]  # that of another profile
        return environ

    def environment_path(self, workspace: Path, base: Mapping[str, str]) -> Path:
        """Where uv puts the environment (uv docs, "Project environment path")."""
        return workspace / (self.environment or base.get("UV_PROJECT_ENVIRONMENT") or ".venv")


BUILT_IN = {
    "dev": Profile(name="dev"),
    "prod": Profile(name="prod", groups=(), editable=False, compile_bytecode=True),
}


class Profiles(NamedTuple):
    """The profiles of a project, dev and prod first."""

    default: str
    by_name: Mapping[str, Profile]

    def choose(self, flag: str | None, environ: Mapping[str, str], last: str | None) -> "Choice":
        """The first that exists of: flag, UVFLOW_PROFILE, the last one, `default-profile`, dev."""
        if flag is not None:
            return Choice(profile=self.find(flag))
        if environ.get("UVFLOW_PROFILE"):
            profile = self.find(environ["UVFLOW_PROFILE"], f" ({FROM_VARIABLE})")
            return Choice(profile=profile, chosen_by=FROM_VARIABLE)
        if last is not None and last in self.by_name:
            return Choice(profile=self.by_name[last], chosen_by=AS_LAST_TIME)
        chosen_by = "by default" if self.default == "dev" else "default-profile"
        return Choice(profile=self.by_name[self.default], chosen_by=chosen_by)

    def find(self, name: str, origin: str = "") -> Profile:
        """The profile `name`; raises UsageError with the nearest name, or with all names."""
        if name in self.by_name:
            return self.by_name[name]
        hint = schema.suggestion(name, self.by_name, "profiles")
        raise UsageError(f"unknown profile `{name}`{origin}", hint=hint)


class Choice(NamedTuple):
    """A profile, and where it came from when that was not a flag."""

    profile: Profile
    chosen_by: str = ""


def read(settings: Table, source: str, own: Table | None = None, own_source: str = "") -> Profiles:
    """The profiles that `[tool.uvflow]` of the file `source` declares.

    `own` are a person's own settings in the file `own_source`: they add profiles and adjust them.
    Raises UsageError for an unknown key or a wrong type, with the file and the key.
    """
    own = own or {}
    schema.validate(settings, _SHAPE, source, "tool.uvflow")
    schema.validate(own, _OWN_SHAPE, own_source)
    tables = {name: dict(table) for name, table in settings.get("profiles", {}).items()}
    # What messages put before a key; a profile in both files gets that of the personal one.
    shared_place, own_place = f"{source}: `tool.uvflow.", f"{own_source}: `"
    places = dict.fromkeys((*BUILT_IN, *tables), shared_place)
    for name, table in own.get("profiles", {}).items():
        tables[name] = {**tables.get(name, {}), **table}
        places[name] = own_place
    default = own.get("default-profile", settings.get("default-profile", "dev"))
    if default not in places:
        place = own_place if "default-profile" in own else shared_place
        raise UsageError(
            f"{place}default-profile` is `{default}`, which does not exist",
            hint=schema.suggestion(default, places, "profiles"),
        )
    by_name = {name: _profile(name, tables, places) for name in places}
    _check_releases(tuple(by_name.values()))
    return Profiles(default=default, by_name=by_name)


def _check_releases(profiles: tuple[Profile, ...]) -> None:
    """Raises UsageError if releases would share their place, or change with the sources."""
    places = [os.path.normpath(profile.environment or ".venv") for profile in profiles]
    for profile, place in zip(profiles, places, strict=True):
        is_alone = profile.environment is not None and places.count(place) == 1
        if profile.releases and not (is_alone and not profile.editable):
            raise UsageError(
                f"{profile.where} has `releases`, which need `editable = false` and an"
                " `environment` that no other profile has",
                hint='`environment = ".venv-prod"`, say',
            )


def _profile(
    name: str, tables: Table, places: Mapping[str, str], extending: tuple[str, ...] = ()
) -> Profile:
    """The profile `name`, which those in `extending` extend; `places` is as in `read`."""
    where = f"{places[name]}profiles.{name}`"
    if not re.fullmatch(_NAME, name):
        raise UsageError(f"{where} is not named as a group may be (PEP 735)")
    if name in extending or len(extending) > _LONGEST_CHAIN:
        problem = "itself" if name in extending else f"more than {_LONGEST_CHAIN} profiles"
        raise UsageError(f"{where} extends {problem}", cause=" → ".join((*extending, name)))
    base = BUILT_IN.get(name, Profile(name=name))
    changes: dict[str, Any] = {}
    for key, value in tables.get(name, {}).items():
        if key != "extends":
            changes[_FIELDS[key]] = tuple(value) if isinstance(value, list) else value
        elif value in places:
            base = _profile(value, tables, places, (*extending, name))
        else:
            hint = schema.suggestion(value, places, "profiles")
            raise UsageError(f"{where} extends `{value}`, which does not exist", hint=hint)
    return base._replace(name=name, where=where, **changes)


# The keys of a profile's table, by which field of Profile each sets.
_FIELDS = {n.replace("_", "-"): n for n in Profile._fields if n not in {"name", "where"}}
_NAMES = schema.Rule(
    'a list of strings or "all"',
    {"anyOf": [{"enum": [ALL]}, {"type": "array", "items": {"type": "string"}}]},
)
_COUNT = schema.Rule(
    "a whole number from 0 to 99", {"type": "integer", "minimum": 0, "maximum": 99}
)
_PROFILE = {
    **dict.fromkeys(("extends", *_FIELDS), str),
    **dict.fromkeys(("groups", "extras"), _NAMES),
    **dict.fromkeys(("editable", "compile-bytecode"), bool),
    "releases": _COUNT,
}
_OWN_SHAPE = schema.OnlyKeys({"default-profile": str, "profiles": {"*": schema.OnlyKeys(_PROFILE)}})
_SHAPE = schema.OnlyKeys({**_OWN_SHAPE, "docker": {}, "setup": [{}]})


def _each(what: str, names: Names) -> tuple[str, ...]:
    if names == ALL:
        return (f"--all-{what}s",)
    return tuple(f"--{what}={name}" for name in names)  # "=": a name is never read as an option
