"""Facts as the text of a Dockerfile. Pure: the same facts give the same bytes.

The stages: `base` is the interpreter and what the image needs of Debian; `builder` (`uv` where
nothing is compiled) has the settings of uv; `dependencies` has the environment without the project;
`project` has the files that local packages add to it; `static` has collected static files; `python`
is a packed interpreter, for distroless; then one stage for each profile.
"""

import shlex

from uvflow.docker import managed_python
from uvflow.docker.facts import Facts
from uvflow.docker.instructions import (
    Command,
    Instruction,
    Instructions,
    Mount,
    Pairs,
    arg,
    begin_stage,
    cmd,
    command,
    comment,
    copy,
    env,
    expose,
    healthcheck,
    mount,
    run,
    script,
    stop_signal,
    user,
    workdir,
)
from uvflow.docker.start import Start
from uvflow.docker.targets import Selection

_ENVIRONMENT = "/venv"  # not below /app: a source tree mounted there would hide it
_PACKED_PYTHON = "python"
_PATH = f"{_ENVIRONMENT}/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
# -f, since Python has just cached what compileall itself imports, to be checked by file times.
_COMPILE = ("python", "-m", "compileall", "-qf", "--invalidation-mode", "unchecked-hash")
_CACHE = mount({"type": "cache", "target": "/root/.cache/uv"})
_TEMPORARY = mount({"type": "tmpfs", "target": "/tmp"})  # noqa: S108  builds leave locks there
_SOURCES = mount({"type": "bind", "target": "/app", "rw": None})

# Lists, logs and caches differ from one build to another.
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

# Parts of the official images' standard library that no service imports.
_UNUSED = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtledemo")


def render_dockerfile(facts: Facts) -> str:
    """The Dockerfile without its header."""
    *others, prod = facts.selections
    parts = (
        _base(facts),
        _tools(facts),
        _dependencies(facts, prod, "dependencies"),
        _project(facts, prod, "dependencies", "project"),
        _static(facts),
        managed_python.packed(_PACKED_PYTHON, "base") if facts.base == "distroless" else (),
        *(part for selection in others for part in _profile(facts, selection)),
        _image(facts, prod, "dependencies", "project"),
    )
    return "\n\n".join("\n".join(part).rstrip() for part in parts if part) + "\n"


def _base(facts: Facts) -> Instructions:
    if facts.base == "slim":
        image = facts.images.python
        why = "The standard library's byte code: the image has none, the user cannot write it."
        skipped = rf"/(site-packages|{'|'.join(_UNUSED)})/"
        library = f"/usr/local/lib/python{facts.python}"
        python: Instructions = (
            *_debian_packages(facts.system.runtime, "Needed by packages at run time."),
            comment(why),
            run(command(*_COMPILE, "-x", skipped, library)),
        )
    else:
        image = facts.images.debian
        packages = ("ca-certificates", "tzdata", *facts.system.runtime)
        python = (
            *_debian_packages(packages, "Needed by Python and packages at run time."),
            *managed_python.installed(facts, shlex.join(_COMPILE), (_uv(facts), _CACHE)),
        )
    evidence = comment(f"Python {facts.python}: {facts.python_evidence}.")
    return (evidence, begin_stage("base", image), *python, *_surroundings(facts))


def _surroundings(facts: Facts) -> Instructions:
    environment = {"PATH": _PATH, "PYTHONUNBUFFERED": "1", **dict(facts.environment)}
    return (
        workdir("/app"),
        comment("Programs of the environment come first; output is not buffered."),
        env(tuple(environment.items())),
    )


def _debian_packages(packages: tuple[str, ...], why: str) -> Instructions:
    if not packages:
        return ()
    install = ("apt-get", "install", "--yes", "--no-install-recommends", *packages)
    steps = (("apt-get", "update"), install, ("rm", "-rf", *_LEFT_BY_APT))
    return (
        comment(f"{why} Not pinned: Debian has one version at a time.", "hadolint ignore=DL3008"),
        run(*(command(*words) for words in steps)),
    )


def _tools(facts: Facts) -> Instructions:
    """Settings are arguments, not variables: those are for the build, and not part of the image."""
    strip = (
        comment("Strip symbols: they name the build directory, which is another in each build."),
        arg((("LDFLAGS", "-s"),)),
    )
    versions = (
        comment("The version, which comes from git's history: that is not in the build context."),
        *(arg(((name, "0.0.0"),)) for name in facts.version_variables),
    )
    return (
        comment("The settings of uv for every step below; arguments are not kept in the image."),
        begin_stage(_tools_stage(facts), "base"),
        *_debian_packages(facts.system.build, "Needed only by a build."),
        arg(_uv_settings(facts)),
        *(strip if facts.system.build else ()),
        *(versions if facts.version_variables else ()),
    )


def _uv_settings(facts: Facts) -> Pairs:
    is_slim = facts.base == "slim"
    managed = (
        ("UV_PYTHON_INSTALL_DIR", managed_python.PYTHONS),
        ("UV_PYTHON_PREFERENCE", "only-managed"),
    )
    return (
        ("UV_PROJECT_ENVIRONMENT", _ENVIRONMENT),
        ("UV_PYTHON", f"/usr/local/bin/python{facts.python}" if is_slim else facts.python),
        ("UV_PYTHON_DOWNLOADS", "never"),
        *(() if is_slim else managed),
        ("UV_LINK_MODE", "copy"),
        ("UV_COMPILE_BYTECODE", "1"),
        ("PYC_INVALIDATION_MODE", "UNCHECKED_HASH"),
    )


def _tools_stage(facts: Facts) -> str:
    return "builder" if facts.stages.is_multi else "uv"


def _dependencies(facts: Facts, selection: Selection, name: str) -> Instructions:
    return (
        comment("The environment without the project: changes when uv.lock does."),
        begin_stage(name, _tools_stage(facts)),
        comment("0 includes development dependencies; `--build-arg` changes it."),
        arg(_dev_switch(facts, selection)),
        _sync_dependencies(facts, selection),
    )


def _dev_switch(facts: Facts, selection: Selection) -> Pairs:
    return ((facts.dev_switch_variable, "0" if selection.all_groups else "1"),)


def _sync_dependencies(facts: Facts, selection: Selection, environ: Pairs = ()) -> Instruction:
    check = "--frozen" if facts.lock_check_needs_sources else "--locked"
    words = ("sync", check, facts.no_install_option, *selection.arguments)
    files = (
        mount({"type": "bind", "source": path, "target": f"/app/{path}"}) for path in facts.mounts
    )
    builds = (_TEMPORARY,) if facts.system.build else ()
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


def _project(facts: Facts, selection: Selection, below: str, name: str) -> Instructions:
    """What building and installing local packages adds to the environment, and only that.

    uv would compile all of the environment once more, which would change every one of its files.
    """
    if not facts.local_packages:
        return ()
    added = ("find", _ENVIRONMENT, "-cnewer", "/before")
    copied = ("cp", "--parents", "--preserve=mode,links", "--target-directory=/project", "{}", "+")
    install = ("sync", "--locked", "--no-editable", *selection.arguments)
    steps = (
        command("touch", "/before"),
        _uv_command(facts, install, environ=(("UV_COMPILE_BYTECODE", "0"),)),
        *_without_times(),
        command(*added, "-name", "*.py", "-exec", *_COMPILE, "{}", "+"),
        command("mkdir", "/project"),
        command(*added, "-not", "-type", "d", "-exec", *copied),
    )
    return (
        comment(
            f"The project, built from its sources: {', '.join(facts.local_packages)}.",
            "The files this adds to the environment are compiled and collected in /project,",
            "without the times of the sources.",
        ),
        begin_stage(name, below),
        run(*steps, mounts=_uv_mounts(facts, _SOURCES)),
    )


def _without_times() -> tuple[Command, ...]:
    """Remove uv's note of when sources were edited, so that equal sources give equal files."""
    has_row = ("-exec", "grep", "-q", "/uv_cache.json,", "{}", ";")
    without = ("-exec", "sed", "-i", "/uv_cache.json,/d", "{}", "+")
    return (
        command("find", _ENVIRONMENT, "-name", "RECORD", *has_row, *without),
        command("find", _ENVIRONMENT, "-name", "uv_cache.json", "-delete"),
    )


def _static(facts: Facts) -> Instructions:
    if facts.static is None:
        return ()
    collect = ("python", "manage.py", "collectstatic", "--no-input")
    return (
        comment("Static files, collected by the project itself."),
        begin_stage("static", "project" if facts.local_packages else "dependencies"),
        copy(".", "/app"),
        *_workdir(facts),
        run(command(*collect, environ=facts.static.environment)),
    )


def _profile(facts: Facts, selection: Selection) -> tuple[Instructions, ...]:
    """The stages of a profile other than prod."""
    if selection.is_development:
        return (_development(facts, selection),)
    dependencies, project = f"{selection.name}-dependencies", f"{selection.name}-project"
    return (
        _dependencies(facts, selection, dependencies),
        _project(facts, selection, dependencies, project),
        _image(facts, selection, dependencies, project),
    )


def _development(facts: Facts, selection: Selection) -> Instructions:
    """The sources in place, local packages editable, and what a build needs still there."""
    environ = _dev_switch(facts, selection)
    install = _uv_command(facts, ("sync", "--locked", *selection.arguments), environ)
    editable = (
        comment("The project, editable, and without the times of its sources."),
        run(install, *_without_times(), mounts=_uv_mounts(facts, _TEMPORARY)),
    )
    below = "dependencies" if selection.extends_prod else _tools_stage(facts)
    return (
        comment(f"The profile {selection.name}, on the sources in place."),
        begin_stage(selection.name, below),
        _sync_dependencies(facts, selection, environ),
        copy(".", "/app"),
        *(editable if facts.local_packages else ()),
        *_workdir(facts),
        *_started(facts, facts.start.development),
    )


def _image(facts: Facts, selection: Selection, dependencies: str, project: str) -> Instructions:
    source = (
        comment("The source, a layer of its own: an edit changes only this one."),
        copy(".", "/app"),
        *_workdir(facts),
    )
    return (
        *_image_with_environment(facts, selection, dependencies),
        *((copy("/project/", "/", project),) if facts.local_packages else ()),
        *_collected_files(facts),
        *(source if facts.copies_source else ()),
        *_started(facts, facts.start.command),
    )


def _image_with_environment(facts: Facts, selection: Selection, dependencies: str) -> Instructions:
    image = f"The image of the profile {selection.name}"
    if not facts.stages.is_multi:
        return (comment(f"{image}."), begin_stage(selection.name, dependencies))
    why = comment(f"{image}, without what only a build needs ({facts.stages.evidence}).")
    environment = copy(_ENVIRONMENT, _ENVIRONMENT, dependencies)
    if facts.base == "distroless":
        pythons = managed_python.PYTHONS
        return (
            why,
            begin_stage(selection.name, facts.images.distroless),
            *_surroundings(facts),
            copy(pythons, pythons, _PACKED_PYTHON),
            environment,
        )
    # Fails where a library that was linked while building is not in the image. A wheel that was
    # built here is tagged `linux_…`; an index takes none of that name (PEP 600).
    check = (
        comment("A library that is missing here belongs in `runtime-packages`."),
        script(_LOAD_WHAT_WAS_BUILT, "python"),
    )
    return (
        why,
        begin_stage(selection.name, "base"),
        environment,
        *(check if facts.built else ()),
    )


def _collected_files(facts: Facts) -> Instructions:
    if facts.static is None:
        return ()
    directory = facts.static.directory
    path = directory if directory.startswith("/") else f"{_directory(facts)}/{directory}"
    why = comment("Before the source, since they change less often.")
    return (why, copy(path, path, "static"))


def _workdir(facts: Facts) -> Instructions:
    return () if facts.directory == "." else (workdir(_directory(facts)),)


def _directory(facts: Facts) -> str:
    return "/app" if facts.directory == "." else f"/app/{facts.directory}"


def _started(facts: Facts, words: tuple[str, ...]) -> Instructions:
    start = facts.start
    return (
        comment("The user owns no file and has no home directory, which some servers write to."),
        env((("HOME", "/tmp"),)),  # noqa: S108  a directory every image has
        user(facts.user),
        *((stop_signal(start.stop_signal),) if start.stop_signal else ()),
        *((expose(start.port),) if start.port else ()),
        *_health(start),
        comment(f"{start.evidence}."),
        cmd(words),
    )


def _health(start: Start) -> Instructions:
    """Any answer below 500 is that of a healthy service: it may refuse a host or redirect."""
    if not start.port or not start.probes:
        return ()
    code = f"import socket; socket.create_connection(('127.0.0.1', {start.port}), 4).close()"
    if start.health is not None:
        code = (
            "import http.client as h, sys; "
            f"c = h.HTTPConnection('127.0.0.1', {start.port}, timeout=4); "
            f"c.request('GET', {start.health!r}); sys.exit(c.getresponse().status >= 500)"
        )
    words = ("python", "-IS", "-c", code)  # -IS: no site-packages
    return (comment("Probed by Python: the image has no curl."), healthcheck(words))
