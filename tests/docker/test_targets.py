"""Profiles become targets."""

import pytest

from uvflow.docker.targets import arguments, default_groups, dev_switch_variable, selections
from uvflow.errors import UsageError
from uvflow.project.profiles import BUILT_IN, Profile

DEV = ("dev",)


def profiles(*more: Profile) -> tuple[Profile, ...]:
    return (*BUILT_IN.values(), *more)


def test_prod_is_the_last_target() -> None:
    assert selections(profiles(), None) == (BUILT_IN["dev"], BUILT_IN["prod"])
    assert [arguments(each) for each in BUILT_IN.values()] == [(), ()]


def test_groups_and_extras_are_arguments() -> None:
    staging = Profile(name="staging", groups=("metrics",), extras=("aws",), editable=False)
    found = selections(profiles(staging), None)[1]
    assert (found, arguments(found)) == (staging, ("--group=metrics", "--extra=aws"))


def test_all_is_every_one_also_in_an_image() -> None:
    every = Profile(name="every", groups="all", extras="all", package="all")
    found = arguments(selections(profiles(every), "api")[1])
    assert found == ("--all-groups", "--all-extras", "--all-packages")
    assert dev_switch_variable(profiles(every), DEV) == "UV_NO_DEFAULT_GROUPS"


def test_a_member_is_named_to_uv() -> None:
    assert arguments(selections(profiles(), "api")[-1]) == ("--package=api",)


@pytest.mark.parametrize(
    "name", ["base", "builder", "uv", "python", "static", "project", "ci-project"]
)
def test_a_profile_named_as_a_stage_is_refused(name: str) -> None:
    others = (Profile(name="ci", editable=False), Profile(name=name))
    with pytest.raises(UsageError, match=f"the profile `{name}` cannot be a target"):
        selections(profiles(*others), None)


def test_a_profile_without_stages_of_its_own_takes_no_names() -> None:
    others = (Profile(name="ci"), Profile(name="ci-project"))
    found = selections(profiles(*others), None)
    assert {"ci", "ci-project"} <= {selection.name for selection in found}


def test_the_switch_is_uv_no_dev_where_that_is_enough() -> None:
    assert dev_switch_variable(profiles(), DEV) == "UV_NO_DEV"
    assert dev_switch_variable(profiles(), ("dev", "lint")) == "UV_NO_DEFAULT_GROUPS"
    asks = Profile(name="ci", groups=("dev",))
    assert dev_switch_variable(profiles(asks), DEV) == "UV_NO_DEFAULT_GROUPS"


def test_default_groups_are_uvs() -> None:
    assert default_groups({}, ["dev", "docs"]) == ("dev",)
    assert default_groups({"default-groups": ["docs"]}, ["dev", "docs"]) == ("docs",)
    assert default_groups({"default-groups": "all"}, ["dev", "docs"]) == ("dev", "docs")
