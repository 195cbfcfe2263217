"""The facts of an image are read from the project, each with its evidence."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from locks import local, locked, manifest, package
from rig import Tree

from uvflow import uv
from uvflow.docker.debian import DebianPackages
from uvflow.docker.dockerfile import arguments, render_dockerfile
from uvflow.docker.facts import (
    Facts,
    dev_switch_variable,
    fetchers,
    python_in_use,
    read_facts,
    secrets,
    selections,
)
from uvflow.errors import StaleLockfileError, UsageError
from uvflow.lockfile.packages import LockedPackage, parse_lockfile
from uvflow.project.manifest import Project
from uvflow.project.profiles import BUILT_IN, Profile

MAIN = {"main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"}
WEB = (package("fastapi"), package("uvicorn"))


def service(*packages: str, rest: str = "", **changed: str) -> Mapping[str, str]:
    """A service of one file: FastAPI on uvicorn, and more packages."""
    names = [text.split('"')[1] for text in packages]
    shop = local("shop", needs=["fastapi", "uvicorn", *names])
    files = {"pyproject.toml": manifest(rest=rest), "uv.lock": locked(shop, *WEB, *packages)}
    return {**MAIN, **files, **changed}


def facts(root: Path, **options: str) -> Facts:
    return read_facts(Project.load(root), {"uv": "0.13.9", **options}, uv.find())


def test_labels_are_what_the_metadata_tells(tree: Tree) -> None:
    urls = (
        '[project.urls]\n"Source-Code" = "https://host.example/shop"\nDocs = "https://x.example"\n'
    )
    assert facts(tree(service(rest=urls))).labels == (
        ("org.opencontainers.image.title", "shop"),
        ("org.opencontainers.image.source", "https://host.example/shop"),
    )


def test_a_service_of_one_file(tree: Tree) -> None:
    found = facts(tree(service()))
    assert (found.name, found.directory) == ("shop", ".")
    assert (found.python, found.python_evidence) == ("3.14", "requires-python `>=3.11`")
    assert found.images["base"] == "python:3.14-slim-trixie"
    assert found.images["uv"] == "ghcr.io/astral-sh/uv:0.13.9"
    assert (found.has_builder, found.stages_evidence) == (False, "every locked package has a wheel")
    assert found.mounts == ("uv.lock", "pyproject.toml")
    assert (found.local_packages, found.copies_source, found.user) == ((), True, 10001)
    assert found.start.command[-1] == "main:app"
    assert [selection.name for selection in found.selections] == ["dev", "prod"]
    assert found.remarks == ()


@pytest.mark.parametrize(("folder", "name"), [("My Ünit__x", "my-nit-x"), ("…", "app")])
def test_an_image_is_called_what_an_image_may_be_called(tree: Tree, folder: str, name: str) -> None:
    text = '[tool.uv.workspace]\nmembers = []\n[tool.uvflow.docker]\ncommand = ["serve"]\n'
    root = tree({f"{folder}/pyproject.toml": text, f"{folder}/uv.lock": locked()})
    assert facts(root / folder).name == name


def test_without_a_lockfile_there_are_no_facts(tree: Tree) -> None:
    with pytest.raises(StaleLockfileError, match=r"no uv\.lock in"):
        facts(tree({"pyproject.toml": manifest()}))


def test_the_version_file_says_which_python(tree: Tree) -> None:
    found = facts(tree({**service(), ".python-version": "# ours\n3.12\n"}))
    assert (found.python, found.python_evidence) == ("3.12", ".python-version")
    assert facts(tree({}), python="3.13").python_evidence == "--python"


def test_an_exact_python_is_installed_by_uv_or_found_in_an_image(tree: Tree) -> None:
    exact = {name: text.replace(">=3.11", "==3.11.11") for name, text in service().items()}
    root = tree(exact)
    with pytest.raises(UsageError, match=r"allows Python 3\.11\.11 at most") as caught:
        facts(root)
    assert caught.value.hint == (
        "`--base managed` installs 3.11.11; `python-image` in [tool.uvflow.docker] "
        "names an image that has it"
    )
    found = facts(root, base="managed")
    assert (found.python, found.python_release) == ("3.11", "3.11.11")
    tree(
        {"pyproject.toml": exact["pyproject.toml"] + '[tool.uvflow.docker]\npython-image = "x:1"\n'}
    )
    assert facts(root).images["base"] == "x:1"


def test_the_python_in_use_is_that_of_the_environment(tree: Tree) -> None:
    root = tree({**service(), ".venv/pyvenv.cfg": "home = /x\nversion_info = 3.12.4\n"})
    assert python_in_use(Project.load(root)) == "3.12"
    tree({".venv/pyvenv.cfg": "version_info = 3.10.4\n"})  # requires-python is >=3.11
    assert python_in_use(Project.load(root)) is None
    tree({".venv/pyvenv.cfg": "version_info = 3.12.4\n", ".python-version": "3.13\n"})
    assert python_in_use(Project.load(root)) is None


def test_a_pure_package_without_a_wheel_needs_no_second_stage(tree: Tree) -> None:
    found = facts(tree(service(package("docopt", wheels=()))))
    assert (found.has_builder, found.stages_evidence) == (False, "built without a compiler: docopt")
    assert found.built == ("docopt",)


def test_a_package_without_a_wheel_makes_two_stages(tree: Tree) -> None:
    found = facts(tree(service(package("psycopg2", wheels=()))))
    assert (found.has_builder, found.stages_evidence) == (True, "without a wheel: psycopg2")
    assert found.system == DebianPackages(build=("g++", "libpq-dev", "make"), runtime=("libpq5",))
    assert found.built == ("psycopg2",)


def test_one_platform_without_a_wheel_is_enough(tree: Tree) -> None:
    intel = package("fast", wheels=["cp314-cp314-manylinux_2_28_x86_64"])
    assert facts(tree(service(intel))).built == ("fast",)
    said = '[tool.uvflow.docker]\nplatforms = ["linux/amd64"]\n'
    assert facts(tree(service(intel, rest=said))).built == ()


def test_an_older_python_is_taken_where_that_has_the_wheels(tree: Tree) -> None:
    wheels = [f"cp312-cp312-manylinux_2_28_{machine}" for machine in ("x86_64", "aarch64")]
    found = facts(tree(service(package("fast", wheels=wheels))))
    assert (found.python, found.built) == ("3.12", ())


def test_a_package_is_installed_and_its_source_is_not_copied(tree: Tree) -> None:
    system = '[project.scripts]\nshop = "shop:main"\n[build-system]\nrequires = ["hatchling"]\n'
    found = facts(
        tree(
            {
                "pyproject.toml": manifest(rest=system),
                "uv.lock": locked(local("shop", source='editable = "."')),
            }
        )
    )
    assert (found.local_packages, found.copies_source) == (("shop",), False)
    assert found.no_install_option == "--no-install-project"
    assert found.start.command == ("shop",)


@pytest.mark.parametrize(
    ("path", "copied"), [("src/shop/web.py", False), ("shop/web.py", False), ("web.py", True)]
)
def test_an_application_outside_of_the_package_needs_the_source(
    tree: Tree, path: str, copied: object
) -> None:
    shop = local("shop", needs=["fastapi", "uvicorn"], source='editable = "."')
    root = tree(
        {
            "pyproject.toml": manifest(rest='[build-system]\nrequires = ["hatchling"]\n'),
            "uv.lock": locked(shop, *WEB),
            path: MAIN["main.py"],
        }
    )
    assert facts(root).copies_source is copied


@pytest.mark.parametrize(
    ("server", "more", "copied"),
    [
        ("uvicorn", {"gunicorn.conf.py": "workers = 2\n"}, False),
        ("gunicorn", {"gunicorn.conf.py": "workers = 2\n"}, True),
        (
            "uvicorn",
            {"static/a.css": "", "src/shop/s.py": "x = StaticFiles(directory='static')\n"},
            True,
        ),
        ("uvicorn", {"src/shop/s.py": "x = StaticFiles(directory='static')\n"}, False),
    ],
)
def test_a_package_that_is_started_with_files_of_the_project_needs_the_source(
    tree: Tree, server: str, more: dict[str, str], copied: object
) -> None:
    shop = local("shop", needs=["flask", "fastapi", server], source='editable = "."')
    made = "fastapi import FastAPI as App" if server == "uvicorn" else "flask import Flask as App"
    root = tree(
        {
            "pyproject.toml": manifest(rest='[build-system]\nrequires = ["hatchling"]\n'),
            "uv.lock": locked(shop, *map(package, ("flask", "fastapi", server))),
            "src/shop/web.py": f"from {made}\napp = App('x')\n",
            **more,
        }
    )
    assert facts(root).copies_source is copied


def test_an_application_of_the_package_that_the_user_names_needs_no_source(tree: Tree) -> None:
    shop = local("shop", needs=["fastapi", "uvicorn"], source='editable = "."')
    rest = '[build-system]\nrequires = ["hatchling"]\n[tool.uvflow.docker]\napp = "shop.web:app"\n'
    root = tree(
        {
            "pyproject.toml": manifest(rest=rest),
            "uv.lock": locked(shop, *WEB),
            "src/shop/web.py": MAIN["main.py"],
        }
    )
    assert not facts(root).copies_source


def test_sources_below_src_that_are_no_package_are_on_the_path(tree: Tree) -> None:
    files = {k: v for k, v in service().items() if k != "main.py"}
    found = facts(tree({**files, "src/web.py": MAIN["main.py"]}))
    assert found.start.command[-1] == "web:app"
    assert found.environment == (("PYTHONPATH", "/app/src"),)


def test_settings_are_facts_and_options_come_first(tree: Tree) -> None:
    rest = (
        '[tool.uvflow.docker]\nbase = "managed"\nuser = 1000\nport = 9000\n'
        'python-image = "corp.test/python:3.12"\nenvironment = { A = "1" }\n'
    )
    found = facts(tree(service(rest=rest)), base="slim")
    assert (found.base, found.user, found.start.port) == ("slim", 1000, 9000)
    assert found.images["base"] == "corp.test/python:3.12"
    assert found.environment == (("A", "1"),)


def test_a_python_image_is_for_the_base_that_has_one(tree: Tree) -> None:
    rest = '[tool.uvflow.docker]\nbase = "managed"\npython-image = "corp.test/python:3.12"\n'
    with pytest.raises(UsageError, match="python-image is for base slim, not managed"):
        facts(tree(service(rest=rest)))


def test_the_uv_that_builds_knows_the_variable_that_leaves_groups_out(tree: Tree) -> None:
    groups = "[dependency-groups]\ndev = []\nlint = []\n"
    root = tree(service(rest=f'{groups}[tool.uv]\ndefault-groups = ["dev", "lint"]\n'))
    assert facts(root, uv="0.9.10").dev_switch_variable == "UV_NO_DEFAULT_GROUPS"
    with pytest.raises(UsageError, match="does not know UV_NO_DEFAULT_GROUPS"):
        facts(root, uv="0.9.9")
    assert facts(tree(service()), uv="0.9.0").dev_switch_variable == "UV_NO_DEV"


def test_options_are_checked_as_settings_are(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        facts(tree(service()), uv="latest")
    assert caught.value.message == "--uv must be a version such as 0.13.9, not 'latest'"


def test_a_distroless_image_is_nobodys_shell(tree: Tree) -> None:
    found = facts(tree(service()), base="distroless")
    assert found.user == 65532
    assert found.stages_evidence == "a distroless image has nothing that could build"


def test_a_distroless_image_has_no_debian_packages(tree: Tree) -> None:
    with pytest.raises(UsageError, match="a distroless image cannot have libpq5"):
        facts(tree(service(package("psycopg2", wheels=()))), base="distroless")


def test_a_distroless_image_runs_no_shell_line(tree: Tree) -> None:
    files = {
        "pyproject.toml": manifest(),
        "uv.lock": locked(local("shop")),
        "Procfile": "web: serve $PORT\n",
    }
    with pytest.raises(UsageError, match="needs a shell, and a distroless image has none"):
        facts(tree(files), base="distroless")


def test_what_is_in_git_needs_git_and_is_remarked(tree: Tree) -> None:
    from_git = package("tool", wheels=(), source=f'git = "https://git.test/tool?rev=a#{40 * "b"}"')
    found = facts(tree(service(from_git)))
    assert found.system.build == ("git",)
    assert (found.has_builder, found.stages_evidence) == (True, "needed to build: git")
    assert found.remarks == ("built from git, without a compiler unless you name one: tool",)


def test_profiles_are_targets(tree: Tree) -> None:
    rest = (
        '[project.optional-dependencies]\naws = ["boto3"]\n'
        '[tool.uvflow.profiles.staging]\nextras = ["aws"]\neditable = false\n'
    )
    extra = '\n[package.optional-dependencies]\naws = [{ name = "boto3" }]\n'
    extra += '[package.metadata]\nprovides-extras = ["aws"]\n'
    shop = local("shop", needs=["fastapi", "uvicorn"], rest=extra)
    files = {**service(rest=rest), "uv.lock": locked(shop, *WEB, package("boto3", wheels=()))}
    found = facts(tree(files))
    assert [selection.name for selection in found.selections] == ["dev", "staging", "prod"]
    assert found.stages_evidence == "without a wheel: boto3"


def test_a_profile_with_an_extra_that_is_not_there_is_refused(tree: Tree) -> None:
    rest = '[tool.uvflow.profiles.staging]\nextras = ["aws"]\n'
    with pytest.raises(UsageError, match="staging`: `extras` has `aws`, which does not exist"):
        facts(tree(service(rest=rest)))


def test_a_member_is_built_from_its_workspace(tree: Tree) -> None:
    api = local("api", needs=["fastapi", "uvicorn"], source='virtual = "packages/api"')
    root = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n',
            "uv.lock": locked(api, *WEB),
            "packages/api/pyproject.toml": manifest("api"),
            "packages/api/main.py": MAIN["main.py"],
            ".python-version": "3.12\n",
        }
    )
    found = facts(root / "packages" / "api")
    assert (found.name, found.directory) == ("api", "packages/api")
    assert found.mounts == ("uv.lock", "pyproject.toml", "packages/api/pyproject.toml")
    assert arguments(found.selections[-1]) == ("--package=api",)
    assert found.python_evidence == "../../.python-version"


def test_the_root_of_a_workspace_may_start_what_a_member_installs(tree: Tree) -> None:
    api = local("api", needs=["fastapi", "uvicorn"], source='editable = "packages/api"')
    root = tree(
        {
            "pyproject.toml": manifest(),
            "uv.lock": locked(local("shop", needs=["api"]), api, *WEB),
            "packages/api/pyproject.toml": manifest("api"),
            "packages/api/src/api/main.py": MAIN["main.py"],
        }
    )
    found = facts(root)
    assert found.start.command[-1] == "api.main:app"
    assert (found.local_packages, found.no_install_option) == (("api",), "--no-install-local")


def test_a_root_without_a_project_starts_no_member_of_several(tree: Tree) -> None:
    needs = ["fastapi", "uvicorn"]
    members = [
        local("api", needs=needs, source='editable = "apps/api"'),
        local("other", needs=needs, source='virtual = "apps/other"'),
        local("tool", source='virtual = "apps/tool"'),
    ]
    root = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["apps/*"]\n',
            "uv.lock": locked('[manifest]\nmembers = ["api", "other", "tool"]\n', *members, *WEB),
            "apps/api/pyproject.toml": manifest("api"),
            "apps/api/src/api/main.py": MAIN["main.py"],
            "apps/other/pyproject.toml": manifest("other"),
            "apps/tool/pyproject.toml": manifest("tool"),
        }
    )
    assert facts(root).start.command[-1] == "api.main:app"
    tree({"apps/other/app.py": MAIN["main.py"]})
    with pytest.raises(UsageError) as caught:
        facts(root)
    assert caught.value.message == "several members of the workspace could be started"
    assert caught.value.cause == "apps/api and apps/other have applications"
    assert caught.value.hint == (
        "run `uvflow docker --directory apps/api` or `uvflow docker --directory apps/other`"
    )


def test_credentials_of_an_index_are_secrets(tree: Tree) -> None:
    rest = '[[tool.uv.index]]\nname = "corp"\nurl = "https://corp.test"\nauthenticate = "always"\n'
    ours = package("ours", source='registry = "https://corp.test"')
    assert facts(tree(service(ours, rest=rest))).secrets == (
        "UV_INDEX_CORP_USERNAME",
        "UV_INDEX_CORP_PASSWORD",
    )


@pytest.mark.parametrize(
    "place", ["uv.toml", "pyproject.toml", "api/pyproject.toml", "other/pyproject.toml"]
)
def test_a_member_gets_every_index_that_uv_reads(tree: Tree, place: str) -> None:
    index = 'index]]\nname = "corp"\nurl = "https://corp.test"\nauthenticate = "always"\n'
    files = {
        "pyproject.toml": '[tool.uv.workspace]\nmembers = ["api", "other"]\n',
        "api/pyproject.toml": manifest("api", '[tool.uvflow.docker]\ncommand = ["serve"]\n'),
        "other/pyproject.toml": manifest("other"),
        "uv.lock": locked(
            local("api", source='virtual = "api"', needs=["ours"]),
            local("other", source='virtual = "other"'),
            package("ours", source='registry = "https://corp.test"'),
        ),
    }
    header = "[[" if place == "uv.toml" else "[[tool.uv."
    root = tree({**files, place: f"{files.get(place, '')}{header}{index}"})
    assert facts(root / "api").secrets == ("UV_INDEX_CORP_USERNAME", "UV_INDEX_CORP_PASSWORD")


def test_a_uv_toml_of_another_form_is_refused(tree: Tree) -> None:
    root = tree({**service(), "uv.toml": "no-binary-package = 3\n"})
    with pytest.raises(UsageError) as caught:
        facts(root)
    message = "`no-binary-package` must be a list of strings, not 3"
    assert caught.value.message == f"{root / 'uv.toml'}: {message}"


def test_variables_of_the_shell_are_no_facts(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    index = '[[tool.uv.index]]\nname = "corp"\nurl = "https://corp.test"\n'
    root = tree(service(package("ours", source='registry = "https://corp.test"'), rest=index))
    monkeypatch.setenv("UV_INDEX_CORP_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", "s3cr3t")
    assert facts(root).secrets == ()


def test_an_index_that_uv_cannot_be_given_a_login_for_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        secrets([{"url": "https://me@corp.test/simple", "authenticate": "always"}], CORP)
    assert (
        caught.value.message == "the index https://corp.test/simple needs a login, and has no name"
    )
    assert caught.value.hint == "give it one: uv finds the login of an index by its name"


def test_a_template_that_the_image_would_lack_is_a_remark(tree: Tree) -> None:
    needs = ["flask", "gunicorn"]
    lock = locked(local("shop", needs=needs, source='editable = "."'), *map(package, needs))
    files = {
        "pyproject.toml": manifest(rest='[build-system]\nrequires = ["setuptools"]\n'),
        "uv.lock": lock,
        "src/shop/__init__.py": "from flask import Flask\napp = Flask(__name__)\n",
        "src/shop/templates/a.html": "",
        "src/shop/templates/b.html": "",
    }
    [remark] = facts(tree(files)).remarks
    assert remark == (
        "setuptools leaves src/shop/templates/a.html out of the image: "
        "list such files in [tool.setuptools.package-data]"
    )


WHITENOISE = ["django", "gunicorn", "whitenoise"]
# Of a project that has static files to collect, but for its settings.
COLLECTING = {
    "pyproject.toml": manifest(),
    "uv.lock": locked(local("shop", needs=WHITENOISE), *map(package, WHITENOISE)),
    "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")\n',
}


def test_django_with_whitenoise_collects_its_static_files(tree: Tree) -> None:
    settings = (
        'INSTALLED_APPS = ["django.contrib.staticfiles"]\nSTATIC_ROOT = BASE_DIR / "static"\n'
        'WSGI_APPLICATION = "core.wsgi.application"\n'
    )
    root = tree({**COLLECTING, "core/settings.py": settings})
    static = facts(root).static
    assert static is not None
    assert static.directory == "static"


def test_what_collectstatic_needs_is_told(tree: Tree) -> None:
    settings = (
        'INSTALLED_APPS = ["django.contrib.staticfiles"]\nSTATIC_ROOT = "static"\n'
        'SECRET_KEY = env("DJANGO_KEY")\nDATABASES = {"default": env.db("DATABASE_URL")}\n'
        'WSGI_APPLICATION = "core.wsgi.application"\n'
    )
    root = tree({**COLLECTING, "core/settings.py": settings})
    [remark] = facts(root).remarks
    assert remark == (
        "collectstatic needs DATABASE_URL, for want of a default: give each a value by "
        "`build-environment` in [tool.uvflow.docker]"
    )


def test_static_files_of_a_package_are_beside_its_sources(tree: Tree) -> None:
    settings = (
        "BASE_DIR = Path(__file__).parent.parent\nSTATIC_ROOT = BASE_DIR / 'static'\n"
        "INSTALLED_APPS = ['django.contrib.staticfiles']\n"
        "WSGI_APPLICATION = 'shop.wsgi.application'\n"
    )
    root = tree(
        {
            "pyproject.toml": manifest(rest='[build-system]\nrequires = ["hatchling"]\n'),
            "uv.lock": locked(
                local("shop", needs=WHITENOISE, source='editable = "."'), *map(package, WHITENOISE)
            ),
            "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n',
            "src/shop/settings.py": settings,
            "src/shop/wsgi.py": "application = get_wsgi_application()\n",
        }
    )
    found = facts(root)
    assert found.static is not None
    assert found.static.directory == "src/static"
    assert found.environment == (("PYTHONPATH", "/app/src"),)
    text = render_dockerfile(found)
    assert "RUN PYTHONPATH=/app/src python manage.py collectstatic --no-input" in text


SERVED = 'command = ["env", "DJANGO_SETTINGS_MODULE=core.served", "gunicorn", "core.wsgi"]\n'


@pytest.mark.parametrize(
    "files",
    [
        {"Procfile": "web: DJANGO_SETTINGS_MODULE=core.served gunicorn core.wsgi\n"},
        {"Procfile": "web: gunicorn -e DJANGO_SETTINGS_MODULE=core.served core.wsgi\n"},
        {"pyproject.toml": manifest(rest=f"[tool.uvflow.docker]\n{SERVED}")},
    ],
)
def test_static_files_are_collected_with_the_settings_that_the_command_names(
    tree: Tree, files: dict[str, str]
) -> None:
    settings = 'INSTALLED_APPS = ["django.contrib.staticfiles"]\nSTATIC_ROOT = "static"\n'
    static = facts(tree({**COLLECTING, "core/served.py": settings, **files})).static
    assert static is not None
    assert static.environment == (("DJANGO_SETTINGS_MODULE", "core.served"),)


def test_an_edit_that_is_no_fact_changes_nothing(tree: Tree) -> None:
    before = render_dockerfile(facts(tree(service())))
    after = facts(tree({"main.py": MAIN["main.py"] + "\nx = 1\n", "other.py": "y = 2\n"}))
    assert render_dockerfile(after) == before


def test_facts_are_the_same_on_every_machine(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    before = render_dockerfile(facts(tree(service())))
    monkeypatch.setenv("UV_NO_DEV", "1")
    monkeypatch.chdir("/")
    assert render_dockerfile(facts(tree({}))) == before


URL = "https://corp.test/simple"


def packages(*sources: str) -> tuple[LockedPackage, ...]:
    entries = [package(f"p{number}", source=source) for number, source in enumerate(sources)]
    return parse_lockfile(locked(*entries)).packages


CORP = packages(f'registry = "{URL}"')
VARIABLES = ("UV_INDEX_MY_CORP_USERNAME", "UV_INDEX_MY_CORP_PASSWORD")


@pytest.mark.parametrize(
    "asking",
    [
        {"name": "my-corp", "url": URL, "authenticate": "always"},
        {"name": "my-corp", "url": "https://me@corp.test/simple/"},
    ],
)
def test_an_index_that_asks_for_a_user_has_two_variables(asking: dict[str, str]) -> None:
    assert secrets([asking], CORP) == VARIABLES


def test_an_open_index_needs_nothing() -> None:
    assert secrets([{"name": "my-corp", "url": URL}], CORP) == ()
    assert secrets([{"name": "odd", "url": "https://[a]/simple"}], CORP) == ()  # no host


def test_an_index_that_nothing_is_taken_from_needs_nothing() -> None:
    index = {"name": "other", "url": "https://other.test", "authenticate": "always"}
    assert secrets([index], CORP) == ()


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    index = {"name": "corp", "url": "https://me:s3cr3t@corp.test/simple"}
    with pytest.raises(UsageError, match="has a password in it") as caught:
        secrets([index], CORP)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("key", ["system-certs", "native-tls"])
def test_uv_may_need_the_certificates_of_the_system(tree: Tree, key: str) -> None:
    assert facts(tree(service(rest=f"[tool.uv]\n{key} = true\n"))).reads_certificates
    assert not facts(tree(service(rest=f"[tool.uv]\n{key} = false\n"))).reads_certificates


def test_what_is_in_git_is_fetched_by_git() -> None:
    assert fetchers(packages('registry = "x"')) == ()
    assert fetchers(packages('git = "https://git.test/a"')) == ("git",)
    over_ssh = packages('git = "ssh://git@git.test/a"')
    assert fetchers(over_ssh) == ("git", "openssh-client")


def test_a_directory_that_is_called_as_a_file_is_passed_over(tree: Tree) -> None:
    assert facts(tree({**service(), ".env/pyvenv.cfg": ""})).start.command[-1] == "main:app"


def test_imports_from_below_the_project_are_on_the_path(tree: Tree) -> None:
    files = {k: v for k, v in service().items() if k != "main.py"}
    below = {"backend/app/main.py": f"from app.db import x\n{MAIN['main.py']}"}
    found = facts(tree({**files, **below, "backend/app/db.py": "x = 1\n"}))
    assert found.start.command[-1] == "app.main:app"
    assert found.environment == (("PYTHONPATH", "/app/backend"),)


DEV = ("dev",)


def profiles(*more: Profile) -> tuple[Profile, ...]:
    return (*BUILT_IN.values(), *more)


def test_prod_is_the_last_target() -> None:
    assert selections(profiles(), None) == (BUILT_IN["dev"], BUILT_IN["prod"])
    assert [arguments(each) for each in BUILT_IN.values()] == [(), ()]


def test_groups_and_extras_are_arguments() -> None:
    staging = Profile(name="staging", groups=("metrics",), extras=("aws",), editable=False)
    found = selections(profiles(staging), None)[1]
    assert (found, arguments(found)) == (staging, ("--group=metrics", "--extra=aws"))


def test_all_is_every_one_also_in_an_image() -> None:
    every = Profile(name="every", groups="all", extras="all", package="all")
    found = arguments(selections(profiles(every), "api")[1])
    assert found == ("--all-groups", "--all-extras", "--all-packages")
    assert dev_switch_variable(profiles(every), DEV) == "UV_NO_DEFAULT_GROUPS"


def test_a_member_is_named_to_uv() -> None:
    assert arguments(selections(profiles(), "api")[-1]) == ("--package=api",)


@pytest.mark.parametrize(
    "name", ["base", "builder", "uv", "python", "static", "project", "ci-project"]
)
def test_a_profile_named_as_a_stage_is_refused(name: str) -> None:
    others = (Profile(name="ci", editable=False), Profile(name=name))
    with pytest.raises(UsageError, match=f"the profile `{name}` cannot be a target"):
        selections(profiles(*others), None)


def test_a_profile_without_stages_of_its_own_takes_no_names() -> None:
    others = (Profile(name="ci"), Profile(name="ci-project"))
    found = selections(profiles(*others), None)
    assert {"ci", "ci-project"} <= {selection.name for selection in found}


def test_the_switch_is_uv_no_dev_where_that_is_enough() -> None:
    assert dev_switch_variable(profiles(), DEV) == "UV_NO_DEV"
    assert dev_switch_variable(profiles(), ("dev", "lint")) == "UV_NO_DEFAULT_GROUPS"
    asks = Profile(name="ci", groups=("dev",))
    assert dev_switch_variable(profiles(asks), DEV) == "UV_NO_DEFAULT_GROUPS"
