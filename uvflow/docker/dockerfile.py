"""Facts as the text of a Dockerfile. Pure: the same facts give the same bytes.

The stages: `base` is the interpreter and what the image needs of Debian; `builder` (`uv` where
nothing is compiled) has the settings of uv; `dependencies` has the environment without the project;
`project` has the files that local packages add to it; `static` has collected static files; `python`
is a packed interpreter, for distroless; then one stage for each profile.
"""

import posixpath
import shlex

from uvflow.docker import managed_python
from uvflow.docker.debian import LIBRARIES
from uvflow.docker.facts import Facts
from uvflow.docker.instructions import (
    Command,
    Instruction,
    Instructions,
    Mount,
    Pairs,
    arg,
    begin_stage,
    command,
    comment,
    copy,
    env,
    exec_form,
    healthcheck,
    mount,
    plain,
    run,
    script,
    workdir,
)
from uvflow.docker.targets import Selection

_ENVIRONMENT = "/venv"  # not below /app: a source tree mounted there would hide it
_PACKED_PYTHON = "python"
_PATH = f"{_ENVIRONMENT}/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
# -f, since Python has just cached what compileall itself imports, to be checked by file times.
_COMPILE = ("python", "-m", "compileall", "-qf", "--invalidation-mode", "unchecked-hash")
_CACHE = mount({"type": "cache", "target": "/root/.cache/uv"})
_TEMPORARY = mount({"type": "tmpfs", "target": "/tmp"})  # noqa: S108  builds leave locks there
_SOURCES = mount({"type": "bind", "target": "/app", "rw": None})

_MANAGED = (
    ("UV_PYTHON_INSTALL_DIR", managed_python.PYTHONS),
    ("UV_PYTHON_PREFERENCE", "only-managed"),
)

# Lists, logs and caches differ from one build to another.
_LEFT_BY_APT = (
    "/var/lib/apt/lists",
    "/var/cache/ldconfig",
    "/var/log/alternatives.log",
    "/var/log/apt",
    "/var/log/dpkg.log",
)

# What was built here must load: its wheel is tagged `linux_…`, as none of an index is (PEP 600).
# Of the others, the loader lists what it does not find; a package may have that, or do without it.
CHECK_LIBRARIES = f"""\
import ctypes, glob, subprocess, sys
from importlib.metadata import distributions
from pathlib import Path
debian = dict(pair.split("=") for pair in '''
{LIBRARIES}
'''.split())
for distribution in distributions():
    if "-linux_" in (distribution.read_text("WHEEL") or ""):
        for file in distribution.files or ():
            if file.match("*.so"):
                ctypes.CDLL(str(file.locate()))
files = [file for file in Path(sys.prefix).rglob("*.so*") if file.is_file()]
loader, listing = glob.glob("/lib*/ld-linux*.so.*")[0], {{"LD_TRACE_LOADED_OBJECTS": "1"}}
missing = set()
for file in files:
    content = file.read_bytes()
    if names := [name for name in debian if name.encode() in content]:
        found = subprocess.run([loader, file], env=listing, capture_output=True, text=True).stdout
        missing |= {{name for name in names if f"{{name}} => not found" in found}}
missing -= {{file.name for file in files}}
if missing:
    sys.exit(f"missing: {{missing}}; add to [tool.uvflow.docker]: runtime-packages = "
             f"{{sorted({{debian[name] for name in missing}})}}")"""

# A service that redirects or wants to know who asks is healthy.
_PROBE = (
    "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', {port}, timeout=4); "
    "c.request('GET', {path!r}); s = c.getresponse().status; "
    "sys.exit(s >= 400 and s not in (401, 403))"
)
_CONNECT = "import socket; socket.create_connection(('127.0.0.1', {port}), 4).close()"

# Remove uv's note of when sources were edited, so that equal sources give equal files.
_HAS_ROW = ("-exec", "grep", "-q", "/uv_cache.json,", "{}", ";")
_WITHOUT_ROW = ("-exec", "sed", "-i", "/uv_cache.json,/d", "{}", "+")
_REMOVE_TIMES = (
    command("find", _ENVIRONMENT, "-name", "RECORD", *_HAS_ROW, *_WITHOUT_ROW),
    command("find", _ENVIRONMENT, "-name", "uv_cache.json", "-delete"),
)

# Parts of the official images' standard library that no service imports.
_UNUSED = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtledemo")


def render_dockerfile(facts: Facts) -> str:
    """The Dockerfile without its header."""
    *others, prod = facts.selections
    stages = [_base(facts), _tools(facts), _dependencies(facts, prod), _project(facts, prod)]
    stages.append(_static(facts))
    if facts.base == "distroless":
        stages.append(managed_python.packed(_PACKED_PYTHON, "base"))
    for selection in others:
        if selection.is_development:
            stages.append(_development(facts, selection))
        else:
            stages += [_dependencies(facts, selection), _project(facts, selection)]
            stages.append(_image(facts, selection))
    stages.append(_image(facts, prod))
    texts = ("\n".join(stage).rstrip() for stage in stages)
    return "\n\n".join(filter(None, texts)) + "\n"


def _base(facts: Facts) -> Instructions:
    yield comment(f"Python {facts.python}: {facts.python_evidence}.")
    if facts.base == "slim":
        yield begin_stage("base", facts.images.python)
        yield from _debian_packages(facts.system.runtime, "Needed by packages at run time.")
        why = "The standard library's byte code: the image has none, the user cannot write it."
        yield comment(why)
        skipped = rf"/(site-packages|{'|'.join(_UNUSED)})/"
        yield run(command(*_COMPILE, "-x", skipped, f"/usr/local/lib/python{facts.python}"))
    else:
        yield begin_stage("base", facts.images.debian)
        packages = ("ca-certificates", "tzdata", *facts.system.runtime)
        yield from _debian_packages(packages, "Needed by Python and packages at run time.")
        yield from managed_python.installed(facts, shlex.join(_COMPILE), (_uv(facts), _CACHE))
    yield from _surroundings(facts)


def _surroundings(facts: Facts) -> Instructions:
    yield workdir("/app")
    yield comment("Programs of the environment come first; output is not buffered.")
    environment = {"PATH": _PATH, "PYTHONUNBUFFERED": "1", **dict(facts.environment)}
    yield env(tuple(environment.items()))


def _debian_packages(packages: tuple[str, ...], why: str) -> Instructions:
    if packages:
        ignored = "hadolint ignore=DL3008"
        yield comment(f"{why} Not pinned: Debian has one version at a time.", ignored)
        yield run(
            command("apt-get", "update"),
            command("apt-get", "install", "--yes", "--no-install-recommends", *packages),
            command("rm", "-rf", *_LEFT_BY_APT),
        )


def _tools(facts: Facts) -> Instructions:
    """Settings are arguments, not variables: those are for the build, and not part of the image."""
    yield comment("The settings of uv for every step below; arguments are not kept in the image.")
    yield begin_stage(_tools_stage(facts), "base")
    yield from _debian_packages(facts.system.build, "Needed only by a build.")
    is_slim = facts.base == "slim"
    yield arg(
        (
            ("UV_PROJECT_ENVIRONMENT", _ENVIRONMENT),
            (
                "UV_PYTHON",
                f"/usr/local/bin/python{facts.python}" if is_slim else facts.python_release,
            ),
            ("UV_PYTHON_DOWNLOADS", "never"),
            *(() if is_slim else _MANAGED),
            ("UV_LINK_MODE", "copy"),
            ("UV_COMPILE_BYTECODE", "1"),
            ("PYC_INVALIDATION_MODE", "UNCHECKED_HASH"),
        )
    )
    if facts.system.build:
        yield comment(
            "Strip symbols: they name the build directory, which is another in each build."
        )
        yield arg((("LDFLAGS", "-s"),))
    if facts.version_variables:
        yield comment(
            "The version, which comes from git's history: that is not in the build context."
        )
        yield from (arg(((name, "0.0.0"),)) for name in facts.version_variables)


def _tools_stage(facts: Facts) -> str:
    return "builder" if facts.stages.is_multi else "uv"


def _stage_of(selection: Selection, what: str) -> str:
    return what if selection.name == "prod" else f"{selection.name}-{what}"


def _dependencies(facts: Facts, selection: Selection) -> Instructions:
    yield comment("The environment without the project: changes when uv.lock does.")
    yield begin_stage(_stage_of(selection, "dependencies"), _tools_stage(facts))
    yield comment("0 includes development dependencies; `--build-arg` changes it.")
    yield arg(_dev_switch(facts, selection))
    yield _sync_dependencies(facts, selection)


def _dev_switch(facts: Facts, selection: Selection) -> Pairs:
    return ((facts.dev_switch_variable, "0" if selection.all_groups else "1"),)


def _sync_dependencies(facts: Facts, selection: Selection, environ: Pairs = ()) -> Instruction:
    check = "--frozen" if facts.lock_check_needs_sources else "--locked"
    words = ("sync", check, facts.no_install_option, *selection.arguments)
    files = (
        mount({"type": "bind", "source": path, "target": f"/app/{path}"}) for path in facts.mounts
    )
    builds = (_TEMPORARY,) if facts.system.build or facts.built else ()
    install = _uv_command(facts, words, environ)
    return run(install, mounts=_uv_mounts(facts, *builds, *files))


def _uv_command(facts: Facts, arguments: tuple[str, ...], environ: Pairs = ()) -> Command:
    host_keys = (("GIT_SSH_COMMAND", "ssh -o StrictHostKeyChecking=accept-new"),)
    environ = (*environ, *(host_keys if facts.uses_ssh else ()))
    return command("uv", *arguments, environ=environ, secrets=facts.secrets)


def _uv_mounts(facts: Facts, *more: Mount) -> tuple[Mount, ...]:
    secrets = (mount({"type": "secret", "id": n, "required": "true"}) for n in facts.secrets)
    ssh = (mount({"type": "ssh"}),) if facts.uses_ssh else ()
    return (_uv(facts), _CACHE, *more, *secrets, *ssh)


def _uv(facts: Facts) -> Mount:
    return mount({"type": "bind", "from": facts.images.uv, "source": "/uv", "target": "/bin/uv"})


def _project(facts: Facts, selection: Selection) -> Instructions:
    """What building and installing local packages adds to the environment, and only that.

    uv would compile all of the environment once more, which would change every one of its files.
    """
    if not facts.local_packages:
        return
    yield comment(
        f"The project, built from its sources: {', '.join(facts.local_packages)}.",
        "The files this adds to the environment are compiled and collected in /project,",
        "without the times of the sources.",
    )
    yield begin_stage(_stage_of(selection, "project"), _stage_of(selection, "dependencies"))
    install = ("sync", "--locked", "--no-editable", *selection.arguments)
    added = ("find", _ENVIRONMENT, "-cnewer", "/before")
    copied = ("cp", "--parents", "--preserve=mode,links", "--target-directory=/project", "{}", "+")
    yield run(
        command("touch", "/before"),
        _uv_command(facts, install, environ=(("UV_COMPILE_BYTECODE", "0"),)),
        *_REMOVE_TIMES,
        command(*added, "-name", "*.py", "-exec", *_COMPILE, "{}", "+"),
        command("mkdir", "/project"),
        command(*added, "-not", "-type", "d", "-exec", *copied),
        mounts=_uv_mounts(facts, _SOURCES),
    )


def _static(facts: Facts) -> Instructions:
    if facts.static is None:
        return
    yield comment("Static files, collected by the project itself.")
    yield begin_stage("static", "project" if facts.local_packages else "dependencies")
    yield from _source(facts)
    collect = ("python", facts.static.manage, "collectstatic", "--no-input")
    made = command("mkdir", "-p", facts.static.directory)  # where there is no file to collect
    yield run(command(*collect, environ=facts.static.environment), made)


def _development(facts: Facts, selection: Selection) -> Instructions:
    """The sources in place, local packages editable, and what a build needs still there."""
    environ = _dev_switch(facts, selection)
    yield comment(f"The profile {selection.name}, on the sources in place.")
    below = "dependencies" if selection.extends_prod else _tools_stage(facts)
    yield begin_stage(selection.name, below)
    yield _sync_dependencies(facts, selection, environ)
    source, *workdirs = _source(facts)
    yield source
    if facts.local_packages:
        yield comment("The project, editable, and without the times of its sources.")
        install = _uv_command(facts, ("sync", "--locked", *selection.arguments), environ)
        yield run(install, *_REMOVE_TIMES, mounts=_uv_mounts(facts, _TEMPORARY))
    yield from workdirs
    yield from _started(facts, facts.start.development)


def _image(facts: Facts, selection: Selection) -> Instructions:
    why = f", without what only a build needs ({facts.stages.evidence})"
    yield comment(
        f"The image of the profile {selection.name}{why if facts.stages.is_multi else ''}."
    )
    dependencies = _stage_of(selection, "dependencies")
    environment = copy(_ENVIRONMENT, _ENVIRONMENT, dependencies)
    if facts.base == "distroless":
        yield begin_stage(selection.name, facts.images.distroless)
        yield from _surroundings(facts)
        yield copy(managed_python.PYTHONS, managed_python.PYTHONS, _PACKED_PYTHON)
        yield environment
    elif facts.stages.is_multi:
        yield begin_stage(selection.name, "base")
        yield environment
    else:
        yield begin_stage(selection.name, dependencies)
    yield comment("Fails where a library that packages need is not in the image.")
    if facts.base == "distroless":  # whose own user has no group, which engines may not find
        yield plain("USER", f"{facts.user}:{facts.user}")
        yield exec_form("RUN", ("python", "-c", CHECK_LIBRARIES))
    else:
        yield script(CHECK_LIBRARIES, "python")
    if facts.local_packages:
        yield copy("/project/", "/", _stage_of(selection, "project"))
    if facts.static:
        yield comment("Before the source, since they change less often.")
        path = posixpath.join(_directory(facts), facts.static.directory)
        yield copy(path, path, "static")
    if facts.copies_source:
        yield comment("The source, a layer of its own: an edit changes only this one.")
        yield from _source(facts)
    yield from _started(facts, facts.start.command)


def _source(facts: Facts) -> Instructions:
    yield copy(".", "/app")
    if facts.directory != ".":
        yield workdir(_directory(facts))


def _directory(facts: Facts) -> str:
    return "/app" if facts.directory == "." else f"/app/{facts.directory}"


def _started(facts: Facts, words: tuple[str, ...]) -> Instructions:
    start = facts.start
    yield comment("The user owns no file and has no home directory, which some servers write to.")
    yield env((("HOME", "/tmp"),))  # noqa: S108  a directory every image has
    yield plain("USER", f"{facts.user}:{facts.user}")
    if start.is_program:
        yield plain("STOPSIGNAL", "SIGINT")  # by default, SIGTERM does not end Python as process 1
    if start.port:
        yield plain("EXPOSE", start.port)
    if start.port and start.probes:
        yield comment("Probed by Python: the image has no curl.")
        code = _PROBE.format(port=start.port, path=start.health)
        if start.health is None:
            code = _CONNECT.format(port=start.port)
        yield healthcheck(("python", "-IS", "-c", code))  # -IS: no site-packages
    yield comment(f"{start.evidence}.")
    yield exec_form("ENTRYPOINT" if start.is_program else "CMD", words)
