"""Who may import what: the directions between packages, and what each may touch."""

import ast
import functools
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import uvflow

HOUSE = Path(uvflow.__file__).parent


def module_name(path: Path) -> str:
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(HOUSE.rglob("*.py"))}

# Leaf modules stand beside the packages. Every package may import them, and they import each other.
LEAVES = {
    *("paths", "fingerprint", "errors", "findings", "redaction"),
    *("console", "files", "process", "uv"),
}

# A package → the packages, modules and leaves besides its own that it may import.
COMMON = {"paths", "errors", "files", "findings", "redaction", "console"}
DIRECTIONS = {
    "project": COMMON,
    "lockfile": {*COMMON, "project", "uv", "process"},
    "state": {*COMMON, "process", "fingerprint"},
    "environment": {*LEAVES, "lockfile", "project", "state"},
    "docker": {*COMMON, "project", "lockfile", "uv", "process"},
    "migrate": {
        *LEAVES,
        *(f"environment.{name}" for name in ("context", "installed", "ownership", "sync")),
        *("lockfile", "project", "state"),
    },
    "onboarding": {*LEAVES, "docker", "environment", "lockfile", "project", "state"},
    "cli": {*LEAVES, "environment", "migrate", "docker", "onboarding", "project", "state"},
    "__main__": {"paths", "fingerprint", "console", "cli.main", "cli.run", "cli.sync"},
}

# Where a format is read nothing is opened, run or asked: text in, values out.
FORMATS = {"errors", "findings", "redaction", "paths", "migrate.credentials"}
FORMATS |= {"migrate.model", "migrate.ledger", "migrate.toml_lines", "migrate.toml_text"}
FORMATS |= {"migrate.formats", "migrate.indexes", "migrate.merge", "migrate.groups"}
FORMATS |= {"migrate.includes"}

# A package from elsewhere → the only modules that import it.
GUARDED = {
    "click": {m for m in MODULES if m.startswith("cli.")} - {"cli.errors", "cli.run", "cli.sync"},
    "subprocess": {"process"},
    "filelock": {"state.leases"},
    "platformdirs": {"state.store"},
    "tomlkit": {"migrate.toml_text"},
}

# Values in, values out: they read no file and start no process.
PURE = {
    *(m for m in MODULES if m.startswith("migrate.formats")),
    *(
        f"migrate.{name}"
        for name in (
            *("credentials", "evidence", "groups", "includes", "indexes", "ledger"),
            *(
                "lock_fallback",
                "merge",
                "model",
                "pins",
                "plan",
                "pyproject",
                "report",
                "settings",
                "toml_lines",
                "toml_text",
                "truth",
            ),
        )
    ),
    *("project.profiles", "project.schema", "redaction", "findings", "docker.dockerfile"),
}
IMPURE = {"subprocess", "shutil", "tempfile", "socket", "urllib.request", "uvflow.files"}

FAST_PATH = {"uvflow", "uvflow.__main__", "uvflow.paths", "uvflow.fingerprint"}
PATH_OF_RUN = {
    *("fcntl", "uvflow.cli", "uvflow.cli.run", "uvflow.environment"),
    *("uvflow.environment.command", "uvflow.state", "uvflow.state.leases"),
}


@functools.cache
def imported(module: str) -> set[str]:
    """Every module that the source of `module` names in an import, at the top or inside."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def own_imports(module: str) -> set[str]:
    """The modules of uvflow that `module` imports."""
    found = {n.removeprefix("uvflow.") for n in imported(module) if n.startswith("uvflow.")}
    return {name for name in found if name in MODULES and name not in PACKAGES}


PACKAGES = {m for m, path in MODULES.items() if path.name == "__init__.py"}


def is_within(module: str, places: set[str]) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:n]) in places for n in range(1, len(parts) + 1))


def test_the_house_has_its_rooms_and_no_others() -> None:
    packages = {m for m in PACKAGES if m and "." not in m}
    modules = {m for m in MODULES if m and "." not in m and m not in PACKAGES}
    assert packages == DIRECTIONS.keys() - {"__main__"}
    assert modules == {*LEAVES, "__main__"}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - PACKAGES))
def test_imports_run_one_way(module: str) -> None:
    package = module.split(".", maxsplit=1)[0]
    allowed = {package, *(LEAVES if package in LEAVES else DIRECTIONS[package])}
    if module.startswith("migrate.formats."):
        allowed = FORMATS
    assert [m for m in own_imports(module) if not is_within(m, allowed)] == []


def test_nothing_imports_itself_by_a_detour() -> None:
    arrows = {module: own_imports(module) for module in MODULES}
    left = dict(arrows)
    while ready := [m for m, targets in left.items() if not targets & left.keys()]:
        for module in ready:
            del left[module]
    assert left == {}


@pytest.mark.parametrize("package", GUARDED)
def test_a_guarded_package_has_its_one_importer(package: str) -> None:
    importers = {m for m in MODULES if package in {name.split(".")[0] for name in imported(m)}}
    assert importers <= GUARDED[package]


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_read_and_run_nothing(module: str) -> None:
    assert not IMPURE & imported(module)
    calls = {n.id for n in ast.walk(ast.parse(MODULES[module].read_text())) if type(n) is ast.Name}
    assert "open" not in calls


def test_no_module_asks_the_web() -> None:
    asking = {"http.client", "urllib.error", "socket"}
    assert {m for m in MODULES if asking & imported(m)} == set()


def test_a_name_stands_for_one_class_and_one_public_function() -> None:
    protocol = {"main", "read", "check"}  # what sibling modules of one kind offer alike
    found: dict[str, set[str]] = defaultdict(set)
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                found[node.name].add(module)
    doubled = {name: modules for name, modules in found.items() if len(modules) > 1}
    assert doubled.keys() <= protocol, doubled


def test_a_sync_without_options_does_without_click() -> None:
    code = (
        "import sys, uvflow.cli.sync, uvflow.environment.sync, filelock;"
        "print('click' in sys.modules)"
    )
    assert python(code) == "False\n"


def test_the_fast_path_loads_nothing_beyond_bare_python() -> None:
    listing = "import sys; print('\\n'.join(sys.modules))"
    bare = set(python(listing).split())
    loaded = set(python(f"import uvflow.__main__; {listing}").split())
    assert loaded - bare == FAST_PATH
    loaded_to_run = set(python(f"import uvflow.__main__, uvflow.cli.run; {listing}").split())
    assert loaded_to_run - loaded == PATH_OF_RUN


def test_json_of_the_fast_path_does_without_what_is_slow() -> None:
    slow = {"click", "dataclasses", "pathlib", "subprocess"}
    listing = "import sys; print('\\n'.join(sys.modules))"
    assert not slow & set(python(f"import uvflow.console; {listing}").split())


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout
