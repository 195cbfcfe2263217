"""What goes wrong in a hand-written Dockerfile when the environment is built. Pure.

Each rule was met in a real Dockerfile of a uv project.
"""

import re
from collections.abc import Iterator

from uvflow.docker.lint.model import LintedDockerfile, ShellCommand, Violations, commands, rule
from uvflow.docker.lint.parse import Parsed
from uvflow.findings import Severity

_UV_IMAGE = re.compile(r"(?:.*/)?astral(?:-sh)?/uv(?::(?P<tag>[^@]+))?(?P<digest>@.+)?")
_PROJECTS = frozenset({"pyproject.toml", ".", "./"})
_PIP_INSTALLS_UV = re.compile(r"(?:python\S* -m )?pipx?\S* install\b.* uv(?:[<>~]\S*)?(?: |$)")
_WHATEVER_UV = "this installs whatever uv version is current, and leaves it in the image"
_TRUE = ("1", "true", "yes", "on")
_COMPILERS = re.compile(r"gcc|g\+\+|clang|cmake|make|build-essential|rustc|cargo|.+-dev")


@rule("uv-not-pinned", Severity.WARNING, "name a version: ghcr.io/astral-sh/uv:X.Y.Z")
def uv_is_not_pinned(linted: LintedDockerfile) -> Violations:
    for line, image in _uv_images(linted):
        tag = image["tag"] or "latest"
        if not image["digest"] and not re.match(r"\d+\.\d+\.\d+|.*(\$|bookworm)", tag):
            yield line, f"{image[0]} is not pinned: every build may use a different uv version"


@rule(
    "uv-bookworm-ended",
    Severity.WARNING,
    "use a tag on trixie, or mount uv: --mount=from=ghcr.io/astral-sh/uv:X.Y.Z",
)
def uv_images_of_bookworm(linted: LintedDockerfile) -> Violations:
    for line, image in _uv_images(linted):
        if "bookworm" in (image["tag"] or ""):
            yield line, f"{image[0]}: uv's images on bookworm ended with uv 0.9.30"


@rule(
    "uv-installed-unpinned",
    Severity.WARNING,
    "mount uv for the step: RUN --mount=from=ghcr.io/astral-sh/uv:X.Y.Z,source=/uv,target=/bin/uv",
)
def uv_installed_by_pip_or_script(linted: LintedDockerfile) -> Violations:
    for command in commands(linted.everything):
        if _PIP_INSTALLS_UV.match(" ".join(command.words)):
            yield command.step.line, _WHATEVER_UV
    for step in linted.everything:
        if step.keyword in {"ADD", "RUN"} and "astral.sh/uv/install" in step.text:
            yield step.line, _WHATEVER_UV


@rule("sync-not-locked", Severity.ERROR, "uv sync --locked")
def sync_without_lockfile_check(linted: LintedDockerfile) -> Violations:
    for command in linted.syncs():
        is_set = _is_set(linted, command, "UV_LOCKED", "UV_FROZEN")
        if not is_set and not command.has("--locked", "--frozen"):
            message = "`uv sync` resolves again in the build if uv.lock is stale or missing"
            yield command.step.line, message


@rule("lockfile-passed-over", Severity.ERROR, "uv sync --locked")
def lockfile_ignored(linted: LintedDockerfile) -> Violations:
    for command in linted.installs():
        if command.starts("uv", "pip", "install") and _PROJECTS & set(command.words):
            message = "`uv pip install` resolves again in every build, and ignores uv.lock"
            yield command.step.line, message


@rule(
    "sync-frozen",
    Severity.WARNING,
    "uv sync --locked, at the latest in the step that sees all of pyproject.toml",
)
def sync_frozen(linted: LintedDockerfile) -> Violations:
    environment = linted.environment_commands()
    reads = [c for c in environment if c.starts("uv", "sync") or c.starts("uv", "export")]
    frozen = [c for c in reads if c.has("--frozen") or _is_set(linted, c, "UV_FROZEN")]
    if frozen and len(frozen) == len(reads):
        message = "--frozen silently builds without a new dependency if uv.lock is stale"
        yield frozen[0].step.line, message


@rule("sync-with-dev", Severity.WARNING, "ARG UV_NO_DEV=1 before the first uv sync")
def sync_with_development(linted: LintedDockerfile) -> Violations:
    options = ("--no-dev", "--no-default-groups", "--only-group", "--no-group")
    for command in linted.syncs():
        is_set = _is_set(linted, command, "UV_NO_DEV", "UV_NO_DEFAULT_GROUPS")
        if not is_set and not command.has(*options):
            yield command.step.line, "development dependencies get into the image"


@rule(
    "source-before-dependencies",
    Severity.WARNING,
    "first uv sync --no-install-project with uv.lock and pyproject.toml mounted, "
    "then COPY the source",
)
def source_before_dependencies(linted: LintedDockerfile) -> Violations:
    for stage in linted.dockerfile.stages:
        inside = linted.dockerfile.inside(stage)
        source = next((i for i in inside if i.copies_context), None)
        first = next((c for c in commands(inside) if c.installs), None)
        if source and first and source in stage.instructions and source.line < first.step.line:
            message = "the source is copied before the dependencies: every edit reinstalls them"
            yield source.line, message


@rule(
    "source-with-environment",
    Severity.WARNING,
    "copy only the environment, then the source in a layer of its own: COPY --link . /app",
)
def source_with_environment(linted: LintedDockerfile) -> Violations:
    for step in linted.image:
        source = linted.dockerfile.stage(step.flag("from") or "") if step.is_copy else None
        path = step.words[0].rstrip("/") if source and step.words else None
        inside = linted.dockerfile.inside(source) if source else ()
        synced = any(command.starts("uv", "sync") for command in commands(inside))
        if synced and path == _last_workdir(inside) and any(i.copies_context for i in inside):
            message = f"{path} is one layer, source and environment: every edit pushes all of it"
            yield step.line, message


@rule(
    "uv-cache-in-layer", Severity.WARNING, "RUN --mount=type=cache,target=/root/.cache/uv uv sync …"
)
def cache_in_layer(linted: LintedDockerfile) -> Violations:
    for command in linted.installs():
        without = command.has("--no-cache", "-n") or _is_set(linted, command, "UV_NO_CACHE")
        if not without and not _is_cached(command):
            message = "uv's cache becomes part of the layer, and every build downloads again"
            yield command.step.line, message


@rule("uv-link-mode", Severity.NOTE, "ENV UV_LINK_MODE=copy")
def link_mode(linted: LintedDockerfile) -> Violations:
    for command in linted.syncs():
        is_set = "UV_LINK_MODE" in linted.environ(command) or command.has("--link-mode")
        if _is_cached(command) and not is_set:
            yield command.step.line, "uv warns that it cannot link files from a cache mount"
            return


@rule(
    "no-bytecode",
    Severity.WARNING,
    "ENV UV_COMPILE_BYTECODE=1, and PYC_INVALIDATION_MODE=UNCHECKED_HASH",
)
def no_byte_code(linted: LintedDockerfile) -> Violations:
    installs = list(linted.installs())
    compiled = any(
        command.has("--compile-bytecode") or _is_set(linted, command, "UV_COMPILE_BYTECODE")
        for command in installs
    )
    if installs and not compiled:
        message = "nothing is compiled: every start compiles all modules it imports"
        yield installs[0].step.line, message


@rule(
    "apt-after-sync",
    Severity.WARNING,
    "install Debian packages before the first uv sync, or not at all",
)
def apt_after_sync(linted: LintedDockerfile) -> Violations:
    for stage in linted.dockerfile.stages:
        before = None
        for command in commands(stage.instructions):
            if command.starts("uv", "sync"):
                before = command
            elif before and _apt_installs(command):
                message = "apt runs again if a dependency changes, and the sync did not need it"
                yield command.step.line, message


@rule(
    "compiler-in-image",
    Severity.WARNING,
    "build in a stage of its own, and copy the environment from it",
)
def compiler_in_image(linted: LintedDockerfile) -> Violations:
    for command in commands(linted.image):
        installs = _apt_installs(command) or command.starts("apk", "add")
        compilers = [w for w in command.words if _COMPILERS.fullmatch(w)]
        if installs and compilers:
            message = f"{', '.join(compilers)}: only a build needs that, but the image keeps it"
            yield command.step.line, message


@rule(
    "apt-lists-kept",
    Severity.NOTE,
    "apt-get update && apt-get install --yes --no-install-recommends … && "
    "rm -rf /var/lib/apt/lists/*, in one RUN",
)
def apt_lists(linted: LintedDockerfile) -> Violations:
    for command in commands(linted.image):
        mounted = any(m.get("target") == "/var/lib/apt" for m in command.step.mounts)
        removed = "/var/lib/apt/lists" in command.step.text
        if _apt_installs(command) and not mounted and not removed:
            yield command.step.line, "the package lists stay in the layer"


@rule(
    "python-version-not-seen",
    Severity.WARNING,
    "--mount=type=bind,source=.python-version,target=.python-version, or ENV UV_PYTHON=…",
)
def version_file_not_seen(linted: LintedDockerfile) -> Violations:
    if ".python-version" not in linted.context.files:
        return
    for command in linted.syncs():
        is_set = "UV_PYTHON" in linted.environ(command) or command.has("--python", "-p")
        sees = is_set or _sees(linted, command, ".python-version")
        if command.has("--no-install-project") and not sees:
            message = "without .python-version uv may choose another Python, and start over later"
            yield command.step.line, message


@rule("mount-missing", Severity.ERROR, "create it (`uv lock` creates uv.lock)")
def mount_source_missing(linted: LintedDockerfile) -> Violations:
    for step in linted.everything:
        for mount in step.mounts:
            source = mount.get("source", mount.get("src", ""))
            local = mount.get("type", "bind") == "bind" and "from" not in mount
            if local and source and source.strip("/") not in (*linted.context.files, "."):
                fails = "the build fails with `failed to compute cache key`"
                yield step.line, f"{source} does not exist: {fails}"


@rule(
    "members-not-seen",
    Severity.ERROR,
    "mount every member's pyproject.toml, or uv sync --frozen --no-install-workspace first",
)
def members_not_seen(linted: LintedDockerfile) -> Violations:
    for command in linted.syncs():
        missing = [m for m in linted.context.members if not _sees(linted, command, m)]
        if missing and command.has("--locked"):
            yield command.step.line, f"uv sync --locked fails without {missing[0]}"


@rule(
    "python-below-root", Severity.ERROR, "ENV UV_PYTHON_INSTALL_DIR=/python, and copy that as well"
)
def python_below_root(linted: LintedDockerfile) -> Violations:
    for command in linted.environment_commands():
        is_set = "UV_PYTHON_INSTALL_DIR" in linted.environ(command)
        if command.starts("uv", "python", "install") and not is_set:
            message = "Python is installed below /root, where no other user or stage finds it"
            yield command.step.line, message


@rule("environment-moved", Severity.ERROR, "keep the environment at one path in every stage")
def environment_moved(linted: LintedDockerfile) -> Violations:
    for step in linted.image:
        if step.is_copy and step.flag("from") and len(step.words) == 2:  # noqa: PLR2004
            source, target = (word.rstrip("/") for word in step.words)
            if "venv" in source and source != target and source.startswith("/"):
                message = f"scripts of {source} name it in their first line: they will not start"
                yield step.line, message


def _uv_images(linted: LintedDockerfile) -> Iterator[tuple[int, re.Match[str]]]:
    """Every image of uv that is named, with its line."""
    named = [(stage.line, stage.image) for stage in linted.dockerfile.stages]
    for step in linted.everything:
        images = (step.flag("from"), *(mount.get("from") for mount in step.mounts))
        named += [(step.line, image) for image in images if image]
    matches = ((line, _UV_IMAGE.fullmatch(image)) for line, image in named)
    yield from ((line, match) for line, match in matches if match)


def _is_set(linted: LintedDockerfile, command: ShellCommand, *names: str) -> bool:
    environ = linted.environ(command)
    return any(environ.get(name, "").lower() in _TRUE for name in names)


def _is_cached(command: ShellCommand) -> bool:
    return any(mount.get("type") == "cache" for mount in command.step.mounts)


def _last_workdir(inside: tuple[Parsed, ...]) -> str | None:
    paths = (step.text.rstrip("/") for step in reversed(inside) if step.keyword == "WORKDIR")
    return next(paths, None)


def _apt_installs(command: ShellCommand) -> bool:
    return command.words[:1] in {("apt",), ("apt-get",)} and "install" in command.words


def _sees(linted: LintedDockerfile, command: ShellCommand, path: str) -> bool:
    """Whether `path` of the context is mounted or copied where `command` runs."""
    for mount in command.step.mounts:
        source = mount.get("source", mount.get("src"))
        is_whole = source is None and mount.get("type") == "bind" and "from" not in mount
        if is_whole or source in (path, "."):
            return True
    stage = next(s for s in linted.dockerfile.stages if command.step in s.instructions)
    before = (i for i in linted.dockerfile.inside(stage) if i.line < command.step.line)
    words = [word for i in before if i.is_copy and not i.flag("from") for word in i.words[:-1]]
    copied = [word.removeprefix("./").rstrip("/") for word in words]
    return any(c in {"", ".", path} or path.startswith(f"{c}/") for c in copied)
