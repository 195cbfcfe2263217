"""The images that `uvflow docker` describes, built and run by a real engine."""

import base64
import functools
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import engine as engines
import pytest
from engine import Engine, free_port
from locks import local, locked, package
from rig import Command, Tree
from wheels import add_wheel

pytestmark = pytest.mark.docker

SAMPLE = Path(__file__).parents[2] / "docs" / "sample"
BASES = ("slim", "managed", "distroless")

BUILD_SYSTEM = """
[build-system]
requires = ["uv_build>=0.9,<1"]
build-backend = "uv_build"
"""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    found = engines.find()
    if isinstance(found, str):
        pytest.skip(found)
    yield found
    found.docker("image", "rm", "--force", *found.built, check=False)


@pytest.fixture(autouse=True)
def on_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are built from the index that everybody has."""
    monkeypatch.delenv("UV_DEFAULT_INDEX")


@pytest.fixture
def port() -> int:
    return free_port()


def manifest(name: str, dependencies: tuple[str, ...], rest: str = "") -> str:
    return (
        f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = {list(dependencies)}\n{rest}"
    )


@pytest.mark.parametrize("base", BASES)
def test_the_sample_serves(
    tmp_path: Path, uvflow: Command, engine: Engine, port: int, base: str
) -> None:
    project = tmp_path / "sample"
    shutil.copytree(SAMPLE, project)
    said = uvflow("init", "--no-sync", "--python", ">=3.11", cwd=project)
    assert said.code == 0, said.err
    with (project / "pyproject.toml").open("a") as file:
        file.write(f"\n[tool.uvflow.docker]\nport = {port}\n")
    (project / ".venv").mkdir()
    (project / ".venv" / "of-this-machine").touch()
    said = uvflow("docker", "--python=3.12", f"--base={base}", cwd=project)
    assert said.code == 0, said.err
    tag = f"uvflow-test-sample-{base}"
    engine.build(project, tag)
    with engine.running(tag, {"DJANGO_SECRET_KEY": "of this test"}) as container:
        assert container.get(port, "/healthz") == (200, b"ok")
        assert container.probe() == 0
    assert engine.inspect(tag)["Config"]["User"] in {"10001:10001", "65532:65532"}
    files = engine.files(tag)
    assert "gunicorn" in programs(files)
    assert not programs(files) & {"uv", "gcc", "ruff"}
    assert not [path for path in files if "of-this-machine" in path]


@pytest.mark.parametrize("base", BASES)
def test_a_package_with_a_script_says_its_word(
    tree: Tree, uvflow: Command, engine: Engine, base: str
) -> None:
    scripts = '[project.scripts]\nhello = "hello:main"\n'
    project = tree(
        {
            "pyproject.toml": manifest("hello", ("idna",), scripts + BUILD_SYSTEM),
            "src/hello/__init__.py": "import idna\n\n\ndef main():\n    print('hello', idna)\n",
            ".python-version": "3.12\n",
        }
    )
    tag = f"uvflow-test-hello-{base}"
    made(project, uvflow, engine, tag, base=base)
    assert engine.output(tag).startswith("hello <module 'idna' from '/venv/")
    files = engine.files(tag)
    assert [path for path in files if path.startswith("app")] == ["app"]
    packages = "venv/lib/python3.12/site-packages"
    assert f"{packages}/hello/__pycache__/__init__.cpython-312.pyc" in files
    assert f"{packages}/idna/__pycache__/__init__.cpython-312.pyc" in files


USES_THE_LIBRARY = """\
import asyncio, bz2, concurrent.futures, ctypes, curses, decimal, lzma, multiprocessing, readline
import sqlite3, ssl, sys, traceback, uuid, zoneinfo
from importlib import metadata

def doubled(number):
    return 2 * number

def main():
    for method in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            print(method, *pool.map(doubled, [21]))
    print(zoneinfo.ZoneInfo("Europe/Berlin"), bool(metadata.version("idna")))
    print(sqlite3.connect(":memory:").execute("select 1").fetchone())
    print(ssl.create_default_context().check_hostname)
    try:
        asyncio.run(None)
    except ValueError:
        traceback.print_exc(file=sys.stdout)

if __name__ == "__main__":
    main()
"""


def test_a_packed_library_does_what_services_ask_of_it(
    tree: Tree, uvflow: Command, engine: Engine
) -> None:
    command = '[tool.uvflow.docker]\ncommand = ["python", "main.py"]\n'
    project = tree(
        {
            "pyproject.toml": manifest("asking", ("idna",), command),
            "main.py": USES_THE_LIBRARY,
            ".python-version": "3.12\n",
        }
    )
    made(project, uvflow, engine, "uvflow-test-asking", base="distroless")
    said = engine.output("uvflow-test-asking")
    assert said.startswith(
        "fork 42\nspawn 42\nforkserver 42\nEurope/Berlin True\n(1,)\nTrue\nTraceback "
    )
    assert "\n    return runner.run(main)\n" in said
    files = engine.files("uvflow-test-asking")
    assert [path for path in files if path.startswith("python") and path.endswith(".py")] == [
        path for path in files if path.endswith("lib/python3.12/os.py")
    ]


@pytest.mark.parametrize("base", BASES)
def test_fastapi_answers(tree: Tree, uvflow: Command, engine: Engine, port: int, base: str) -> None:
    project = tree(
        {
            "pyproject.toml": manifest(
                "api", ("fastapi", "uvicorn"), f"[tool.uvflow.docker]\nport = {port}\n"
            ),
            "main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n"
            "@app.get('/health')\ndef health() -> dict[str, str]:\n    return {'is': 'well'}\n",
            ".python-version": "3.12\n",
        }
    )
    tag = f"uvflow-test-api-{base}"
    made(project, uvflow, engine, tag, base=base)
    with engine.running(tag, {}) as container:
        assert container.get(port, "/health") == (200, b'{"is":"well"}')
        assert container.probe() == 0


@pytest.mark.parametrize("base", BASES)
def test_a_workspace_brings_its_members(
    tree: Tree, uvflow: Command, engine: Engine, base: str
) -> None:
    project = tree(
        {
            "pyproject.toml": manifest(
                "shop",
                ("shelf", "idna"),
                '[project.scripts]\nshop = "shop:main"\n'
                '[tool.uv.workspace]\nmembers = ["packages/*"]\n'
                "[tool.uv.sources]\nshelf = { workspace = true }\n" + BUILD_SYSTEM,
            ),
            "src/shop/__init__.py": "import shelf\n\n\ndef main():\n    print(shelf.BOOKS)\n",
            "packages/shelf/pyproject.toml": manifest("shelf", (), BUILD_SYSTEM),
            "packages/shelf/src/shelf/__init__.py": "BOOKS = 3\n",
            ".python-version": "3.12\n",
        }
    )
    tag = f"uvflow-test-shop-{base}"
    made(project, uvflow, engine, tag, base=base)
    assert engine.output(tag) == "3\n"


@pytest.mark.parametrize("base", BASES)
def test_a_private_index_gets_its_password_and_the_image_does_not(
    tree: Tree, uvflow: Command, engine: Engine, private_index: str, base: str
) -> None:
    index = (
        f'[[tool.uv.index]]\nname = "corp"\nurl = "{private_index}"\nexplicit = true\n'
        'authenticate = "always"\n[tool.uv.sources]\nsecretive = { index = "corp" }\n'
        '[tool.uvflow.docker]\ncommand = ["secretive"]\n'
    )
    project = tree(
        {"pyproject.toml": manifest("buyer", ("secretive",), index), ".python-version": "3.12\n"}
    )
    credentials = {"UV_INDEX_CORP_USERNAME": "me", "UV_INDEX_CORP_PASSWORD": "s3cr3t-word"}
    tag = f"uvflow-test-buyer-{base}"
    lock(project, credentials)
    said = uvflow("docker", f"--base={base}", cwd=project)
    assert said.code == 0, said.err
    words = ("docker", "build", f"--tag={tag}", "--", "--network=host")
    with engine.building(tag):
        said = uvflow(*words, cwd=project, environ=credentials)
    assert said.code == 0, said.err
    assert engine.output(tag) == "secretive\n"
    assert "s3cr3t-word" not in engine.docker("history", "--no-trunc", tag).stdout


@pytest.mark.parametrize("base", ["slim", "managed"])
def test_what_has_no_wheel_is_built_and_finds_its_library(
    tree: Tree, uvflow: Command, engine: Engine, base: str
) -> None:
    command = '["python", "-c", "import psycopg2; print(psycopg2.__libpq_version__ > 0)"]'
    project = tree(
        {
            "pyproject.toml": manifest(
                "keeper", ("psycopg2",), f"[tool.uvflow.docker]\ncommand = {command}\n"
            ),
            ".python-version": "3.12\n",
        }
    )
    tag = f"uvflow-test-keeper-{base}"
    made(project, uvflow, engine, tag, base=base)
    assert engine.output(tag) == "True\n"
    assert not programs(engine.files(tag)) & {"gcc", "pg_config", "uv"}


def test_any_command_arrives_as_it_was_meant(tree: Tree, uvflow: Command, engine: Engine) -> None:
    words = (
        "python",
        "-c",
        "import sys; print(sys.argv[1:])",
        "-x",
        "$HOME",
        '"',
        "'",
        "`id`",
        "ü\n\\",
    )
    project = tree(
        {
            "pyproject.toml": manifest("odd", ()),
            ".python-version": "3.12\n",
        }
    )
    with (project / "pyproject.toml").open("a", encoding="utf-8") as file:
        quoted = ", ".join(f'"{toml(word)}"' for word in words)
        file.write(f'[tool.uvflow.docker]\ncommand = [{quoted}]\nenvironment = {{ X = "a $b" }}\n')
    made(project, uvflow, engine, "uvflow-test-odd")
    assert engine.output("uvflow-test-odd") == f"{list(words[3:])}\n"
    assert "X=a $b" in engine.inspect("uvflow-test-odd")["Config"]["Env"]


def test_dev_has_the_group_dev_and_runs_the_sources_in_place(
    tree: Tree, uvflow: Command, engine: Engine
) -> None:
    more = '[project.scripts]\nhello = "hello:main"\n[dependency-groups]\ndev = ["iniconfig"]\n'
    project = tree(
        {
            "pyproject.toml": manifest("hello", ("idna",), more + BUILD_SYSTEM),
            "src/hello/__init__.py": "import iniconfig\n\n\ndef main():\n    print(__file__)\n",
            ".python-version": "3.12\n",
        }
    )
    made(project, uvflow, engine, "uvflow-test-dev", "--target=dev")
    assert engine.output("uvflow-test-dev") == "/app/src/hello/__init__.py\n"


def test_one_switch_makes_prod_a_development_image(
    tree: Tree, uvflow: Command, engine: Engine
) -> None:
    code = "import importlib.util as i; print(i.find_spec('iniconfig') is not None)"
    rest = (
        f'[tool.uvflow.docker]\ncommand = ["python", "-c", "{code}"]\n'
        '[dependency-groups]\ndev = ["iniconfig"]\n'
    )
    project = tree(
        {"pyproject.toml": manifest("plain", ("idna",), rest), ".python-version": "3.12\n"}
    )
    made(project, uvflow, engine, "uvflow-test-switch")
    assert engine.output("uvflow-test-switch") == "False\n"
    engine.build(project, "uvflow-test-switch", "--build-arg=UV_NO_DEV=0")
    assert engine.output("uvflow-test-switch") == "True\n"


def test_a_stale_lockfile_fails_the_build(tree: Tree, uvflow: Command, engine: Engine) -> None:
    rest = '[tool.uvflow.docker]\ncommand = ["python"]\n'
    project = tree({"pyproject.toml": manifest("plain", (), rest), ".python-version": "3.12\n"})
    made(project, uvflow, engine, "uvflow-test-stale")
    (project / "pyproject.toml").write_text(manifest("plain", ("idna",), rest))
    with pytest.raises(AssertionError, match="needs to be updated"):
        engine.build(project, "uvflow-test-stale")


def test_a_member_of_a_workspace_has_an_image_of_its_own(
    tree: Tree, uvflow: Command, engine: Engine
) -> None:
    rest = '[tool.uvflow.docker]\ncommand = ["python", "main.py"]\n'
    project = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["my apps/*"]\n',
            "my apps/api/pyproject.toml": manifest("api", ("idna",), rest),
            "my apps/api/main.py": "import idna\nprint(open('word').read())\n",
            "my apps/api/word": "said",
            "my apps/other/pyproject.toml": manifest("other", ("attrs",)),
            ".python-version": "3.12\n",
        }
    )
    lock(project, {})
    member = project / "my apps" / "api"
    said = uvflow("docker", cwd=member)
    assert said.code == 0, said.err
    tag = "uvflow-test-member"
    with engine.building(tag):
        said = uvflow("docker", "build", f"--tag={tag}", "--", "--network=host", cwd=member)
    assert said.code == 0, said.err
    assert engine.output(tag) == "said\n"
    assert not [path for path in engine.files(tag) if path.endswith("site-packages/attrs")]


def test_a_path_that_cannot_be_mounted_is_frozen_first_and_checked_later(
    tree: Tree, uvflow: Command, engine: Engine
) -> None:
    project = tree(
        {
            "pyproject.toml": manifest(
                "shop",
                ("shelf", "idna"),
                '[tool.uv.workspace]\nmembers = ["bücher/*"]\n[project.scripts]\nshop = "shop:go"\n'
                "[tool.uv.sources]\nshelf = { workspace = true }\n" + BUILD_SYSTEM,
            ),
            "src/shop/__init__.py": "import shelf\n\n\ndef go():\n    print(shelf.BOOKS)\n",
            "bücher/shelf/pyproject.toml": manifest("shelf", (), BUILD_SYSTEM),
            "bücher/shelf/src/shelf/__init__.py": "BOOKS = 4\n",
            ".python-version": "3.12\n",
        }
    )
    made(project, uvflow, engine, "uvflow-test-frozen")
    assert engine.output("uvflow-test-frozen") == "4\n"


def test_static_files_are_in_the_image(tree: Tree, uvflow: Command, engine: Engine) -> None:
    settings = (
        "import os\nfrom pathlib import Path\nBASE_DIR = Path(__file__).parent\n"
        'SECRET_KEY = os.environ["THE_SECRET"]\nSTATIC_ROOT = BASE_DIR / "collected"\n'
        'INSTALLED_APPS = ["django.contrib.staticfiles"]\nSTATIC_URL = "static/"\n'
        'STATICFILES_DIRS = [BASE_DIR / "assets"]\nWSGI_APPLICATION = "wsgi.application"\n'
    )
    named = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")\n'
    project = tree(
        {
            "pyproject.toml": manifest("site", ("django", "gunicorn", "whitenoise")),
            "manage.py": named + "from django.core.management import execute_from_command_line\n"
            "import sys\nexecute_from_command_line(sys.argv)\n",
            "settings.py": settings,
            "wsgi.py": named + "from django.core.wsgi import get_wsgi_application\n"
            "application = get_wsgi_application()\n",
            "assets/style.css": "a {}\n",
            ".python-version": "3.12\n",
        }
    )
    made(project, uvflow, engine, "uvflow-test-static")
    assert "app/collected/style.css" in engine.files("uvflow-test-static")


def test_equal_sources_give_equal_files(tree: Tree, uvflow: Command, engine: Engine) -> None:
    scripts = '[project.scripts]\nhello = "hello:main"\n'
    project = tree(
        {
            "pyproject.toml": manifest("hello", ("idna",), scripts + BUILD_SYSTEM),
            "src/hello/__init__.py": "def main():\n    print('hello')\n",
            ".python-version": "3.12\n",
        }
    )
    made(project, uvflow, engine, "uvflow-test-equal")
    first = built_files(engine, "uvflow-test-equal")
    for path in project.rglob("*"):
        os.utime(path, (0, 0))
    engine.build(project, "uvflow-test-equal", "--no-cache")
    assert built_files(engine, "uvflow-test-equal") == first


@pytest.mark.parametrize("base", ["slim", "distroless"])
def test_a_reproducible_image_has_one_digest_without_any_cache(
    tree: Tree, uvflow: Command, engine: Engine, base: str
) -> None:
    if "containerd" not in engine.docker("info", "--format={{.DriverStatus}}").stdout:
        pytest.skip("the engine keeps images in the classic store (.ci/engine DIR containerd)")
    built = () if base == "distroless" else ("psycopg2",)  # no libpq there
    scripts = '[project.scripts]\nhello = "hello:main"\n'
    project = tree(
        {
            "pyproject.toml": manifest("hello", ("idna", *built), scripts + BUILD_SYSTEM),
            "src/hello/__init__.py": "def main():\n    print('hello')\n",
            ".python-version": "3.12\n",
        }
    )
    lock(project, {})
    assert uvflow("docker", f"--base={base}", cwd=project).code == 0
    tag = f"uvflow-test-reproducible-{base}"
    archive = project.parent / "image.tar"
    # as in docs/how-to/docker-ci.md
    date = {"SOURCE_DATE_EPOCH": "315532800"}
    output = ("--provenance=false", f"--output=type=docker,dest={archive},rewrite-timestamp=true")
    options = (f"--tag={tag}", "--", "--no-cache", "--network=host", *output)
    digests = []
    for time in (10**9, 2 * 10**9):
        for path in project.rglob("*"):
            os.utime(path, (time, time))
        with engine.building(tag):
            said = uvflow("docker", "build", *options, cwd=project, environ=date, seconds=600)
            assert said.code == 0, said.err
            engine.docker("load", f"--input={archive}")
        with tarfile.open(archive) as image:
            index = image.extractfile("index.json")
            assert index
            digests.append(json.load(index)["manifests"][0]["digest"])
    assert digests[0] == digests[1]
    assert engine.output(tag) == "hello\n"


@pytest.mark.parametrize("base", ["slim", "distroless"])
def test_a_service_that_was_built_is_tried(
    tree: Tree, uvflow: Command, engine: Engine, base: str
) -> None:
    project = tree(
        {
            "pyproject.toml": manifest("hall", ("flask", "waitress")),
            "app.py": "from flask import Flask\n\napp = Flask(__name__)\n",
            ".python-version": "3.12\n",
        }
    )
    lock(project, {})
    assert uvflow("docker", f"--base={base}", cwd=project).code == 0
    tag = f"uvflow-test-hall-{base}"
    words = ("docker", "build", "--try", f"--tag={tag}", "--", "--network=host", "--quiet")
    with engine.building(tag):
        said = uvflow(*words, cwd=project, seconds=600)
    assert (said.code, said.out.splitlines()[1:]) == (
        0,
        [
            "note[image-loads] app:app can be loaded",
            "note[image-runs] it is running healthy",
            "note[image-stops] it stops when told to",
        ],
    )
    assert "uvflow-try" not in engine.docker("ps", "--all").stdout


def test_a_service_that_ignores_its_signal_is_found_out(
    tree: Tree, uvflow: Command, engine: Engine
) -> None:
    code = "import signal, time\nsignal.signal(signal.SIGTERM, print)\ntime.sleep(99)\n"
    command = '[tool.uvflow.docker]\ncommand = ["python", "main.py"]\n'
    project = tree(
        {
            "pyproject.toml": manifest("deaf", (), command),
            "main.py": code,
            ".python-version": "3.12\n",
        }
    )
    lock(project, {})
    assert uvflow("docker", cwd=project).code == 0
    words = ("docker", "build", "--try", "--tag=uvflow-test-deaf", "--", "--network=host", "-q")
    with engine.building("uvflow-test-deaf"):
        said = uvflow(*words, cwd=project, seconds=600)
    assert said.code == 1
    assert "error[image-stops] it does not stop within 2 seconds, and is killed\n" in said.out


def built_files(engine: Engine, image: str) -> dict[str, str]:
    """What the steps of the Dockerfile made, by path."""
    made = ("venv/", "app/", "usr/local/lib/python3.12/")
    return {path: d for path, d in engine.files(image).items() if path.startswith(made)}


def test_bake_and_compose_understand_their_files(
    tree: Tree, uvflow: Command, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = '[[tool.uv.index]]\nname = "corp"\nurl = "https://corp.test/simple"\n'
    index += 'authenticate = "always"\n'
    settings = '[tool.uvflow.docker]\ncommand = ["serve"]\nport = 80\n'
    needed = package("a", source='registry = "https://corp.test/simple"')
    project = tree(
        {
            "pyproject.toml": manifest("plain", (), index + settings),
            "uv.lock": locked(local("plain", needs=["a"]), needed),
        }
    )
    assert uvflow("docker", "--bake", "--compose", cwd=project).code == 0
    bake = engine.docker("buildx", "bake", "--print", f"--file={project}/docker-bake.hcl")
    target = json.loads(bake.stdout)["target"]["prod"]
    assert target["secret"] == [
        f"id=UV_INDEX_CORP_{name},env=UV_INDEX_CORP_{name}" for name in ("USERNAME", "PASSWORD")
    ]
    assert not {"platforms", "cache-from", "cache-to", "attest"} & target.keys()
    monkeypatch.setenv("CACHE", "type=registry,ref=corp.test/cache")
    bake = engine.docker(
        "buildx", "bake", "--print", f"--file={project}/docker-bake.hcl", "release"
    )
    release = json.loads(bake.stdout)["target"]["release"]
    assert release == {
        **target,
        "cache-from": ["type=registry,ref=corp.test/cache"],
        "cache-to": ["type=registry,ref=corp.test/cache,mode=max"],
        "platforms": ["linux/amd64", "linux/arm64"],
        "attest": ["type=provenance,mode=max", "type=sbom"],
    }
    composed = engine.docker(
        "compose", f"--file={project}/compose.yaml", "--profile=dev", "config", "--format=json"
    )
    services = json.loads(composed.stdout)["services"]
    assert services["plain"]["read_only"] is True
    assert services["plain-dev"]["build"]["target"] == "dev"


def test_an_edit_changes_the_layer_of_the_sources_alone(
    tree: Tree, uvflow: Command, engine: Engine
) -> None:
    # Of several equal steps that were built at other times the engine takes any.
    only_once = f"# {uuid.uuid4()}\n"
    project = tree(
        {
            "pyproject.toml": only_once
            + manifest(
                "plain", ("idna",), '[tool.uvflow.docker]\ncommand = ["python", "main.py"]\n'
            ),
            "main.py": "print(1)\n",
            ".python-version": "3.12\n",
        }
    )
    made(project, uvflow, engine, "uvflow-test-plain")
    before = engine.inspect("uvflow-test-plain")["RootFS"]["Layers"]
    (project / "main.py").write_text("print(2)\n")
    engine.build(project, "uvflow-test-plain")
    after = engine.inspect("uvflow-test-plain")["RootFS"]["Layers"]
    assert engine.output("uvflow-test-plain") == "2\n"
    assert after[:-1] == before[:-1]


def programs(files: Iterable[str]) -> set[str]:
    """The names of the files in directories of programs."""
    places = (path.rpartition("/") for path in files)
    return {name for place, _, name in places if place.endswith("bin")}


def made(
    project: Path, uvflow: Command, engine: Engine, tag: str, *options: str, base: str = "slim"
) -> None:
    lock(project, {})
    said = uvflow("docker", f"--base={base}", cwd=project)
    assert said.code == 0, said.err
    engine.build(project, tag, *options)


def lock(project: Path, environ: dict[str, str]) -> None:
    subprocess.run(
        ["uv", "lock", "--quiet"], cwd=project, env={**os.environ, **environ}, check=True
    )


def toml(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@pytest.fixture
def private_index(tmp_path: Path) -> Iterator[str]:
    """An index on this machine that answers to one user alone."""
    add_wheel(tmp_path / "corp", "secretive", "1.0")
    handler = functools.partial(_Asking, directory=str(tmp_path / "corp"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class _Asking(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(b"me:s3cr3t-word").decode()
        if self.headers.get("Authorization") == wanted:
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()

    do_HEAD = do_GET  # noqa: N815  the name is http.server's

    def log_message(self, *_arguments: object) -> None:
        pass
