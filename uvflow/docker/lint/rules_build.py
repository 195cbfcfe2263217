"""What goes wrong in a hand-written Dockerfile when the environment is built. Pure.

Each rule was met in a real Dockerfile of a uv project.
"""

import re
from collections.abc import Iterator

from uvflow.docker.lint import shell
from uvflow.docker.lint.model import LintedDockerfile, ShellCommand, Violations, relative
from uvflow.docker.lint.parse import Parsed, Stage

_UV_IMAGE = re.compile(r"(?:.*/)?astral(?:-sh)?/uv(?::(?P<tag>[^@]+))?(?P<digest>@.+)?")
_INSTALLS_UV = re.compile(r"(?:python\S* -m )?pipx?\S* install\b.* uv(?:[<>~]\S*)?(?: |$)")
_INSTALLS = re.compile(r"uv pip (?:install|compile)\b|(?:\S*python\S* -m )?pip\S* install\b")
_PROJECT = re.compile(r"\./?(?:\[.*\])?|(?:.*/)?pyproject\.toml")
_COMPILERS = re.compile(r"gcc|g\+\+|clang|cmake|make|build-essential|rustc|cargo|.+-dev")
_PURGES = re.compile(r"\bapt(?:-get)? .{0,200}\b(?:purge|remove|autoremove)\b|\bapk del\b")
_REMOVES_CACHE = re.compile(r"\brm -\w+ [^;&]{0,200}\bcache\b|\buv cache clean\b")
_WITHOUT_PYTHON = re.compile(
    r"(?:.*/)?(?:debian|ubuntu|alpine|scratch|distroless/(?:cc|base|static)[\w-]*)(?:[:@].*)?"
)


def _uv_itself(linted: LintedDockerfile) -> Violations:
    for step, image in _uv_images(linted):
        tag = image["tag"] or "latest"
        if "bookworm" in tag:
            yield "uv-bookworm-ended", step, f"{image[0]}: those on bookworm ended with uv 0.9.30"
        elif not image["digest"] and not re.match(r"\d+\.\d+\.\d+|.*\$", tag):
            message = f"{image[0]} is not pinned: every build may use a different uv version"
            yield "uv-not-pinned", step, message
    for step in linted.everything:
        by_script = step.keyword in {"ADD", "RUN"} and "astral.sh/uv/install" in step.text
        if by_script or any(
            _INSTALLS_UV.match(command.text) for command in linted.commands([step])
        ):
            message = "this installs whatever uv version is current, and leaves it in the image"
            yield "uv-installed-unpinned", step, message


def _lockfile(linted: LintedDockerfile) -> Violations:
    every = linted.building
    reads = [c for c in every if c.starts("uv", "sync") or c.starts("uv", "export")]
    frozen = [c for c in reads if c.has("--frozen") or c.is_set("UV_FROZEN")]
    if frozen and len(frozen) == len(reads):
        message = "--frozen silently builds without a new dependency if uv.lock is stale"
        yield "sync-frozen", frozen[0].step, message
    for command in reads:
        is_set = command in frozen or command.is_set("UV_LOCKED")
        is_else = re.search(r"-[ef] \S*uv\.lock\b", command.step.text)  # where there is none
        if not is_set and not is_else and not command.has("--locked", "--check"):
            name = " ".join(command.words[:2])
            message = f"`{name}` resolves again in the build if uv.lock is stale or missing"
            yield "sync-not-locked", command.step, message
    for command in every:
        match = _INSTALLS.match(command.text)
        if match and any(map(_PROJECT.fullmatch, command.words)):
            message = f"`{match[0]}` resolves again in every build, and ignores uv.lock"
            yield "lockfile-passed-over", command.step, message


def _selection(linted: LintedDockerfile) -> Violations:
    for command in linted.building:
        syncs = command.starts("uv", "sync")
        if (syncs or command.run_syncs) and not linted.is_without_dev(command):
            yield "sync-with-dev", command.step, "development dependencies get into the image"
        missing = [m for m in linted.context.members if not _sees(command, m)]
        if syncs and missing and command.has("--locked") and linted.knows_files:
            yield "members-not-seen", command.step, f"uv sync --locked fails without {missing[0]}"


def _layers(linted: LintedDockerfile) -> Violations:
    for stage in linted.dockerfile.stages:
        inside = linted.dockerfile.inside(stage)
        copy = next((i for i in inside if _copies_source(linted, i)), None)
        first = next((c for c in linted.commands(inside) if c.installs), None)
        if copy and first and copy in stage.instructions and copy.line < first.step.line:
            message = "the source is copied before the dependencies: every edit reinstalls them"
            yield "source-before-dependencies", copy, message
    for step in linted.image:
        source = linted.dockerfile.source(step)
        inside = linted.dockerfile.inside(source) if source else ()
        workdirs = {c.state.workdir for c in linted.commands(inside) if c.installs}
        if workdirs & {*step.words[:1]} and any(i.copies_context for i in inside):
            message = "source and environment are one layer: every edit pushes all of it"
            yield "source-with-environment", step, message


def _caches(linted: LintedDockerfile) -> Violations:
    installs = [command for command in linted.building if command.installs]
    for command in installs:
        without = command.has("--no-cache", "--no-cache-dir", "-n")
        without = without or command.is_set("UV_NO_CACHE")
        removed = _REMOVES_CACHE.search(command.step.text)
        if not without and not removed and not _is_cached(command):
            message = "uv's cache becomes part of the layer, and every build downloads again"
            yield "uv-cache-in-layer", command.step, message
    compiled = any("compileall" in i.text for i in linted.everything) or any(
        c.has("--compile-bytecode") or c.is_set("UV_COMPILE_BYTECODE") for c in installs
    )
    if installs and not compiled:
        message = "nothing is compiled: every start compiles all modules it imports"
        yield "no-bytecode", installs[0].step, message


def _debian_packages(linted: LintedDockerfile) -> Violations:
    for stage in linted.dockerfile.stages:
        is_after = False
        for command in linted.commands(stage.instructions):
            if is_after and command.installs_packages:
                message = "apt runs again if a dependency changes, and the sync did not need it"
                yield "apt-after-sync", command.step, message
            is_after = is_after or command.starts("uv", "sync")
    for command in (c for c in linted.commands(linted.image) if c.installs_packages):
        compilers = [word for word in command.words if _COMPILERS.fullmatch(word)]
        if compilers and not _PURGES.search(command.step.text):
            message = f"{', '.join(compilers)}: only a build needs that, but the image keeps it"
            yield "compiler-in-image", command.step, message
        mounted = any(m.get("target", "").startswith("/var/lib/apt") for m in command.step.mounts)
        removed = mounted or "/var/lib/apt/lists" in command.step.text
        if not removed and not command.starts("apk"):
            yield "apt-lists-kept", command.step, "the package lists stay in the layer"


def _files_of_the_context(linted: LintedDockerfile) -> Violations:
    fails = "the build fails with `failed to compute cache key`"
    for step in linted.everything:
        for source in linted.missing(step.bound):
            yield "mount-missing", step, f"{source} is not in the build context: {fails}"
        for source in linted.missing(step.copied):
            yield "copy-missing", step, f"{source} is not in the build context as it is now"


def _python(linted: LintedDockerfile) -> Violations:
    for command in linted.building:
        chosen = command.has("--install-dir", "-i")
        chosen = chosen or "UV_PYTHON_INSTALL_DIR" in command.environ
        by_root = command.state.user in {"", "root", "0"}
        is_used_here = command.step in linted.image and linted.runs_as_root
        is_below_root = by_root and not is_used_here and not chosen
        if is_below_root and command.starts("uv", "python", "install"):
            message = "Python is installed below /root, where no other user or stage finds it"
            yield "python-below-root", command.step, message
    copies = [word for i in linted.image if i.is_copy and i.flag("from") for word in i.words[:-1]]
    brought = any("python" in i.text for i in linted.image if i.keyword == "RUN")
    for step, sync, _, _ in _copied_environments(linted):
        folder = sync.environ.get("UV_PYTHON_INSTALL_DIR")
        folders = (f"{folder}/",) if folder else ("/usr/local/bin/", "/root/.local/share/uv/")
        copied = any(f.startswith(f"{w.rstrip('/')}/") for w in copies for f in folders)
        if _WITHOUT_PYTHON.fullmatch(linted.base) and not brought and not copied:
            message = "the environment needs the Python of its stage, which is not in the image"
            yield "python-not-there", step, message
            return


def _environments(linted: LintedDockerfile) -> Violations:
    last = {}  # sync of a stage: it decides
    for step, sync, source, target in _copied_environments(linted):
        if sync.starts("uv", "sync"):
            last[step.line] = step, sync
        if source != target and not all(shell.is_python(c.words) for c in linted.started):
            message = f"scripts of {source} name it in their first line: they will not start"
            yield "environment-moved", step, message
    options = ("--no-editable", "--no-install-project", "--no-install-workspace", "--only-group")
    variables = ("UV_NO_EDITABLE", "UV_NO_INSTALL_PROJECT")
    for step, sync in last.values():
        is_copy = sync.has(*options) or sync.is_set(*variables) or not linted.knows_files
        state = sync.state
        places = tuple(f"{state.path(folder)}/" for folder in linted.context.packages)
        if places and not is_copy and not any(f.startswith(places) for f in linted.end.files):
            message = f"the project is installed editable, and {places[0]} is not in the image"
            yield "environment-without-source", step, message


CHECKS = (
    *(_uv_itself, _lockfile, _selection, _layers, _caches, _debian_packages, _python),
    *(_environments, _files_of_the_context),
)


def _copied_environments(
    linted: LintedDockerfile,
) -> Iterator[tuple[Parsed, ShellCommand, str, str]]:
    """The step that copies an environment into the image, what made it, the path before, after."""
    for step in linted.image:
        stage = linted.dockerfile.source(step)
        for command in linted.commands(linted.dockerfile.inside(stage)) if stage else ():
            environment = command.environment
            for copied in (f"/{relative(word)}" for word in step.words[:-1]):
                if environment and f"{environment}/".startswith(f"{copied}/"):
                    target = linted.states[step.line].path(step.words[-1])
                    yield step, command, environment, target + environment[len(copied) :]


def _uv_images(linted: LintedDockerfile) -> Iterator[tuple[Parsed | Stage, re.Match[str]]]:
    """Every image of uv that is named, and where."""
    named: list[tuple[Parsed | Stage, str]] = [(s, s.image) for s in linted.dockerfile.stages]
    for step in linted.everything:
        images = (step.flag("from"), *(mount.get("from") for mount in step.mounts))
        named += [(step, image) for image in images if image]
    matches = ((step, _UV_IMAGE.fullmatch(image)) for step, image in named)
    yield from ((step, match) for step, match in matches if match)


def _is_cached(command: ShellCommand) -> bool:
    chosen = command.environ.get("UV_CACHE_DIR", "")
    caches = (m.get("target", "") for m in command.step.mounts if m.get("type") == "cache")
    return any(chosen.startswith(t) if chosen else ".cache" in t or "$" in t for t in caches)


def _sees(command: ShellCommand, path: str) -> bool:
    """Whether `path` of the context is mounted or copied where `command` runs."""
    sources = map(relative, command.step.bound)
    mounted = any(source in {"", path} or path.startswith(f"{source}/") for source in sources)
    return mounted or path in command.state.files.values()


def _copies_source(linted: LintedDockerfile, step: Parsed) -> bool:
    """Whether it copies a directory of sources, or all of the build context."""
    folders = tuple(f"{relative(word)}/" for word in step.copied)
    sources = (file for file in linted.context.files if file.endswith(".py"))
    return step.copies_context or any(file.startswith(folders) for file in sources)
