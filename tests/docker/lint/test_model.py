"""A Dockerfile is read into instructions and stages, and looked at as what ends up in the image."""

from dataclasses import replace

import pytest
from dockerfiles import linted, reading

from uvflow.docker.lint.model import Dockerfile, LintContext


def test_stages_have_names_and_images_with_arguments_filled_in() -> None:
    read = linted("ARG V=3.12\nFROM python:${V}-slim AS One\nFROM one\nFROM 0\n")
    assert [stage.image for stage in read.stages] == ["python:3.12-slim", "one", "0"]
    assert [stage.name for stage in read.stages[1].lineage] == ["One", ""]
    assert read.stages[2].lineage[0].name == "One"


def test_a_stage_named_as_its_image_is_not_built_on_itself() -> None:
    read = linted("FROM python AS python\nUSER x\n")
    assert len(read.stages[0].lineage) == 1


def test_an_argument_may_have_another_one_in_it() -> None:
    read = linted("ARG V=3.12\nARG B=python:${V}-slim\nFROM $B\nFROM ${C}\n")
    assert [stage.image for stage in read.stages] == ["python:3.12-slim", "${C}"]


def test_the_commands_of_a_step_are_those_of_a_shell() -> None:
    whole = linted("FROM a\nRUN A=1 uv sync && rm -rf x; true | tee y\n")
    assert [(command.environ, command.words) for command in whole.building] == [
        ({"A": "1"}, ("uv", "sync")),
        ({}, ("rm", "-rf", "x")),
        ({}, ("true",)),
        ({}, ("tee", "y")),
    ]


def test_the_exec_form_is_one_command() -> None:
    [command] = linted('FROM a\nRUN ["uv", "sync", "a && b"]\n').building
    assert command.words == ("uv", "sync", "a && b")


def test_a_sync_counts_where_its_environment_gets_into_the_image() -> None:
    text = (
        "FROM a AS build\nRUN uv sync --one\n"
        "FROM a AS test\nRUN uv sync --two\n"
        "FROM a\nCOPY --from=build /venv /venv\n"
    )
    assert [command.words[-1] for command in linted(text).syncs] == ["--one"]


def test_the_environment_of_a_command_is_what_was_set_before_it() -> None:
    text = "FROM a AS b\nARG A=1\nFROM b\nRUN C=3 uv sync\nENV D=4\n"
    [command] = linted(text).syncs
    assert command.environ == {"A": "1", "C": "3"}


def test_the_last_instruction_holds() -> None:
    user = linted("FROM a AS b\nUSER x\nFROM b\nUSER y\n").last("USER")
    assert user is not None
    assert user.text == "y"


TREE = LintContext(
    files=frozenset({"main.py", "src/shop/app.py", "docker/entry", "a.toml", "b.toml"}),
    text=reading({"docker/entry": '#!/bin/sh\nexec "$@"\n'}),
)


@pytest.mark.parametrize(
    ("copy", "paths"),
    [
        ("COPY main.py /x.py", ["/x.py"]),
        ("COPY ./main.py bin/", ["/w/bin/main.py"]),
        ("COPY main.py .", ["/w/main.py"]),
        ("COPY src ./lib", ["/w/lib/shop/app.py"]),
        ("COPY s*c/shop /opt", ["/opt/app.py"]),
        ("COPY *.toml ./", ["/w/a.toml", "/w/b.toml"]),
        ("COPY --parents src/shop $HERE", ["/here/src/shop/app.py"]),
        ("COPY --from=one /one/main.py ../y", ["/y"]),
        ("COPY --from=nginx /etc /etc", []),
        ("COPY <<E /w/made\nmain.py\nE", []),
    ],
)
def test_a_copy_is_followed_into_the_image(copy: str, paths: list[str]) -> None:
    one = "FROM debian AS one\nCOPY . /one\n"
    text = f"{one}FROM debian\nENV HERE=/here\nWORKDIR /w\n{copy}\n"
    image = linted(text, TREE)
    assert sorted(image.end.files) == paths


@pytest.mark.parametrize(
    "step",
    [
        "RUN touch /main.py",
        "RUN git clone https://h.test/x /",
        "COPY --from=registry.test/x / /",
        "ADD https://h.test/x.tar.gz /",
        "COPY <<E /main.py\nE",
    ],
)
def test_a_file_may_come_from_elsewhere(step: str) -> None:
    plain = "FROM debian:trixie\nCOPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/\nRUN id\n"
    assert not linted(plain).may_have("/main.py")
    assert linted(f"{plain}{step}\n").may_have("/main.py")
    assert linted("FROM registry.test/base\n").may_have("/main.py")


def test_the_entry_script_in_the_image_is_read() -> None:
    text = 'FROM debian\nCOPY docker/entry /usr/local/bin/\nENTRYPOINT ["entry"]\nCMD ["serve"]\n'
    image = linted(text, TREE)
    assert [command.text for command in image.started] == ["entry serve", "exec serve", "serve"]


def test_a_stage_for_development_is_not_the_image() -> None:
    text = "FROM a AS base\nFROM base AS prod\nFROM base AS dev\n"
    assert linted(text).final.name == "prod"
    assert linted("FROM a AS dev\n").final.name == "dev"


def test_what_grows_with_every_line_has_an_end() -> None:
    doubling = "ENV A=1234567890\n" + "ENV A=$A$A\n" * 40
    copies = "".join(
        f"FROM s{n} AS s{n + 1}\nCOPY --from=s{n} / /a\nCOPY --from=s{n} / /b\n" for n in range(12)
    )
    text = f"FROM debian AS s0\nCOPY . /\n{doubling}{copies}"
    image = linted(text, TREE)
    assert len(image.end.environ["A"]) == 10_000
    assert len(image.end.files) < 1_000_000


def test_scripts_that_start_each_other_have_an_end() -> None:
    text = 'FROM debian\nCOPY a.toml b.toml /\nENTRYPOINT ["/a.toml", "x"]\n'
    calls = {
        "a.toml": "#!/bin/sh\n" + '/b.toml "$@" "$@"\n' * 99,
        "b.toml": "#!/bin/sh\n" + '/a.toml "$@" "$@"\n' * 99,
    }
    image = linted(text, replace(TREE, text=reading(calls)))
    assert len(image.started) == 300


def test_a_long_chain_of_stages_is_followed() -> None:
    text = "FROM a AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(1200))
    assert linted(text).base == "a"


def test_the_images_that_a_file_makes() -> None:
    stages = ("base", "web", "worker", "test-runner", "builder", "last")
    starts = "".join(f'FROM base AS {name}\nCMD ["{name}"]\n' for name in stages[1:])
    text = f"FROM python AS base\nCMD x\n{starts}COPY --from=builder /a /a\n"
    assert [stage.name for stage in linted(text).leaves] == ["web", "worker", "test-runner", "last"]
    assert Dockerfile(text, LintContext(), target=1).started[0].words == ("web",)


@pytest.mark.parametrize(
    ("run", "environment"),
    [
        ("sh -c 'cd api && uv sync'", "/app/api/.venv"),
        ('cd api; set -e; UV="wrap uv"; $UV sync --frozen', "/app/api/.venv"),
        ("(cd api && make) && uv sync", "/app/.venv"),
        ("uv sync --directory=api", "/app/api/.venv"),
        ("${TOOL} sync --project /src", "/src/.venv"),
    ],
)
def test_where_a_step_makes_an_environment(run: str, environment: str) -> None:
    image = linted(f"FROM a\nENV TOOL=/bin/uv\nWORKDIR /app\nRUN {run}\n")
    assert [sync.environment for sync in image.syncs] == [environment]
