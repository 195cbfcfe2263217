"""What goes wrong in a hand-written Dockerfile while the environment is made. Pure.

One function, one rule; each was met in a real Dockerfile of a uv project.
"""

import re
from collections.abc import Iterator

from uvflow.docker.lint.model import FindingKind, LintedDockerfile, Rule, ShellCommand, commands
from uvflow.docker.lint.parse import Parsed
from uvflow.findings import Finding, Severity

_UV_IMAGE = re.compile(r"(?:.*/)?astral-sh/uv(?::(?P<tag>[^@]+))?(?P<digest>@.+)?")
_PROJECTS = frozenset({"pyproject.toml", ".", "./"})
_TRUE = ("1", "true", "yes", "on")
_COMPILERS = re.compile(r"gcc|g\+\+|clang|cmake|make|build-essential|rustc|cargo|.+-dev")


def uv_is_not_pinned(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="uv-not-pinned",
        severity=Severity.WARNING,
        fix="name a version: ghcr.io/astral-sh/uv:X.Y.Z",
    )
    for line, image in _images(reading):
        match = _UV_IMAGE.fullmatch(image)
        tag = match["tag"] or "latest" if match else "0.0.0"
        if match and not match["digest"] and not re.match(r"\d+\.\d+\.\d+", tag):
            message = f"{image} is another uv at each build, with the rules of another day"
            yield reading.finding(kind, line, message)


def uv_images_of_bookworm(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="uv-bookworm-ended",
        severity=Severity.ERROR,
        fix="take a tag on trixie, or mount uv: --mount=from=ghcr.io/astral-sh/uv:X.Y.Z",
    )
    for line, image in _images(reading):
        match = _UV_IMAGE.fullmatch(image)
        if match and "bookworm" in (match["tag"] or ""):
            message = f"{image}: uv's images on bookworm ended with uv 0.9.30"
            yield reading.finding(kind, line, message)


def uv_installed_by_pip_or_script(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="uv-installed-unpinned",
        severity=Severity.WARNING,
        fix="mount it for the step: RUN --mount=from=ghcr.io/astral-sh/uv:X.Y.Z,source=/uv,"
        "target=/bin/uv",
    )
    for command in commands(reading.everything):
        by_pip = re.match(r"(python\S* -m )?pip\S* install .*\buv$", " ".join(command.words))
        if by_pip or any("astral.sh/uv/install" in word for word in command.words):
            message = "uv comes as whatever version there is today, and stays in the image"
            yield reading.finding(kind, command.step.line, message)


def sync_without_lockfile_check(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(code="sync-not-locked", severity=Severity.ERROR, fix="uv sync --locked")
    for command in reading.syncs():
        told = command.has("--locked", "--frozen") or _is_set(
            reading, command, "UV_LOCKED", "UV_FROZEN"
        )
        if not told:
            message = "`uv sync` resolves anew in the build where uv.lock is stale or missing"
            yield reading.finding(kind, command.step.line, message)


def lockfile_passed_over(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(code="lockfile-passed-over", severity=Severity.ERROR, fix="uv sync --locked")
    for command in reading.installs():
        if command.starts("uv", "pip", "install") and _PROJECTS & set(command.words):
            message = "`uv pip install` resolves anew in each build, and does not read uv.lock"
            yield reading.finding(kind, command.step.line, message)


def sync_frozen(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="sync-frozen",
        severity=Severity.WARNING,
        fix="uv sync --locked, at the latest in the step that sees all of pyproject.toml",
    )
    found = reading.environment_commands()
    reads = [c for c in found if c.starts("uv", "sync") or c.starts("uv", "export")]
    frozen = [c for c in reads if c.has("--frozen") or _is_set(reading, c, "UV_FROZEN")]
    if frozen and len(frozen) == len(reads):
        message = (
            "--frozen builds without a new dependency where uv.lock is stale, and says nothing"
        )
        yield reading.finding(kind, frozen[0].step.line, message)


def sync_with_development(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="sync-with-dev",
        severity=Severity.WARNING,
        fix="ARG UV_NO_DEV=1 before the first uv sync",
    )
    options = ("--no-dev", "--no-default-groups", "--only-group", "--no-group")
    for command in reading.syncs():
        if not command.has(*options) and not _is_set(
            reading, command, "UV_NO_DEV", "UV_NO_DEFAULT_GROUPS"
        ):
            message = "the development dependencies get into the image"
            yield reading.finding(kind, command.step.line, message)


def source_before_dependencies(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="source-before-dependencies",
        severity=Severity.WARNING,
        fix="first uv sync --no-install-project with uv.lock and pyproject.toml mounted, "
        "then COPY the source",
    )
    for stage in reading.dockerfile.stages:
        inside = reading.dockerfile.inside(stage)
        source = next((i for i in inside if i.copies_context), None)
        first = next((c for c in commands(inside) if c.installs), None)
        if source and first and source in stage.instructions and source.line < first.step.line:
            message = "the source is copied before the dependencies: each edit installs them anew"
            yield reading.finding(kind, source.line, message)


def source_with_environment(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="source-with-environment",
        severity=Severity.WARNING,
        fix="copy the environment alone, then the source in a layer of its own: COPY --link . /app",
    )
    for step in reading.image:
        source = reading.dockerfile.stage(step.flag("from") or "") if step.is_copy else None
        path = step.words[0].rstrip("/") if source and step.words else None
        inside = reading.dockerfile.inside(source) if source else ()
        synced = any(command.starts("uv", "sync") for command in commands(inside))
        if synced and path == _last_workdir(inside) and any(i.copies_context for i in inside):
            message = f"{path} with source and environment is one layer: each edit pushes it all"
            yield reading.finding(kind, step.line, message)


def cache_in_the_layer(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="uv-cache-in-layer",
        severity=Severity.WARNING,
        fix="RUN --mount=type=cache,target=/root/.cache/uv uv sync …",
    )
    for command in reading.installs():
        without = command.has("--no-cache", "-n") or _is_set(reading, command, "UV_NO_CACHE")
        if not without and not _is_cached(command):
            message = "uv's cache becomes a part of the layer, and each build downloads anew"
            yield reading.finding(kind, command.step.line, message)


def link_mode(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(code="uv-link-mode", severity=Severity.NOTE, fix="ENV UV_LINK_MODE=copy")
    for command in reading.syncs():
        told = "UV_LINK_MODE" in reading.environ(command) or command.has("--link-mode")
        if _is_cached(command) and not told:
            message = "uv warns that it cannot make links from a cache mount"
            yield reading.finding(kind, command.step.line, message)
            return


def no_byte_code(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="no-bytecode",
        severity=Severity.WARNING,
        fix="ENV UV_COMPILE_BYTECODE=1, and PYC_INVALIDATION_MODE=UNCHECKED_HASH",
    )
    installs = list(reading.installs())
    compiled = any(
        command.has("--compile-bytecode") or _is_set(reading, command, "UV_COMPILE_BYTECODE")
        for command in installs
    )
    if installs and not compiled:
        message = "nothing is compiled: each start compiles every module it imports"
        yield reading.finding(kind, installs[0].step.line, message)


def apt_after_sync(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="apt-after-sync",
        severity=Severity.WARNING,
        fix="install Debian packages before the first uv sync, or not at all",
    )
    for stage in reading.dockerfile.stages:
        before = None
        for command in commands(stage.instructions):
            if command.starts("uv", "sync"):
                before = command
            elif before and _apt_installs(command):
                message = (
                    "apt runs again whenever a dependency changes, and the sync had no use of it"
                )
                yield reading.finding(kind, command.step.line, message)


def compiler_in_image(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="compiler-in-image",
        severity=Severity.WARNING,
        fix="build in a stage of its own, and copy the environment out of it",
    )
    for command in commands(reading.image):
        installs = _apt_installs(command) or command.starts("apk", "add")
        found = [w for w in command.words if _COMPILERS.fullmatch(w)] if installs else []
        if found:
            message = f"{', '.join(found)}: only a build needs that, and the image keeps it"
            yield reading.finding(kind, command.step.line, message)


def apt_lists(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="apt-lists-kept",
        severity=Severity.NOTE,
        fix="apt-get update && apt-get install --yes --no-install-recommends … && "
        "rm -rf /var/lib/apt/lists/*, in one RUN",
    )
    for command in commands(reading.image):
        mounted = any(m.get("target") == "/var/lib/apt" for m in command.step.mounts)
        removed = "/var/lib/apt/lists" in command.step.text
        if _apt_installs(command) and not mounted and not removed:
            message = "the package lists stay in the layer"
            yield reading.finding(kind, command.step.line, message)


def version_file_not_seen(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="python-version-not-seen",
        severity=Severity.WARNING,
        fix="--mount=type=bind,source=.python-version,target=.python-version, or ENV UV_PYTHON=…",
    )
    if ".python-version" not in reading.around.files:
        return
    for command in reading.syncs():
        told = "UV_PYTHON" in reading.environ(command) or command.has("--python", "-p")
        if (
            command.has("--no-install-project")
            and not told
            and not _sees(reading, command, ".python-version")
        ):
            message = "without .python-version uv may take another Python, and begin again later"
            yield reading.finding(kind, command.step.line, message)


def mounted_but_not_there(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="mount-missing", severity=Severity.ERROR, fix="make it (`uv lock` makes uv.lock)"
    )
    for step in reading.everything:
        for mount in step.mounts:
            source = mount.get("source", mount.get("src", ""))
            local = mount.get("type", "bind") == "bind" and "from" not in mount
            if local and source and source.strip("/") not in (*reading.around.files, "."):
                message = (
                    f"{source} is not there: the build fails with `failed to compute cache key`"
                )
                yield reading.finding(kind, step.line, message)


def members_not_seen(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="members-not-seen",
        severity=Severity.ERROR,
        fix="mount every member's pyproject.toml, or uv sync --frozen --no-install-workspace first",
    )
    for command in reading.syncs():
        missing = [m for m in reading.around.members if not _sees(reading, command, m)]
        if missing and command.has("--locked"):
            message = f"uv sync --locked fails without {missing[0]}"
            yield reading.finding(kind, command.step.line, message)


def python_below_root(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="python-below-root",
        severity=Severity.ERROR,
        fix="ENV UV_PYTHON_INSTALL_DIR=/python, and copy that as well",
    )
    for command in reading.environment_commands():
        told = "UV_PYTHON_INSTALL_DIR" in reading.environ(command)
        if command.starts("uv", "python", "install") and not told:
            message = "Python lands below /root, where no other user and no other stage finds it"
            yield reading.finding(kind, command.step.line, message)


def environment_moved(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="environment-moved",
        severity=Severity.ERROR,
        fix="keep the environment at one path in every stage",
    )
    for step in reading.image:
        if step.is_copy and step.flag("from") and len(step.words) == 2:  # noqa: PLR2004
            source, target = (word.rstrip("/") for word in step.words)
            if "venv" in source and source != target and source.startswith("/"):
                message = (
                    f"the scripts of {source} name it in their first line, so they do not start"
                )
                yield reading.finding(kind, step.line, message)


RULES: tuple[Rule, ...] = (
    uv_is_not_pinned,
    uv_images_of_bookworm,
    uv_installed_by_pip_or_script,
    sync_without_lockfile_check,
    lockfile_passed_over,
    sync_frozen,
    sync_with_development,
    source_before_dependencies,
    source_with_environment,
    cache_in_the_layer,
    link_mode,
    no_byte_code,
    apt_after_sync,
    compiler_in_image,
    apt_lists,
    version_file_not_seen,
    mounted_but_not_there,
    members_not_seen,
    python_below_root,
    environment_moved,
)


def _images(reading: LintedDockerfile) -> Iterator[tuple[int, str]]:
    """Every image that is named, with the line."""
    for stage in reading.dockerfile.stages:
        yield stage.line, stage.image
    for step in reading.everything:
        named = [step.flag("from"), *(mount.get("from") for mount in step.mounts)]
        yield from ((step.line, name) for name in named if name)


def _is_set(reading: LintedDockerfile, command: ShellCommand, *names: str) -> bool:
    environ = reading.environ(command)
    return any(environ.get(name, "").lower() in _TRUE for name in names)


def _is_cached(command: ShellCommand) -> bool:
    return any(mount.get("type") == "cache" for mount in command.step.mounts)


def _last_workdir(inside: tuple[Parsed, ...]) -> str | None:
    found = [step.text.rstrip("/") for step in inside if step.keyword == "WORKDIR"]
    return found[-1] if found else None


def _apt_installs(command: ShellCommand) -> bool:
    return (
        bool(command.words)
        and command.words[0] in {"apt", "apt-get"}
        and "install" in command.words
    )


def _sees(reading: LintedDockerfile, command: ShellCommand, path: str) -> bool:
    """Whether `path` of the context is mounted or copied where `command` runs."""
    if any(mount.get("source", mount.get("src")) in (path, ".") for mount in command.step.mounts):
        return True
    if any(
        "source" not in m and m.get("type") == "bind" and "from" not in m
        for m in command.step.mounts
    ):
        return True
    stage = next(s for s in reading.dockerfile.stages if command.step in s.instructions)
    before = (i for i in reading.dockerfile.inside(stage) if i.line < command.step.line)
    copied = [word for i in before if i.is_copy and not i.flag("from") for word in i.words[:-1]]
    return any(_covers(word.removeprefix("./").rstrip("/"), path) for word in copied)


def _covers(copied: str, path: str) -> bool:
    return copied in {"", ".", path} or path.startswith(f"{copied}/")
