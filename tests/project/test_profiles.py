from pathlib import Path
from typing import Any

import pytest

from uvflow.errors import UsageError
from uvflow.project import profiles
from uvflow.project.profiles import Profile


def read(settings: dict[str, Any]) -> profiles.Profiles:
    return profiles.read(settings, "pyproject.toml")


def declared(**table: Any) -> profiles.Profiles:
    return read({"profiles": {"ci": {k.replace("_", "-"): v for k, v in table.items()}}})


def test_dev_and_prod_exist_without_being_written() -> None:
    assert [profile._replace(where="") for profile in read({}).by_name.values()] == [
        Profile(name="dev"),
        Profile(name="prod", groups=(), editable=False, compile_bytecode=True),
    ]


def test_the_built_in_profiles_mean_the_documented_commands() -> None:
    dev, prod = read({}).by_name["dev"], read({}).by_name["prod"]
    assert " ".join(dev.sync_arguments()) == "sync --locked"
    assert " ".join(prod.sync_arguments()) == (
        "sync --locked --no-default-groups --no-editable --compile-bytecode"
    )


def test_all_selects_every_group_extra_and_member() -> None:
    profile = declared(groups="all", extras="all", package="all").by_name["ci"]
    assert profile.selection() == ("--all-groups", "--all-extras", "--all-packages")


def test_every_key_reaches_uv() -> None:
    profile = declared(
        groups=["test", "docs"],
        extras=["postgres"],
        editable=False,
        compile_bytecode=True,
        python="3.12",
        package="api",
        environment=".venv-ci",
        env_file=".env",
    ).by_name["ci"]
    assert profile.sync_arguments() == (
        "sync",
        "--locked",
        "--no-default-groups",
        "--group=test",
        "--group=docs",
        "--extra=postgres",
        "--no-editable",
        "--compile-bytecode",
        "--python=3.12",
        "--package=api",
    )
    assert profile.environ({})["UV_PROJECT_ENVIRONMENT"] == ".venv-ci"
    assert profile.env_file == ".env"


def test_writing_a_built_in_profile_adjusts_it() -> None:
    prod = read({"profiles": {"prod": {"extras": ["postgres"]}}}).by_name["prod"]
    assert prod == Profile(
        name="prod",
        where=prod.where,
        groups=(),
        extras=("postgres",),
        editable=False,
        compile_bytecode=True,
    )


def test_a_profile_extends_another_one_as_that_is_written() -> None:
    found = read({"profiles": {"prod": {"extras": ["a"]}, "ci": {"extends": "prod", "groups": []}}})
    assert found.by_name["ci"].extras == ("a",)
    assert found.by_name["ci"].name == "ci"
    assert not found.by_name["ci"].editable


def test_a_value_is_never_read_as_an_option_of_uv() -> None:
    assert declared(extras=["--index=evil"]).by_name["ci"].selection() == ("--extra=--index=evil",)


def test_variables_that_would_change_the_selection_are_set_aside() -> None:
    environ = Profile(name="dev").environ({"UV_NO_DEV": "1", "UV_FROZEN": "1", "UV_OFFLINE": "1"})
    assert environ == {"UV_OFFLINE": "1"}


@pytest.mark.parametrize(
    ("variable", "profile", "expected"),
    [(".venv-ci", None, None), ("mine", None, "mine"), (".venv-ci", ".venv-x", ".venv-x")],
)
def test_the_environment_of_an_activated_profile_is_not_that_of_another(
    variable: str, profile: str | None, expected: str | None
) -> None:
    base = {"UV_PROJECT_ENVIRONMENT": variable, "UVFLOW_ACTIVATED": ".venv-ci"}
    environ = Profile(name="x", environment=profile).environ(base)
    assert environ.get("UV_PROJECT_ENVIRONMENT") == expected


@pytest.mark.parametrize(
    ("profile", "variable", "expected"),
    [
        (None, None, ".venv"),
        (None, "elsewhere", "elsewhere"),
        (".venv-ci", "elsewhere", ".venv-ci"),
    ],
)
def test_where_the_environment_is(profile: str | None, variable: str | None, expected: str) -> None:
    environ = {"UV_PROJECT_ENVIRONMENT": variable} if variable else {}
    found = Profile(name="x", environment=profile).environment_path(Path("root"), environ)
    assert found == Path("root", expected)


def test_a_flag_comes_before_a_variable_before_the_last_before_the_default() -> None:
    found = read({"default-profile": "prod"})
    variable = {"UVFLOW_PROFILE": "prod"}
    choices = [
        found.choose("dev", variable, "prod"),
        found.choose(None, variable, "dev"),
        found.choose(None, {}, "dev"),
        found.choose(None, {}, None),
        found.choose(None, {}, "no longer there"),
        read({}).choose(None, {}, None),
    ]
    assert [(choice.profile.name, choice.chosen_by) for choice in choices] == [
        ("dev", ""),
        ("prod", "from UVFLOW_PROFILE"),
        ("dev", "as last time"),
        ("prod", "default-profile"),
        ("prod", "default-profile"),
        ("dev", "by default"),
    ]


def test_an_unknown_profile_is_reported_with_the_variable_that_names_it() -> None:
    with pytest.raises(UsageError, match=r"unknown profile `prd` \(from UVFLOW_PROFILE\)"):
        read({}).choose(None, {"UVFLOW_PROFILE": "prd"}, None)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (
            {"profils": {}},
            "pyproject.toml: unknown key `tool.uvflow.profils`",
            "did you mean `profiles`?",
        ),
        (
            {"profiles": {"prod": {"extra": []}}},
            "pyproject.toml: unknown key `tool.uvflow.profiles.prod.extra`",
            "did you mean `extras`?",
        ),
        (
            {"profiles": {"prod": {"editable": 1}}},
            "pyproject.toml: `tool.uvflow.profiles.prod.editable` must be true or false, not 1",
            None,
        ),
        (
            {"profiles": {"prod": {"editable": "no"}}},
            "pyproject.toml: `tool.uvflow.profiles.prod.editable` must be true or false, not 'no'",
            None,
        ),
        (
            {"profiles": {"ci": {"extends": "prd"}}},
            "pyproject.toml: `tool.uvflow.profiles.ci` extends `prd`, which does not exist",
            "did you mean `prod`?",
        ),
        (
            {"profiles": {"ci": {"extends": ["prod"]}}},
            "pyproject.toml: `tool.uvflow.profiles.ci.extends` must be a string, not ['prod']",
            None,
        ),
        (
            {"profiles": {f"p{n}": {"extends": f"p{n + 1}"} for n in range(3000)}},
            "pyproject.toml: `tool.uvflow.profiles.p21` extends more than 20 profiles",
            None,
        ),
        (
            {"profiles": {"a": {"extends": "b"}, "b": {"extends": "a"}}},
            "pyproject.toml: `tool.uvflow.profiles.a` extends itself",
            None,
        ),
        (
            {"profiles": {"../x": {}}},
            "pyproject.toml: `tool.uvflow.profiles.../x` is not named as a group may be (PEP 735)",
            None,
        ),
        ({"profiles": []}, "pyproject.toml: `tool.uvflow.profiles` must be a table, not []", None),
        (
            {"default-profile": "prd"},
            "pyproject.toml: `tool.uvflow.default-profile` is `prd`, which does not exist",
            "did you mean `prod`?",
        ),
    ],
)
def test_what_is_wrong_is_reported_with_file_and_key(
    settings: dict[str, Any], message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        read(settings)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_persons_own_settings_add_profiles_and_adjust_them() -> None:
    shared = {"default-profile": "prod", "profiles": {"ci": {"groups": ["test"], "extras": ["x"]}}}
    own = {"default-profile": "me", "profiles": {"me": {"extends": "ci"}, "ci": {"extras": []}}}
    found = profiles.read(shared, "pyproject.toml", own, "uvflow.local.toml")
    assert found.default == "me"
    assert found.by_name["me"]._replace(where="") == Profile(name="me", groups=("test",))
    assert found.by_name["ci"].where == "uvflow.local.toml: `profiles.ci`"


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"default-profile": "prd"}, "`default-profile` is `prd`, which does not exist"),
        ({"profiles": {"me": {"group": []}}}, "unknown key `profiles.me.group`"),
        ({"docker": {}}, "unknown key `docker`"),
        ({"profiles": {"me": {"extends": "x"}}}, "`profiles.me` extends `x`, which does not exist"),
    ],
)
def test_what_is_wrong_in_a_persons_own_settings_is_of_that_file(
    own: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        profiles.read({}, "pyproject.toml", own, "uvflow.local.toml")
    assert caught.value.message == f"uvflow.local.toml: {message}"


def test_groups_are_a_list_or_all() -> None:
    with pytest.raises(UsageError, match='groups` must be a list of strings or "all", not 1'):
        declared(groups=1)
