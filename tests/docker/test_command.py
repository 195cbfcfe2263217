"""Each option of `uvflow docker` does its one thing, through the installed command."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from locks import local, locked, manifest, package
from rig import Command, Tree

from uvflow import uv
from uvflow.docker.command import DockerOptions, FileState, ImagePlan, write_files
from uvflow.errors import DriftError, UsageError
from uvflow.project.manifest import Project
from uvflow.uv import Uv

PROJECT = {
    "pyproject.toml": manifest(rest='[tool.uvflow.docker]\ncommand = ["serve"]\n'),
    "uv.lock": locked(local("shop")),
    ".python-version": "3.12\n",
}


def test_files_are_written_and_the_evidence_is_told(tree: Tree, uvflow: Command) -> None:
    said = uvflow("docker", "--uv=0.13.9", cwd=tree(PROJECT))
    assert (said.code, said.out) == (0, "")
    assert said.err == (
        "Python 3.12: .python-version\n"
        "Starts serve: [tool.uvflow.docker] command\n"
        "One stage: every locked package has a wheel\n"
        "Wrote Dockerfile\n"
        "Wrote .dockerignore\n"
    )


def test_a_probe_without_a_path_and_a_server_that_nobody_reaches_are_told(
    tree: Tree, uvflow: Command
) -> None:
    root = tree({**PROJECT, "pyproject.toml": manifest(), "Procfile": "web: uvicorn main:app\n"})
    said = uvflow("docker", cwd=root)
    assert "\nProbes port 8000: no path of a health check is known, " in said.err
    hint = "0.0.0.0 in its place: --host, --bind, --server.address"
    assert f": only the container itself reaches 127.0.0.1: {hint}\n" in said.err
    root.joinpath("Procfile").write_text("web: flask run --host=0.0.0.0\n")
    assert ": this starts a development server: gunicorn " in uvflow("docker", cwd=root).err


def test_a_process_that_cannot_start_and_a_secret_of_the_settings_are_told(
    tree: Tree, uvflow: Command
) -> None:
    rest = """[tool.uvflow.docker]
command = ["serve"]
processes = { worker = ["python", "wroker.py"], serve = ["serve"] }
environment = { SECRET_KEY = "abc" }
"""
    root = tree({**PROJECT, "pyproject.toml": manifest(rest=rest), "worker.py": ""})
    secret, worker, *_ = uvflow("docker", cwd=root).err.split("\n")
    assert secret == (
        "warning: Dockerfile:20: SECRET_KEY is in the image's history: docker run --env-file .env …"
    )
    assert worker == (
        "warning: worker: wroker.py does not exist in the image: "
        "name what the image has, or put it there"
    )


def test_what_is_built_with_a_compiler_alone_is_told(tree: Tree, uvflow: Command) -> None:
    shop = local("shop", needs=["odd", "psycopg2"])
    lock = locked(shop, package("odd", wheels=()), package("psycopg2", wheels=()))
    said = uvflow("docker", "--dry-run", cwd=tree({**PROJECT, "uv.lock": lock}))
    assert "\nTwo stages: without a wheel: odd, psycopg2\n" in said.err
    advice = "where that is not all it needs, `build-packages` in [tool.uvflow.docker] is"
    assert f"\nBuilds odd with g++ and libpq-dev and make: {advice}\n" in said.err


def test_each_command_is_one_line_of_every_file(tree: Tree) -> None:
    lines = "web: serve\nlog: python w.py | tee log\nseed: a && X=1 b\nloop: while a; do b; done\n"
    root = tree({**PROJECT, "Procfile": lines + "note: a | b # c\n"})
    plan = ImagePlan(Project.load(root), DockerOptions(uv="0.13.9", bake=True, compose=True))
    for file in plan.generated:
        head, _, body = file.text.partition("\n\n")
        assert all(line.startswith("#") for line in head.split("\n"))
        assert len(re.findall("docker run .*wait", head)) == 4
        assert body.startswith(("# Python", "# For a registry", "services:"))
    services = yaml.safe_load(plan.generated[2].text.replace("$$", "$"))["services"]
    words = {f"shop-{name}": list(words) for name, words in plan.facts.processes}
    assert {name: services[name]["entrypoint"] for name in words} == words
    assert len(words) == 4


@pytest.mark.parametrize("name", ["compose.yml", "docker-compose.yml", "docker-compose.yaml"])
def test_a_compose_file_of_another_name_is_not_shadowed(tree: Tree, name: str) -> None:
    root = tree({**PROJECT, name: "services: {}\n"})
    project, options = Project.load(root), DockerOptions(uv="0.13.9", compose=True)
    with pytest.raises(DriftError) as caught:
        ImagePlan(project, options)
    assert caught.value.message == f"Compose would read compose.yaml instead of {name}"
    assert caught.value.cause == f"{name} was not made by uvflow"
    assert caught.value.hint == f"rename or delete {name}, or leave out `--compose`"
    assert len(ImagePlan(project, DockerOptions()).generated) == 1


SERVER_LOCKED = {"uv.lock": locked(local("shop", needs=["uvicorn"]), package("uvicorn"))}
NOT_THERE = "name what the image has, or put it there"


@pytest.mark.parametrize(
    ("settings", "files", "found"),
    [
        ('app = "main:nope"', SERVER_LOCKED, f"main has no nope: {NOT_THERE}"),
        ('app = "pub:app"', SERVER_LOCKED, f"the image has no pub in /app: {NOT_THERE}"),
        (
            'command = ["uvicorn", "--host=::", "shop.web:app"]',
            {**SERVER_LOCKED, "src/shop/web.py": "app = 1\n"},
            f"the image has no shop.web in /app: {NOT_THERE}",
        ),
        (
            'command = ["fastapi", "run", "--host=::", "main.py"]',
            {},
            "fastapi-cli is not in uv.lock: `uv add` it, or sync what has it",
        ),
        (
            'command = ["./start.sh"]',
            {"start.sh": "#!/bin/sh\nexec uv run --no-sync main.py\n"},
            f"uv is not in the image: {NOT_THERE}",
        ),
    ],
)
def test_a_start_that_must_fail_is_a_warning(
    tree: Tree, uvflow: Command, settings: str, files: dict[str, str], found: str
) -> None:
    table = manifest(rest=f"[tool.uvflow.docker]\n{settings}\n")
    root = tree({**PROJECT, "pyproject.toml": table, "main.py": "app = FastAPI()\n", **files})
    for name in {"start.sh"} & files.keys():
        root.joinpath(name).chmod(0o755)
    said = uvflow("docker", "--print", cwd=root)
    warnings = [line for line in said.err.splitlines() if line.startswith("warning: Dockerfile:")]
    assert [line.split(": ", 2)[2] for line in warnings] == [found]
    assert said.code == 0
    uvflow("docker", cwd=root)
    assert uvflow("docker", "--check", cwd=root).code == 1


@pytest.mark.parametrize(("before", "is_told"), [("", True), ("exec ", False)])
def test_a_script_that_is_between_the_signals_and_its_server_is_told(
    tree: Tree, uvflow: Command, before: str, *, is_told: bool
) -> None:
    table = manifest(rest='[tool.uvflow.docker]\ncommand = ["./start.sh"]\n')
    script = f"#!/bin/sh\nset -e\n{before}uvicorn --host=:: main:app\n"
    files = {"pyproject.toml": table, "main.py": "app = FastAPI()\n", "start.sh": script}
    root = tree({**PROJECT, **SERVER_LOCKED, **files})
    root.joinpath("start.sh").chmod(0o755)
    said = uvflow("docker", cwd=root)
    assert said.code == 0
    told = "the shell before uvicorn does not forward signals"
    assert (told in said.err) == is_told


def test_a_start_that_works_is_no_warning(tree: Tree, uvflow: Command) -> None:
    table = manifest(rest='[tool.uvflow.docker]\napp = "main:app"\n')
    files = {"pyproject.toml": table, "main.py": "app = FastAPI()\n", **SERVER_LOCKED}
    said = uvflow("docker", "--print", cwd=tree({**PROJECT, **files}))
    assert (said.code, "Dockerfile" in said.err) == (0, False)


def test_print_writes_to_stdout_alone(tree: Tree, uvflow: Command) -> None:
    root = tree(PROJECT)
    said = uvflow("docker", "--print", "--uv=0.13.9", cwd=root)
    assert said.out.startswith("# Made by `uvflow docker --uv=0.13.9`;")
    assert not (root / "Dockerfile").exists()
    uvflow("docker", "--uv=0.13.9", cwd=root)
    assert (root / "Dockerfile").read_text() == said.out


def test_what_is_printed_is_what_is_written_with_its_placeholders(
    tree: Tree, uvflow: Command
) -> None:
    setting = '[tool.uvflow.docker]\ncommand = ["serve"]\nenvironment = { A_TOKEN = "none" }\n'
    root = tree({**PROJECT, "pyproject.toml": manifest(rest=setting)})
    printed = uvflow("docker", "--print", "--uv=0.13.9", cwd=root).out
    assert "A_TOKEN=none" in printed
    uvflow("docker", "--uv=0.13.9", cwd=root)
    assert (root / "Dockerfile").read_text() == printed


def test_a_dry_run_shows_the_difference_and_writes_nothing(tree: Tree, uvflow: Command) -> None:
    root = tree(PROJECT)
    said = uvflow("docker", "--dry-run", cwd=root)
    assert "+FROM python:3.12-slim-trixie AS base\n" in said.out
    assert said.err.endswith("Would write Dockerfile\nWould write .dockerignore\n")
    assert not (root / "Dockerfile").exists()


def test_check_of_a_good_file_of_a_person_says_that_nothing_was_found(
    tree: Tree, uvflow: Command
) -> None:
    dockerfile = 'FROM registry.test/base:1\nCMD ["serve"]\n'
    said = uvflow("docker", "--check", cwd=tree({**PROJECT, "Dockerfile": dockerfile}))
    assert (said.code, said.out, said.err) == (0, "", "No findings\n")


def test_check_is_0_when_current_and_1_with_a_difference_otherwise(
    tree: Tree, uvflow: Command
) -> None:
    root = tree(PROJECT)
    uvflow("docker", cwd=root)
    said = uvflow("docker", "--check", cwd=root)
    assert (said.code, said.out) == (0, "")
    assert said.err == "Current: the files match today's facts\n"
    (root / ".python-version").write_text("3.13\n")
    said = uvflow("docker", "--check", cwd=root)
    assert said.code == 1
    assert "-FROM python:3.12-slim-trixie AS base\n" in said.out
    assert "+FROM python:3.13-slim-trixie AS base\n" in said.out
    assert said.err == (
        "error: the files of the image do not match today's facts\n"
        "hint: `uvflow docker` updates them\n"
    )


def test_check_as_json_is_one_object(tree: Tree, uvflow: Command) -> None:
    root = tree({**PROJECT, "Dockerfile": "FROM python:3.12-slim-trixie\nUSER 1\nCMD python\n"})
    said = uvflow("docker", "--check", "--json", cwd=root)
    data = json.loads(said.out)
    assert (said.code, data["exit_code"], data["command"]) == (1, 1, "docker")
    assert data["findings"][0] == {
        "code": "output-buffered",
        "severity": "note",
        "path": "Dockerfile",
        "line": 1,
        "message": "the last output of a crashing service is lost",
        "hint": "ENV PYTHONUNBUFFERED=1",
    }


def test_a_hand_written_file_is_checked_without_facts(tree: Tree, uvflow: Command) -> None:
    text = 'FROM python:3.12-slim-trixie\nCMD ["python"]\n'
    root = tree({"pyproject.toml": manifest(), "Dockerfile": text})
    said = uvflow("docker", "--check", cwd=root)
    assert said.code == 1
    assert "Dockerfile:2: error[starts-nothing] python is only a prompt\n" in said.out


def test_an_edited_file_is_overwritten_by_force_or_becomes_the_users(
    tree: Tree, uvflow: Command
) -> None:
    root = tree(PROJECT)
    assert uvflow("docker", cwd=root).code == 0
    with (root / "Dockerfile").open("a") as file:
        file.write("LABEL mine=1\n")
    for arguments in (("docker",), ("docker", "--check"), ("docker", "build")):
        said = uvflow(*arguments, cwd=root)
        assert said.code == 1
        assert "Dockerfile was edited since uvflow made it" in said.err
        assert said.err.endswith(
            "hint: `uvflow docker --force` overwrites it; delete its first line to keep the edits\n"
        )
    own = (root / "Dockerfile").read_text().partition("\n")[2]
    (root / "Dockerfile").write_text(own)
    assert uvflow("docker", "--check", cwd=root).code == 0
    said = uvflow("docker", cwd=root)
    assert (said.code, "was not made by uvflow" in said.err) == (1, True)
    assert (root / "Dockerfile").read_text() == own
    assert uvflow("docker", "--force", cwd=root).code == 0


def test_a_file_of_somebody_else_needs_force(tree: Tree, uvflow: Command) -> None:
    root = tree({**PROJECT, "Dockerfile": "FROM x\n"})
    assert uvflow("docker", cwd=root).code == 1
    assert uvflow("docker", "--force", cwd=root).code == 0


@pytest.mark.parametrize("pair", [("--print", "--check"), ("--check", "--dry-run")])
def test_two_ways_at_once_are_refused(tree: Tree, uvflow: Command, pair: tuple[str, str]) -> None:
    said = uvflow("docker", *pair, cwd=tree(PROJECT))
    assert said.code == 2
    assert said.err == "error: --print, --check and --dry-run exclude each other\n"


def test_what_a_dockerignore_lets_in_is_a_warning(tree: Tree, uvflow: Command) -> None:
    said = uvflow("docker", cwd=tree({**PROJECT, ".dockerignore": ".git\n.venv\n"}))
    assert said.code == 0
    assert said.err.startswith(
        "warning: .dockerignore:1: does not exclude: **/.env, **/__pycache__\n"
    )


def test_without_a_lockfile_it_is_exit_code_3(tree: Tree, uvflow: Command) -> None:
    said = uvflow("docker", cwd=tree({"pyproject.toml": manifest()}))
    assert said.code == 3
    assert said.err.endswith("hint: `uv lock` makes one\n")


def planned(root: Path, *more: str, **options: str) -> ImagePlan:
    given: dict[str, Any] = {"uv": "0.13.9", **dict.fromkeys(more, True), **options}
    return ImagePlan(Project.load(root), DockerOptions(**given))


def states(work: ImagePlan) -> dict[str, FileState]:
    return {file.path.name: file.state for file in (*work.generated, work.dockerignore)}


def written(work: ImagePlan, *, force: bool = False) -> list[str]:
    write_files(work, force=force)
    return [file.path.name for file in work.to_write]


@pytest.fixture
def made(tree: Tree) -> Path:
    """A project whose files uvflow has made."""
    root = tree(PROJECT)
    write_files(planned(root), force=False)
    return root


def test_both_files_are_written(tree: Tree) -> None:
    root = tree(PROJECT)
    work = planned(root)
    assert written(work) == ["Dockerfile", ".dockerignore"]
    for file in (work.dockerfile, work.dockerignore):
        assert (root / file.path.name).read_text() == file.text


def test_a_second_time_nothing_is_written(made: Path) -> None:
    before = (made / "Dockerfile").stat().st_mtime_ns
    assert written(planned(made)) == []
    assert (made / "Dockerfile").stat().st_mtime_ns == before


def test_other_facts_make_it_anew(made: Path) -> None:
    (made / ".python-version").write_text("3.13\n")
    work = planned(made)
    assert states(work) == {"Dockerfile": FileState.CHANGED, ".dockerignore": FileState.SAME}
    assert written(work) == ["Dockerfile"]


def test_what_was_said_last_time_holds_until_it_is_said_otherwise(tree: Tree) -> None:
    root = tree(PROJECT)
    write_files(planned(root, base="managed"), force=False)
    again = ImagePlan(Project.load(root), DockerOptions())
    assert again.dockerfile.text.startswith("# Made by `uvflow docker --uv=0.13.9 --base=managed`")
    assert states(again)["Dockerfile"] is FileState.SAME
    assert planned(root, base="slim").facts.base == "slim"


def test_the_uv_of_this_machine_is_named_the_first_time(tree: Tree) -> None:
    work = ImagePlan(Project.load(tree(PROJECT)), DockerOptions())
    assert work.facts.images["uv"] == f"ghcr.io/astral-sh/uv:{uv.find().version}"


def test_a_uv_that_is_older_than_the_one_here_is_remarked(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uv, "find", lambda: Uv(path="uv", version="0.13.9"))
    work = planned(tree(PROJECT), uv="0.9.30")
    [remark] = work.remarks
    assert remark.startswith("uv 0.9.30 builds the image, and uv 0.13.9 is here")
    assert planned(tree(PROJECT), uv="0.13.0").remarks == ()


def test_an_edited_file_is_not_overwritten(made: Path) -> None:
    with (made / "Dockerfile").open("a") as file:
        file.write("LABEL mine=1\n")
    work = planned(made)
    assert states(work)["Dockerfile"] is FileState.EDITED
    with pytest.raises(DriftError, match="Dockerfile was edited since uvflow made it"):
        write_files(work, force=False)
    assert (made / "Dockerfile").read_text().endswith("LABEL mine=1\n")
    assert written(work, force=True) == ["Dockerfile"]


def test_a_file_of_somebody_else_is_not_overwritten(tree: Tree) -> None:
    root = tree({**PROJECT, "Dockerfile": "FROM scratch\n"})
    with pytest.raises(DriftError, match="Dockerfile was not made by uvflow"):
        write_files(planned(root), force=False)
    assert not (root / ".dockerignore").exists()


def test_a_dockerignore_is_kept_and_what_it_lacks_is_named(tree: Tree) -> None:
    root = tree({**PROJECT, ".dockerignore": ".git\n.venv\n"})
    work = planned(root)
    assert [str(finding) for finding in work.findings] == [
        ".dockerignore:1: does not exclude: **/.env, **/__pycache__"
    ]
    write_files(work, force=True)
    assert (root / ".dockerignore").read_text() == ".git\n.venv\n"


def test_windows_line_ends_are_no_difference(made: Path) -> None:
    path = made / "Dockerfile"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert states(planned(made))["Dockerfile"] is FileState.SAME


def test_more_files_are_written_when_asked_for_and_kept_up_then(made: Path) -> None:
    work = planned(made, "bake", "compose")
    assert list(states(work)) == [
        "Dockerfile",
        "docker-bake.hcl",
        "compose.yaml",
        ".dockerignore",
    ]
    write_files(work, force=False)
    assert list(states(planned(made))) == list(states(work))


def test_a_compose_file_of_somebody_else_is_nobodys_business(made: Path) -> None:
    (made / "compose.yaml").write_text("services: {}\n")
    assert "compose.yaml" not in states(planned(made))


def test_a_member_has_its_files_beside_it(tree: Tree) -> None:
    root = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["api"]\n',
            "uv.lock": locked(local("api", source='virtual = "api"')),
            "api/pyproject.toml": PROJECT["pyproject.toml"].replace("shop", "api"),
        }
    )
    assert list(states(planned(root / "api"))) == ["Dockerfile", "Dockerfile.dockerignore"]


def test_a_first_line_that_was_edited_to_say_what_cannot_be_is_named(made: Path) -> None:
    text = (made / "Dockerfile").read_text()
    (made / "Dockerfile").write_text(text.replace("docker --uv", "docker --base='slim --uv", 1))
    with pytest.raises(UsageError, match="--base must be one of slim, "):
        planned(made)


posix_only = pytest.mark.skipif("sys.platform == 'win32'", reason="links and pipes of POSIX")


@posix_only
@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore", "compose.yaml", "docker-bake.hcl"])
@pytest.mark.parametrize("mode", [(), ("--force",), ("--dry-run",)])
def test_nothing_is_written_or_shown_through_a_link_out(
    tree: Tree, uvflow: Command, name: str, mode: tuple[str, ...]
) -> None:
    root = tree(PROJECT)
    outside = root.with_name("outside")
    if name != ".dockerignore":  # one that is there is the user's, and only read
        outside.write_text("quagga77\n")
    (root / name).symlink_to("../outside")
    done = uvflow("docker", "--bake", "--compose", *mode, cwd=root)
    assert done.code in {1, 8}  # with --force or not, it was not made by uvflow
    assert "quagga77" not in done.out + done.err
    assert (outside.read_text() if outside.exists() else "quagga77\n") == "quagga77\n"
    assert sorted(path.name for path in root.iterdir()) == sorted((*PROJECT, name))


@posix_only
def test_a_link_to_nowhere_out_is_refused_with_its_target(tree: Tree, uvflow: Command) -> None:
    root = tree(PROJECT)
    (root / "Dockerfile").symlink_to("../home/.zshenv")
    done = uvflow("docker", cwd=root)
    assert done.code == 8
    assert done.err == (
        f"error: {root / 'Dockerfile'} leads out of {root}, so it is not used\n"
        f"  cause: it is a link to {root.parent / 'home/.zshenv'}\n"
        "hint: put a file in the place of the link, or remove the link\n"
    )
    assert uvflow("docker", "--print", cwd=root).code == 0


@posix_only
def test_a_link_in_the_workspace_is_followed(tree: Tree, uvflow: Command) -> None:
    root = tree(PROJECT)
    (root / "deploy").mkdir()
    (root / "Dockerfile").symlink_to("deploy/Dockerfile")
    assert uvflow("docker", cwd=root).code == 0
    assert (root / "deploy" / "Dockerfile").read_text().startswith("# Made by `uvflow docker")
    assert (root / "Dockerfile").is_symlink()


@posix_only
@pytest.mark.parametrize(
    ("name", "code"),
    [("uv.lock", 3), (".python-version", 2), ("uv.toml", 2), ("Dockerfile", 8), ("Procfile", 8)],
)
@pytest.mark.parametrize("mode", ["--print", "--check"])
def test_a_pipe_is_not_waited_for(
    tree: Tree, uvflow: Command, name: str, code: int, mode: str
) -> None:
    root = tree({key: text for key, text in PROJECT.items() if key != name})
    (root / "pyproject.toml").write_text(manifest())
    os.mkfifo(root / name)
    done = uvflow("docker", mode, cwd=root, seconds=20)
    assert done.code == code
    assert f"error: {root / name} cannot be read\n" in done.err


def test_a_stale_lockfile_is_a_warning(tree: Tree, uvflow: Command) -> None:
    root = tree({**PROJECT, "pyproject.toml": PROJECT["pyproject.toml"].replace("1.0", "2.0")})
    for options in ((), ("--check",)):
        said = uvflow("docker", *options, cwd=root)
        assert said.code == 0
        assert "warning: uv.lock is stale, and the build will fail: " in said.err


def test_the_python_in_use_is_kept_in_the_first_dockerfile(tree: Tree, uvflow: Command) -> None:
    files = {name: text for name, text in PROJECT.items() if name != ".python-version"}
    root = tree({**files, ".venv/pyvenv.cfg": "version_info = 3.12.4\n"})
    said = uvflow("docker", cwd=root)
    assert "Python 3.12: that of .venv, and stays: `--python=X.Y` names another\n" in said.err
    (root / ".venv" / "pyvenv.cfg").unlink()
    again = uvflow("docker", cwd=root)
    assert "Python 3.12: --python in the first line of the Dockerfile\n" in again.err
    assert uvflow("docker", "--check", cwd=root).code == 0
