"""Facts as the text of a Dockerfile. Pure: the same facts give the same bytes.

The stages: `base` is the interpreter and what the image needs of Debian; `builder` (`uv` where
nothing is compiled) has the settings of uv; `dependencies` has the environment without the project;
`project` has the files that local packages add to it; `static` has collected static files; `python`
is a packed interpreter, for distroless; then one stage for each profile. The environment is in
/venv: below /app a source tree mounted there would hide it. Every value in a text goes through
instructions.py, which escapes it: a test holds that.
"""

import posixpath

from uvflow.docker import managed_python
from uvflow.docker.debian import LIBRARIES
from uvflow.docker.facts import Facts
from uvflow.docker.instructions import (
    Mount,
    assignments,
    command,
    comment,
    image,
    json_array,
    mounts,
    paths,
    stage,
    workdir,
)
from uvflow.project.profiles import Profile

_CACHE = {"type": "cache", "target": "/root/.cache/uv"}
_TEMPORARY = {"type": "tmpfs", "target": "/tmp"}  # noqa: S108  builds leave locks there
_SOURCES = {"type": "bind", "target": "/app", "rw": None}
_PATH = "/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


def render_dockerfile(facts: Facts) -> str:
    """The Dockerfile without its header."""
    *others, prod = facts.selections
    stages = [_base(facts), _tools(facts), _dependencies(facts, prod), _project(facts, prod)]
    stages.append(_static(facts))
    if facts.base == "distroless":
        stages.append(managed_python.PACKED)
    for selection in others:
        if selection.editable:
            stages.append(_development(facts, selection))
        else:
            stages += [_dependencies(facts, selection), _project(facts, selection)]
            stages.append(_image(facts, selection))
    stages.append(_image(facts, prod))
    return "\n\n".join(stage.rstrip() for stage in stages if stage) + "\n"


def _base(facts: Facts) -> str:
    if facts.base == "slim":
        # Less what no service imports. -f, since Python has just cached what compileall itself
        # imports, to be checked by file times.
        python = f"""\
# The standard library's byte code: the image has none, the user cannot write it.
RUN python -m compileall -qf --invalidation-mode unchecked-hash -x \\
      '/(site-packages|ensurepip|idlelib|lib2to3|pydoc_data|test|tkinter|turtledemo)/' \\
      /usr/local/lib/python{command(facts.python)}
"""
    else:
        # It keeps what compiling needs where something is compiled.
        thin = "" if facts.system.build else managed_python.THIN
        python = f"{managed_python.INSTALL}{thin}{managed_python.COMPILE}".format(
            mounts=mounts(_uv(facts), _CACHE),
            python=command(facts.python),
            release=command(facts.python_release),
        )
    return f"""\
# Python {comment(facts.python)}: {comment(facts.python_evidence)}.
FROM {image(facts.images["base"])} AS base
{_run_time_packages(facts, "slim", "managed")}{python}{_surroundings(facts)}"""


def _run_time_packages(facts: Facts, *bases: str) -> str:
    """For these bases only: where distroless needs none, apt would take longer than uv."""
    return _packages(facts.system.runtime if facts.base in bases else (), "Needed at run time.")


def _packages(packages: tuple[str, ...], why: str) -> str:
    if not packages:
        return ""
    install = command("apt-get", "install", "--yes", "--no-install-recommends", *packages)
    # Lists, logs and caches differ from one build to another.
    return rf"""# {comment(why)} Not pinned: Debian has one version at a time.
# hadolint ignore=DL3008
RUN apt-get update \
 && {install} \
 && rm -rf /var/lib/apt/lists /var/cache/ldconfig /var/log/alternatives.log /var/log/apt \
      /var/log/dpkg.log
"""


def _surroundings(facts: Facts) -> str:
    variables = {"PATH": _PATH, "PYTHONUNBUFFERED": "1", **dict(facts.environment)}
    return f"""WORKDIR /app
# Programs of the environment come first; output is not buffered.
ENV {assignments(variables)}
"""


def _tools(facts: Facts) -> str:
    python = {"UV_PYTHON": f"/usr/local/bin/python{facts.python}", "UV_PYTHON_DOWNLOADS": "never"}
    if facts.base != "slim":
        python["UV_PYTHON"] = facts.python_release
        python["UV_PYTHON_INSTALL_DIR"] = "/python"
        python["UV_PYTHON_PREFERENCE"] = "only-managed"
    compiling = {"UV_COMPILE_BYTECODE": "1", "PYC_INVALIDATION_MODE": "UNCHECKED_HASH"}
    settings = {"UV_PROJECT_ENVIRONMENT": "/venv", **python, "UV_LINK_MODE": "copy", **compiling}
    packages, strip = "", ""
    runtime = facts.system.runtime if facts.base == "distroless" else ()
    if facts.system.build or facts.reads_certificates:
        packages = _packages((*runtime, *facts.system.build), "Needed only by a build.")
    if facts.system.build:
        strip = """# Strip symbols: they name the build directory, which is another in each build.
ARG LDFLAGS=-s
"""
    return f"""# The settings of uv for every step below; arguments are not kept in the image.
FROM base AS {_tools_stage(facts)}
{packages}ARG {assignments(settings)}
{strip}"""


def _tools_stage(facts: Facts) -> str:
    return "builder" if facts.has_builder else "uv"


def _stage_of(selection: Profile, what: str) -> str:
    return stage(what if selection.name == "prod" else f"{stage(selection.name)}-{what}")


def _dependencies(facts: Facts, selection: Profile) -> str:
    return f"""# The environment without the project: changes when uv.lock does.
FROM {_tools_stage(facts)} AS {_stage_of(selection, "dependencies")}
# 0 includes development dependencies; `--build-arg` changes it.
ARG {assignments(_dev_switch(facts, selection))}
{_sync_dependencies(facts, selection)}"""


def _dev_switch(facts: Facts, selection: Profile) -> dict[str, str]:
    return {facts.dev_switch_variable: "0" if selection.groups is None else "1"}


def _sync_dependencies(facts: Facts, selection: Profile, **environ: str) -> str:
    check = "--frozen" if facts.lock_check_needs_sources else "--locked"
    sync = _sync(facts, selection, check, facts.no_install_option, **environ)
    files = ({"type": "bind", "source": path, "target": f"/app/{path}"} for path in facts.mounts)
    builds = [_TEMPORARY] if facts.system.build or facts.built else []
    return f"RUN {_uv_mounts(facts, *builds, *files)}{sync}\n"


def _sync(facts: Facts, selection: Profile, *options: str, **environ: str) -> str:
    if facts.uses_ssh:
        environ["GIT_SSH_COMMAND"] = "ssh -o StrictHostKeyChecking=accept-new"
    words = ("uv", "sync", *options, *arguments(selection))
    return command(*words, environ=environ, secrets=facts.secrets)


def arguments(profile: Profile) -> tuple[str, ...]:
    """What selects for uv what it installs besides what the dev switch variable leaves."""
    groups, extras, package = profile.groups or None, profile.extras, profile.package
    chosen = Profile(profile.name, groups=groups, extras=extras, package=package)
    return tuple(word for word in chosen.selection() if word != "--no-default-groups")


def _uv_mounts(facts: Facts, *more: Mount) -> str:
    secrets = ({"type": "secret", "id": name, "required": "true"} for name in facts.secrets)
    ssh = [{"type": "ssh"}] if facts.uses_ssh else []
    return mounts(_uv(facts), _CACHE, *more, *secrets, *ssh)


def _uv(facts: Facts) -> Mount:
    return {"type": "bind", "from": facts.images["uv"], "source": "/uv", "target": "/bin/uv"}


def _project(facts: Facts, selection: Profile) -> str:
    """What building and installing local packages adds to the environment, and only that.

    uv would compile all of the environment once more, which would change every one of its files.
    """
    if not facts.local_packages:
        return ""
    install = _sync(facts, selection, "--locked", "--no-editable", UV_COMPILE_BYTECODE="0")
    return rf"""# The project, built from its sources: {comment(", ".join(facts.local_packages))}.
# The files this adds to the environment are compiled and collected in /project,
# without the times of the sources.
FROM {_stage_of(selection, "dependencies")} AS {_stage_of(selection, "project")}
{_versions(facts)}RUN {_uv_mounts(facts, _SOURCES)}touch /before \
 && {install} \
 && {_REMOVE_TIMES} \
 && find /venv -cnewer /before -name '*.py' -exec python -m compileall -qf --invalidation-mode \
      unchecked-hash '{{}}' + \
 && mkdir /project \
 && find /venv -cnewer /before -not -type d -exec cp --parents --preserve=mode,links \
      --target-directory=/project '{{}}' +
"""


def _versions(facts: Facts) -> str:
    """After the dependencies, which another version leaves as they are."""
    if not facts.version_variables:
        return ""
    return f"""\
# The version, which comes from git's history: that is not in the build context.
ARG {assignments(dict.fromkeys(facts.version_variables, "0.0.0"))}
"""


# uv's note of when sources were edited, so that equal sources give equal files.
_REMOVE_TIMES = """\
find /venv -name RECORD -exec grep -q /uv_cache.json, '{}' ';' -exec sed -i /uv_cache.json,/d \\
      '{}' + \\
 && find /venv -name uv_cache.json -delete"""


def _static(facts: Facts) -> str:
    if facts.static is None:
        return ""
    collect = ("python", facts.static.manage, "collectstatic", "--no-input")
    made = command("mkdir", "-p", facts.static.directory)  # where there is no file to collect
    paths_of = {key: value for key, value in facts.environment if key == "PYTHONPATH"}
    environ = {**paths_of, **dict(facts.static.environment)}
    return rf"""# Static files, collected by the project itself.
FROM {"project" if facts.local_packages else "dependencies"} AS static
{_run_time_packages(facts, "distroless")}COPY --link . /app
{_workdir(facts)}RUN {command(*collect, environ=environ)} \
 && {made}
"""


def _workdir(facts: Facts) -> str:
    return "" if facts.directory == "." else f"WORKDIR {workdir(f'/app/{facts.directory}')}\n"


def _development(facts: Facts, selection: Profile) -> str:
    """The sources in place, local packages editable, and what a build needs still there."""
    switch, editable = _dev_switch(facts, selection), ""
    if facts.local_packages:
        sync = _sync(facts, selection, "--locked", **switch)
        editable = rf"""# The project, editable, and without the times of its sources.
{_versions(facts)}RUN {_uv_mounts(facts, _TEMPORARY)}{sync} \
 && {_REMOVE_TIMES}
"""
    packages = _run_time_packages(facts, "distroless")
    return f"""# The profile {stage(selection.name)}, on the sources in place.
FROM dependencies AS {stage(selection.name)}
{packages}{_sync_dependencies(facts, selection, **switch)}COPY --link . /app
{editable}{_workdir(facts)}{_start(facts, facts.start.development)}"""


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


def _image(facts: Facts, selection: Profile) -> str:
    why, dependencies = "", _stage_of(selection, "dependencies")
    below, environment = "base", f"COPY --link --from={dependencies} /venv /venv\n"
    check = f"RUN python <<'END'\n{CHECK_LIBRARIES}\nEND\n\n"
    if facts.has_builder:
        why = f", without what only a build needs ({comment(facts.stages_evidence)})"
    if facts.base == "distroless":
        below, python = facts.images["distroless"], "COPY --link --from=python /python /python\n"
        environment = f"{_surroundings(facts)}{python}{environment}"
        # As this user, since that of the image has no group, which engines may not find.
        user = f"USER {facts.user:d}:{facts.user:d}\n"
        check = f"{user}RUN {json_array(('python', '-c', CHECK_LIBRARIES))}\n"
    elif not facts.has_builder:
        below, environment = dependencies, ""
    project = f"COPY --link --from={_stage_of(selection, 'project')} /project/ /\n"
    return f"""# The image of the profile {stage(selection.name)}{why}.
FROM {image(below)} AS {stage(selection.name)}
{environment}# Fails where a library that packages need is not in the image.
{check}{project if facts.local_packages else ""}{_copied_files(facts)}\
LABEL {assignments(dict(facts.labels))}
{_start(facts, facts.start.command)}"""


def _copied_files(facts: Facts) -> str:
    static = source = ""
    if facts.static:
        path = posixpath.normpath(f"/app/{facts.directory}/{facts.static.directory}")
        static = f"""# Before the source, since they change less often.
COPY --link --from=static {paths(path, path)}
"""
    if facts.copies_source:
        source = f"""# The source, a layer of its own: an edit changes only this one.
COPY --link . /app
{_workdir(facts)}"""
    return static + source


# A service that redirects or wants to know who asks is healthy. The engine keeps what is printed.
_PROBE = (
    "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', {port}, timeout=4); "
    "c.request('GET', {path!r}{host}); s = c.getresponse().status; "
    "sys.exit(s >= 400 and s not in {accepted} and f'status {{s}}')"
)
_CONNECT = "import socket; socket.create_connection(('127.0.0.1', {port}), 4).close()"


def _start(facts: Facts, words: tuple[str, ...]) -> str:
    start, probe = facts.start, ""
    signal = "" if start.ends_at_sigterm else "STOPSIGNAL SIGINT\n"
    port = f"EXPOSE {start.port:d}\n" if start.port else ""
    if start.port and start.probes:
        code = _CONNECT if start.health is None else _PROBE
        # Where the service listens on the PORT that it is given, so does the probe.
        is_given = start.reads_port or any("$PORT" in word or "${PORT" in word for word in words)
        given = f"__import__('os').environ.get('PORT', {start.port})"
        host = f", headers={{'Host': {start.host!r}}}" if start.host else ""
        accepted = (400, 401, 403) if start.host is None else (401, 403)
        values = {"path": start.health, "host": host, "accepted": accepted}
        code = code.format(port=given if is_given else start.port, **values)
        probe = rf"""# Probed by Python: the image has no curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD {json_array(("python", "-IS", "-c", code))}
"""  # -IS: no site-packages
    return f"""# The user owns no file and has no home directory, which some servers write to.
ENV HOME=/tmp
USER {facts.user:d}:{facts.user:d}
{signal}{port}{probe}# {comment(start.evidence)}.
{"ENTRYPOINT" if start.is_program else "CMD"} {json_array(words)}
"""
