"""The cases of other tools' projects: what there is, and what has to come of it.

What a case wants is what its files mean to the old tool. Numbers are those of the specification
that uvflow's import is built to: P and Q are Poetry's, V Pipenv's, S those of setuptools, D PDM's,
H those of Hatch and Rye, C conda's, T others.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from benchmarks.import_cases import REFUSED, REQUIREMENTS, SAID, Case, Setting, Wants
from benchmarks.import_world import SECRET, USER, World, package

POETRY, PIPENV, SETUPTOOLS, FLIT = "Poetry", "Pipenv", "setuptools", "Flit"
PDM, HATCH, RYE, CONDA = "PDM", "Hatch", "Rye", "conda"
FORMATS = (REQUIREMENTS, POETRY, PIPENV, SETUPTOOLS, FLIT, PDM, HATCH, RYE, CONDA)
NO_FILES: Mapping[str, str] = {}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"  # which runs this

_APP = """\
[tool.poetry]
name = "shop"
version = "1.2"
description = "sells things"
authors = ["Ann B <ann@shop.example>"]
package-mode = false
"""
_WINDOWS = "sys_platform == 'win32'"
_MODULE = '"""sells things"""\n\n__version__ = "1.2"\n\n\ndef main():\n    print("shop")\n'


def project_cases(world: World) -> tuple[Case, ...]:
    """Every case, format by format."""
    parts = (
        _poetry_versions(),
        _poetry_tables(world),
        _poetry_projects(),
        _poetry_indexes(world),
        _poetry_locks(world),
        _pipfiles(world),
        _pipenv_locks(world),
        _setup_files(),
        _setup_code(),
        _flit(),
        _read_by_one(world),
        _conda(),
    )
    return tuple(chain.from_iterable(parts))


# Poetry


def _of_poetry(
    number: str, about: str, dependencies: str, wants: Wants, *, rest: str = "", **more: Any
) -> Case:
    """An application with these `[tool.poetry.dependencies]`, and the `rest` of pyproject.toml."""
    manifest = f'{_APP}\n[tool.poetry.dependencies]\npython = "^3.9"\n{dependencies}\n{rest}'
    case = Case(
        id=number, about=about, format=POETRY, files={"pyproject.toml": manifest}, wants=wants
    )
    return _with(case, **more)


def _with(case: Case, *, files: Mapping[str, str] = NO_FILES, **changes: Any) -> Case:
    """A case with more files, and other changes."""
    return replace(case, files={**case.files, **files}, **changes)


def _poetry_versions() -> Iterator[Case]:
    yield _of_poetry(
        "P01",
        "caret, tilde and the others",
        'six = "^1.10"\nidna = "~3.7"\ntoml = "^0.10"\nattrs = "23.*"\npackaging = "23.2"\n'
        'certifi = ">=2020,<2030"\niniconfig = "*"\npluggy = "~=1.5"\npytest = "^8,!=8.1.0"\n',
        Wants(
            project=(
                "six>=1.10,<2.0",
                "idna>=3.7,<3.8",
                "toml>=0.10,<0.11",
                "attrs==23.*",
                "packaging==23.2",
                "certifi>=2020,<2030",
                "iniconfig",
                "pluggy~=1.5",
                "pytest>=8,<9,!=8.1.0",
            ),
            python=">=3.9,<4.0",
            unbounded=True,
        ),
    )
    yield _of_poetry(
        "P12",
        "unions that are one range",
        'packaging = "^23 || ^24 || ^25"\nattrs = "^22 | ^25"\nidna = ">=2.5 <4"\n',
        Wants(project=("packaging>=23,<26", "attrs>=22,<26,!=23.*,!=24.*", "idna>=2.5,<4")),
    )
    yield _of_poetry(
        "P21",
        "python, platform and markers together",
        "six = {version = \"^1\", markers = \"sys_platform == 'win32' or python_version < '3.10'\","
        ' python = "<3.12"}\nidna = {version = "^3", python = ">=3.11"}\n'
        'certifi = {version = ">=2020", platform = "linux|darwin"}\n',
        Wants(
            project=(
                f"six>=1,<2 ; ({_WINDOWS} or python_version < '3.10') and python_version < '3.12'",
                "idna>=3,<4 ; python_version >= '3.11'",
                "certifi>=2020 ; sys_platform == 'linux' or sys_platform == 'darwin'",
            )
        ),
    )
    yield _of_poetry(
        "P23",
        "several constraints, by marker",
        'toml = [\n  {version = "0.10.1", python = "<3.10"},\n'
        '  {version = "^0.10.2", python = ">=3.10"},\n]\n',
        Wants(
            project=(
                "toml==0.10.1 ; python_version < '3.10'",
                "toml>=0.10.2,<0.11 ; python_version >= '3.10'",
            )
        ),
    )
    yield _of_poetry(
        "P32",
        "a union that PEP 440 cannot say",
        'packaging = "<23.1 || >=25"\n',
        Wants(project=("packaging>=25",), told=("<23.1 || >=25",)),
        asks=SAID,
    )
    yield _of_poetry(
        "P33",
        "a version that Poetry refuses",
        'six = "^1.x"\nidna = "^3"\n',
        Wants(project=("six>=1,<2", "idna>=3,<4"), told=("^1.x",)),
        asks=REFUSED,
    )


def _poetry_tables(world: World) -> Iterator[Case]:
    yield _of_poetry(
        "P35",
        "extras of optional dependencies",
        'six = "^1"\niniconfig = {version = "^2", optional = true}\n'
        'certifi = {version = ">=2020", optional = true}\n',
        Wants(
            project=("six>=1,<2",),
            extras={"x": ("iniconfig>=2,<3",), "y": ("iniconfig>=2,<3", "certifi>=2020")},
        ),
        rest='[tool.poetry.extras]\nx = ["IniConfig"]\ny = ["iniconfig", "certifi"]\n',
    )
    allowed = Setting(
        what="allow-prereleases of early",
        named="prerelease",
        places=(
            (("tool", "uv", "prerelease-package", "early"), "allow"),
            (("tool", "uv", "prerelease"), "allow"),
            (("tool", "pdm", "resolution", "allow-prereleases"), True),
        ),
    )
    yield _of_poetry(
        "P38",
        "pre-releases of one package",
        'six = "^1"\nearly = {version = ">=1", allow-prereleases = true}\n',
        Wants(project=("six>=1,<2", "early>=1"), settings=(allowed,)),
    )
    tagged, mono = (f"http://{world.host}/{name}.git" for name in ("tagged", "mono"))
    yield _of_poetry(
        "P40",
        "git: a tag, a branch, below",
        f'tagged = {{git = "{tagged}", tag = "v0.3.0"}}\n'
        f'below = {{git = "{mono}", branch = "stable", subdirectory = "sub", extras = ["x"]}}\n',
        Wants(
            project=("tagged", "below[x]"),
            sources={
                "tagged": f"git+{tagged}@v0.3.0",
                "below": f"git+{mono}@stable#subdirectory=sub",
            },
        ),
    )
    yield _of_poetry(
        "Q11",
        "paths, editable and not",
        'foo = {path = "libs/foo", develop = true}\nbar = {path = "libs/bar"}\n',
        Wants(
            project=("foo", "bar"),
            sources={"foo": "path:libs/foo editable", "bar": "path:libs/bar"},
        ),
        files={
            "libs/foo/pyproject.toml": package("foo"),
            "libs/bar/pyproject.toml": package("bar"),
        },
    )


def _poetry_projects() -> Iterator[Case]:
    yield _of_poetry(
        "Q01",
        "an application, with comments",
        'six = "~1.16"  # py2 compat\n# pinned for legal\nidna = "^3"\n',
        Wants(
            project=("six>=1.16,<1.17", "idna>=3,<4"),
            groups={"dev": ("iniconfig>=2,<3",)},
            metadata={
                "name": "shop",
                "version": "1.2",
                "description": "sells things",
                "authors": [{"name": "Ann B", "email": "ann@shop.example"}],
            },
            python=">=3.9,<4.0",
            comments=("py2 compat", "pinned for legal"),
        ),
        rest='[tool.poetry.group.dev.dependencies]\niniconfig = "^2"\n\n'
        "[tool.ruff]\nline-length = 100\n",
    )
    yield _of_poetry(
        "Q02",
        "groups: optional, included, old",
        "",
        Wants(
            groups={
                "dev": ("iniconfig>=2,<3", "toml"),
                "test": ("idna>=3,<4",),
                "docs": ("attrs",),
                "ci": ("packaging", "iniconfig>=2,<3", "toml", "idna>=3,<4"),
            },
            default_groups=("dev", "test", "ci"),
        ),
        rest='[tool.poetry.dev-dependencies]\ntoml = "*"\n\n'
        '[tool.poetry.group.dev.dependencies]\niniconfig = "^2"\n\n'
        '[tool.poetry.group.test.dependencies]\nidna = "^3"\n\n'
        "[tool.poetry.group.docs]\noptional = true\n\n"
        '[tool.poetry.group.docs.dependencies]\nattrs = "*"\n\n'
        '[tool.poetry.group.ci]\ninclude-groups = ["dev", "test"]\n\n'
        '[tool.poetry.group.ci.dependencies]\npackaging = "*"\n',
    )
    yield Case(
        id="Q03",
        about="a library: the same wheel",
        format=POETRY,
        is_package=True,
        files={
            "pyproject.toml": _LIBRARY,
            "src/shop/__init__.py": _MODULE,
            "src/shop/secret.py": "",
            "src/shop/data.json": "{}\n",
            "README.md": "# Shop\n",
        },
        wants=Wants(python=">=3.9,<4.0"),
    )
    yield Case(
        id="Q03",
        about="a command among the plugins",
        format=POETRY,
        is_package=True,
        files={
            "pyproject.toml": f"{_APP}\n".replace("package-mode = false\n", "")
            + '[tool.poetry.dependencies]\npython = "^3.9"\n\n'
            '[tool.poetry.plugins.console_scripts]\nshop = "shop:main"\n\n'
            '[build-system]\nrequires = ["poetry-core"]\n'
            'build-backend = "poetry.core.masonry.api"\n',
            "shop/__init__.py": _MODULE,
        },
        wants=Wants(python=">=3.9,<4.0"),
    )


_LIBRARY = """\
[tool.poetry]
name = "shop"
version = "1.2"
description = "sells things"
authors = ["Ann B <ann@shop.example>"]
license = "MIT"
readme = "README.md"
homepage = "https://shop.example"
keywords = ["one", "two"]
classifiers = ["Topic :: Software Development"]
packages = [{ include = "shop", from = "src" }]
exclude = ["src/shop/secret.py"]

[tool.poetry.dependencies]
python = "^3.9"
six = "~1.16"
toml = { version = "*", optional = true }

[tool.poetry.extras]
t = ["toml"]

[tool.poetry.scripts]
shop = "shop:main"

[tool.poetry.plugins."my.plugins"]
p = "shop:main"

[build-system]
requires = ["poetry-core>=1.0.0"]
build-backend = "poetry.core.masonry.api"
"""


def _poetry_indexes(world: World) -> Iterator[Case]:
    simple = f"http://{world.host}/simple"
    bound = Wants(
        project=("six>=1,<2", "idna>=3,<4"), indexes={simple: "explicit"}, indexed={"six": simple}
    )
    for about, name in (("one package from an index", "acme"), ("its name has a blank", "my idx")):
        yield _of_poetry(
            "Q01",
            about,
            f'six = {{version = "^1", source = "{name}"}}\nidna = "^3"\n',
            bound,
            rest=f'[[tool.poetry.source]]\nname = "{name}"\nurl = "{simple}"\n'
            'priority = "explicit"\n',
        )
    yield _of_poetry(
        "Q08",
        "an index instead of PyPI",
        'six = "^1"\n',
        Wants(project=("six>=1,<2",), indexes={simple: "default"}),
        rest=f'[[tool.poetry.source]]\nname = "acme"\nurl = "{simple}"\npriority = "primary"\n',
    )
    yield Case(
        id="Q06",
        about="[project], with a source beside it",
        format=POETRY,
        files={
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1.2"\n'
            'requires-python = ">=3.9,<4"\ndependencies = ["six>=1.10", "idna>=2"]\n\n'
            "[tool.poetry]\npackage-mode = false\n\n"
            '[tool.poetry.dependencies]\nsix = {source = "acme"}\n\n'
            '[tool.poetry.group.dev.dependencies]\niniconfig = "^2"\n\n'
            f'[[tool.poetry.source]]\nname = "acme"\nurl = "{simple}"\npriority = "explicit"\n'
        },
        wants=Wants(
            project=("six>=1.10", "idna>=2"),
            groups={"dev": ("iniconfig>=2,<3",)},
            python=">=3.9,<4",
            metadata={"name": "shop", "version": "1.2"},
            indexes={simple: "explicit"},
            indexed={"six": simple},
        ),
    )


def _poetry_locks(world: World) -> Iterator[Case]:
    right = {name: world.sha256(f"{name}-{version}") for name, version in _LOCKED.items()}
    old = 'requests = "^2.28"\ntoml = "*"\n'
    wants = Wants(
        project=("requests>=2.28,<3.0", "toml"),
        locked=_LOCKED,
        hashes=tuple(right.values()),
    )
    yield _of_poetry(
        "Q14",
        "the versions of poetry.lock",
        old,
        wants,
        files={"poetry.lock": _poetry_lock(_LOCKED, right)},
    )
    by_marker = "".join(
        _locked_by_poetry("attrs", version, world.sha256(f"attrs-{version}"), marker)
        for version, marker in (
            ("23.1.0", 'python_version < \\"3.11\\"'),
            ("23.2.0", 'python_version >= \\"3.11\\"'),
        )
    )
    yield _of_poetry(
        "Q14",
        "two versions of a package in poetry.lock",
        'attrs = ">=22"\n',
        Wants(project=("attrs>=22",), locked={"attrs": "23.1.0 23.2.0"}),
        files={"poetry.lock": by_marker + _POETRY_LOCK_END},
    )
    commit = world.first_commit("moved")
    moved = f"http://{world.host}/moved.git"
    source = (
        f'[package.source]\ntype = "git"\nurl = "{moved}"\nreference = "stable"\n'
        f'resolved_reference = "{commit}"\n\n'
    )
    yield _of_poetry(
        "Q16",
        "the commit of poetry.lock",
        f'moved = {{git = "{moved}", branch = "stable"}}\n',
        Wants(project=("moved",), sources={"moved": f"git+{moved}@stable"}, hashes=(commit,)),
        files={"poetry.lock": _locked_by_poetry("moved", "1.0", "") + source + _POETRY_LOCK_END},
    )
    wrong = {**right, "idna": "0" * 64}
    yield _of_poetry(
        "Q17",
        "a hash in poetry.lock that no archive has",
        old,
        Wants(project=wants.project, locked=_LOCKED, hashes=tuple(wrong.values())),
        files={"poetry.lock": _poetry_lock(_LOCKED, wrong)},
        asks=REFUSED,
    )


_LOCKED = {"certifi": "2024.2.2", "idna": "2.10", "requests": "2.28.0", "toml": "0.10.1"}
_POETRY_LOCK_END = (
    f'[metadata]\nlock-version = "2.1"\npython-versions = "^3.9"\ncontent-hash = "{"0" * 64}"\n'
)


def _poetry_lock(versions: Mapping[str, str], digests: Mapping[str, str]) -> str:
    parts = (_locked_by_poetry(name, v, digests[name]) for name, v in versions.items())
    return "".join(parts) + _POETRY_LOCK_END


def _locked_by_poetry(name: str, version: str, digest: str, marker: str = "") -> str:
    files = f'{{file = "{name}-{version}-py3-none-any.whl", hash = "sha256:{digest}"}}'
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\ndescription = ""\n'
        f'optional = false\npython-versions = "*"\ngroups = ["main"]\n'
        f"files = [{files if digest else ''}]\n"
        + (f'markers = "{marker}"\n' if marker else "")
        + "\n"
    )


# Pipenv


def _of_pipenv(number: str, about: str, pipfile: str, wants: Wants, **more: Any) -> Case:
    case = Case(id=number, about=about, format=PIPENV, files={"Pipfile": pipfile}, wants=wants)
    return _with(case, **more)


def _pipfiles(world: World) -> Iterator[Case]:
    yield _of_pipenv(
        "V01",
        "versions, extras and markers",
        '[packages]\nsix = "*"\ntoml = "==0.10.2"\nrequests = {extras = ["socks"], '
        'version = "~=2.28"}\nidna = {version = ">=3", markers = "sys_platform == \'win32\' or '
        'python_version < \'3.9\'", os_name = "== \'nt\'"}\nattrs = {version = "*", sys_platform = '
        "\"== 'win32'\", python_version = \"< '3.13'\"}\n",
        Wants(
            project=(
                "six",
                "toml==0.10.2",
                "requests[socks]~=2.28",
                "idna>=3 ; (sys_platform == 'win32' or python_version < '3.9') and os_name == 'nt'",
                "attrs ; sys_platform == 'win32' and python_version < '3.13'",
            )
        ),
    )
    yield _of_pipenv(
        "V01",
        "categories, and one Python",
        '[packages]\nsix = "*"\n\n[dev-packages]\niniconfig = "*"\n\n[docs]\npackaging = ">=23"\n\n'
        f'[requires]\npython_version = "{PYTHON}"\n',
        Wants(
            project=("six",),
            groups={"dev": ("iniconfig",), "docs": ("packaging>=23",)},
            default_groups=("dev",),
            python=f"=={PYTHON}.*",
        ),
    )
    serve = Setting(what="[scripts] serve", named="serve", written="flask run")
    yield _of_pipenv(
        "V01",
        "scripts",
        '[packages]\nsix = "*"\n\n[scripts]\nserve = "flask run"\n',
        Wants(project=("six",), settings=(serve,)),
        asks=SAID,
    )
    mono, wheel = f"http://{world.host}/mono.git", f"http://{world.host}/files/"
    direct = f"{wheel}direct-1.0-py3-none-any.whl"
    yield _of_pipenv(
        "V02",
        "git, a branch, below",
        f'[packages]\nbelow = {{git = "{mono}", ref = "stable", subdirectory = "sub", '
        'extras = ["x"]}\n',
        Wants(project=("below[x]",), sources={"below": f"git+{mono}@stable#subdirectory=sub"}),
    )
    yield _of_pipenv(
        "V03",
        "a wheel's URL",
        f'[packages]\ndirect = {{file = "{direct}"}}\nsix = "*"\n',
        Wants(project=("direct", "six"), sources={"direct": direct}),
    )
    yield _of_pipenv(
        "V04",
        "an editable path",
        '[packages]\nfoo = {path = "./libs/foo", editable = true}\nsix = "*"\n',
        Wants(project=("foo", "six"), sources={"foo": "path:libs/foo editable"}),
        files={"libs/foo/pyproject.toml": package("foo")},
    )
    simple, private = (f"http://{world.host}/{path}simple" for path in ("", "private/"))
    listed = '[[source]]\nname = "{}"\nurl = "{}"\nverify_ssl = true\n\n'
    first = listed.format("acme", simple)
    yield _of_pipenv(
        "V10",
        "an index instead of PyPI",
        f'{first}[packages]\nsix = "*"\n',
        Wants(project=("six",), indexes={simple: "default"}),
    )
    for about, login, environ in (
        ("an index with a password", f"{USER}:{SECRET}", {}),
        (
            "an index with variables",
            "${ACME_USER}:${ACME_PASS}",
            {"ACME_USER": USER, "ACME_PASS": SECRET},
        ),
    ):
        second = listed.format("private", private.replace("://", f"://{login}@"))
        yield _of_pipenv(
            "V09",
            about,
            f'{first}{second}[packages]\nsix = "*"\n'
            'acme-core = {version = "==1.0", index = "private"}\n',
            Wants(
                project=("six", "acme-core==1.0"),
                indexes={private: "explicit"},
                indexed={"acme-core": private},
            ),
            environ=environ,
        )


def _pipenv_locks(world: World) -> Iterator[Case]:
    digests = {name: world.sha256(f"{name}-{version}") for name, version in _LOCKED.items()}
    entries = {
        name: {"hashes": [f"sha256:{digests[name]}"], "version": f"=={version}"}
        for name, version in _LOCKED.items()
    }
    lock = {
        "_meta": {"hash": {"sha256": "0" * 64}, "pipfile-spec": 6, "requires": {}, "sources": []},
        "default": {name: entries[name] for name in ("certifi", "idna", "requests")},
        "develop": {"toml": entries["toml"]},
    }
    yield _of_pipenv(
        "V11",
        "the versions of Pipfile.lock",
        '[packages]\nrequests = "*"\n\n[dev-packages]\ntoml = "*"\n',
        Wants(
            project=("requests",),
            groups={"dev": ("toml",)},
            locked=_LOCKED,
            hashes=tuple(digests.values()),
        ),
        files={"Pipfile.lock": json.dumps(lock, indent=4)},
    )


# setuptools and Flit


def _of_setuptools(
    number: str, about: str, files: Mapping[str, str], wants: Wants, *, asks: str = "kept"
) -> Case:
    """A package; what is not in `files` of it is the same in each case."""
    return Case(
        id=number,
        about=about,
        format=SETUPTOOLS,
        is_package=True,
        files={"shop/__init__.py": _MODULE, **files},
        wants=wants,
        asks=asks,
    )


_SETUP_CFG = """\
[metadata]
name = shop
version = attr: shop.__version__
description = sells things
long_description = file: README.md
long_description_content_type = text/markdown
author = Ann B
author_email = ann@shop.example
license = MIT
url = https://shop.example
project_urls =
    Docs = https://docs.shop.example
keywords = one, two
classifiers =
    Topic :: Software Development

[options]
packages = find:
python_requires = >=3.9
install_requires =
    six>=1.10
    toml; python_version < "3.11"

[options.extras_require]
x = attrs
test =
    iniconfig; python_version < "3.12"

[options.package_data]
shop = *.json

[options.entry_points]
console_scripts =
    shop = shop:main
my.plugins =
    p = shop:main

[flake8]
max-line-length = 100
"""


def _setup_files() -> Iterator[Case]:
    yield _of_setuptools(
        "S01",
        "setup.cfg: the same wheel",
        {
            "setup.cfg": _SETUP_CFG,
            "setup.py": "from setuptools import setup\n\nsetup()\n",
            "README.md": "# Shop\n",
            "shop/data.json": "{}\n",
        },
        Wants(python=">=3.9"),
    )
    yield _of_setuptools(
        "S02",
        "setup.py of literals: the same wheel",
        {
            "setup.py": "from setuptools import find_packages, setup\n\n"
            'setup(\n    name="shop",\n    version="1.2",\n    packages=find_packages(),\n'
            '    python_requires=">=3.9",\n    install_requires=["six"],\n    extras_require={\n'
            '        "t": ["toml"],\n        "t:python_version<\'3.12\'": ["idna"],\n'
            '        ":sys_platform==\'win32\'": ["attrs"],\n    },\n)\n'
        },
        Wants(python=">=3.9"),
    )
    yield _of_setuptools(
        "S02",
        "setup.py that requires no Python",
        {
            "setup.py": "from setuptools import setup\n\n"
            'setup(name="shop", version="1.2", packages=["shop"], install_requires=["six"])\n'
        },
        Wants(),
        asks=SAID,  # uv needs a lower bound to lock
    )
    pins = {"certifi": "2024.2.2", "idna": "2.10", "requests": "2.28.0"}
    yield _of_setuptools(
        "S14",
        "setup.py, and pins beside it",
        {
            "setup.py": "from setuptools import setup\n\n"
            'setup(name="shop", version="1.2", packages=["shop"], python_requires=">=3.9", '
            'install_requires=["requests"])\n',
            "requirements.txt": "".join(f"{name}=={v}\n" for name, v in pins.items()),
        },
        Wants(locked=pins),
    )


def _setup_code() -> Iterator[Case]:
    begin = 'setup(\n    name="shop",\n    packages=["shop"],\n    python_requires=">=3.9",\n'
    yield _of_setuptools(
        "S03",
        "requirements read from a file",
        {
            "setup.py": f'from setuptools import setup\n\n{begin}    version="1.2",\n'
            '    install_requires=open("requirements.txt").read().splitlines(),\n)\n',
            "requirements.txt": "six>=1.10\nidna\n",
        },
        Wants(),
    )
    yield _of_setuptools(
        "S04",
        "a version that is computed",
        {
            "setup.py": "import shop\nfrom setuptools import setup\n\n"
            'def version():\n    return ".".join([shop.__version__, "3"])\n\n'
            f'{begin}    version=version(),\n    install_requires=["six>=1.10"],\n)\n',
        },
        Wants(),
    )
    on_windows = Setting(
        what="colorama on Windows",
        named="colorama",
        written="colorama",
        places=((("project", "dynamic"), "dependencies"),),
    )
    yield _of_setuptools(
        "S05",
        "requirements by an `if` on the platform",
        {
            "setup.py": "import sys\nfrom setuptools import setup\n\n"
            'reqs = ["six"]\nif sys.platform == "win32":\n    reqs.append("colorama")\n\n'
            f'{begin}    version="1.2",\n    install_requires=reqs,\n)\n',
        },
        Wants(settings=(on_windows,)),
    )
    yield _of_setuptools(
        "S06",
        "setup.py with a syntax error",
        {"setup.py": 'from setuptools import setup\n\nsetup(name="shop"\n'},
        Wants(),
        asks=REFUSED,
    )


def _flit() -> Iterator[Case]:
    yield Case(
        id="T06",
        about="[tool.flit.metadata]: the same wheel",
        format=FLIT,
        is_package=True,
        files={
            "pyproject.toml": '[tool.flit.metadata]\nmodule = "shop"\nauthor = "Ann B"\n'
            'author-email = "ann@shop.example"\nhome-page = "https://shop.example"\n'
            'requires = ["six>=1.10", "toml ; python_version < \'3.11\'"]\n'
            'requires-python = ">=3.9"\n\n'
            '[tool.flit.metadata.requires-extra]\ntest = ["iniconfig"]\n\n'
            '[tool.flit.scripts]\nshop = "shop:main"\n\n'
            '[build-system]\nrequires = ["flit_core >=2,<4"]\n'
            'build-backend = "flit_core.buildapi"\n',
            "shop/__init__.py": _MODULE,
        },
        wants=Wants(python=">=3.9"),
    )


# What uvflow alone reads


def _read_by_one(world: World) -> Iterator[Case]:
    project = '[project]\nname = "shop"\nversion = "1.2"\nrequires-python = ">=3.9"\n'
    start = Setting(what="scripts start", named="start")
    excluded = Setting(
        what="excludes",
        named="certifi",
        places=((("tool", "uv", "exclude-dependencies"), "certifi"),),
    )
    overridden = Setting(
        what="overrides",
        named="packaging",
        places=((("tool", "uv", "override-dependencies"), "packaging==23.0"),),
    )
    yield Case(
        id="D01",
        about="groups, overrides, a script",
        format=PDM,
        files={
            "pyproject.toml": f'{project}dependencies = ["six==1.16.0", "idna>=3"]\n\n'
            '[project.optional-dependencies]\nx = ["attrs"]\n\n'
            '[dependency-groups]\ntest = ["iniconfig"]\n\n[tool.pdm]\ndistribution = false\n\n'
            '[tool.pdm.dev-dependencies]\ndev = ["packaging<24", '
            '"-e file:///${PROJECT_ROOT}/libs/foo#egg=foo"]\n\n'
            '[tool.pdm.resolution]\nexcludes = ["certifi"]\n\n'
            '[tool.pdm.resolution.overrides]\npackaging = "23.0"\n\n'
            '[tool.pdm.scripts]\nstart = "flask run"\n',
            "libs/foo/pyproject.toml": package("foo"),
        },
        wants=Wants(
            project=("six==1.16.0", "idna>=3"),
            extras={"x": ("attrs",)},
            groups={"test": ("iniconfig",), "dev": ("packaging<24", "foo")},
            sources={"foo": "path:libs/foo editable"},
            default_groups=("test", "dev"),
            settings=(excluded, overridden, start),
        ),
        asks=SAID,
    )
    simple = f"http://{world.host}/simple"
    pins = {"idna": "3.7", "iniconfig": "1.1.1", "six": "1.15.0"}
    packages = "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\ngroups = ["default"]\n'
        f'files = [{{file = "{name}-{version}-py3-none-any.whl", '
        f'hash = "sha256:{world.sha256(f"{name}-{version}")}"}}]\n\n'
        for name, version in pins.items()
    )
    yield Case(
        id="D02",
        about="the versions of pdm.lock, and an index",
        format=PDM,
        files={
            "pyproject.toml": f'{project}dependencies = ["six", "idna", "iniconfig"]\n\n'
            f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{simple}"\n',
            "pdm.lock": '[metadata]\ngroups = ["default"]\nstrategy = []\n'
            f'lock_version = "4.5.0"\ncontent_hash = "sha256:{"0" * 64}"\n\n{packages}',
        },
        wants=Wants(project=("six", "idna", "iniconfig"), indexes={simple: "default"}, locked=pins),
    )
    yield Case(
        id="H01",
        about="environments: groups, features",
        format=HATCH,
        files={
            "pyproject.toml": f'{project}dependencies = ["six"]\n\n'
            '[project.optional-dependencies]\nx = ["attrs"]\n\n'
            '[tool.hatch.envs.default]\ndependencies = ["packaging"]\n\n'
            "[tool.hatch.envs.default.overrides]\n"
            'platform.windows.dependencies = ["certifi"]\n\n'
            '[tool.hatch.envs.test]\nextra-dependencies = ["toml"]\nfeatures = ["x"]\n\n'
            '[tool.hatch.envs.lint]\ndetached = true\ndependencies = ["iniconfig"]\n'
        },
        wants=Wants(
            project=("six",),
            extras={"x": ("attrs",)},
            groups={
                "dev": ("packaging", "certifi ; sys_platform == 'win32'"),
                "test": ("packaging", "certifi ; sys_platform == 'win32'", "toml"),
                "lint": ("iniconfig",),
            },
            settings=(
                Setting(
                    what="features of test",
                    named="features",
                    places=((("tool", "uvflow", "profiles", "test", "extras"), "x"),),
                ),
                Setting(what="lint is made without the project", named="lint"),
            ),
        ),
        asks=SAID,
    )
    yield Case(
        id="H07",
        about="a project, its lock files, an index",
        format=RYE,
        files={
            "pyproject.toml": f'{project}dependencies = ["six", "idna"]\n\n'
            '[tool.rye]\nmanaged = true\nvirtual = true\ndev-dependencies = ["iniconfig>=1"]\n\n'
            f'[[tool.rye.sources]]\nname = "default"\nurl = "{simple}"\n',
            "requirements.lock": "-e file:.\nidna==3.7\nsix==1.15.0\n",
            "requirements-dev.lock": "-e file:.\nidna==3.7\niniconfig==1.1.1\nsix==1.15.0\n",
        },
        wants=Wants(
            project=("six", "idna"),
            groups={"dev": ("iniconfig>=1",)},
            indexes={simple: "default"},
            locked=pins,
        ),
    )


def _conda() -> Iterator[Case]:
    redis = Setting(what="redis, which is a server", named="redis")
    for number, about, specs, wants, asks in (
        (
            "C01",
            "a server, and a part for pip",
            "- redis\n  - pip\n  - pip:\n    - toml==0.10.2\n    - -r more.txt\n",
            Wants(
                project=("idna==3.7.*", "certifi>=2020", "toml==0.10.2", "attrs"),
                settings=(redis,),
                python=f"=={PYTHON}.*",
                metadata={"name": "shop"},
            ),
            SAID,
        ),
        (
            "C05",
            "fuzzy, exact, and either",
            "- six 1.16.0\n  - packaging=23.0|23.2\n",
            Wants(
                project=(
                    "idna==3.7.*",
                    "certifi>=2020",
                    "six==1.16.0",
                    "packaging>=23.0,<=23.2,!=23.1.*",
                )
            ),
            "kept",
        ),
        (
            "C06",
            "a name that nobody knows",
            "- mystery-pkg\n",
            Wants(project=("idna==3.7.*", "certifi>=2020", "mystery-pkg")),
            SAID,
        ),
    ):
        yield Case(
            id=number,
            about=about,
            format=CONDA,
            files={
                "environment.yml": "name: shop\nchannels: [conda-forge]\ndependencies:\n"
                f"  - python={PYTHON}\n  - idna=3.7\n  - certifi>=2020\n  {specs}",
                "more.txt": "attrs\n",
            },
            wants=wants,
            asks=asks,
        )
