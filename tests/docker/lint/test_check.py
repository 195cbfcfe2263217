"""Files are compared with today's facts, and hand-written ones are linted."""

import time
from pathlib import Path

import pytest
from locks import local, locked, manifest, package
from rig import Tree

from uvflow.docker import command
from uvflow.docker.command import DockerOptions, DockerResult, run_docker
from uvflow.docker.lint.check import check_handwritten, lint_context
from uvflow.docker.lint.model import LintContext
from uvflow.errors import DiskError, UsageError
from uvflow.project.manifest import Project

PROJECT = {
    "pyproject.toml": manifest(rest='[tool.uvflow.docker]\ncommand = ["serve"]\n'),
    "uv.lock": locked(local("shop", needs=["web"]), package("web")),
    ".python-version": "3.12\n",
}


def verdict(root: Path) -> DockerResult:
    return run_docker(Project.load(root), DockerOptions(uv="0.13.9", check=True))


@pytest.fixture
def made(tree: Tree) -> Path:
    root = tree(PROJECT)
    command.write_files(
        command.ImagePlan(Project.load(root), command.DockerOptions(uv="0.13.9")), force=False
    )
    return root


def test_what_was_just_made_is_good(made: Path) -> None:
    found = verdict(made)
    assert (found.error, found.data) == (None, {"diffs": [], "findings": []})


def test_a_missing_file_is_a_difference(tree: Tree) -> None:
    found = verdict(tree(PROJECT))
    assert found.error is not None
    assert found.data["diffs"][0].startswith("--- Dockerfile (on disk)\n+++ Dockerfile (generated)")


def test_a_changed_fact_is_a_difference_in_its_lines(made: Path) -> None:
    (made / ".python-version").write_text("3.13\n")
    [diff] = verdict(made).data["diffs"]
    assert "-FROM python:3.12-slim-trixie AS base\n" in diff
    assert "+FROM python:3.13-slim-trixie AS base\n" in diff


def test_an_edit_is_a_difference(made: Path) -> None:
    with (made / "Dockerfile").open("a") as file:
        file.write("LABEL mine=1\n")
    assert verdict(made).data["diffs"][0].endswith("-LABEL mine=1\n")


def test_a_dockerignore_that_lets_secrets_in_is_an_error(made: Path) -> None:
    (made / ".dockerignore").write_text("**/__pycache__\n.git\n.venv\n")
    found = verdict(made)
    [finding] = found.data["findings"]
    assert (finding["path"], finding["line"]) == (".dockerignore", 1)
    assert finding["message"] == "does not exclude: **/.env"
    assert found.error is not None


def test_findings_are_sorted_by_line(tree: Tree) -> None:
    root = tree({**PROJECT, "Dockerfile": "FROM python:3.12-slim\nCMD python\n"})
    found = check_handwritten(Project.load(root), root / "Dockerfile")
    assert [(f.origin.line, f.code) for f in found if f.origin] == [
        (1, "base-not-pinned"),
        (1, "output-buffered"),
        (1, "runs-as-root"),
        (2, "shell-form"),
        (2, "starts-nothing"),
    ]
    assert verdict(root).error is not None


FAULTY = "FROM python:3.12-slim-trixie\nUSER root\nCMD serve\n"


def codes(root: Path) -> list[str]:
    return [f.code for f in check_handwritten(Project.load(root), root / "Dockerfile")]


def test_a_comment_above_a_line_silences_what_it_names(tree: Tree) -> None:
    root = tree({**PROJECT, "Dockerfile": FAULTY})
    assert codes(root) == ["output-buffered", "runs-as-root", "shell-form"]
    ignoring = "# uvflow ignore=runs-as-root, no-bytecode\n# the platform maps root\nUSER root\n"
    (root / "Dockerfile").write_text(FAULTY.replace("USER root\n", ignoring))
    assert codes(root) == ["output-buffered", "shell-form"]


@pytest.mark.parametrize(
    "line",
    ["COPY", "\\\n", 'CMD ["celery", "-A", "shop.[", "worker"]', "RUN --mount=from=none"],
    ids=["COPY", "continued", "celery", "mount"],
)
def test_what_is_no_instruction_is_passed_over(tree: Tree, line: str) -> None:
    text = f"FROM python:3.12-slim-trixie AS none\nFROM python:3.12-slim-trixie\n{line}\nCMD x\n"
    assert codes(tree({**PROJECT, "Dockerfile": text}))


def test_every_image_that_a_file_makes_is_checked(tree: Tree) -> None:
    text = FAULTY.replace("USER root\n", "").replace("trixie", "trixie AS api") + FAULTY
    root = tree({**PROJECT, "Dockerfile": text})
    assert codes(root) == ["output-buffered", "runs-as-root", "shell-form"] * 2


def test_a_code_that_there_is_not_is_named(tree: Tree) -> None:
    table = '[tool.uvflow.docker]\nignore = ["run-as-root"]\n'
    text = FAULTY.replace("USER root", "# uvflow ignore=runs-as-root, shell\nUSER root")
    root = tree({**PROJECT, "pyproject.toml": manifest(rest=table), "Dockerfile": text})
    found = check_handwritten(Project.load(root), root / "Dockerfile")
    named = [(f.origin and f.origin.line, f.message) for f in found if f.code == "ignore-unknown"]
    assert named == [(1, "there is no finding `run-as-root`"), (2, "there is no finding `shell`")]


def test_the_table_silences_what_it_names(tree: Tree) -> None:
    table = '[tool.uvflow.docker]\nignore = ["runs-as-root", "shell-form"]\n'
    root = tree({**PROJECT, "pyproject.toml": manifest(rest=table), "Dockerfile": FAULTY})
    assert codes(root) == ["output-buffered"]


def test_a_file_without_a_stage_is_an_error(tree: Tree) -> None:
    root = tree({**PROJECT, "Dockerfile": "# nothing yet\n"})
    [finding] = check_handwritten(Project.load(root), root / "Dockerfile")
    assert finding.code == "no-stage"


def test_warnings_alone_are_good(tree: Tree) -> None:
    habits = 'ENV PATH="$PATH:"\nRUN pip install uv && uv sync && pip install .\n'
    text = f'FROM python:3.12-slim-trixie\n{habits}CMD ["serve", "--reload"]\n'
    root = tree({**PROJECT, "Dockerfile": text})
    found = verdict(root)
    named = {finding["code"] for finding in found.data["findings"]}
    assert {"development-server", "lockfile-passed-over", "path-empty-element"} <= named
    assert found.error is None


def test_what_rules_ask_for_is_read_from_the_project(tree: Tree) -> None:
    root = tree(
        {
            **PROJECT,
            "uv.lock": locked(
                local("shop", needs=["web"]),
                local("lib", source='editable = "lib"'),
                package("web"),
            ),
            ".venv/bin/python": "",
            ".venv/pyvenv.cfg": "",
            ".dockerignore": ".git\n",
        }
    )
    assert lint_context(Project.load(root)) == LintContext(
        requires_python=">=3.11",
        files=frozenset(
            {"pyproject.toml", "uv.lock", ".python-version", ".dockerignore", ".venv/pyvenv.cfg"}
        ),
        packages=("lib",),
        not_ignored=(".venv",),
        locking=("uv.lock", "pyproject.toml", "lib/pyproject.toml"),
        locked=frozenset({"lib", "shop", "web"}),
        optional={"lib": ("lib",)},
        local=frozenset({"lib", "shop"}),
        development=frozenset(),
    )


@pytest.mark.parametrize(
    ("lines", "code", "hint"),
    [
        (
            "HEALTHCHECK CMD curl -f 'http://localhost:8000/up' || exit 1\nCMD serve",
            "health-by-curl",
            "CMD python -c \"from urllib.request import *; urlopen('http://localhost:8000/up')\"",
        ),
        (
            'CMD ["uv", "run", "serve"]',
            "runs-as-root",
            "ENV HOME=/tmp UV_NO_SYNC=1, then USER 10001:10001, at the end",
        ),
        (
            "COPY . .\nRUN uv sync --frozen",
            "sync-frozen",
            "--locked, at least in the last sync; uv.lock is not in the build context",
        ),
        (
            'CMD ["uvx", "serve"]',
            "runs-as-root",
            "ENV HOME=/tmp UV_NO_SYNC=1, then USER 10001:10001, at the end",
        ),
        (
            "FROM ghcr.io/astral-sh/uv:0.9-alpine",
            "uv-not-pinned",
            "a version: ghcr.io/astral-sh/uv:X.Y.Z-alpine",
        ),
        ("FROM python:3.12-alpine", "base-not-pinned", "a tag with its version, or a digest"),
        ('CMD ["uvicorn", "$APP"]', "starts-nothing", 'CMD ["sh", "-c", "exec …"]'),
        (
            "COPY uv.lock .\nRUN uv sync",
            "sync-not-locked",
            "--frozen, with uv.lock copied or mounted before",
        ),
    ],
)
def test_a_hint_works_in_that_file(tree: Tree, lines: str, code: str, hint: str) -> None:
    text = f"FROM python:3.12-slim-trixie\n{lines}\n"
    root = tree({**PROJECT, "Dockerfile": text, ".dockerignore": "uv.lock\n"})
    found = check_handwritten(Project.load(root), root / "Dockerfile")
    assert [finding.hint for finding in found if finding.code == code] == [hint]


def test_the_project_may_be_below_the_dockerfile(tree: Tree) -> None:
    copies = "COPY api/pyproject.toml api/uv.lock* ./\nRUN uv sync --no-cache\nCOPY api/src src\n"
    text = f"FROM python:3.12-slim-trixie\nENV PYTHONUNBUFFERED=1\nUSER 10001\n{copies}"
    below = {f"api/{name}": text for name, text in PROJECT.items()}
    root = tree({**below, "api/src/app.py": "", "Dockerfile": f'{text}CMD ["python", "app.py"]\n'})
    found = command.check_copied(root)
    assert found
    messages = {finding["code"]: finding["message"] for finding in found.data["findings"]}
    assert messages == {
        "sync-not-locked": "`uv sync` resolves again if uv.lock is stale",
        "no-bytecode": "every start compiles all modules it imports",
        "start-not-there": "app.py does not exist in the image",
        "start-not-on-path": "python is in /.venv/bin, which is not in PATH",
    }
    (root / "Dockerfile").write_text(f"{text}COPY web/pyproject.toml web\n")
    (root / "web").mkdir()
    for name in ("pyproject.toml", "uv.lock"):
        (root / "web" / name).write_text(PROJECT[name])
    assert command.check_copied(root) is None


def test_the_project_may_be_above_the_dockerfile(tree: Tree) -> None:
    text = "FROM python:3.12-slim-trixie\nENV PYTHONUNBUFFERED=1\nUSER 10001\nCOPY app.py .\n"
    files = {**PROJECT, "docker/Dockerfile": f'{text}CMD ["python", "app.py"]\n'}
    root = tree({**files, "app.py": "", "web/Dockerfile": "COPY site .\n", "web/site": ""})
    assert command.check_copied(root) is None
    found = command.check_copied(root / "docker")
    assert found
    assert found.data["findings"] == []
    with pytest.raises(UsageError) as caught:
        command.check_copied(root / "web")
    assert str(caught.value).endswith(f"copies other files than those of the project in {root}")


def test_the_project_that_is_copied_is_that_of_the_image(tree: Tree) -> None:
    text = "FROM python:3.12-slim-trixie\nCOPY api/pyproject.toml api/uv.lock* ./\n"
    below = {f"api/{name}": text for name, text in PROJECT.items()}
    root = tree({**PROJECT, **below, "Dockerfile": text})
    assert command.check_copied(root)
    for line in ("COPY pyproject.toml uv.lock /", "COPY . .", "COPY ./pyproject.* /"):
        (root / "Dockerfile").write_text(f"{text}{line}\n")
        assert command.check_copied(root) is None


def test_what_compose_alone_reads_may_be_in_the_context(tree: Tree) -> None:
    root = tree({**PROJECT, ".env": "# x\nCOMPOSE_PROJECT_NAME=shop\n"})
    assert lint_context(Project.load(root)).not_ignored == ()
    (root / ".my.cnf").write_text("[client]\nuser = app\n")
    assert lint_context(Project.load(root)).not_ignored == ()
    (root / ".my.cnf").write_text("[client]\npassword = x\n")
    assert lint_context(Project.load(root)).not_ignored == (".my.cnf",)
    (root / ".my.cnf").unlink()
    (root / ".envrc").write_text("use flake\nexport TOKEN=$(pass token)\n")
    assert lint_context(Project.load(root)).not_ignored == ()
    (root / ".env").write_text("COMPOSE_PROJECT_NAME=shop\nTOKEN=x\n")
    assert lint_context(Project.load(root)).not_ignored == (".env",)


@pytest.mark.parametrize(
    ("settings", "renamed"),
    [
        ('[tool.setuptools.package-dir]\nbird = "source"\n', {"bird"}),
        ('[tool.hatch.build.targets.wheel.sources]\nbackend = "bird/web"\n', {"bird"}),
        ('[tool.setuptools.package-dir]\n"" = "lib"\n', set()),
    ],
)
def test_packages_are_known_by_the_names_that_they_are_imported_by(
    tree: Tree, settings: str, renamed: set[str]
) -> None:
    lock = locked(local("shop", source='editable = "."'))
    root = tree({"pyproject.toml": manifest(rest=settings), "uv.lock": lock})
    assert lint_context(Project.load(root)).renamed == renamed


def test_what_only_extras_and_groups_bring(tree: Tree) -> None:
    rest = """[package.optional-dependencies]
server = [{ name = "gunicorn", extra = ["fast"] }, { name = "web" }]
[package.dev-dependencies]
lint = [{ name = "ruff" }]
dev = [{ name = "gunicorn" }]
"""
    gunicorn = package("gunicorn", needs=["packaging"])
    fast = '[package.optional-dependencies]\nfast = [{ name = "gevent" }]\n'
    names = ("gevent", "packaging", "ruff", "uvicorn")
    lock = locked(
        local("shop", needs=["web"], rest=rest),
        package("web", needs=["{ name = 'uvicorn', marker = \"sys_platform == 'linux'\" }"]),
        gunicorn + fast,
        *map(package, names),
    )
    root = tree({"pyproject.toml": manifest(), "uv.lock": lock})
    assert lint_context(Project.load(root)).optional == {
        "gunicorn": ("server", "dev"),
        "gevent": ("server",),
        "packaging": ("server", "dev"),
        "ruff": ("lint",),
    }
    default = manifest(rest='[tool.uv]\ndefault-groups = ["lint", "dev"]\n')
    (root / "pyproject.toml").write_text(default)
    assert "ruff" not in lint_context(Project.load(root)).optional


def test_what_only_members_bring(tree: Tree) -> None:
    api = local("shop-api", needs=["gunicorn"], source='editable = "api"')
    lock = locked(local("shop", needs=["web"]), api, package("web"), package("gunicorn"))
    root = tree({"pyproject.toml": manifest(), "uv.lock": lock})
    assert lint_context(Project.load(root)).optional["gunicorn"] == ("shop-api",)
    no_project = locked(api, package("gunicorn"))
    (root / "uv.lock").write_text(no_project)
    assert lint_context(Project.load(root)).optional == {}


def test_without_a_lockfile_what_is_locked_is_not_known(tree: Tree) -> None:
    context = lint_context(Project.load(tree({"pyproject.toml": manifest()})))
    assert context.locked is None


def test_what_the_dockerignore_names_is_not_in_the_context(tree: Tree) -> None:
    tried = {
        **PROJECT,
        "src/shop/__init__.py": "",
        "notes.md": "",
        ".dockerignore": "*\n!src/**\n!uv.lock\n",
        "Dockerfile": "FROM registry.test/base:1\nCOPY src uv.lock notes.md /app/\n",
    }
    root = tree(tried)
    [finding] = check_handwritten(Project.load(root), root / "Dockerfile")
    assert (finding.code, finding.message.partition(" ")[0]) == ("copy-missing", "notes.md")
    (root / "Dockerfile.dockerignore").write_text(".git\n.venv\n**/.env\n")
    assert codes(root) == []


@pytest.mark.parametrize(
    ("rest", "groups"),
    [
        ("", set()),
        ('[dependency-groups]\ndev = ["x"]\n', {"dev"}),
        ("[dependency-groups]\ndev = []\n", set()),
        ('[dependency-groups]\ndocs = ["x"]\n', set()),
        ('[dependency-groups]\ndocs = ["x"]\n[tool.uv]\ndefault-groups = "all"\n', {"docs"}),
        ('[dependency-groups]\nweb = ["x"]\n[tool.uv]\ndefault-groups = ["web"]\n', set()),
        ('[dependency-groups]\ndev = ["x"]\n[tool.uv]\ndefault-groups = []\n', set()),
        ('[tool.uv]\ndev-dependencies = ["x"]\n', {"dev"}),
    ],
)
def test_which_groups_are_for_development(tree: Tree, rest: str, groups: set[str]) -> None:
    root = tree({"pyproject.toml": manifest(rest=rest)})
    assert lint_context(Project.load(root)).development == groups


def test_scripts_of_the_context_are_read(tree: Tree) -> None:
    context = lint_context(Project.load(tree({**PROJECT, "run.sh": "#!/bin/sh\n"})))
    assert (context.text("run.sh"), context.text("absent")) == ("#!/bin/sh\n", "")


def test_a_huge_dockerfile_is_not_read(made: Path) -> None:
    (made / "Dockerfile").write_text("FROM python\n" + "RUN a\n" * 100_000)
    with pytest.raises(DiskError, match="cannot be read"):
        check_handwritten(Project.find(made), made / "Dockerfile")


@pytest.mark.parametrize("steps", ["LABEL a=b\n" * 500, "RUN a\n" + "RUN a && a\n" * 500])
def test_a_dockerfile_of_too_many_steps_is_not_checked(made: Path, steps: str) -> None:
    (made / "Dockerfile").write_text(f"FROM python\n{steps}")
    with pytest.raises(UsageError, match="is too long to be checked"):
        check_handwritten(Project.find(made), made / "Dockerfile")


@pytest.mark.parametrize(
    "steps",
    [
        "RUN uv sync\n" * 490,
        f"RUN {'uv sync && ' * 990}true\n",
        "COPY . .\n" + "COPY src /more/\n" * 400,
        f"ENV A={'${B:-' * 13_000}\n",
        "RUN " + "uv venv /e && " * 900 + "true\nFROM base\n" + "COPY --from=base /e /e\n" * 400,
        f"RUN {'/run/secrets/ ' * 4600}\n",
    ],
)
def test_what_is_checked_takes_no_time(made: Path, steps: str) -> None:
    text = f'FROM python AS base\n{steps}FROM base\nCOPY --from=base / /\nCMD ["serve"]\n'
    (made / "Dockerfile").write_text(text)
    begin = time.process_time()
    check_handwritten(Project.find(made), made / "Dockerfile")
    assert time.process_time() - begin < 5  # on a slow machine


@pytest.mark.parametrize(
    ("old", "new", "is_stale"),
    [
        ('version = "1"', 'version = "1"', False),
        ('version = "1"', 'version = "2"', False),  # the image has all the same
        ('version = "1"', 'version = "1"\ndependencies = ["web"]', True),
    ],
)
def test_whether_the_lockfile_lacks_anything(
    tree: Tree, old: str, new: str, *, is_stale: bool
) -> None:
    text = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'
    root = tree({"pyproject.toml": text.replace(old, new), "uv.lock": locked(local("shop"))})
    assert lint_context(Project.load(root)).is_stale() is is_stale
