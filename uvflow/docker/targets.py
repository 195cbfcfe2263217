"""The profiles of a project as targets of its Dockerfile. Pure."""

from collections.abc import Iterable

from uvflow.errors import UsageError
from uvflow.project.manifest import Table
from uvflow.project.profiles import ALL, Profile

# The stages of a Dockerfile that are not targets, and those of each profile besides its target.
STAGES = ("base", "builder", "uv", "python", "static")
OF_EACH = ("dependencies", "project")

NO_DEFAULT_GROUPS = "UV_NO_DEFAULT_GROUPS"


def dev_switch_variable(profiles: Iterable[Profile], defaults: tuple[str, ...]) -> str:
    """The variable that makes uv skip what is for development; `defaults` are the default groups.

    UV_NO_DEV skips only the group `dev`, and that even where it is asked for.
    """
    is_asked_for = any(p.groups == ALL or "dev" in (p.groups or ()) for p in profiles)
    return "UV_NO_DEV" if defaults == ("dev",) and not is_asked_for else NO_DEFAULT_GROUPS


def selections(profiles: Iterable[Profile], package: str | None) -> tuple[Profile, ...]:
    """One for each profile, prod last; `package` is the workspace member that uv is to install.

    Raises UsageError for a profile with the name of a stage.
    """
    by_name = {profile.name: profile for profile in profiles}
    prod = by_name.pop("prod")
    own_stages = {f"{p.name}-{s}" for p in by_name.values() if not p.editable for s in OF_EACH}
    for name in by_name:
        if name in {*STAGES, *OF_EACH, *own_stages}:
            raise UsageError(
                f"the profile `{name}` cannot be a target of the Dockerfile",
                cause="a stage already has that name",
                hint="give the profile another name",
            )
    targets = (*by_name.values(), prod)
    return tuple(profile._replace(package=profile.package or package) for profile in targets)


def arguments(profile: Profile) -> tuple[str, ...]:
    """What selects for uv what it installs besides what the dev switch variable leaves."""
    groups, extras, package = profile.groups or None, profile.extras, profile.package
    chosen = Profile(profile.name, groups=groups, extras=extras, package=package)
    return tuple(word for word in chosen.selection() if word != "--no-default-groups")


def default_groups(uv_table: Table, groups: Iterable[str]) -> tuple[str, ...]:
    """What `uv sync` installs without an option (uv docs, "Default groups")."""
    names = uv_table.get("default-groups", ["dev"])
    return tuple(groups) if names == "all" else tuple(names)
