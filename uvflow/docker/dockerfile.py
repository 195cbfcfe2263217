"""Facts as the text of a Dockerfile. Pure: the same facts give the same bytes.

The stages: `base` is the interpreter and what the image needs of Debian; `builder` (`uv` where
nothing is compiled) tells uv how to work; `dependencies` has the environment without the project;
`project` has the files that the project's own packages add to it; `python` is a packed interpreter,
for distroless; then one stage for each profile.
"""

import shlex

from uvflow.docker import managed_python
from uvflow.docker.facts import Facts
from uvflow.docker.instructions import (
    Arg,
    Cmd,
    Command,
    Comment,
    Copy,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Mount,
    Pairs,
    Run,
    Script,
    StopSignal,
    User,
    Workdir,
    serialise,
)
from uvflow.docker.start import Start
from uvflow.docker.targets import Selection

_ENVIRONMENT = "/venv"  # not below /app: a source tree mounted there would hide it
_PACKED = "python"
_PATH = f"{_ENVIRONMENT}/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
# All of it: Python has just written the byte code of what compileall itself imports, by file times.
_COMPILE = ("python", "-m", "compileall", "-qf", "--invalidation-mode", "unchecked-hash")
_CACHE = Mount(fields=(("type", "cache"), ("target", "/root/.cache/uv")))
_TEMPORARY = Mount(fields=(("type", "tmpfs"), ("target", "/tmp")))  # noqa: S108  builds leave locks there
_SOURCES = Mount(fields=(("type", "bind"), ("target", "/app"), ("rw", None)))

_LEFT_BY_APT = (
    "/var/lib/apt/lists",
    "/var/cache/ldconfig",
    "/var/log/alternatives.log",
    "/var/log/apt",
    "/var/log/dpkg.log",
)

_LOAD_WHAT_WAS_BUILT = """\
import ctypes
from importlib.metadata import distributions
for distribution in distributions():
    if "-linux_" in (distribution.read_text("WHEEL") or ""):
        for file in distribution.files or ():
            if file.match("*.so"):
                ctypes.CDLL(str(file.locate()))"""

# Of the official images' library, what no service imports.
_UNUSED = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtledemo")

Instructions = tuple[Instruction, ...]


def render_dockerfile(facts: Facts) -> str:
    """The Dockerfile, without the lines at its top that say where it came from."""
    *others, prod = facts.selections
    parts = (
        _base(facts),
        _tools(facts),
        _dependencies(facts, prod, "dependencies"),
        _project(facts, prod, "dependencies", "project"),
        _static(facts),
        managed_python.packed(_PACKED, "base") if facts.base == "distroless" else (),
        *(part for selection in others for part in _other(facts, selection)),
        _image(facts, prod, "dependencies", "project"),
    )
    return "\n\n".join(serialise(part).rstrip() for part in parts if part) + "\n"


def _base(facts: Facts) -> Instructions:
    if facts.base == "slim":
        return (
            Comment(lines=(f"Python {facts.python}: {facts.python_evidence}.",)),
            From(image=facts.images.python, name="base"),
            *_debian_packages(facts.system.runtime, "What packages load when they run."),
            *_compiled_library(f"/usr/local/lib/python{facts.python}"),
            *_surroundings(facts),
        )
    return (
        Comment(lines=(f"Python {facts.python}: {facts.python_evidence}.",)),
        From(image=facts.images.debian, name="base"),
        *_debian_packages(
            ("ca-certificates", "tzdata", *facts.system.runtime),
            "What Python and packages load when they run.",
        ),
        *managed_python.installed(facts, shlex.join(_COMPILE), (_uv(facts), _CACHE)),
        *_surroundings(facts),
    )


def _compiled_library(directory: str) -> Instructions:
    left_out = rf"/(site-packages|{'|'.join(_UNUSED)})/"
    return (
        Comment(
            lines=("The standard library's byte code: no image has it, the user cannot write it.",)
        ),
        Run(commands=(Command(words=(*_COMPILE, "-x", left_out, directory)),)),
    )


def _surroundings(facts: Facts) -> Instructions:
    environment = {"PATH": _PATH, "PYTHONUNBUFFERED": "1", **dict(facts.environment)}
    return (
        Workdir(path="/app"),
        Comment(lines=("What is in the environment comes first; what is printed shows at once.",)),
        Env(pairs=tuple(environment.items())),
    )


def _debian_packages(packages: tuple[str, ...], why: str) -> Instructions:
    """Without the lists, and without the logs and caches that tell one build from another."""
    if not packages:
        return ()
    install = ("apt-get", "install", "--yes", "--no-install-recommends", *packages)
    return (
        Comment(
            lines=(
                f"{why} No version is named: Debian has one at a time.",
                "hadolint ignore=DL3008",
            )
        ),
        Run(
            commands=(
                Command(words=("apt-get", "update")),
                Command(words=install),
                Command(words=("rm", "-rf", *_LEFT_BY_APT)),
            )
        ),
    )


def _tools_name(facts: Facts) -> str:
    return "builder" if facts.stages.is_multi else "uv"


def _tools(facts: Facts) -> Instructions:
    """Arguments, not variables: they are for the build, and no part of the image."""
    return (
        Comment(lines=("How uv works, wherever it does. Arguments are for RUN, and not kept.",)),
        From(image="base", name=_tools_name(facts)),
        *_debian_packages(facts.system.build, "What only a build needs."),
        Arg(pairs=_uv_settings(facts)),
        *_linker(facts),
        *_versions(facts),
    )


def _linker(facts: Facts) -> Instructions:
    """A debugger's symbols name the directory of the build, which is another one each time."""
    if not facts.system.build:
        return ()
    why = "What is compiled has no symbols: it is smaller, and the same in each build."
    return (Comment(lines=(why,)), Arg(pairs=(("LDFLAGS", "-s"),)))


def _versions(facts: Facts) -> Instructions:
    if not facts.version_variables:
        return ()
    why = "The version, which git's history would tell, and that is not in the build context."
    arguments = tuple(Arg(pairs=((name, "0.0.0"),)) for name in facts.version_variables)
    return (Comment(lines=(why,)), *arguments)


def _uv_settings(facts: Facts) -> Pairs:
    return (
        ("UV_PROJECT_ENVIRONMENT", _ENVIRONMENT),
        *_interpreter(facts),
        ("UV_LINK_MODE", "copy"),
        ("UV_COMPILE_BYTECODE", "1"),
        ("PYC_INVALIDATION_MODE", "UNCHECKED_HASH"),
    )


def _interpreter(facts: Facts) -> Pairs:
    if facts.base == "slim":
        path = f"/usr/local/bin/python{facts.python}"
        return (("UV_PYTHON", path), ("UV_PYTHON_DOWNLOADS", "never"))
    return (
        ("UV_PYTHON", facts.python),
        ("UV_PYTHON_DOWNLOADS", "never"),
        ("UV_PYTHON_INSTALL_DIR", managed_python.PYTHONS),
        ("UV_PYTHON_PREFERENCE", "only-managed"),
    )


def _dependencies(facts: Facts, selection: Selection, name: str) -> Instructions:
    switch = ((facts.dev_switch_variable, "0" if selection.all_groups else "1"),)
    return (
        Comment(lines=("The environment, without the project: changes when uv.lock does.",)),
        From(image=_tools_name(facts), name=name),
        Comment(lines=("0 takes in what is for development: `--build-arg` switches it.",)),
        Arg(pairs=switch),
        _sync_dependencies(facts, selection),
    )


def _sync_dependencies(facts: Facts, selection: Selection, environ: Pairs = ()) -> Run:
    check = "--frozen" if facts.lock_check_needs_sources else "--locked"
    builds = (_TEMPORARY,) if facts.system.build else ()
    words = ("sync", check, facts.no_install_option, *selection.arguments)
    return Run(
        commands=(_uv_command(facts, words, environ),),
        mounts=_uv_mounts(facts, *builds, *map(_bound, facts.mounts)),
    )


def _bound(path: str) -> Mount:
    return Mount(fields=(("type", "bind"), ("source", path), ("target", f"/app/{path}")))


def _uv_command(facts: Facts, arguments: tuple[str, ...], environ: Pairs = ()) -> Command:
    host_keys = (("GIT_SSH_COMMAND", "ssh -o StrictHostKeyChecking=accept-new"),)
    return Command(
        words=("uv", *arguments),
        environ=(*environ, *(host_keys if facts.uses_ssh else ())),
        secrets=facts.secrets,
    )


def _uv_mounts(facts: Facts, *more: Mount) -> tuple[Mount, ...]:
    secrets = (
        Mount(fields=(("type", "secret"), ("id", name), ("required", "true")))
        for name in facts.secrets
    )
    ssh = (Mount(fields=(("type", "ssh"),)),) if facts.uses_ssh else ()
    return (_uv(facts), _CACHE, *more, *secrets, *ssh)


def _uv(facts: Facts) -> Mount:
    fields = (("type", "bind"), ("from", facts.images.uv), ("source", "/uv"), ("target", "/bin/uv"))
    return Mount(fields=fields)


def _project(facts: Facts, selection: Selection, below: str, name: str) -> Instructions:
    """What building and installing the own packages adds to the environment, and only that.

    uv would compile all of the environment once more, which would change every one of its files.
    """
    if not facts.local_packages:
        return ()
    added = ("find", _ENVIRONMENT, "-cnewer", "/before")
    copied = ("cp", "--parents", "--preserve=mode,links", "--target-directory=/project", "{}", "+")
    install = ("sync", "--locked", "--no-editable", *selection.arguments)
    steps = (
        Command(words=("touch", "/before")),
        _uv_command(facts, install, environ=(("UV_COMPILE_BYTECODE", "0"),)),
        *_without_times(),
        Command(words=(*added, "-name", "*.py", "-exec", *_COMPILE, "{}", "+")),
        Command(words=("mkdir", "/project")),
        Command(words=(*added, "-not", "-type", "d", "-exec", *copied)),
    )
    return (
        Comment(
            lines=(
                f"The project, built from its sources: {', '.join(facts.local_packages)}.",
                "What that adds to the environment is compiled and put aside, without the times of",
                "its sources.",
            )
        ),
        From(image=below, name=name),
        Run(commands=steps, mounts=_uv_mounts(facts, _SOURCES)),
    )


def _without_times() -> tuple[Command, ...]:
    """uv notes when sources were edited: left out, so that equal sources give equal files."""
    has_row = ("-exec", "grep", "-q", "/uv_cache.json,", "{}", ";")
    without = ("-exec", "sed", "-i", "/uv_cache.json,/d", "{}", "+")
    return (
        Command(words=("find", _ENVIRONMENT, "-name", "RECORD", *has_row, *without)),
        Command(words=("find", _ENVIRONMENT, "-name", "uv_cache.json", "-delete")),
    )


def _static(facts: Facts) -> Instructions:
    if facts.static is None:
        return ()
    words = ("python", "manage.py", "collectstatic", "--no-input")
    return (
        Comment(lines=("Static files, collected by the project itself.",)),
        From(image="project" if facts.local_packages else "dependencies", name="static"),
        Copy(source=".", target="/app"),
        *_inside(facts),
        Run(commands=(Command(words=words, environ=facts.static.environment),)),
    )


def _other(facts: Facts, selection: Selection) -> tuple[Instructions, ...]:
    if selection.is_development:
        return (_development(facts, selection),)
    dependencies, project = f"{selection.name}-dependencies", f"{selection.name}-project"
    return (
        _dependencies(facts, selection, dependencies),
        _project(facts, selection, dependencies, project),
        _image(facts, selection, dependencies, project),
    )


def _development(facts: Facts, selection: Selection) -> Instructions:
    """The sources in place, the own packages editable, with what a build needs still there."""
    environ = ((facts.dev_switch_variable, "0" if selection.all_groups else "1"),)
    below = "dependencies" if selection.extends_prod else _tools_name(facts)
    return (
        Comment(lines=(f"The profile {selection.name}, on the sources in place.",)),
        From(image=below, name=selection.name),
        _sync_dependencies(facts, selection, environ),
        Copy(source=".", target="/app"),
        *(_editable(facts, environ, selection) if facts.local_packages else ()),
        *_inside(facts),
        *_started(facts, facts.start.development),
    )


def _editable(facts: Facts, environ: Pairs, selection: Selection) -> Instructions:
    install = _uv_command(facts, ("sync", "--locked", *selection.arguments), environ)
    return (
        Comment(lines=("The project, editable, and without the times of its sources.",)),
        Run(commands=(install, *_without_times()), mounts=_uv_mounts(facts, _TEMPORARY)),
    )


def _image(facts: Facts, selection: Selection, dependencies: str, project: str) -> Instructions:
    return (
        *_begun(facts, selection, dependencies),
        *((Copy(source="/project/", target="/", stage=project),) if facts.local_packages else ()),
        *_collected(facts),
        *(_source(facts) if facts.copies_source else ()),
        *_started(facts, facts.start.command),
    )


def _begun(facts: Facts, selection: Selection, dependencies: str) -> Instructions:
    """The image up to its environment."""
    name = f"The image of the profile {selection.name}"
    if not facts.stages.is_multi:
        return (Comment(lines=(f"{name}.",)), From(image=dependencies, name=selection.name))
    environment = Copy(source=_ENVIRONMENT, target=_ENVIRONMENT, stage=dependencies)
    why = Comment(lines=(f"{name}, without what only a build needs ({facts.stages.evidence}).",))
    if facts.base == "distroless":
        return (why, *_distroless(facts, selection), environment)
    checks = _library_check() if facts.built else ()
    return (why, From(image="base", name=selection.name), environment, *checks)


def _distroless(facts: Facts, selection: Selection) -> Instructions:
    return (
        From(image=facts.images.distroless, name=selection.name),
        *_surroundings(facts),
        Copy(source=managed_python.PYTHONS, target=managed_python.PYTHONS, stage=_PACKED),
    )


def _library_check() -> Instructions:
    """Fails where a library that was linked while building is not in the image.

    A wheel that was built here is tagged `linux_…`; an index takes none of that name (PEP 600).
    """
    return (
        Comment(lines=("A library that is not found here is for `runtime-packages` to bring.",)),
        Script(program="python", text=_LOAD_WHAT_WAS_BUILT),
    )


def _collected(facts: Facts) -> Instructions:
    if facts.static is None:
        return ()
    directory = facts.static.directory
    path = directory if directory.startswith("/") else f"{_directory(facts)}/{directory}"
    why = Comment(lines=("Before the source, since they change less often.",))
    return (why, Copy(source=path, target=path, stage="static"))


def _source(facts: Facts) -> Instructions:
    why = Comment(lines=("The source, a layer of its own: an edit changes this one alone.",))
    return (why, Copy(source=".", target="/app"), *_inside(facts))


def _inside(facts: Facts) -> Instructions:
    return () if facts.directory == "." else (Workdir(path=_directory(facts)),)


def _directory(facts: Facts) -> str:
    return "/app" if facts.directory == "." else f"/app/{facts.directory}"


def _started(facts: Facts, command: tuple[str, ...]) -> Instructions:
    start = facts.start
    return (
        Comment(lines=("The user owns nothing and has no home; some servers write into one.",)),
        Env(pairs=(("HOME", "/tmp"),)),  # noqa: S108  a directory every image has
        User(uid=facts.user),
        *((StopSignal(name=start.stop_signal),) if start.stop_signal else ()),
        *((Expose(port=start.port),) if start.port else ()),
        *_health(start),
        Comment(lines=(f"{start.evidence}.",)),
        Cmd(words=command),
    )


def _health(start: Start) -> Instructions:
    """-IS leaves out what a probe has no use for."""
    if not start.port or not start.probes:
        return ()
    probe = Healthcheck(words=("python", "-IS", "-c", _probe(start.port, start.health)))
    return (Comment(lines=("Asked by Python, since there is no curl.",)), probe)


def _probe(port: int, path: str | None) -> str:
    """Any answer below 500 proves a service that is well: it may refuse a host or redirect."""
    if path is None:
        return f"import socket; socket.create_connection(('127.0.0.1', {port}), 4).close()"
    return (
        "import http.client as h, sys; "
        f"c = h.HTTPConnection('127.0.0.1', {port}, timeout=4); "
        f"c.request('GET', {path!r}); sys.exit(c.getresponse().status >= 500)"
    )
