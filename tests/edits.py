"""A workspace to lock, and edits that make its lockfile stale or do not."""

from pathlib import Path

ROOT = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11,<4"
dependencies = [
    "six==1.16.0",
    "requests>=2 ; sys_platform != 'win32'",
    "Toml",
    "lib",
    "api",
]

[project.optional-dependencies]
Web_App = ["idna ; python_version < '3.13'"]
all = ["shop[web-app]"]

[dependency-groups]
dev = ["iniconfig", { include-group = "Test" }]
Test = ["pytest<9"]
empty = []

[tool.uv]
constraint-dependencies = ["certifi<2026"]
override-dependencies = ["idna>3"]
build-constraint-dependencies = ["hatchling<2"]
environments = ["sys_platform == 'linux'", "sys_platform == 'darwin'"]
required-environments = ["sys_platform == 'linux' and platform_machine == 'x86_64'"]
resolution = "highest"
conflicts = [[{ extra = "web-app" }, { group = "empty" }]]

[tool.uv.workspace]
members = ["packages/*"]

[tool.uv.sources]
api = { workspace = true }
lib = { path = "lib" }
"""
API = """[project]
name = "api"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["attrs"]
"""
LIB = """[project]
name = "lib"
version = "2.0"
dependencies = ["packaging"]

[tool.uv]
package = false
"""
TREE = {"pyproject.toml": ROOT, "packages/api/pyproject.toml": API, "lib/pyproject.toml": LIB}

# A name → (file, text in it, its replacement, the message).
EDITS = {
    "a pin": (
        "pyproject.toml",
        "six==1.16.0",
        "six==1.17.0",
        "shop: dependencies: `six==1.16.0` became `six==1.17.0`",
    ),
    "one more": (
        "pyproject.toml",
        '"Toml"',
        '"Toml", "attrs>=22"',
        "shop: dependencies: `attrs>=22` was added",
    ),
    "one less": ("pyproject.toml", '"Toml",', "", "shop: dependencies: `toml` was removed"),
    "an extra of a requirement": (
        "pyproject.toml",
        "requests>",
        "requests[socks]>",
        "shop: dependencies: `requests>=2` became `requests[socks]>=2`",
    ),
    "a requirement of an extra": (
        "pyproject.toml",
        '"idna ;',
        '"idna>3 ;',
        "shop: extra web-app: `idna` became `idna>3`",
    ),
    "an extra": (
        "pyproject.toml",
        "all = [",
        "more = []\nall = [",
        "shop: extra: `more` was added",
    ),
    "a group": (
        "pyproject.toml",
        "empty = []",
        "empty = []\ndocs = []",
        "shop: group: `docs` was added",
    ),
    "a requirement of a group": (
        "pyproject.toml",
        '"iniconfig"',
        '"iniconfig<2"',
        "shop: group dev: `iniconfig` became `iniconfig<2`",
    ),
    "a requirement of an included group": (
        "pyproject.toml",
        '"pytest<9"',
        '"pytest"',
        "shop: group dev: `pytest<9` became `pytest`",
        "shop: group test: `pytest<9` became `pytest`",
    ),
    "a group for uv alone": (
        "pyproject.toml",
        "[tool.uv]\n",
        '[tool.uv]\ndev-dependencies = ["attrs"]\n',
        "shop: group dev: `attrs` was added",
    ),
    "the version": (
        "pyproject.toml",
        'version = "0.1.0"',
        'version = "0.2.0"',
        "shop: version: `0.1.0` became `0.2.0`",
    ),
    "a requirement of a member": (
        "packages/api/pyproject.toml",
        '"attrs"',
        '"attrs", "six"',
        "api: dependencies: `six` was added",
    ),
    "a requirement of a local source": (
        "lib/pyproject.toml",
        '"packaging"',
        "",
        "lib: dependencies: `packaging` was removed",
    ),
    "the version of a local source": (
        "lib/pyproject.toml",
        "2.0",
        "2.1",
        "lib: version: `2.0` became `2.1`",
    ),
}

# What only uv sees: a name → (file, text in it, its replacement, the beginning of the message).
SETTINGS = {
    "a source": (
        "pyproject.toml",
        'lib = { path = "lib" }',
        'lib = { path = "lib", editable = true }',
        "uv found mismatched requirements for",
    ),
    "a constraint": (
        "pyproject.toml",
        "certifi<2026",
        "certifi<2025",
        "uv found mismatched constraints",
    ),
    "an override": (
        "pyproject.toml",
        'override-dependencies = ["idna>3"]',
        "",
        "uv found mismatched overrides",
    ),
    "a build constraint": (
        "pyproject.toml",
        "hatchling<2",
        "hatchling<1",
        "uv found mismatched build constraints",
    ),
    "a marker": (
        "pyproject.toml",
        "!= 'win32'",
        "== 'win32'",
        "uv found mismatched requirements for: `shop==0.1.0`",
    ),
    "requires-python": (
        "pyproject.toml",
        ">=3.11,<4",
        ">=3.11",
        "uv found change in Python requirement",
    ),
    "an environment": (
        "pyproject.toml",
        ", \"sys_platform == 'darwin'\"",
        "",
        "uv found change in supported environments",
    ),
    "a required environment": (
        "pyproject.toml",
        "platform_machine == 'x86_64'",
        "platform_machine == 'aarch64'",
        "uv found change in supported environments",
    ),
    "how versions are chosen": (
        "pyproject.toml",
        'resolution = "highest"',
        'resolution = "lowest"',
        "uv found change in resolution mode",
    ),
    "which pre-releases": (
        "pyproject.toml",
        "[tool.uv]\n",
        '[tool.uv]\nprerelease = "allow"\n',
        "uv found change in pre-release mode",
    ),
    "a conflict": (
        "pyproject.toml",
        '{ group = "empty" }',
        '{ group = "test" }',
        "uv found change in conflicting groups",
    ),
    "a build system": (
        "pyproject.toml",
        "[tool.uv]\n",
        "[tool.uv]\npackage = true\n",
        "uv found mismatched source",
    ),
}

# What is the same to uv, so that nothing is reported.
SPELLINGS = {
    "of a name": ("pyproject.toml", '"Toml"', '"TOML"'),
    "of an extra": ("pyproject.toml", "Web_App", "WEB-app"),
    "of a platform": ("pyproject.toml", "sys_platform != 'win32'", "platform_system != 'Windows'"),
    "of a version": ("pyproject.toml", "python_version < '3.13'", "python_full_version < '3.13'"),
    "of the order": ("pyproject.toml", '"lib",\n    "api"', '"api",\n    "lib"'),
    "of Pythons": ("pyproject.toml", ">=3.11,<4", "<4, >= 3.11"),
    "of a default": ("pyproject.toml", 'resolution = "highest"', ""),
    "of spaces": ("pyproject.toml", "six==1.16.0", "six  == 1.16.0"),
    "of its own version": ("pyproject.toml", 'version = "0.1.0"', 'version = "v0.1.0"'),
    "of a path": ("pyproject.toml", 'path = "lib"', 'path = "./packages/../lib"'),
    "of an include": ("pyproject.toml", '{ include-group = "Test" }', '"pytest<9"'),
}


def edit(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
