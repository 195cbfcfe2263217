"""Completion, activation and git hooks, in the shells and the git that there are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version
from rig import BIN, MANIFEST, Command, Result, Tree

from uvflow.uv import find

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shells of POSIX")

PROFILES = """
[tool.uvflow.profiles.ci]
groups = []
editable = false
environment = ".venv-ci"
env-file = "it's.env"
"""
NO_PLACE = (
    "error: git names no place for hooks of {}\n"
    "hint: that needs git, a repository, and directories with plain text as their names\n"
)
SHOW = 'echo "$VIRTUAL_ENV" "$UV_NO_DEFAULT_GROUPS$UV_PROJECT_ENVIRONMENT" "$UV_ENV_FILE"'


@pytest.fixture
def shop(tree: Tree) -> Path:
    root = tree({"pyproject.toml": MANIFEST + PROFILES, "it's.env": "", "app/.keep": ""})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def bash(text: str, cwd: Path, path: str = "") -> str:
    return subprocess.run(
        ["bash", "-eu", "-c", text],
        cwd=cwd,
        env={**os.environ, "PATH": f"{BIN}:{path or os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


# Completion


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("uvflow set", "plain,setup\n"),
        ("uvflow sync --pro", "plain,--prod\nplain,--profile\n"),
        ("uvflow activate p", "plain,powershell\n"),
        ("uvflow run --profile p", "plain,prod\n"),
    ],
)
def test_commands_and_options_are_completed(
    shop: Path, uvflow: Command, words: str, completed: str
) -> None:
    position = str(len(words.split(" ")) - 1)
    asked = {"_UVFLOW_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": position}
    assert uvflow(cwd=shop, environ=asked) == Result(0, completed, "")


def test_bash_takes_the_completion(shop: Path) -> None:
    assert "_uvflow_completion" in bash(
        'eval "$(uvflow completion bash)"; complete -p uvflow', shop
    )


@pytest.mark.parametrize("shell", ["zsh", "fish", "powershell"])
def test_other_shells_have_a_completion(uvflow: Command, shell: str) -> None:
    assert "_UVFLOW_COMPLETE" in uvflow("completion", shell).out


# Activation


def test_an_activated_shell_has_the_profile_until_it_is_deactivated(shop: Path) -> None:
    bash("uvflow sync --profile ci", shop)
    text = f"""
    before=$PATH
    eval "$(uvflow activate bash --profile ci)"
    {SHOW}; command -v python
    uv sync --locked --check 2>/dev/null && echo agrees
    uvflow sync --dev 2>/dev/null; ls -d .venv
    deactivate
    [ "$PATH" = "$before" ] && echo "${{VIRTUAL_ENV-unset}} ${{UV_PROJECT_ENVIRONMENT-unset}}"
    """
    environment = shop / ".venv-ci"
    # The first uv that knows UV_NO_DEFAULT_GROUPS.
    knows_groups = Version(find().version) >= Version("0.9.10")
    assert bash(text, shop).splitlines() == [
        f"{environment} 1.venv-ci {shop}/it's.env",
        f"{environment}/bin/python",
        *(["agrees"] if knows_groups else []),
        ".venv",
        "unset unset",
    ]


def test_a_profile_that_is_activated_after_another_has_nothing_of_that(shop: Path) -> None:
    bash("uvflow sync --profile ci; uvflow sync --dev", shop)
    text = f"""
    set +u
    eval "$(uvflow activate bash --profile ci)"
    eval "$(uvflow activate bash --dev)"
    {SHOW}; echo "${{UV_NO_EDITABLE-unset}}"
    uv sync --locked --check 2>/dev/null && echo agrees
    deactivate
    {SHOW}
    """
    assert bash(text, shop).splitlines() == [
        f"{shop}/.venv  ",
        "unset",
        "agrees",
        f"{shop}/.venv-ci 1.venv-ci {shop}/it's.env",
    ]


def test_in_sync_in_an_activated_shell_is_not_in_sync_for_the_same_choice_of_a_user(
    shop: Path, uvflow: Command
) -> None:
    chosen = {"UV_PROJECT_ENVIRONMENT": ".venv-ci"}
    activated = {**chosen, "UVFLOW_ACTIVATED": ".venv-ci"}
    uvflow("sync", "--dev", cwd=shop, environ=activated)
    assert uvflow("sync", "--dev", cwd=shop, environ=activated).err == "Already in sync: dev\n"
    assert not (shop / ".venv-ci").exists()
    assert uvflow("sync", "--dev", cwd=shop, environ=chosen).err.endswith("Synced: dev\n")
    assert (shop / ".venv-ci").exists()


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("fish", "set -gx UV_ENV_FILE '{}/it\\'s.env'"),
        ("powershell", "$env:UV_ENV_FILE = '{}/it''s.env'"),
    ],
)
def test_each_shell_has_its_own_quotes(shop: Path, uvflow: Command, shell: str, line: str) -> None:
    uvflow("sync", "--profile", "ci", cwd=shop)
    lines = uvflow("activate", shell, "--profile", "ci", cwd=shop).out.splitlines()
    assert lines[-1] == line.format(shop)


def test_uv_finds_an_env_file_whose_path_has_blanks(shop: Path, uvflow: Command) -> None:
    root = shop.rename(shop.with_name("it's a\\shop"))
    (root / "it's.env").write_text("KEY=found\n")
    uvflow("sync", "--profile", "ci", cwd=root)
    program = """uv run --no-sync python -c 'import os; print(os.environ["KEY"])'"""
    assert bash(f'eval "$(uvflow activate bash --profile ci)"; {program}', root) == "found\n"


# What nobody sees, what looks like a login, bytes that are no text, and what a shell would run.
ODD = "/opt/a@/bin:/x/u:p@host.org/b:/nl\n:/z\u200b:/nbsp\xa0:/b\udcff: TOKEN=t:/'$(exit)`exit`'"


def test_variables_are_set_and_put_back_to_the_letter(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--profile=ci", cwd=shop)
    script = (
        'before=$PATH; eval "$(uvflow activate bash --profile=ci)"; test "$PATH" ='
        ' "$VIRTUAL_ENV/bin:$before"; deactivate; test "$PATH" = "$before"; echo same'
    )
    assert bash(script, cwd=shop, path=f"{os.environ['PATH']}:{ODD}") == "same\n"


def test_an_environment_that_no_sync_has_used_is_not_activated(shop: Path, uvflow: Command) -> None:
    missing = uvflow("activate", "bash", cwd=shop)
    assert missing == Result(
        4,
        "",
        f"error: {shop}/.venv has not been synced\nhint: `uvflow sync --profile dev` makes it\n",
    )
    subprocess.run(["uv", "venv", "-q"], cwd=shop, check=True)
    assert uvflow("activate", "bash", cwd=shop) == missing


# Hooks


def run_hook(hook: Path, *arguments: str) -> Result:
    environ = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        [hook, *arguments],
        cwd=hook.parents[2],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def test_a_hook_says_in_one_line_what_is_due_and_never_fails(shop: Path, uvflow: Command) -> None:
    installed = uvflow("hook", "install", cwd=shop)
    hooks = [shop / f".git/hooks/post-{event}" for event in ("checkout", "merge", "rewrite")]
    assert installed == Result(0, "", "".join(f"Wrote {hook}\n" for hook in hooks))
    due = "uvflow: Out of sync: dev (by default); environment: there is no .venv\n"
    assert run_hook(hooks[1]) == Result(0, "", due)
    assert run_hook(hooks[0], "old", "new", "1") == Result(0, "", due)
    assert run_hook(hooks[0], "old", "new", "0") == Result(0, "", "")  # of a file
    uvflow("sync", cwd=shop)
    assert run_hook(hooks[1]) == Result(0, "", "")
    (shop / "pyproject.toml").unlink()  # as on a branch without a project
    assert run_hook(hooks[1]) == Result(0, "", "")


def test_a_hook_that_syncs_is_asked_for(shop: Path, uvflow: Command) -> None:
    uvflow("hook", "install", cwd=shop)
    uvflow("hook", "install", "--sync", cwd=shop)  # it replaces its own
    assert run_hook(shop / ".git/hooks/post-merge").err.endswith("Synced: dev (by default)\n")


def test_git_runs_the_hook_of_a_project_below_the_repository(tree: Tree, uvflow: Command) -> None:
    root = tree({"it's/pyproject.toml": MANIFEST, "file": ""})
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    uvflow("hook", "install", cwd=root / "it's")
    due = run_hook(root / ".git/hooks/post-merge")
    assert due.err.startswith("uvflow: Lockfile stale: dev (by default); lockfile: no uv.lock in")


def test_a_hook_of_somebody_else_stays(shop: Path, uvflow: Command) -> None:
    (shop / ".git/hooks").mkdir(exist_ok=True)
    (shop / ".git/hooks/post-merge").write_text("#!/bin/sh\necho mine\n")
    refused = uvflow("hook", "install", cwd=shop)
    assert refused.code == 2
    assert refused.err.startswith(
        f"error: {shop}/.git/hooks/post-merge is not uvflow's alone\n"
        "hint: write into it by hand: due=$(uvflow sync --check"
    )
    assert not (shop / ".git/hooks/post-checkout").exists()


def test_a_hook_with_lines_of_a_user_stays(shop: Path, uvflow: Command) -> None:
    hook = shop / ".git/hooks/post-rewrite"
    uvflow("hook", "install", cwd=shop)
    text = hook.read_text() + "make notify\n"
    hook.write_text(text)
    refused = uvflow("hook", "install", "--sync", cwd=shop)
    assert refused == Result(
        2, "", f"error: {hook} is not uvflow's alone\nhint: write into it by hand: uvflow sync\n"
    )
    assert hook.read_text() == text
    assert "uvflow sync --check" in (shop / ".git/hooks/post-merge").read_text()


def test_the_hook_of_another_project_in_the_repository_stays(tree: Tree, uvflow: Command) -> None:
    root = tree({"a/pyproject.toml": MANIFEST, "it's/pyproject.toml": MANIFEST})
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    uvflow("hook", "install", cwd=root / "a")
    refused = uvflow("hook", "install", "--sync", cwd=root / "it's")
    hint = "write into it by hand: (cd './it'\"'\"'s/' && uvflow sync)"
    assert (refused.code, refused.err.splitlines()[-1]) == (2, f"hint: {hint}")


def test_no_hook_is_written_where_one_leads_out(shop: Path, uvflow: Command) -> None:
    hooks = shop / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "post-merge").symlink_to(shop / "nowhere")
    refused = uvflow("hook", "install", cwd=shop)
    message = f"error: {hooks}/post-merge leads out of {hooks}, so it is not used\n"
    assert (refused.code, refused.err.startswith(message)) == (8, True)
    assert not (hooks / "post-checkout").exists()


@pytest.mark.parametrize("name", ["app\ndir", "app\rdir"])
def test_a_directory_with_a_line_end_in_its_name_gets_no_hook(
    tree: Tree, uvflow: Command, name: str
) -> None:
    root = tree({f"{name}/pyproject.toml": MANIFEST, "app/.keep": ""})
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    shown = name.replace("\n", "\\n").replace("\r", "\\r")
    refused = uvflow("hook", "install", cwd=root / name)
    assert refused == Result(2, "", NO_PLACE.format(root / shown))
    assert not (root / ".git/hooks/post-merge").exists()


def test_a_git_that_says_nothing_is_an_error(shop: Path, uvflow: Command) -> None:
    git = shop / "programs/git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\n")
    git.chmod(0o755)
    path = {"PATH": f"{git.parent}:{os.environ['PATH']}"}
    refused = uvflow("hook", "install", cwd=shop, environ=path)
    assert refused == Result(2, "", NO_PLACE.format(shop))


def test_hooks_of_all_repositories_are_not_written(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    subprocess.run(["git", "config", "core.hooksPath", tmp_path / "all"], cwd=shop, check=True)
    refused = uvflow("hook", "install", cwd=shop)
    assert (refused.code, (tmp_path / "all").exists()) == (2, False)
    assert "may be that of other repositories" in refused.err


def test_without_a_repository_there_is_no_hook(tree: Tree, uvflow: Command) -> None:
    root = tree({"pyproject.toml": MANIFEST})
    refused = uvflow("hook", "install", cwd=root)
    assert refused == Result(2, "", NO_PLACE.format(root))
