"""What goes wrong in a hand-written Dockerfile when the environment is built. Pure."""

import difflib
import itertools
import posixpath
import re
from collections.abc import Iterator

from uvflow.docker.lint import shell
from uvflow.docker.lint.model import (
    Dockerfile,
    Parsed,
    ShellCommand,
    Stage,
    Violations,
    relative,
)

_UV_IMAGE = re.compile(r"(?:.*/)?astral(?:-sh)?/uv(?::(?P<tag>[^@]+))?(?P<digest>@.+)?")
_INSTALLS_UV = re.compile(r"(?:python\S* -m )?pipx?\S* install\b.* uv(?:[<>~]\S*)?(?: |$)")
_INSTALLS = re.compile(r"uv pip (?:install|compile)\b|(?:\S*python\S* -m )?pip\S* install\b")
_PROJECT = re.compile(r"\./?(?:\[.*\])?|(?:.*/)?pyproject\.toml")
_COMPILERS = re.compile(r"gcc|g\+\+|clang|cmake|make|build-essential|rustc|cargo|.+-dev")
_ADDS = re.compile(r"apt(-get)? .*\binstall\b|apk .*\badd\b")
_PURGES = re.compile(r"\bapt(?:-get)? .{0,200}\b(?:purge|remove|autoremove)\b|\bapk del\b")
_REMOVES_CACHE = re.compile(r"\brm -\w+ [^;&]{0,200}\bcache\b|\buv cache clean\b")
_WITHOUT_PYTHON = re.compile(
    r"(?:.*/)?(?:debian|ubuntu|alpine|scratch|distroless/(?:cc|base|static)[\w-]*)(?:[:@].*)?"
)
# How a sync leaves the project out, or copies it into the environment.
_NOT_EDITABLE = (
    *("--no-editable", "--no-install-project", "--no-install-workspace", "--only-group"),
    *("UV_NO_EDITABLE", "UV_NO_INSTALL_PROJECT"),
)


def _uv_itself(linted: Dockerfile) -> Violations:
    named: list[tuple[Parsed | Stage, str | None]] = [(s, s.image) for s in linted.stages]
    for step in linted.everything:
        named += [(step, step.flag("from")), *((step, m.get("from")) for m in step.mounts)]
    for at, name in named:
        image = _UV_IMAGE.fullmatch(name or "")
        tag = (image["tag"] or "latest") if image else ""
        if "bookworm" in tag:
            yield "uv-bookworm-ended", at, f"{name}: those on bookworm ended with uv 0.9.30"
        elif image and not image["digest"] and not re.match(r"\d+\.\d+\.\d+|.*\$", tag):
            yield "uv-not-pinned", at, f"{name} may be another uv version in every build"
    for step in linted.everything:
        by_script = step.keyword in {"ADD", "RUN"} and "astral.sh/uv/install" in step.text
        if by_script or any(_INSTALLS_UV.match(each.text) for each in linted.commands([step])):
            yield "uv-installed-unpinned", step, "this leaves whatever uv is current in the image"


def _lockfile(linted: Dockerfile) -> Violations:
    reads = [c for c in linted.building if c.words[:2] in {("uv", "sync"), ("uv", "export")}]
    frozen = [command for command in reads if command.has("--frozen", "UV_FROZEN")]
    if frozen and len(frozen) == len(reads):
        yield "sync-frozen", frozen[0].step, "--frozen builds from a stale uv.lock, silently"
    for command in reads:
        is_locked = command in frozen or command.has("--locked", "--check", "UV_LOCKED")
        is_else = re.search(r"-[ef] \S*uv\.lock\b", command.step.text)  # where there is none
        if not is_locked and not is_else:
            name = " ".join(command.words[:2])
            yield "sync-not-locked", command.step, f"`{name}` resolves again if uv.lock is stale"
    for command in linted.building:
        match = _INSTALLS.match(command.text)
        if match and any(map(_PROJECT.fullmatch, command.words)):
            yield "lockfile-passed-over", command.step, f"`{match[0]}` passes over uv.lock"
        is_sync = command.starts("uv", "sync") or command.run_syncs
        if is_sync and not linted.is_without_dev(command):
            yield "sync-with-dev", command.step, "development dependencies get into the image"
        seen = (*command.step.bound, *command.state.files.values())
        is_somewhere = any(path == "" or path.endswith("pyproject.toml") for path in seen)
        # that a path which no instruction names may be there says that any may
        if is_sync and not is_somewhere and not linted.may_have("/-/pyproject.toml"):
            yield "sync-too-early", command.step, "there is no pyproject.toml yet: the build fails"
        mounted = tuple(posixpath.join("/", source, "") for source in command.step.bound)
        members = (m for m in linted.context.members if not f"/{m}/".startswith(mounted))
        unseen = [member for member in members if member not in command.state.files.values()]
        is_checked = command.starts("uv", "sync") and command.has("--locked")
        if unseen and is_checked and linted.knows_files:
            yield "members-not-seen", command.step, f"uv sync --locked fails without {unseen[0]}"


def _source(linted: Dockerfile) -> Violations:
    sources = [file for file in linted.context.files if file.endswith(".py")]
    for stage in linted.stages:
        inside = stage.inside
        named = ((i, tuple(f"{word}/" for word in i.copied)) for i in inside)
        copies = (i for i, n in named if i.copies_context or any(f.startswith(n) for f in sources))
        copy = next(copies, None)
        first = next((c for c in linted.commands(inside) if c.installs), None)
        if copy and first and copy in stage.instructions and copy.line < first.step.line:
            yield "source-before-dependencies", copy, "every edit of the source installs all anew"


def _layers(linted: Dockerfile) -> Violations:
    installs = [command for command in linted.building if command.installs]
    for command in installs:
        is_without = command.has("--no-cache", "--no-cache-dir", "-n", "UV_NO_CACHE")
        is_removed = _REMOVES_CACHE.search(command.step.text)
        chosen = command.environ.get("UV_CACHE_DIR", "")
        caches = (m.get("target", "") for m in command.step.mounts if m.get("type") == "cache")
        kept = (chosen.startswith(t) if chosen else ".cache" in t or "$" in t for t in caches)
        if not (is_without or is_removed or any(kept)):
            yield "uv-cache-in-layer", command.step, "uv's cache becomes part of the layer"
    by_uv = any(c.has("--compile-bytecode", "UV_COMPILE_BYTECODE") for c in installs)
    if installs and not by_uv and not any("compileall" in i.text for i in linted.everything):
        yield "no-bytecode", installs[0].step, "every start compiles all modules it imports"


def _modes(linted: Dockerfile) -> Violations:
    """A layer keeps a whole file whose owner or mode is changed."""
    made = [(c.step.line, c.environment) for c in linted.syncs if c.step in linted.image]
    made += [(step.line, target) for step, _, _, target in _copied_environments(linted)]
    for command in linted.commands(linted.image):
        if command.program in {"chgrp", "chmod", "chown"} and re.search(r" -\w*R", command.text):
            places = tuple(command.state.path(w).rstrip("/") for w in command.words[2:])
            for line, environment in made:
                if line < command.step.line and f"{environment}/".startswith(
                    tuple(f"{place}/" for place in places)
                ):
                    message = f"`{command.program} -R` puts {environment} into the image twice"
                    yield "environment-copied-again", command.step, message


def _debian_packages(linted: Dockerfile) -> Violations:
    for stage in linted.stages:
        commands = linted.commands(stage.instructions)
        for command in itertools.dropwhile(lambda c: not c.starts("uv", "sync"), commands):
            if _ADDS.match(command.text):
                yield "apt-after-sync", command.step, "apt runs again if a dependency changes"
    for command in (c for c in linted.commands(linted.image) if _ADDS.match(c.text)):
        compilers = [word for word in command.words if _COMPILERS.fullmatch(word)]
        if compilers and not _PURGES.search(command.step.text):
            yield "compiler-in-image", command.step, f"only a build needs {', '.join(compilers)}"
        is_handled = "/var/lib/apt" in f"{command.step.flags} {command.step.text}"
        if not is_handled and not command.starts("apk"):
            yield "apt-lists-kept", command.step, "the package lists stay in the layer"


def _stages(linted: Dockerfile) -> Violations:
    """A name that is like that of no stage may be an image."""
    names = [stage.name for stage in linted.stages if stage.name]
    for step in (step for step in linted.image if step.is_copy and not linted.source(step)):
        name = step.flag("from") or ""
        for meant in difflib.get_close_matches(name, names, n=1, cutoff=0.85):
            yield "copy-missing", step, f"there is no stage {name}, but {meant}"


def _build_context(linted: Dockerfile) -> Violations:
    has, fails = linted.context.has, ": the build fails with `failed to compute cache key`"
    every = linted.everything
    named = [("mount-missing", step, path, fails) for step in every for path in step.bound]
    named += [("copy-missing", s, path, " as it is now") for s in every for path in s.copied]
    missing = [each for each in named if not has(each[2])]
    if any("/" in path and has(path.partition("/")[2]) for _, _, path, _ in missing):
        return  # the build context is the directory above
    for code, step, path, rest in missing:
        yield code, step, f"{path} is not in the build context{rest}"


def _python(linted: Dockerfile) -> Violations:
    for command in linted.building:
        is_chosen = command.has("--install-dir", "-i") or "UV_PYTHON_INSTALL_DIR" in command.environ
        is_by_root = command.state.user in {"", "root", "0"}
        is_used_here = command.step in linted.image and linted.runs_as_root
        is_below_root = is_by_root and not is_used_here and not is_chosen
        if is_below_root and command.starts("uv", "python", "install"):
            yield "python-below-root", command.step, "no other user finds a Python below /root"
    copies = [word for i in linted.image if i.flag("from") for word in i.words[:-1]]
    brought = any("python" in i.text for i in linted.image if i.keyword == "RUN")
    for step, made, _, _ in _copied_environments(linted):
        folder = made.environ.get("UV_PYTHON_INSTALL_DIR")
        folders = (f"{folder}/",) if folder else ("/usr/local/bin/", "/root/.local/share/uv/")
        copied = any(f.startswith(f"{w.rstrip('/')}/") for w in copies for f in folders)
        if _WITHOUT_PYTHON.fullmatch(linted.base) and not brought and not copied:
            yield "python-not-there", step, "the Python of its environment is not in the image"
            return


def _environments(linted: Dockerfile) -> Violations:
    last = {}  # sync of a stage: it decides
    for step, made, source, target in _copied_environments(linted):
        if made.starts("uv", "sync"):
            last[step.line] = step, made
        if source != target and not all(shell.is_python(c.words) for c in linted.started):
            yield "environment-moved", step, f"its scripts name {source}: they will not start"
        stage = linted.source(step)
        inside = stage.inside if stage and step.words[0] == made.state.workdir else ()
        if any(each.copies_context for each in inside):
            yield "source-with-environment", step, "every edit pushes the environment as well"
    for step, sync in last.values():
        places = tuple(f"{sync.state.path(folder)}/" for folder in linted.context.packages)
        is_there = any(file.startswith(places) for file in linted.end.files)
        if places and linted.knows_files and not is_there and not sync.has(*_NOT_EDITABLE):
            yield "environment-without-source", step, f"the editable {places[0]} is not there"


def _copied_environments(
    linted: Dockerfile,
) -> Iterator[tuple[Parsed, ShellCommand, str, str]]:
    """The step that copies an environment into the image, what made it, the path before, after."""
    for step in linted.image:
        stage = linted.source(step)
        for command in linted.commands(stage.inside) if stage else ():
            environment = command.environment
            for copied in (f"/{relative(word)}" for word in step.words[:-1]):
                if environment and f"{environment}/".startswith(f"{copied}/"):
                    target = step.state.path(step.words[-1])
                    yield step, command, environment, target + environment[len(copied) :]


CHECKS = (
    *(_uv_itself, _lockfile, _source, _layers, _modes, _debian_packages, _python, _environments),
    *(_stages, _build_context),
)
