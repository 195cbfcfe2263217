"""What goes wrong in a hand-written Dockerfile when the environment is built. Pure."""

import itertools
import re
from collections.abc import Callable, Iterator

from uvflow.docker.base_image import newest_release, specifier
from uvflow.docker.lint import shell
from uvflow.docker.lint.model import (
    BY_PIP,
    NO_PROJECT,
    Dockerfile,
    ShellCommand,
    Stage,
    Violations,
)
from uvflow.docker.lint.parse import Parsed, expanded, relative
from uvflow.project.manifest import canonical_name

_UV_IMAGE = re.compile(r"(?:.*/)?astral(?:-sh)?/uv(?::(?P<tag>[^@]+))?(?P<digest>@.+)?")
_INSTALLS_UV = re.compile(
    r"(?:python\S* -m )?pipx?\S* install\b.* (uv|poetry|pdm|pipenv)(?:[<>~]\S*)?(?: |$)"
)
_TOOL = re.compile(r"uv tool install (?!.*(?:==|@| --?c))(?:-\S+ )*([A-Za-z][\w-]*)(?: |$)")
_INSTALLS = re.compile(
    r"uv pip (?:install|compile)\b|(?:\S*python\S* -m )?pip\S* install\b"
    r"|\S*\b(?:pdm|pipenv|poetry) (?:install|sync)\b"
)
_HIDES = re.compile(r"\buv sync\b(?:[^;|\n(){}]|\{\})*\|\|\s*(?:true|:)(?=\s|$)")
_LOCKS = re.compile(r"uv (?:add|lock)\b(?!.* --(?:check|dry-run|frozen|locked|script)\b)")
# Options of pip and uv that have no value, and what is installed by its name.
_FLAG = re.compile(
    r"[^-].*|-[IUqvy]+|--[\w-]+=.*|--(?:no-(?!binary|build-p)[\w-]+|user|system|upgrade|quiet|pre"
    r"|(?:force-)?reinstall|(?:ignore|break|compile|disable)-[\w-]+)"
)
_NAMED = re.compile(r"([A-Za-z][\w.-]*)(?:\[[\w,.-]*\])?(?:[<>=!~].*)?")
_TOOLS = {"build", "hatch", "pdm", "pip", "pipenv", "pipx", "poetry", "setuptools", "uv", "wheel"}
_LOCKFILES = {"pdm": "pdm.lock", "pipenv": "Pipfile.lock", "poetry": "poetry.lock"}
_PROJECT = re.compile(r"\./?(?:\[.*\])?|(?:.*/)?pyproject\.toml")
_COMPILERS = re.compile(r"gcc|g\+\+|clang|cmake|make|build-essential|rustc|cargo|.+-dev")
_ADDS = re.compile(r"apt(-get)? .*\binstall\b|apk .*\badd\b")
_UPDATES = re.compile(r"apt(-get)? .*\bupdate\b")
_PURGES = re.compile(
    r"\bapt(?:-get)? .{0,200}\b(?:purge|remove|autoremove)\b|\bapk\b.{0,200}\bdel\b"
)
_WITHOUT_CACHE = ("--no-cache", "--no-cache-dir", "-n", "UV_NO_CACHE", "PIP_NO_CACHE_DIR")
_REMOVES_CACHE = re.compile(r"\brm -\w+ [^;&]{0,200}\bcache\b|\buv cache clean\b")
_WITHOUT_PYTHON = re.compile(
    r"(?:.*/)?(?:(?:alpine|debian|ubuntu)(?:[:@].*)?|distroless/(?!python)[\w:-]+|astral(?:-sh)?/uv:(?!.*python).*)"
    r"|scratch"
)
_BRINGS_PYTHON = re.compile(r"python|pyenv|conda|mise|asdf")
# What is no image of the Docker library, but a stage, or a build context that a command names.
_BARE = re.compile(
    r"(?!(?:alpine|bash|busybox|caddy|composer|debian|docker|golang|gradle|httpd|maven|nginx|node"
    r"|php|postgres|python|redis|ruby|rust|traefik|ubuntu)$)[a-z][\w-]*"
)
_NAMES_CONTEXTS = re.compile(
    r"(?:.*/)?(?:[^/]+\.(?:hcl|sh|ya?ml)|docker-bake.*\.json|\w*[Mm]akefile)"
)
_NOT_EDITABLE = ("--no-editable", "UV_NO_EDITABLE", *NO_PROJECT)


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
        texts = [command.text for command in linted.commands([step])]
        by_pip = filter(None, (_INSTALLS_UV.match(t) or _TOOL.match(t) for t in texts))
        if tool := "uv" if by_script else next((match[1] for match in by_pip), None):
            message = f"this installs whatever {tool} is current"
            yield "uv-installed-unpinned", step, message


def _lockfile(linted: Dockerfile) -> Violations:
    reads = [c for c in linted.building if c.words[:2] in {("uv", "sync"), ("uv", "export")}]
    frozen = [command for command in reads if command.has("--frozen", "UV_FROZEN")]
    if frozen and len(frozen) == len(reads):
        step = frozen[0].step
        if linted.context.is_stale():
            yield "lockfile-stale", step, "uv.lock is stale, and --frozen builds from it"
        elif not linted.lacks_manifests(frozen[-1]):  # or --locked would fail
            yield "sync-frozen", step, "--frozen builds from a stale uv.lock, silently"
    for command in reads:
        is_locked = command in frozen or command.has("--locked", "--check", "UV_LOCKED")
        is_else = re.search(r"-[ef] \S*uv\.lock\b", command.step.text)  # where there is none
        if not is_locked and not is_else:
            name = " ".join(command.words[:2])
            files = (*command.state.files.values(), *command.step.bound)
            is_there = any(file == "" or file.endswith("uv.lock") for file in files)
            why = "if uv.lock is stale" if is_there else "in every build: uv.lock is not there"
            yield "sync-not-locked", command.step, f"`{name}` resolves again {why}"
    for command in linted.building:
        if (command in reads or command.run_syncs) and (why := linted.development(command)):
            yield "sync-with-dev", command.step, why


def _hidden(linted: Dockerfile) -> Violations:
    for step in (step for step in linted.everything if step.keyword == "RUN"):
        if _HIDES.search(step.text):
            yield "failure-hidden", step, "the build goes on where `uv sync` fails"


def _passed_over(linted: Dockerfile) -> Violations:
    syncs = [c for c in linted.building if c.starts("uv", "sync") or c.starts("uv", "export")]
    lists = (c for c in linted.building if _INSTALLS.match(c.text) or c.starts("uv", "pip"))
    listed = [*syncs, *(c for c in lists if c.has("-r", "--requirement"))]
    files = linted.context.files
    is_only = "uv.lock" in files and files.isdisjoint(_LOCKFILES.values())
    for command in linted.building:
        match, is_without = _INSTALLS.match(command.text), command.has("--no-deps")
        if chosen := _LOCKS.match(command.text):
            message = f"`{chosen[0]}` chooses versions in every build"
            yield "lockfile-passed-over", command.step, message
        if match is None or (is_without and listed and command not in listed):
            continue
        target = command.option("-t", "--target")
        named = [word for word in command.words if word != target]
        is_of_other = command.program in _LOCKFILES or _is_other_list(linted, command)
        is_alone = command.text.endswith(".whl") and not (is_without or listed)
        is_of_project = is_alone or any(map(_PROJECT.fullmatch, named))
        if is_of_project or (is_only and is_of_other):
            yield "lockfile-passed-over", command.step, f"`{match[0]}` installs without uv.lock"
        elif linted.context.locked is not None and (names := _named(command)):
            message = f"{', '.join(names)}: installed, and not from uv.lock"
            yield "lockfile-passed-over", command.step, message


def _named(command: ShellCommand) -> list[str]:
    """The packages that it installs by their names; a pinned tool may have a reason."""
    own = command.starts("uv") and not command.has("--system", "--target", "--prefix")
    is_pip = "pip" in command.text.partition(" install")[0] and not command.has("--no-deps")
    pairs = itertools.pairwise(command.words if is_pip else ())
    free = (word for before, word in pairs if _FLAG.fullmatch(before))
    found = [_NAMED.fullmatch(word) for word in free if own or "==" not in word]
    return [match[1] for match in found if match and match[1] not in {*_TOOLS, "install"}]


def _is_other_list(linted: Dockerfile, command: ShellCommand) -> bool:
    """Whether it installs what uv.lock has by a list that nothing exports from it."""
    listed = command.option("-r", "--requirement")
    file = command.state.files.get(command.state.path(listed)) if listed else None
    text = linted.context.text(file) if file and file.endswith(".txt") else ""
    names = {canonical_name(name) for name in re.findall(r"(?m)^\w[\w.-]*", text)}
    exports = [text, *(step.text for step in linted.everything)]
    is_exported = any(re.search(r"\buv export\b|autogenerated by uv", each) for each in exports)
    return not (is_exported or names.isdisjoint(linted.context.locked or ()))


def _source(linted: Dockerfile) -> Violations:
    sources = [file for file in linted.context.files if file.endswith(".py")]
    for stage in linted.stages:
        commands = linted.commands(stage.inside)
        # Other base images and stages may have brought the dependencies.
        is_bare = "python:" in stage.lineage[0].image and not any(map(linted.source, stage.inside))
        is_brought = any(map(linted.copies_environment, stage.inside))
        installs = (c for c in commands if c.installs or (is_bare and BY_PIP.match(c.text)))
        first = 0 if is_brought else next((command.step.line for command in installs), 0)
        for step in stage.inside:
            folders = tuple(f"{path}/" for path in step.copied)
            if step.copies_context or any(file.startswith(folders) for file in sources):
                if step in stage.instructions and step.line < first:
                    message = "every edit of the source installs all anew"
                    yield "source-before-dependencies", step, message
                break


def _layers(linted: Dockerfile) -> Violations:
    for command in linted.commands(linted.image):
        is_pip = command.program in {"pip", "pip3"} and BY_PIP.match(command.text)
        is_without, tool = command.has(*_WITHOUT_CACHE), "pip" if is_pip else "uv"
        is_removed = _REMOVES_CACHE.search(command.step.text)
        chosen = command.environ.get("UV_CACHE_DIR", "")
        caches = (m.get("target", "") for m in command.step.mounts if m.get("type") == "cache")
        is_root = command.state.is_root or "HOME" in command.environ
        caches = (t for t in caches if chosen or is_root or not t.startswith("/root/"))
        own = re.compile(rf"\$|\.cache(?:/{tool}.*)?/?$")
        kept = (chosen.startswith(t) if chosen else own.search(t) for t in caches)
        if (command.installs or is_pip) and not (is_without or is_removed or any(kept)):
            yield "uv-cache-in-layer", command.step, f"{tool}'s cache becomes part of the layer"
    installs = [command for command in linted.building if command.installs]
    by_uv = any(c.has("--compile-bytecode", "UV_COMPILE_BYTECODE") for c in installs)
    texts = "\n".join(step.text for step in linted.everything)
    if installs and not (by_uv or re.search("compileall|(?i:nuitka|pyinstaller)", texts)):
        yield "no-bytecode", installs[0].step, "every start compiles all modules it imports"


def _modes(linted: Dockerfile) -> Violations:
    """A layer keeps a whole file whose owner or mode is changed."""
    made = [(c.step.line, c.environment) for c in linted.syncs if c.step in linted.image]
    made += [(step.line, target) for step, _, target in _copied_environments(linted)]
    for command in linted.commands(linted.image):
        places = tuple(f"{command.state.path(w).rstrip('/')}/" for w in command.words[2:])
        is_change = command.program in {"chgrp", "chmod", "chown"}
        if is_change and re.search(r" -\w*R", command.text):
            for line, environment in made:
                if line < command.step.line and f"{environment}/".startswith(places):
                    message = f"`{command.program} -R` puts {environment} into the image twice"
                    yield "environment-copied-again", command.step, message


def _debian_packages(linted: Dockerfile) -> Violations:
    for stage in linted.stages:
        commands = [*linted.commands(stage.instructions)]
        updates = [command.step for command in commands if _UPDATES.match(command.text)]
        adds = (command.step for command in commands if _ADDS.match(command.text))
        for step in adds if updates else ():
            by_itself = step in updates or re.search(r"\| *\S* ?\S* ?(?:ba)?sh\b", step.text)
            if updates[0].line < step.line and not by_itself:
                yield "apt-update-alone", step, "its package lists are those of an older layer"
        for command in itertools.dropwhile(lambda c: not c.starts("uv", "sync"), commands):
            if _ADDS.match(command.text):
                message = f"{command.program} runs again if a dependency changes"
                yield "apt-after-sync", command.step, message
    for command in (c for c in linted.commands(linted.image) if _ADDS.match(c.text)):
        compilers = [word for word in command.words if _COMPILERS.fullmatch(word)]
        if compilers and not _PURGES.search(command.step.text):
            yield "compiler-in-image", command.step, f"only a build needs {', '.join(compilers)}"
        lists = "--no-cache|/var/cache/apk" if command.starts("apk") else "/var/lib/apt"
        if not re.search(lists, f"{command.step.flags} {command.step.text}"):
            yield "apt-lists-kept", command.step, "the package lists stay in the layer"


def _build_context(linted: Dockerfile) -> Violations:
    files = filter(_NAMES_CONTEXTS.fullmatch, linted.context.files)
    named = "\n".join(map(linted.context.text, files))
    for step in linted.everything:
        stage = linted.source(step)
        for name in filter(None, (step.flag("from"), *(m.get("from") for m in step.mounts))):
            message = f"there is no stage {name}"
            made = {each.keyword for each in stage.inside} if stage else {"RUN"}
            copied = "".join(step.words[:1]) if made.isdisjoint({"RUN", "COPY", "ADD"}) else ""
            if step.is_copy and copied.endswith("/.venv"):
                yield "copy-missing", step, f"the stage {name} has no {copied}"
            if linted.stage(name) is None and stage:
                yield "copy-missing", step, f"{message}, did you mean {stage.name}?"
            elif linted.stage(name) is None and _BARE.fullmatch(name) and name not in named:
                yield "copy-missing", step, f"{message}: it is taken for an image"
    has, missing = linted.context.has, list[tuple[str, Parsed, str, str]]()
    fails = ": the build fails with `failed to compute cache key`"
    for step in linted.everything:
        missing += (("mount-missing", step, p, fails) for p in step.bound if not has(p))
        missing += (("copy-missing", step, p, " as it is now") for p in step.copied if not has(p))
    if any("/" in path and has(path.partition("/")[2]) for _, _, path, _ in missing):
        return  # the build context is the directory above
    for code, step, path, rest in missing:
        is_there = path in linted.context.files
        where = "excluded by .dockerignore" if is_there else "not in the build context"
        yield code, step, f"{path} is {where}{rest}"


def _environments(linted: Dockerfile) -> Violations:
    names = ("--relocatable", "UV_VENV_RELOCATABLE")  # scripts look beside themselves
    relocatable = {each.environment for each in linted.building if each.has(*names)}
    syncs = {}  # by the line of the step that copies: the last sync of a stage decides
    for step, command, target in _copied_environments(linted):
        if command.starts("uv", "sync"):
            syncs[step.line] = step, command
        source = command.environment
        if others := _filled_instead(linted, step, command):
            message = f"uv sync fills {others[0].environment}, and {source} stays empty"
            yield "start-not-there", others[0].step, message
        is_linked = any("ln " in s.text and source in s.text for s in linted.steps("RUN"))
        is_moved = source != target and source not in relocatable and not is_linked
        if is_moved and not all(shell.is_python(c.words) for c in linted.started):
            yield "environment-moved", step, f"its scripts name {source}: they will not start"
        stage = linted.source(step)
        inside = stage.inside if stage and step.words[0] == command.state.workdir else ()
        if any(each.copies_context for each in inside):
            yield "source-with-environment", step, "every edit pushes the environment as well"
    for step, sync in syncs.values():
        places = tuple(f"{sync.state.path(folder)}/" for folder in linted.context.packages)
        is_there = any(file.startswith(places) for file in linted.end.files)
        is_there = is_there or sync.is_of_member  # which may need others
        if places and linted.knows_files and not is_there and not sync.has(*_NOT_EDITABLE):
            yield "environment-without-source", step, f"the editable {places[0]} is not there"


def _filled_instead(linted: Dockerfile, step: Parsed, made: ShellCommand) -> list[ShellCommand]:
    """The syncs of a stage by which the environment that is copied from there stays empty."""
    stage = None if made.installs else linted.source(step)
    commands = [*linted.commands(stage.inside)] if stage else []
    fills = [c for c in commands if BY_PIP.match(c.text) or c.environment == made.environment]
    is_empty = fills == [made]
    return [command for command in commands if is_empty and command.starts("uv", "sync")]


def _interpreters(linted: Dockerfile) -> Violations:
    """An environment has links to its Python, which must be there, and readable by the user."""
    below = "python-below-root"
    is_root = linted.end.is_root or "$" in linted.end.user
    texts = [f"{step.text} {step.flags}" for step in linted.steps("RUN")]
    is_opened = is_root or any("chmod" in text and "/root" in text for text in texts)
    managed = {stage.line: _managed_python(linted, stage) for stage in linted.environment_stages}
    for sync in (sync for sync in linted.syncs if sync.step in linted.image and not is_opened):
        if (folder := managed[linted.final.line](sync)).startswith("/root/"):
            yield below, sync.step, f"{linted.end.user} may not read the Python in {folder}"
            return
    is_brought = any(re.search(r"python|\buv\b", text) for text in texts)
    is_by_path = "site-packages" in linted.end.environ.get("PYTHONPATH", "")
    copies = [step for step in linted.image if step.flag("from")]
    words = [expanded(w, copy.state.environ) for copy in copies for w in copy.words[:-1]]
    for step, command, _ in _copied_environments(linted):
        stage = linted.source(step)
        folder = managed[stage.line](command) if stage else ""
        is_system = stage and re.search(r"\bpython:3|/uv:.*python3", stage.lineage[0].image)
        if not folder and is_system and _WITHOUT_PYTHON.fullmatch(linted.base):
            folder = "/usr/local/bin"
        holds = (f"{folder}/".startswith(f"{word.rstrip('/')}/") for word in words)
        is_copied = any(holds) or any("python" in word or "$" in word for word in words)
        if folder and not (is_brought or is_by_path or is_copied):
            yield "python-not-there", step, f"its Python is in {folder}, which is not in the image"
            return
        if is_copied and folder.startswith("/root/") and not is_opened:
            yield below, step, f"{linted.end.user} may not read the Python in {folder}"
            return


def _managed_python(linted: Dockerfile, stage: Stage) -> Callable[[ShellCommand], str]:
    """Where uv keeps a Python of its own for an environment; empty if it may use another."""
    commands = [*linted.commands(stage.inside)]
    texts = [c.text for c in commands if not c.starts("uv")]
    texts += (step.flag("from") or "" for step in stage.inside)
    has_another = any(_BRINGS_PYTHON.search(text) for text in texts)
    has_none = _WITHOUT_PYTHON.fullmatch(stage.lineage[0].image) and not has_another
    installs = [each for each in commands if each.starts("uv", "python", "install")]
    is_elsewhere = any(each.has("--install-dir", "-i") for each in installs)

    def folder(command: ShellCommand) -> str:
        given = command.environ
        asked = f"{given.get('UV_PYTHON')} {command.option('--python', '-p')}"
        chosen = command.option("--python-preference") or given.get("UV_PYTHON_PREFERENCE", "")
        is_system = command.has("--no-managed-python", "UV_NO_MANAGED_PYTHON")
        if is_system or "system" in chosen or is_elsewhere or re.search("[/$]", asked):
            return ""
        is_asked = command.has("--managed-python", "UV_MANAGED_PYTHON") or "only" in chosen
        is_needed = has_none or installs or is_asked
        if not (is_needed or _asks_another_python(linted, stage, command)):
            return ""
        is_moved = not command.state.is_root or {"HOME", "XDG_DATA_HOME"} & {*given}
        default = "" if is_moved else "/root/.local/share/uv/python"
        return given.get("UV_PYTHON_INSTALL_DIR", default).rstrip("/")

    return folder


def _asks_another_python(linted: Dockerfile, stage: Stage, command: ShellCommand) -> bool:
    """Whether it asks for another minor version than the base image has, or needs one."""
    base = re.search(r"python:?(3\.\d+)", stage.lineage[0].image)
    given = command.option("--python", "-p") or command.environ.get("UV_PYTHON")
    version = given or linted.pin(command)
    asked = re.match(r"\s*(?:c?python@?)?(3\.\d+)", version)
    allowed = specifier(linted.context.requires_python, "requires-python")
    is_excluded = base and not version and newest_release(allowed, base[1]) is None
    may_fetch = command.environ.get("UV_PYTHON_DOWNLOADS", "automatic") in {"automatic", "auto", ""}
    is_other = base and (asked[1] != base[1] if asked else is_excluded)
    return bool(is_other and may_fetch)


def _volumes(linted: Dockerfile) -> Violations:
    """A volume keeps the files of the image that it was made for."""
    made = [command.environment for command in linted.syncs if command.step in linted.image]
    made += [target for _, _, target in _copied_environments(linted)]
    modules = [path for path in linted.end.files if path.endswith(".py")]
    for step in linted.steps("VOLUME"):
        for place in (step.state.path(word).rstrip("/") for word in step.words):
            has_modules = any(path.startswith(f"{place}/") for path in modules)
            is_application = has_modules and f"{linted.end.workdir}/".startswith(f"{place}/")
            if is_application or any(f"{each}/".startswith(f"{place}/") for each in made):
                message = f"a volume at {place} keeps the application of an older image"
                yield "volume-over-application", step, message


def _copied_environments(linted: Dockerfile) -> Iterator[tuple[Parsed, ShellCommand, str]]:
    """Each step that copies an environment into the image, what made that, and its path there."""
    for step in linted.image:
        stage = linted.source(step)
        commands = linted.commands(stage.inside) if stage else ()
        made = {(c.environment, c.installs): c for c in commands if c.environment}
        for command in [*made.values()][-4:]:  # a file may have hundreds of both
            for copied in (f"/{relative(word)}" for word in step.words[:-1]):
                if f"{command.environment}/".startswith(f"{copied}/"):
                    rest = command.environment[len(copied) :]
                    yield step, command, step.state.path(step.words[-1]) + rest


CHECKS = (
    *(_uv_itself, _lockfile, _hidden, _passed_over, _source, _layers, _modes),
    *(_debian_packages, _environments, _interpreters, _volumes, _build_context),
)
