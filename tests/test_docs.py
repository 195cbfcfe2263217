"""What the documentation says is what the code does: links, commands, tables, schemas."""

import ast
import functools
import inspect
import json
import pkgutil
import re
import runpy
import shlex
import subprocess
import tomllib
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from locks import local, locked, manifest
from rig import Command, Tree

from uvflow import errors
from uvflow.cli.main import uvflow as command_line
from uvflow.docker import settings
from uvflow.environment.integrity import DamageKind
from uvflow.findings import Severity
from uvflow.lockfile.check import Level
from uvflow.onboarding import setup
from uvflow.project import profiles

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"))
    if "sample" not in page.relative_to(ROOT).parts and page.name != "index-page.md"
)

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0"]
"""


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def every_page(function: Any) -> Any:
    return pytest.mark.parametrize("page", PAGES, ids=named)(function)


class Block(NamedTuple):
    """A fenced block: its language and its lines."""

    language: str
    lines: list[str]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> Iterator[Block]:
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL):
        yield Block(found[1], found[2].splitlines())


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def rows(page: Path) -> list[list[str]]:
    """The cells of every table row of a page, without heads and rules."""
    lines = [line for line in prose(page).splitlines() if line.startswith("|")]
    heads = {number - 1 for number, line in enumerate(lines) if line.startswith("|--")}
    return [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for number, line in enumerate(lines)
        if number not in heads and not line.startswith("|--")
    ]


def first_codes(page: Path) -> list[str]:
    """What stands in backticks in the first cell of every row."""
    return [code for row in rows(page) for code in re.findall(r"`([^`]+)`", row[0])]


# Links and indexes


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_link_of_the_page_for_an_index_is_absolute() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(DOCS / "index-page.md"))
    assert len(links) > 8
    assert [link for link in links if not link.startswith("https://")] == []


def test_one_repository_is_named_everywhere() -> None:
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    home = manifest["project"]["urls"]["Repository"]
    own = re.findall(r"https://[\w./]+/uvflow\b", "".join(map(text_of, PAGES)))
    assert set(own) == {home}
    assert all(url.startswith(home) for url in manifest["project"]["urls"].values())


def test_the_index_names_every_page() -> None:
    index = DOCS / "README.md"
    links = re.findall(r"\]\(([^)#\s]+)\)", text_of(index))
    linked = {(DOCS / link).resolve() for link in links}
    assert {page for page in PAGES if page.is_relative_to(DOCS)} - {index} <= linked


# Commands


def commands(page: Path) -> Iterator[str]:
    """Every `uvflow …` that a page shows: in shell blocks, in YAML and in backticks."""
    for block in blocks(page):
        if block.language in {"console", "sh", "yaml", "dockerfile"}:
            for line in block.lines:
                found = re.match(r"^(?:\$ |\s*- |\s*(?:- )?\w+: |RUN )?(?:uvx )?(uvflow .*)$", line)
                if found and (block.language != "console" or line.startswith("$ ")):
                    yield found[1]
    yield from re.findall(r"`(?:uvx )?(uvflow [^`…]+)`", prose(page))


# Of --help and --version, and of a command that is mentioned without what it needs.
PASSED_OVER = (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError, click.MissingParameter)


def parses(words: list[str]) -> None:
    """Raises what click raises for a subcommand or an option that there is not."""
    context = click.Context(command_line, info_name="uvflow")
    command: click.Command = command_line
    while isinstance(command, click.Group):
        found = command.make_context(command.name, list(words), parent=context)
        rest = [*found._protected_args, *found.args]  # what click 9 has in `args` alone
        if not rest:
            return
        name, sub, words = command.resolve_command(found, rest)
        assert name
        assert sub
        context, command = found, sub
    command.make_context(command.name, list(words), parent=context)


@every_page
def test_every_command_shown_is_one_that_there_is(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(re.split(r"&&|\||>", command)[0], comments=True)
        try:
            parses(words[1:])
        except PASSED_OVER:
            continue
        except click.UsageError as error:
            pytest.fail(f"`{command}`: {error.format_message()}")


def test_the_hooks_of_pre_commit_run_commands_that_there_are_and_are_documented() -> None:
    hooks = yaml.safe_load(text_of(ROOT / ".pre-commit-hooks.yaml"))
    documented = re.findall(r"- id: (uvflow-[\w-]+)", text_of(DOCS / "how-to" / "pre-commit.md"))
    assert [hook["id"] for hook in hooks] == documented
    for program, *words in (hook["entry"].split() for hook in hooks):
        if program == "uvflow":
            parses(words)


def test_the_action_has_the_inputs_that_it_reads() -> None:
    text = text_of(ROOT / "action.yml")
    read = set(re.findall(r"inputs\.(\w+)", text))
    assert yaml.safe_load(text)["inputs"].keys() == read
    assert set(first_codes(DOCS / "how-to" / "ci.md")) == read


def test_contributors_are_pointed_to_functions_that_exist() -> None:
    names = re.findall(r"`((?:\w+\.)+\w+)`", text_of(ROOT / "CONTRIBUTING.md"))
    assert len(names) > 20
    for name in names:
        pkgutil.resolve_name(f"uvflow.{name}")


def test_what_is_made_of_the_code_is_current() -> None:
    made = runpy.run_path(str(REFERENCE / "generate.py"))["made"]()
    assert {name: text_of(REFERENCE / name) for name in made} == made


def test_the_readme_shows_the_two_commands_that_ci_runs() -> None:
    lines = [
        line for b in blocks(ROOT / "README.md") if b.language == "console" for line in b.lines
    ]
    assert "$ pip install uv && python -m uv run --no-dev docs/walk.py" in lines
    assert "$ pip install uv && python -m uv run pytest -n auto" in lines


SAMPLE = {  # as many lines as docs/sample has, of packages that are in the tests' index
    "requirements.txt": "attrs\ncertifi\nidna\npackaging\nrequests\nsix\ntoml\n",
    "requirements-dev.txt": "-r requirements.txt\niniconfig\npytest\n",
}
SECTIONS = ("Read", "To be written", "Written", "Next")


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "tutorial.md"], ids=named)
def test_what_init_is_shown_to_say_is_what_it_says(page: Path, tree: Tree, uvflow: Command) -> None:
    root = tree(SAMPLE)
    said = uvflow("init", "--dry-run", cwd=root).err + uvflow("init", cwd=root).err
    shown = [p for b in blocks(page) for p in "\n".join(b.lines).split("\n\n")]
    sections = [re.sub(r"(?m)^[$…+@-].*\n", "", paragraph) for paragraph in shown]
    sections = [section for section in sections if section.startswith(SECTIONS)]
    assert {section.splitlines()[0] for section in sections} >= {"Read", "Written", "Next"}
    assert [section for section in sections if section not in said] == []


# Tables of the reference


def test_the_exit_codes_are_those_of_the_errors() -> None:
    documented = {(row[0], row[1]) for row in rows(REFERENCE / "exit-codes.md")}
    classes = {
        error
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.UvflowError) and error is not errors.UvflowError
    }
    raised = {
        (
            "128 + n" if error is errors.InterruptedBySignalError else str(error.exit_code),
            str(inspect.getdoc(error)),
        )
        for error in classes
    }
    assert documented == {("0", "Done, or nothing to do."), *raised}


def keys_and_defaults(page: Path, heading: str) -> dict[str, str]:
    """The first table below `heading`: key → default, as TOML or "unset"."""
    below = text_of(page).split(f"\n## {heading}\n")[1]
    table = re.search(r"^\| .+?(?=\n\n)", below, re.MULTILINE | re.DOTALL)
    lines = table[0].splitlines()[2:] if table else []
    return {
        cells[0].strip("` "): cells[1].strip("` ").replace(r"\|", "|")
        for cells in (re.split(r"(?<!\\)\|", line)[1:-1] for line in lines)
    }


def declared(values: type, *, but: Container[str] = ()) -> dict[str, str]:
    """The fields of a value as keys of TOML, with their defaults."""
    return {
        field.name.replace("_", "-"): as_toml(field.default)
        for field in inspect.signature(values).parameters.values()
        if field.name not in but
    }


def as_toml(default: Any) -> str:
    match default:
        case None:
            return "unset"
        case ():
            return "[]"
        case _:
            return json.dumps(default)


CONFIGURATION = REFERENCE / "configuration.md"


def test_the_keys_of_a_profile_are_documented_with_their_defaults() -> None:
    documented = keys_and_defaults(CONFIGURATION, "Profiles")
    assert documented == {**declared(profiles.Profile, but={"name", "where"}), "extends": "unset"}


def test_the_keys_for_docker_are_documented_with_their_defaults() -> None:
    documented = keys_and_defaults(CONFIGURATION, "Docker")
    tables = dict.fromkeys(("environment", "build-environment", "processes"), "{}")
    assert documented == {**declared(settings.Settings), **tables}


def test_the_keys_of_a_step_are_documented_with_their_defaults() -> None:
    documented = keys_and_defaults(CONFIGURATION, "Setup")
    steps = declared(setup.Step, but={"name", "python", "sync"})
    assert documented == {**steps, "name": "required", "python": "unset", "sync": "unset"}


def test_the_built_in_profiles_mean_the_commands_shown() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in rows(CONFIGURATION)}
    for name, profile in profiles.BUILT_IN.items():
        assert shown[name] == shlex.join(("uv", *profile.sync_arguments()))


@every_page
def test_every_toml_shown_is_valid_and_holds_no_unknown_key(page: Path) -> None:
    told = configuration_schema("uvflow")
    for block in blocks(page):
        if block.language == "toml":
            ours = tomllib.loads("\n".join(block.lines)).get("tool", {}).get("uvflow", {})
            read_configuration(ours)
            told.validate(ours)


TABLES = (
    {"default-profile": "dev", "profiles": {"ci": {"extends": "prod", "groups": "all"}}},
    {"profiles": {"prod": {"groups": [], "extras": ["a"], "editable": True, "env-file": ".env"}}},
    {"docker": {"command": ["a\nb"], "port": 80, "health": False, "environment": {"A": "1"}}},
    {"docker": {"processes": {"worker": ["w"]}, "build-packages": ["g++", "git"]}},
    {"docker": {"platforms": ["linux/arm64"], "source": False, "app": "shop.wsgi:make()"}},
    {"setup": [{"name": "s", "sync": True}, {"name": "t", "sync": "prod"}]},
    {"setup": [{"name": "r", "run": ["make"], "inputs": ["a/**/*.sql"], "creates": ["b"]}]},
    {"setup": [{"name": "c", "copy": {"from": ".env.example", "to": ".env"}}]},
)
NO_TABLES: tuple[dict[str, Any], ...] = (
    {"profile": {}},
    {"default-profile": 1},
    {"profiles": {"a b": {}}},
    {"profiles": {"ci": {"groups": "test"}}},
    {"profiles": {"ci": {"compile-bytecode": "yes"}}},
    {"docker": {"base": "alpine"}},
    {"docker": {"command": []}},
    {"docker": {"command": "serve"}},
    {"docker": {"port": 0}},
    {"docker": {"port": True}},
    {"docker": {"user": 2**31}},
    {"docker": {"health": "healthz"}},
    {"docker": {"health": True}},
    {"docker": {"environment": {"A-B": "1"}}},
    {"docker": {"environment": {"A": 1}}},
    {"docker": {"mirrors": {"quay.io": "r.example"}}},
    {"docker": {"platforms": ["windows/amd64"]}},
    {"docker": {"build-packages": ["Git"]}},
    {"setup": [{"sync": True}]},
    {"setup": [{"name": "s"}]},
    {"setup": [{"name": "s", "sync": True, "run": ["make"]}]},
    {"setup": [{"name": "s", "sync": True, "creates": ["b"]}]},
    {"setup": [{"name": "c", "copy": {"from": "a"}}]},
    {"setup": [{"name": "c", "copy": {"from": "../a", "to": "b"}}]},
    {"setup": [{"name": "r", "run": ["make"], "inputs": ["**/**/**/x"]}]},
)


def read_configuration(table: Mapping[str, Any]) -> None:
    profiles.read(table, "pyproject.toml")
    settings.read(table.get("docker", {}), "pyproject.toml")
    setup.read(table.get("setup", ()), "pyproject.toml")


def configuration_schema(name: str) -> Draft7Validator:
    asked = json.loads(text_of(REFERENCE / f"{name}.schema.json"))
    Draft7Validator.check_schema(asked)
    return Draft7Validator(asked)


def test_the_schema_of_the_configuration_says_what_is_valid_as_the_code_does() -> None:
    told = configuration_schema("uvflow")
    for table in TABLES:
        read_configuration(table)
        told.validate(table)
    for table in NO_TABLES:
        with pytest.raises(errors.UsageError):
            read_configuration(table)
        assert not told.is_valid(table), table


def test_a_schema_tells_of_each_key_of_the_configuration_what_it_means() -> None:
    for name in ("uvflow", "uvflow-local"):
        for table in tables(configuration_schema(name).schema):
            values = table["properties"].values()
            assert "description" in table or all(value["description"] for value in values)


def test_the_schema_of_a_persons_own_settings_has_the_profiles_alone() -> None:
    told = configuration_schema("uvflow-local")
    for table, is_own in zip(TABLES, (True, True, *[False] * 6), strict=True):
        assert told.is_valid(table) == is_own


def sources() -> Iterator[str]:
    for path in sorted((ROOT / "uvflow").rglob("*.py")):
        yield path.read_text(encoding="utf-8")


def test_every_variable_of_ours_is_documented() -> None:
    used = {name for text in sources() for name in re.findall(r"\bUVFLOW_[A-Z_]+\b", text)}
    page = REFERENCE / "environment-variables.md"
    assert {name for name in first_codes(page) if name.startswith("UVFLOW_")} == used
    assert set(profiles.SET_ASIDE) <= set(re.findall(r"`(UV_\w+)`", text_of(page)))


# Findings


class Given(NamedTuple):
    """A call that gives a finding its code, and its severity where that is written beside it."""

    code: str
    severity: str | None


@functools.cache
def all_findings() -> tuple[Given, ...]:
    return tuple(finding for text in sources() for finding in findings(text))


def findings(text: str) -> Iterator[Given]:
    """Every code that `text` gives to a finding, in a call itself or through a function."""
    tree = ast.parse(text)
    through = dict((*functions_with_a_code(tree), *imported_with_a_code(tree)))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        code, severity = code_of(call), severity_of(call)
        if called(call) in through:
            position, known = through[called(call)]
            code = call.args[position] if len(call.args) > position else code
            severity = severity or known
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            yield Given(code.value, severity)
    yield from rows_of_rules(tree)


def rows_of_rules(tree: ast.Module) -> Iterator[Given]:
    """Those of `_RULES = {code: (severity, …), …}`."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="_RULES")], value=ast.Dict() as table):
                for code, row in zip(table.keys, table.values, strict=True):
                    match code, row:
                        case ast.Constant(value=str(name)), ast.Tuple(elts=[severity, *_]):
                            yield Given(name, Severity[ast.unparse(severity).split(".")[1]].value)


def functions_with_a_code(tree: ast.AST) -> Iterator[tuple[str, tuple[int, str | None]]]:
    """Name → position of the parameter `code`, and the severity of the finding it is for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg != "self"]
            inside = (n for n in ast.walk(node) if isinstance(n, ast.Call) and code_of(n))
            if "code" in names:
                severity = next(map(severity_of, inside), None)
                yield node.name, (names.index("code"), severity)


def imported_with_a_code(tree: ast.AST) -> Iterator[tuple[str, tuple[int, str | None]]]:
    """The same of what is imported from another module, and of the methods of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uvflow."):
            names = {alias.name for alias in node.names}
            if "ToolTables" in names:  # it has a LineOutcomes
                yield from functions_with_a_code(module("uvflow.migrate.ledger"))
            for definition in module(str(node.module)).body:
                if getattr(definition, "name", None) in names:
                    yield from functions_with_a_code(definition)


@functools.cache
def module(name: str) -> ast.Module:
    path = (ROOT / name.replace(".", "/")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8") if path.exists() else "")


def constructor(call: ast.Call) -> str:
    """`error` of `findings.error(code, …)`, or nothing."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="findings"), attr=name) if name in set(Severity):
            return name
    return ""


# Where the code and the severity stand in a call.
POSITIONS = {"Finding": (1, 0)}


def code_of(call: ast.Call) -> ast.expr | None:
    if called(call) in POSITIONS and len(call.args) > 1:
        return call.args[POSITIONS[called(call)][0]]
    return call.args[0] if constructor(call) and call.args else keyword(call, "code")


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((given.value for given in call.keywords if given.arg == name), None)


def severity_of(call: ast.Call) -> str | None:
    given = keyword(call, "severity")
    if called(call) in POSITIONS and len(call.args) > 1:
        given = call.args[POSITIONS[called(call)][1]]
    match given:
        case ast.Attribute(value=ast.Name(id="Severity"), attr=name):
            return Severity[name].value
    return constructor(call) or None


def called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


FINDINGS = REFERENCE / "findings.md"


def test_every_finding_is_documented_once() -> None:
    documented = [code for code in first_codes(FINDINGS) if code not in set(Severity)]
    given = {finding.code for finding in all_findings()}
    assert sorted(documented) == sorted(given)


def test_findings_have_the_severities_that_are_documented() -> None:
    documented = {row[0].strip("`"): row[1].split(", ") for row in rows(FINDINGS)}
    for finding in all_findings():
        assert finding.severity is None or finding.severity in documented[finding.code], finding


# What --json prints

SCHEMAS = sorted((REFERENCE / "json").glob("*.schema.json"))


def schema(name: str) -> Any:
    return json.loads((REFERENCE / "json" / f"{name}.schema.json").read_text(encoding="utf-8"))


def differences(value: Any, asked: Any) -> Iterator[str]:
    """Where `value` is not what a schema asks for."""
    for error in Draft202012Validator(asked).iter_errors(value):
        yield f"{error.json_path}: {error.message}"


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_schema_requires_all_that_it_describes(path: Path) -> None:
    asked = json.loads(path.read_text(encoding="utf-8"))
    assert asked["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(asked)
    for table in tables(asked):
        assert table["required"] == list(table["properties"])
        assert table["additionalProperties"] is False


def tables(asked: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(asked, dict):
        if isinstance(asked.get("properties"), dict):
            yield asked
        for below in asked.values():
            yield from tables(below)


@pytest.fixture
def shop(tree: Tree) -> Path:
    root = tree({"pyproject.toml": MANIFEST})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    return root


def test_init_prints_what_its_schema_says(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six==1.15.0\nsix\n--trusted-host x.example\n"})
    done = uvflow("init", "--json", cwd=root)
    told = json.loads(done.out)
    assert told["findings"]
    assert list(differences(told, schema("init"))) == []


@pytest.mark.parametrize(
    "text", ["six=1\n-i https://me:p/w@h/x\n", "six==99\n", "-r https://h/x\n"]
)
def test_init_that_fails_prints_what_its_schema_says(
    tree: Tree, uvflow: Command, text: str
) -> None:
    done = uvflow("init", "--json", cwd=tree({"requirements.txt": text}))
    told = json.loads(done.out)
    assert told["exit_code"] == done.code == 1
    assert told["error"]["message"]
    assert told["files"]
    assert list(differences(told, schema("init"))) == []


def test_init_that_fails_before_it_has_read_prints_the_same_keys(
    tree: Tree, uvflow: Command
) -> None:
    done = uvflow("init", "nowhere", "--json", cwd=tree({}))
    assert done.code == 2
    assert list(differences(json.loads(done.out), schema("init"))) == []


def test_init_with_nothing_to_do_prints_the_same_keys(shop: Path, uvflow: Command) -> None:
    told = json.loads(uvflow("init", "--json", cwd=shop).out)
    assert list(differences(told, schema("init"))) == []


def test_undo_prints_what_its_schema_says(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six\n", ".venv/pyvenv.cfg": ""})
    told = json.loads(uvflow("init", "--json", cwd=root).out)
    assert told["changes"][-1]["action"] == "replace"
    assert list(differences(told, schema("init"))) == []
    told = json.loads(uvflow("undo", "--json", cwd=root).out)
    assert list(differences(told, schema("undo"))) == []


def test_sync_prints_what_its_schema_says(shop: Path, uvflow: Command) -> None:
    for _ in range(2):
        told = json.loads(uvflow("sync", "--json", cwd=shop).out)
        assert list(differences(told, schema("sync"))) == []
    plan = json.loads(uvflow("sync", "--prod", "--dry-run", "--json", cwd=shop).out)
    assert list(differences(plan, schema("sync-dry-run"))) == []


@pytest.mark.parametrize("command", [("status",), ("sync", "--check")], ids=" ".join)
def test_status_prints_what_its_schema_says(
    shop: Path, uvflow: Command, command: tuple[str, ...]
) -> None:
    for _ in range(2):
        told = json.loads(uvflow(*command, "--json", cwd=shop).out)
        assert list(differences(told, schema("status"))) == []
        uvflow("sync", cwd=shop)


def test_releases_print_what_their_schemas_say(shop: Path, uvflow: Command) -> None:
    with (shop / "pyproject.toml").open("a") as file:
        file.write('[tool.uvflow.profiles.prod]\nenvironment = ".venv-prod"\nreleases = 2\n')
    uvflow("sync", "--prod", cwd=shop)
    change = ("uv", "pip", "install", "-q", "--python", ".venv-prod", "idna")
    subprocess.run(change, cwd=shop, check=True)
    uvflow("sync", "--prod", cwd=shop)
    for name, words in (("releases", ()), ("rollback", ("--timeout", "0"))):
        printed = json.loads(uvflow(name, *words, "--json", cwd=shop).out)
        assert list(differences(printed, schema(name))) == []
    receipt = json.loads((shop / ".venv-prod" / "uvflow-receipt.json").read_text())
    assert list(differences(receipt, schema("receipt"))) == []
    printed = json.loads(uvflow("status", "--json", cwd=shop).out)
    assert list(differences(printed, schema("status"))) == []


def test_verify_prints_what_its_schema_says(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    next((shop / ".venv").rglob("six/data.txt")).unlink()
    for options in ((), ("--repair",)):
        told = json.loads(uvflow("verify", *options, "--json", cwd=shop).out)
        assert list(differences(told, schema("verify"))) == []


def test_run_that_starts_nothing_prints_what_its_schema_says(shop: Path, uvflow: Command) -> None:
    printed = json.loads(uvflow("run", "--json", "--", "nowhere", cwd=shop).out)
    assert list(differences(printed, schema("run"))) == []
    assert uvflow("run", "--json", "--", "python", "-c", "print(1)", cwd=shop).out == "1\n"


def test_profiles_prints_what_its_schema_says(shop: Path, uvflow: Command) -> None:
    printed = json.loads(uvflow("profiles", "--json", cwd=shop).out)
    assert list(differences(printed, schema("profiles"))) == []


def test_cache_prints_what_its_schemas_say(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six\n", ".venv/pyvenv.cfg": ""})
    uvflow("init", cwd=root)
    for name in ("dir", "list", "prune", "clear"):
        printed = json.loads(uvflow("cache", name, "--json", cwd=root).out)
        assert name == "dir" or any(isinstance(value, list) and value for value in printed.values())
        assert list(differences(printed, schema(f"cache-{name}"))) == []


def test_every_command_has_a_schema_of_what_it_prints() -> None:
    walk = runpy.run_path(str(REFERENCE / "generate.py"))["walk"]
    paths = {sub.command_path for sub in walk(click.Context(command_line, info_name="uvflow"))}
    page = REFERENCE / "json" / "README.md"
    shown = {re.sub(r" --.*| sh$", "", code) for code in first_codes(page) if code[0] != "-"}
    assert paths - {"uvflow cache", "uvflow hook"} == shown
    assert {path.name for path in SCHEMAS} == set(re.findall(r"\((\S+\.json)\)", text_of(page)))


def test_setup_prints_what_its_schema_says(shop: Path, uvflow: Command) -> None:
    for options in (("--check",), ("--dry-run",), (), ("--force",)):
        printed = json.loads(uvflow("setup", *options, "--json", cwd=shop).out)
        assert list(differences(printed, schema("setup"))) == []


def test_doctor_prints_what_its_schema_says(shop: Path, uvflow: Command) -> None:
    for options in ((), ("--fix", "--offline")):
        printed = json.loads(uvflow("doctor", *options, "--json", cwd=shop).out)
        assert printed["findings"] or printed["fixed_by"]
        assert list(differences(printed, schema("doctor"))) == []


@pytest.mark.parametrize(
    "words",
    [("setup", "--script", "sh"), ("completion", "zsh"), ("activate", "fish")],
    ids=" ".join,
)
def test_a_script_is_printed_as_its_schema_says(
    shop: Path, uvflow: Command, words: tuple[str, ...]
) -> None:
    uvflow("sync", cwd=shop)
    printed = json.loads(uvflow(*words, "--json", cwd=shop).out)
    assert list(differences(printed, schema("script"))) == []
    assert printed["script"] == uvflow(*words, cwd=shop).out


def test_hook_install_prints_what_its_schema_says(shop: Path, uvflow: Command) -> None:
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True)
    printed = json.loads(uvflow("hook", "install", "--json", cwd=shop).out)
    assert list(differences(printed, schema("hook-install"))) == []


@pytest.fixture
def service(tree: Tree) -> Path:
    """A project of which something can be started."""
    settings = '[tool.uvflow.docker]\ncommand = ["serve"]\n'
    return tree({"pyproject.toml": manifest(rest=settings), "uv.lock": locked(local("shop"))})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("docker", ("--dry-run",)),
        ("docker", ()),
        ("docker-check", ("--check",)),
        ("docker-print", ("--print",)),
    ],
)
def test_docker_prints_what_its_schemas_say(
    service: Path, uvflow: Command, name: str, options: tuple[str, ...]
) -> None:
    told = json.loads(uvflow("docker", *options, "--json", cwd=service).out)
    assert list(differences(told, schema(name))) == []


def test_docker_check_prints_findings_as_its_schema_says(service: Path, uvflow: Command) -> None:
    (service / "Dockerfile").write_text("FROM python\nCMD uv run serve\n")
    told = json.loads(uvflow("docker", "--check", "--json", cwd=service).out)
    assert told["findings"]
    assert list(differences(told, schema("docker-check"))) == []


@pytest.mark.skipif("sys.platform == 'win32'", reason="the docker of this test is a shell script")
def test_docker_build_prints_what_its_schema_says(
    service: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = service.parent / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\n[ $1 = build ] || echo 26.1.5\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    assert uvflow("docker", cwd=service).code == 0
    told = json.loads(uvflow("docker", "build", "--json", cwd=service).out)
    assert list(differences(told, schema("docker-build"))) == []


def test_the_words_of_schemas_are_those_of_the_code() -> None:
    told = schema("status")["properties"]["verdict"]["enum"]
    assert told == [standing.value for standing in Level]
    told = schema("verify")["properties"]["damages"]["items"]["properties"]["kind"]["enum"]
    assert told == [kind.value for kind in DamageKind]


def test_an_error_prints_what_its_schema_says(tree: Tree, uvflow: Command) -> None:
    done = uvflow("sync", "--json", cwd=tree({}))
    told = json.loads(done.out)
    assert told["exit_code"] == done.code == 2
    assert list(differences(told, schema("error"))) == []


# What is kept


def test_every_file_of_the_state_is_documented(tree: Tree, uvflow: Command, tmp_path: Path) -> None:
    root = tree({"requirements.txt": "six==1.15.0\n"})
    uvflow("init", cwd=root)
    uvflow("sync", cwd=root)
    uvflow("run", "python", "-c", "", cwd=root)
    documented = [code.replace("NAME", "*") for code in first_codes(REFERENCE / "state.md")]
    (state,) = (tmp_path / "uvflow-cache" / "projects").iterdir()
    undocumented = {path.name for path in state.iterdir() if not any(map(path.match, documented))}
    assert undocumented == set()
