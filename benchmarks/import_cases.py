"""The cases of requirements files: what there is, and what has to come of it.

Requirements are written as PEP 508 has them. What a case wants is what the files mean to pip; where
pip would refuse them, or where taking them over would do harm, it asks for a refusal. The cases of
other formats are in import_project_cases.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from benchmarks.import_world import SDIST_ONLY, SECRET, USER, World, package

KEPT, SAID, LOST, REFUSED, BROKE = "kept", "said", "lost", "refused", "broke"
REQUIREMENTS = "requirements files"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting that a case wants, and every place where a tool may have put it.

    A place is a path of keys of pyproject.toml and the value there, which is looked for in every
    table of a list, and in a list itself; or else `written` is somewhere among the values. `named`
    is the word that a tool has to use that leaves it out.
    """

    what: str
    named: str
    written: str = ""
    places: tuple[tuple[tuple[str, ...], Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wants:
    """What has to be in pyproject.toml and uv.lock.

    `groups` tells what somebody has who asks for the project and that group, but for the project's
    own; `extras` are the optional dependencies, `default_groups` those that an installation has
    without being asked. `python` is requires-python, `metadata` what else stands in `[project]`.
    `sources` is name → source as the judge writes it, `indexes` URL → "default", "extra" or
    "explicit", `indexed` name → the URL of the one index it comes from. `locked` is name →
    version, or several with a blank between them. `unbounded` forbids a lower bound where none was
    written; else one that a tool adds is let pass. `told` are words to be said, or to be among the
    values.
    """

    project: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_groups: tuple[str, ...] | None = None
    python: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    indexed: Mapping[str, str] = field(default_factory=dict)
    find_links: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    locked: Mapping[str, str] = field(default_factory=dict)
    hashes: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    unbounded: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """`asks` is the best verdict there is: kept, said or refused.

    How the files are laid out is for tools that have to be told: `project` and `groups` are what
    is wanted, `included` what these include, `compiled` the pins or constraints of a file. Of a
    package (`is_package`) the wheel is compared, before and after.
    """

    id: str
    about: str
    files: Mapping[str, str | bytes]
    wants: Wants
    asks: str = KEPT
    project: tuple[str, ...] = ("requirements.txt",)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    included: tuple[str, ...] = ()
    compiled: Mapping[str, str] = field(default_factory=dict)
    format: str = REQUIREMENTS
    is_package: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)


NOT_COMPARED = {
    "A05 --strict, A14 --on-conflict, A15 --keep-going, A28 --direct-only": "options of uvflow's "
    "that the others have no counterpart of",
    "A09 -i with PyPI's own index": "would need the public index",
    "A23 git@host:org/repo.git": "would need an SSH server",
    "A25 a PyTorch wheel index": "would need that index",
    "Q07 a supplemental source, a Pipfile that names PyPI": "would need the public index",
    "V08 cool-down-period": "would need an index with dates",
    "Q20, V18 and other cases of two sources": "the other tools are told which file to read",
}


def requirements_cases(world: World) -> tuple[Case, ...]:
    """Every case of requirements files, in the order of their numbers."""
    parts = (
        _lines(),
        _includes(),
        _layouts(),
        _texts(),
        _contradictions(),
        _indexes(world),
        _credentials(world),
        _hashes(world),
        _archives(world),
        _repositories(world),
        _paths(),
        _options(world),
        _pins(),
    )
    return tuple(chain.from_iterable(parts))


def _lines() -> Iterator[Case]:
    yield Case(
        id="A01",
        about="specifiers of every kind",
        files={
            "requirements.txt": "six\nidna==3.7\ncertifi>=2020.1,<2030\ntoml~=0.10.1\n"
            "attrs==23.*\npackaging!=23.0\n"
        },
        wants=Wants(
            project=(
                "six",
                "idna==3.7",
                "certifi>=2020.1,<2030",
                "toml~=0.10.1",
                "attrs==23.*",
                "packaging!=23.0",
            ),
            unbounded=True,
        ),
    )
    yield Case(
        id="A02",
        about="comments",
        files={
            "requirements.txt": "# the shop's requirements\n\n"
            "six==1.16.0  # py2 compat, do not bump\n# needed by the mailer\nidna==3.7\n"
            "#certifi==2020.1.1\n"
        },
        wants=Wants(
            project=("six==1.16.0", "idna==3.7"),
            comments=(
                "the shop's requirements",
                "py2 compat, do not bump",
                "needed by the mailer",
                "certifi==2020.1.1",
            ),
        ),
    )


def _includes() -> Iterator[Case]:
    yield Case(
        id="A03",
        about="files included by files",
        files={
            "requirements.txt": "-r reqs/base.txt\n--requirement reqs/more.txt\ntoml==0.10.2\n",
            "reqs/base.txt": "six==1.16.0\n-r deep.txt\n",
            "reqs/deep.txt": "idna==3.7\n",
            "reqs/more.txt": "attrs\n",
        },
        included=("reqs/base.txt", "reqs/deep.txt", "reqs/more.txt"),
        wants=Wants(project=("six==1.16.0", "idna==3.7", "attrs", "toml==0.10.2")),
    )
    yield Case(
        id="A04",
        about="an included file that is missing",
        files={"requirements.txt": "-r nope.txt\nsix==1.16.0\n"},
        asks=REFUSED,
        wants=Wants(project=("six==1.16.0",), told=("nope.txt",)),
    )
    yield Case(
        id="A05",
        about="files that include each other",
        files={
            "requirements.txt": "-r a.txt\nsix==1.16.0\n",
            "a.txt": "-r requirements.txt\nidna==3.7\n",
        },
        included=("a.txt",),
        wants=Wants(project=("six==1.16.0", "idna==3.7")),
    )
    yield Case(
        id="A06",
        about="a file included twice",
        files={
            "requirements.txt": "-r a.txt\n-r b.txt\n",
            "a.txt": "-r base.txt\nsix==1.16.0\n",
            "b.txt": "-r base.txt\nidna==3.7\n",
            "base.txt": "toml==0.10.2\n",
        },
        included=("a.txt", "b.txt", "base.txt"),
        wants=Wants(project=("six==1.16.0", "idna==3.7", "toml==0.10.2")),
    )


def _layouts() -> Iterator[Case]:
    yield Case(
        id="A07",
        about="a folder of five files",
        files={
            "requirements/base.txt": "six==1.16.0\n",
            "requirements/test.txt": "-r base.txt\niniconfig\n",
            "requirements/dev.txt": "-r base.txt\n-r test.txt\ntoml\n",
            "requirements/production.txt": "-r base.txt\nidna==3.7\n",
            "requirements/local.txt": "-r dev.txt\nattrs\n",
        },
        project=("requirements/base.txt",),
        groups={
            name: (f"requirements/{name}.txt",) for name in ("test", "dev", "production", "local")
        },
        wants=Wants(
            project=("six==1.16.0",),
            groups={
                "test": ("iniconfig",),
                "dev": ("iniconfig", "toml"),
                "production": ("idna==3.7",),
                "local": ("iniconfig", "toml", "attrs"),
            },
        ),
    )
    yield Case(
        id="A08",
        about="five files side by side",
        files={
            "requirements.txt": "six==1.16.0\n",
            "requirements-dev.txt": "-r requirements.txt\niniconfig==2.0.0\n",
            "dev-requirements.txt": "toml==0.10.2\n",
            "requirements-test.txt": "pluggy==1.5.0\n",
            "requirements_docs.txt": "attrs==23.1.0\n",
        },
        groups={
            "dev": ("requirements-dev.txt", "dev-requirements.txt"),
            "test": ("requirements-test.txt",),
            "docs": ("requirements_docs.txt",),
        },
        wants=Wants(
            project=("six==1.16.0",),
            groups={
                "dev": ("iniconfig==2.0.0", "toml==0.10.2"),
                "test": ("pluggy==1.5.0",),
                "docs": ("attrs==23.1.0",),
            },
        ),
    )
    yield Case(
        id="A09",
        about="options with their values attached",
        files={
            "requirements.txt": "-rbase.txt\n--requirement=x.txt\n-cc.txt\n",
            "base.txt": "requests==2.28.0\n",
            "x.txt": "six==1.16.0\n",
            "c.txt": "idna<3.10\n",
        },
        included=("base.txt", "x.txt"),
        compiled={"requirements.txt": "c.txt"},
        wants=Wants(
            project=("requests==2.28.0", "six==1.16.0"),
            constraints=("idna<3.10",),
            locked={"idna": "3.7"},
        ),
    )


def _texts() -> Iterator[Case]:
    yield Case(
        id="A10",
        about="continued lines, CRLF",
        files={
            "requirements.txt": "six \\\r\n==1.16.0\r\nrequests[socks] \\\r\n>=2.28, \\\r\n<3\r\n"
            "idna==3.7 \\\r\n# a comment ends what is continued\r\ntoml==0.10.2\r\n"
        },
        wants=Wants(
            project=("six==1.16.0", "requests[socks]>=2.28,<3", "idna==3.7", "toml==0.10.2")
        ),
    )
    pins = "six==1.16.0  # é\nidna==3.7\n"
    wants = Wants(project=("six==1.16.0", "idna==3.7"))
    cookie = f"# -*- coding: latin-1 -*-\n{pins}"
    for name, data in {
        "UTF-8 with BOM": pins.encode("utf-8-sig"),
        "UTF-16 LE with BOM": b"\xff\xfe" + pins.encode("utf-16-le"),
        "UTF-16 BE with BOM": b"\xfe\xff" + pins.encode("utf-16-be"),
        "latin-1 that says so": cookie.encode("latin-1"),
        "UTF-8 with CRLF": pins.replace("\n", "\r\n").encode(),
    }.items():
        yield Case(id="A11", about=name, files={"requirements.txt": data}, wants=wants)
    yield Case(
        id="A11",
        about="latin-1 that does not say so",
        files={"requirements.txt": pins.encode("latin-1")},
        asks=REFUSED,
        wants=wants,
    )


def _contradictions() -> Iterator[Case]:
    yield Case(
        id="A12",
        about="one package twice, in agreement",
        files={"requirements.txt": "six==1.16.0\nSix==1.16.0\nidna\nidna>=3\n"},
        wants=Wants(project=("six==1.16.0", "idna>=3")),
    )
    yield Case(
        id="A13",
        about="one package pinned twice",
        files={"requirements.txt": "six==1.16.0\nsix==1.15.0\n"},
        asks=REFUSED,
        wants=Wants(project=("six==1.16.0,==1.15.0",)),
    )
    yield Case(
        id="A14",
        about="project and group in contradiction",
        files={"requirements.txt": "six==1.16.0\n", "requirements-dev.txt": "six==1.15.0\n"},
        groups={"dev": ("requirements-dev.txt",)},
        asks=REFUSED,
        wants=Wants(project=("six==1.16.0",), groups={"dev": ("six==1.15.0",)}),
    )
    for line in ("this is not a requirement", "six=1.16.0", '"six==1.16.0"'):
        yield Case(
            id="A15",
            about=f"`{line}`",
            files={"requirements.txt": f"idna==3.7\n{line}\n"},
            asks=REFUSED,
            wants=Wants(project=("idna==3.7",), told=(line,)),
        )


def _indexes(world: World) -> Iterator[Case]:
    simple = f"http://{world.host}/simple"
    yield Case(
        id="A16",
        about="--index-url",
        files={"requirements.txt": f"--index-url {simple}\nsix==1.16.0\n"},
        wants=Wants(project=("six==1.16.0",), indexes={simple: "default"}),
    )
    nowhere = "http://127.0.0.1:9/simple"
    yield Case(
        id="A16",
        about="an index that cannot be reached",
        files={"requirements.txt": f"--index-url {nowhere}\nsix==1.16.0\n"},
        asks=REFUSED,
        wants=Wants(project=("six==1.16.0",), indexes={nowhere: "default"}),
    )


def _credentials(world: World) -> Iterator[Case]:
    private = f"http://{world.host}/private/simple"
    wants = Wants(project=("acme-core==1.0",), indexes={private: "extra"})

    def index(login: str) -> Mapping[str, str]:
        url = private.replace("://", f"://{login}@")
        return {"requirements.txt": f"--extra-index-url {url}\nacme-core==1.0\n"}

    variables = {"ACME_USER": USER, "ACME_PASS": SECRET}
    yield Case(
        id="A17", about="an index with a password", files=index(f"{USER}:{SECRET}"), wants=wants
    )
    yield Case(
        id="A18",
        about="an index with variables",
        files=index("${ACME_USER}:${ACME_PASS}"),
        environ=variables,
        wants=wants,
    )
    yield Case(
        id="A18",
        about="variables that are not set",
        files=index("${ACME_USER}:${ACME_PASS}"),
        asks=REFUSED,
        wants=wants,
    )
    hidden = f"git+http://{world.host}/private/hidden.git@main"
    for about, login in (("a password", f"{USER}:{SECRET}"), ("a variable", "user:${GH_TOKEN}")):
        yield Case(
            id="A19",
            about=f"a git URL with {about}",
            files={"requirements.txt": f"hidden @ {hidden.replace('://', f'://{login}@')}\n"},
            environ={"GH_TOKEN": SECRET},
            wants=Wants(project=("hidden",), sources={"hidden": hidden}),
        )
    wheel = f"http://{world.host}/private/files/direct-1.0-py3-none-any.whl"
    with_login = wheel.replace("://", f"://{USER}:{SECRET}@")
    yield Case(
        id="A19",
        about="a wheel's URL with a password",
        files={"requirements.txt": f"direct @ {with_login}\n"},
        asks=REFUSED,
        wants=Wants(project=("direct",), sources={"direct": wheel}),
    )


def _hashes(world: World) -> Iterator[Case]:
    right, wrong = world.sha256("six-1.16.0"), "0" * 64
    other = world.sha256("idna-3.7")
    yield Case(
        id="A20",
        about="hashes",
        files={
            "requirements.txt": f"six==1.16.0 \\\n    --hash=sha256:{right}\n"
            f"idna==3.7 --hash=sha256:{other}\n"
        },
        wants=Wants(project=("six==1.16.0", "idna==3.7"), hashes=(right, other)),
    )
    yield Case(
        id="A20",
        about="a hash that no archive has",
        files={"requirements.txt": f"six==1.16.0 --hash=sha256:{wrong}\n"},
        asks=REFUSED,
        wants=Wants(project=("six==1.16.0",), hashes=(wrong,)),
    )
    yield Case(
        id="A20",
        about="--require-hashes, and a line without",
        files={
            "requirements.txt": f"--require-hashes\nsix==1.16.0 --hash=sha256:{right}\nidna==3.7\n"
        },
        asks=REFUSED,
        wants=Wants(
            project=("six==1.16.0", "idna==3.7"), hashes=(right,), told=("--require-hashes",)
        ),
    )


def _archives(world: World) -> Iterator[Case]:
    files = f"http://{world.host}/files"
    one, two = (f"{files}/direct-{version}-py3-none-any.whl" for version in ("1.0", "2.0"))
    digest = world.sha256("direct-1.0")
    wants = Wants(project=("direct",), sources={"direct": one})
    for about, line in {
        "a named wheel URL": f"direct @ {one}",
        "a bare wheel URL": one,
    }.items():
        text = {"requirements.txt": f"{line}\nsix==1.16.0\n"}
        both = Wants(project=("direct", "six==1.16.0"), sources=wants.sources)
        yield Case(id="A21", about=about, files=text, wants=both)
    sdist = f"{files}/sourced-1.0.tar.gz"
    yield Case(
        id="A21",
        about="an sdist URL with #egg=",
        files={"requirements.txt": f"{sdist}#egg=sourced\n"},
        wants=Wants(project=("sourced",), sources={"sourced": sdist}),
    )
    wheel = (world.place / "www" / "files" / "direct-1.0-py3-none-any.whl").read_bytes()
    yield Case(
        id="A21",
        about="a wheel in the project, with a marker",
        files={
            "requirements.txt": "./vendor/direct-1.0-py3-none-any.whl ; "
            "sys_platform == 'linux'\nsix==1.16.0\n",
            "vendor/direct-1.0-py3-none-any.whl": wheel,
        },
        wants=Wants(
            project=("direct ; sys_platform == 'linux'", "six==1.16.0"),
            sources={"direct": "path:vendor/direct-1.0-py3-none-any.whl"},
        ),
    )
    yield Case(
        id="A21",
        about="a URL with its hash",
        files={"requirements.txt": f"direct @ {one}#sha256={digest}\n"},
        wants=Wants(project=wants.project, sources=wants.sources, hashes=(digest,)),
    )
    yield Case(
        id="A21",
        about="a URL with another's hash",
        files={"requirements.txt": f"direct @ {one}#sha256={'0' * 64}\n"},
        asks=REFUSED,
        wants=Wants(project=wants.project, sources=wants.sources, hashes=("0" * 64,)),
    )
    old, new = "python_version < '3.12'", "python_version >= '3.12'"
    yield Case(
        id="A22",
        about="two URLs of a package, by marker",
        files={"requirements.txt": f"direct @ {one} ; {old}\ndirect @ {two} ; {new}\n"},
        wants=Wants(
            project=(f"direct ; {old}", f"direct ; {new}"),
            sources={f"direct ; {old}": one, f"direct ; {new}": two},
        ),
    )


def _repositories(world: World) -> Iterator[Case]:
    tagged, mono = (f"git+http://{world.host}/{name}.git" for name in ("tagged", "mono"))
    below = f"{mono}@stable#subdirectory=sub"
    for about, line, wanted, source in (
        ("a git tag", f"{tagged}@v0.3.0#egg=tagged", "tagged", f"{tagged}@v0.3.0"),
        ("-e, a branch, below", f"-e {mono}@stable#egg=below&subdirectory=sub", "below", below),
        (
            "extras in #egg=",
            f"-e {mono}@stable#egg=below[x]&subdirectory=sub",
            "below[x]",
            below,
        ),
    ):
        yield Case(
            id="A23",
            about=about,
            files={"requirements.txt": f"{line}\nsix==1.16.0\n"},
            wants=Wants(
                project=(wanted, "six==1.16.0"), sources={wanted.partition("[")[0]: source}
            ),
        )
    mercurial = "hg+https://hg.acme.example/lib#egg=lib"
    yield Case(
        id="A23",
        about="a Mercurial repository",
        files={"requirements.txt": f"{mercurial}\nsix==1.16.0\n"},
        asks=SAID,
        wants=Wants(project=("lib", "six==1.16.0"), sources={"lib": mercurial.partition("#")[0]}),
    )


_SETUPTOOLS = """\
[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["idna==3.7"]

[project.optional-dependencies]
test = ["iniconfig"]

[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"
"""


def _paths() -> Iterator[Case]:
    libraries = {
        "libs/foo/pyproject.toml": package("foo", extra="x"),
        "libs/bar/pyproject.toml": package("bar"),
    }
    foo = "path:libs/foo editable"
    yield Case(
        id="A24",
        about="paths, editable and not",
        files={"requirements.txt": "-e ./libs/foo\n./libs/bar\nsix==1.16.0\n", **libraries},
        wants=Wants(
            project=("foo", "bar", "six==1.16.0"),
            sources={"foo": foo, "bar": "path:libs/bar"},
        ),
    )
    yield Case(
        id="A24",
        about="an editable path with an extra",
        files={"requirements.txt": "-e ./libs/foo[x]\nsix==1.16.0\n", **libraries},
        wants=Wants(project=("foo[x]", "six==1.16.0"), sources={"foo": foo}),
    )
    extras = Setting(
        what="the extras of -e .[test]",
        named="extras",
        written="shop[test]",
        places=((("tool", "uvflow", "profiles", "dev", "extras"), "test"),),
    )
    for line, settings in (("-e .", ()), ("-e .[test]", (extras,))):
        yield Case(
            id="A24",
            about=f"`{line}` in a setuptools project",
            files={"requirements.txt": f"{line}\nsix==1.16.0\n", "pyproject.toml": _SETUPTOOLS},
            wants=Wants(project=("six==1.16.0", "idna==3.7"), settings=settings),
        )
    yield Case(
        id="A24",
        about="a path outside the project",
        files={
            "requirements.txt": "../outside\nsix==1.16.0\n",
            "../outside/pyproject.toml": package("outside"),
        },
        wants=Wants(project=("outside", "six==1.16.0"), sources={"outside": "path:../outside"}),
    )


def _options(world: World) -> Iterator[Case]:
    simple = f"http://{world.host}/simple"
    wheel = (world.index / "six" / "six-1.16.0-py3-none-any.whl").read_bytes()
    wheels = {"wheels/six-1.16.0-py3-none-any.whl": wheel}
    alone = Setting(
        what="--no-index",
        named="no-index",
        places=(
            (("tool", "uv", "no-index"), True),
            (("tool", "pdm", "source", "name"), "pypi"),
        ),
    )
    allowed = Setting(
        what="--pre",
        named="--pre",
        places=(
            (("tool", "uv", "prerelease"), "allow"),
            (("tool", "pdm", "resolution", "allow-prereleases"), True),
        ),
    )
    unverified = Setting(
        what="--trusted-host",
        named="trusted",
        places=((("tool", "pdm", "source", "verify_ssl"), False),),
    )
    for about, lines, wants, files in (
        ("--find-links", "--find-links ./wheels", Wants(find_links=("wheels",)), wheels),
        (
            "--no-index",
            "--no-index\n--find-links ./wheels",
            Wants(find_links=("wheels",), settings=(alone,)),
            wheels,
        ),
        ("--pre", "--pre", Wants(settings=(allowed,)), {}),
        (
            "--trusted-host",
            f"--index-url {simple}\n--trusted-host 127.0.0.1",
            Wants(settings=(unverified,)),
            {},
        ),
        (
            "--prefer-binary",
            "--prefer-binary",
            Wants(settings=(Setting(what="--prefer-binary", named="--prefer-binary"),)),
            {},
        ),
    ):
        yield Case(
            id="A25",
            about=about,
            files={"requirements.txt": f"{lines}\nsix==1.16.0\n", **files},
            asks=SAID if about in ("--trusted-host", "--prefer-binary") else KEPT,
            wants=replace(wants, project=("six==1.16.0",)),
        )
    for option, requirement, value, key, setting in (
        ("--only-binary", "six==1.16.0", "six", "no-build-package", ["six"]),
        ("--only-binary", "six==1.16.0", ":all:", "no-build", True),
        ("--no-binary", SDIST_ONLY, SDIST_ONLY, "no-binary-package", [SDIST_ONLY]),
        ("--no-binary", SDIST_ONLY, ":all:", "no-binary", True),
    ):
        kept = Setting(
            what=option,
            named=option,
            places=(
                (("tool", "uv", key), setting),
                (("tool", "pdm", "resolution", option.strip("-")), value),
            ),
        )
        yield Case(
            id="A25",
            about=f"{option} {value}",
            files={"requirements.txt": f"{option} {value}\n{requirement}\n"},
            wants=Wants(project=(requirement,), settings=(kept,)),
        )


_OLD = {
    "requirements.in": "requests\nsix\n",
    "requirements.txt": "certifi==2024.2.2\nidna==2.10\nrequests==2.28.0\nsix==1.15.0\n",
    "requirements-dev.in": "-c requirements.txt\npytest\n",
    "requirements-dev.txt": "iniconfig==1.1.1\npackaging==23.2\npluggy==1.5.0\npytest==8.0.0\n",
}
_OLD_VERSIONS = {
    "certifi": "2024.2.2",
    "idna": "2.10",
    "iniconfig": "1.1.1",
    "packaging": "23.2",
    "pluggy": "1.5.0",
    "pytest": "8.0.0",
    "requests": "2.28.0",
    "six": "1.15.0",
}


def _pins() -> Iterator[Case]:
    yield Case(
        id="A26",
        about="constraints",
        files={
            "requirements.txt": "-c constraints.txt\nrequests\n",
            "constraints.txt": "requests==2.28.0\nidna==2.10\n",
        },
        compiled={"requirements.txt": "constraints.txt"},
        wants=Wants(
            project=("requests",),
            constraints=("idna==2.10",),
            locked={"requests": "2.28.0", "idna": "2.10"},
        ),
    )
    compiled = {
        "requirements.in": "requirements.txt",
        "requirements-dev.in": "requirements-dev.txt",
    }
    gone = {**_OLD, "requirements-dev.txt": _OLD["requirements-dev.txt"].replace("1.5.0", "1.4.0")}
    old_and_gone = {**_OLD_VERSIONS, "pluggy": "1.4.0"}
    for about, files, versions, asks in (
        ("compiled files", _OLD, _OLD_VERSIONS, KEPT),
        ("a pin that no longer exists", gone, old_and_gone, SAID),
    ):
        yield Case(
            id="A27",
            about=about,
            files=files,
            asks=asks,
            project=("requirements.in",),
            groups={"dev": ("requirements-dev.in",)},
            compiled=compiled,
            wants=Wants(
                project=("requests", "six"),
                groups={"dev": ("pytest",)},
                locked=versions,
            ),
        )
    yield Case(
        id="A28",
        about="`pip freeze` of Debian",
        files={
            "requirements.txt": "idna==3.7\npip==24.0\npkg-resources==0.0.0\n"
            "python-apt==2.4.0+ubuntu1\nsetuptools==69.0.3\nsix==1.16.0\n"
        },
        asks=SAID,
        wants=Wants(
            project=(
                "idna==3.7",
                "pip==24.0",
                "pkg-resources==0.0.0",
                "python-apt==2.4.0+ubuntu1",
                "setuptools==69.0.3",
                "six==1.16.0",
            )
        ),
    )
    built = "/home/conda/feedstock_root/build_artifacts/packaging_1696202382185/work"
    yield Case(
        id="A28",
        about="`pip freeze` of conda",
        files={"requirements.txt": f"idna==3.7\npackaging @ file://{built}\nsix==1.16.0\n"},
        asks=SAID,
        wants=Wants(
            project=("idna==3.7", "packaging", "six==1.16.0"),
            sources={"packaging": f"path:{built}"},
        ),
    )
    yield Case(
        id="A28",
        about="`pip freeze` with a path from elsewhere",
        files={"requirements.txt": "idna==3.7\n-e /home/dev/app\nsix==1.16.0\n"},
        asks=SAID,
        wants=Wants(project=("idna==3.7", "six==1.16.0"), told=("/home/dev/app",)),
    )
