"""What a command needs to start, and what of that the image does not have. Pure."""

import itertools
import posixpath
import re
import sys
from collections.abc import Collection, Iterator

from uvflow.docker.django import SETTINGS_MODULE
from uvflow.docker.lint import shell
from uvflow.docker.lint.model import BY_PIP, Dockerfile, ShellCommand
from uvflow.docker.lint.parse import expanded
from uvflow.docker.servers import SERVERS
from uvflow.paths import MANIFEST

# The program of a server → the options for its address.
SERVER_PROGRAMS = {each.command.split()[0]: each.address for each in SERVERS.values()}
# A program, or the module of `python -m` → the distribution that it is from.
DISTRIBUTIONS = {n: n for n in ("alembic", "celery", "flask", "streamlit", *SERVER_PROGRAMS)}
DISTRIBUTIONS |= {name: name for name in ("hatch", "pdm", "pipenv", "poetry")}
DISTRIBUTIONS |= {"fastapi": "fastapi-cli", "waitress-serve": "waitress"}
# Distributions with worker classes of gunicorn, which begin with their names.
_WORKERS = {"aiohttp", "eventlet", "gevent", "tornado", "uvicorn", "uvicorn-worker"}
_NO_DEV = ("--no-dev", "--no-default-groups", "UV_NO_DEV", "UV_NO_DEFAULT_GROUPS")
# A program → images that lack it; the larger ones of Python have curl and wget.
LACKING = {
    **dict.fromkeys(("dumb-init", "gosu", "su-exec", "tini"), r""),  # every one
    **dict.fromkeys(("pg_isready", "psql", "redis-cli"), r""),
    **dict.fromkeys(("curl", "git", "make"), r"slim|alpine|distroless|debian:|ubuntu:"),
    **dict.fromkeys(("nc", "ping", "wget"), r"slim|distroless|debian:|ubuntu:"),
    **dict.fromkeys(("pgrep", "pkill", "ps"), r"slim|distroless|debian:"),
    "bash": r"alpine|distroless(?!.*debug)",
    "sh": r"distroless(?!.*debug)",
    "uv": r"^(?!.*astral(?:-sh)?/uv\b)",
}
# What packages of other names bring.
_PACKAGES = {
    "nc": "netcat|ncat",
    "pg_isready": r"postgresql\S*",
    "ping": "iputils",
    "redis-cli": "redis",
}
_PACKAGES |= {"pgrep": "procps", "pkill": "procps", "ps": "procps", "psql": r"postgresql\S*"}
_FOLDER = re.compile(
    r"^(?:chdir|pythonpath) *= *(?:[\"']([^\"'\n]+)[\"'] *(?:#.*)?$|(.+))", re.MULTILINE
)
_MODULE = re.compile(
    r"(?!python:|file:|unix:)([A-Za-z_][\w.]*)(?::([A-Za-z_]\w*)[\w.]*(?:\(.*\))?)?"
)


def missing(linted: Dockerfile, command: ShellCommand) -> Iterator[tuple[str, str]]:
    """The code and the message of each thing that `command` needs and the image lacks."""
    folders, files = import_folders(linted, command), _files(linted, command)
    for file in (file for file in files if "$" not in file):
        paths = (posixpath.normpath(posixpath.join(folder, file)) for folder in folders)
        if not any(map(linted.may_have, paths)):
            yield "start-not-there", f"{file} does not exist in the image"
    for module, attribute in loaded_modules(linted, command):
        if not _has_module(linted, module, folders):
            yield "start-not-there", f"the image has no {module} in {folders[0]}"
        elif attribute and _lacks_attribute(linted, module, attribute, folders):
            yield "start-not-there", f"{module} has no {attribute}"
    yield from _programs(linted, command)
    yield from _distributions(linted, command)


def import_folders(linted: Dockerfile, command: ShellCommand) -> list[str]:
    """Where Python and servers look for files and modules."""
    moved = [c.words[1] for c in linted.started if c.program == "cd" and c.words[1:]]
    beside = [posixpath.dirname(f) for f in _files(linted, command) if f.endswith(".py")]
    option = command.option("--app-dir", "--chdir", "--pythonpath", "--directory", "--workdir")
    moved += _configured_folders(linted, command)
    named = (".", *command.environ.get("PYTHONPATH", "").split(":"), *moved, *beside, option)
    return [linted.end.path(folder) for folder in named if folder]


def _files(linted: Dockerfile, command: ShellCommand) -> Iterator[str]:
    program, *words = command.words
    is_first = command is next(iter(linted.started), None)
    is_own = is_first and "/" in program and "/bin/" not in program
    # What a script starts may depend on what is there.
    is_script = program.endswith(".sh") and "SHLVL" not in command.environ
    is_script = is_script and linted.origin(program) is None
    by_python = shell.is_python(command.words) and not {"-c", "-m"} & {*words}
    if by_python or command.program in {"chainlit", "fastapi", "streamlit"}:
        yield from [word for word in words if re.fullmatch(r"[^-].*\.py", word)][:1]
    elif is_own or program.endswith(".py") or is_script:
        yield program
    configuration = command.option("-c", "--config") or "/"  # which may be mounted at run time
    is_read = command.program in {"gunicorn", "hypercorn", "supervisord"}
    if is_read and not configuration.startswith(("/", "file:", "python:")):
        yield configuration


def _configured_folders(linted: Dockerfile, command: ShellCommand) -> list[str]:
    """Where gunicorn's configuration lets it look for modules; any directory where computed."""
    found = _FOLDER.findall(configuration(linted, command) or "")
    if any(computed for _, computed in found):
        return [*map(posixpath.dirname, linted.end.files)]
    return [written for written, _ in found]


def configuration(linted: Dockerfile, command: ShellCommand) -> str | None:
    """What configures gunicorn or hypercorn, without comments; None where that is not known."""
    usual = "gunicorn.conf.py" if command.program == "gunicorn" else ""
    named = command.option("-c", "--config") or usual
    if command.program not in {"gunicorn", "hypercorn"} or not named:
        return ""
    scheme, _, place = named.rpartition(":")
    origin = linted.end.files.get(linted.end.path(place))
    if named == usual and origin is None and linted.knows_files:
        return None if any(path.endswith(usual) for path in linted.end.files) else ""
    by_module = module_text(linted, place, [linted.end.workdir]) if scheme == "python" else ""
    text = by_module or (linted.context.text(origin) if origin else "")
    return re.sub("#.*", "", text) if text else None


def module_text(linted: Dockerfile, module: str, folders: list[str]) -> str:
    """The source of a module in `folders` of the image, or of the only one of that name."""
    name = module.replace(".", "/")
    ends = (f"{name}.py", f"{name}/__init__.py")
    paths = (posixpath.join(folder, end) for folder in folders for end in ends)
    found = [linted.end.files[path] for path in paths if path in linted.end.files]
    if not found and linted.installs_project:
        every = linted.context.files
        found = [file for file in every if f"/{file}".endswith(tuple(f"/{end}" for end in ends))]
        found = found if len(found) == 1 else []
    return "\n".join(map(linted.context.text, dict.fromkeys(found)))


def loaded_modules(linted: Dockerfile, command: ShellCommand) -> Iterator[tuple[str, str | None]]:
    """The modules that it loads, each with the attribute that a server looks for there."""
    words, settings = command.words, command.environ.get(SETTINGS_MODULE, "")
    is_django = "django" in (linted.context.locked or ()) and re.fullmatch(r"[\w.]+", settings)
    is_managed = any(posixpath.basename(word) == "manage.py" for word in words[:2])
    if is_django and (is_managed or command.program in SERVER_PROGRAMS):
        yield settings, None
    if command.program == "celery" and (name := command.option("-A", "--app")):
        module, _, attribute = name.partition(":")
        package, _, last = module.rpartition(".")
        # Celery takes `a.b` for an attribute as well.
        text = module_text(linted, package, import_folders(linted, command))
        is_one = re.search(rf"\b{re.escape(last)}\b", text)
        if re.fullmatch(r"[\w.]+", module) and not is_one:
            yield module, attribute or None
    if linted.is_lambda and re.fullmatch(r"\w[\w./]*\.\w+", words[0]):
        module, _, attribute = words[0].rpartition(".")
        yield module.replace("/", "."), attribute
    if shell.is_python(words) and words[1:2] == ("-m",) and command.program not in SERVER_PROGRAMS:
        yield command.program, None
    for before, word in itertools.pairwise(words if command.program in SERVER_PROGRAMS else ()):
        match = _MODULE.fullmatch(word)
        is_value = before.startswith("-") and "=" not in before and before != "--factory"
        if match and (match[2] or ("." in word and not is_value)):
            yield match[1], match[2]
            return


def _has_module(linted: Dockerfile, module: str, folders: list[str]) -> bool:
    """Whether the module may be found: in the image, or installed."""
    context, path = linted.context, f"/{module.replace('.', '/')}"
    if context.locked is None:
        return True
    sources = [f"/{file}" for file in context.files]
    # The name of a local package is not always that of its module.
    own = {name for name in context.local if any(f"/{name}/" in file for file in sources)}
    foreign = {name.replace("-", "_") for name in context.locked} - own
    if module.partition(".")[0] in foreign | sys.stdlib_module_names:
        return True
    is_renamed = module.partition(".")[0] in context.renamed
    is_source = is_renamed or any(f"{path}." in file or f"{path}/" in file for file in sources)
    if is_source and linted.installs_project:
        return True
    paths = [folder.rstrip("/") + path for folder in folders]
    # A package may have no __init__.py.
    is_package = any(file.startswith(tuple(f"{p}/" for p in paths)) for file in linted.end.files)
    return is_package or any(linted.may_have(f"{path}.py") for path in paths)


def _lacks_attribute(linted: Dockerfile, module: str, attribute: str, folders: list[str]) -> bool:
    """Whether the module's source names it nowhere, and makes no names when it runs."""
    text = module_text(linted, module, folders)
    names = rf"import \*|\b(?:{attribute}|__getattr__|exec|globals|setattr)\b"
    return text != "" and not re.search(names, text)


def _programs(linted: Dockerfile, command: ShellCommand) -> Iterator[tuple[str, str]]:
    """The program itself, and the interpreter that the first line of a script names."""
    name, *arguments = command.words  # none: the name may be a pattern of `case`
    origin = linted.origin(name)
    first = (linted.context.text(origin) if origin else "").partition("\n")[0]
    is_mended = any(re.search(r"dos2unix|\\r", step.text) for step in linted.everything)
    if first.startswith("#!") and first.endswith("\r") and not is_mended:
        message = f"{origin} has the line ends of Windows: `{first[2:-1]}\\r` is nowhere"
        yield "start-not-there", message
    is_mended = is_mended or any("sed " in step.text for step in linted.everything)
    is_direct = command in linted.started[:1] and command.step.exec_form is not None
    if is_direct and first and not (first.startswith("#!") or is_mended):
        yield "start-not-executable", f"{origin} has no `#!` line, and no shell starts it"
    is_sure = arguments or command in linted.probes
    named = [*first.split()] if first.startswith("#!") else [name] if is_sure else []
    for program in map(posixpath.basename, named if linted.is_plain else ()):
        lacking = re.search(LACKING[program], linted.base) if program in LACKING else None
        if lacking and not _may_have_program(linted, program):
            code = "health-by-curl" if command in linted.probes else "start-not-there"
            yield code, f"{program} is not in the image"
    is_changed = any("chmod" in f"{step.flags} {step.text}" for step in linted.everything)
    if origin and linted.is_plain and not is_changed and not linted.context.is_executable(origin):
        yield "start-not-executable", f"{origin} is not executable"
    if _has_packages_alone(linted) and name in DISTRIBUTIONS and arguments:
        yield "start-not-there", f"{name} is not in the image: its packages are copied alone"
    is_left_out = name in linted.context.scripts and not linted.installs_project
    if is_left_out and linted.is_plain and not linted.makes(name):
        yield "start-not-there", f"{name} is not installed: no step installs the project"


def _has_packages_alone(linted: Dockerfile) -> bool:
    """Whether the image has no environment and no programs, only a directory of packages."""
    copies = [step for step in linted.image if step.is_copy and step.flag("from")]
    words = [word for step in copies for word in step.words[:-1]]
    folders = [word for word in words if re.search(r"/lib/python3[\d.]*/site-packages/?$", word)]
    is_made = any("uv" in step.text or "pip" in step.text for step in linted.steps("RUN"))
    others = [word for word in words if word not in folders and not re.search(r"/uvx?$", word)]
    return bool(folders and not others and not is_made and linted.is_plain)


def _may_have_program(linted: Dockerfile, name: str) -> bool:
    """Whether a step names it or copies a directory of programs, or the environment has it.

    A script may ask for it first.
    """
    named = rf"\b(?:{name}|{_PACKAGES.get(name, name)})\b|\bxargs\b|\$\(cat\b"
    asks = (c for c in linted.started if c.program in {"command", "hash", "type", "which"})
    if any(name in command.words for command in asks):
        return True
    for step in linted.image:
        is_mounted = any(mount.get("target", "").endswith(f"/{name}") for mount in step.mounts)
        text = expanded(step.text, step.state.environ) if step.keyword == "RUN" else ""
        copied = " ".join(step.words[:-1]) if step.is_copy else ""
        is_named = re.search(named, text) and not is_mounted
        if is_named or re.search(rf"\b({name}|bin|local|usr)\b|^/$", copied):
            return True
    by_pip = any(re.search(rf"\bpip\S* .*\b{name}\b", command.text) for command in linted.building)
    return by_pip or name in (linted.context.locked or ())


def _distributions(linted: Dockerfile, command: ShellCommand) -> Iterator[tuple[str, str]]:
    locked, needs = linted.context.locked, [DISTRIBUTIONS.get(command.program)]
    if locked is None or not linted.is_plain or len(command.words) == 1:
        return
    worker = command.option("-k", "--worker-class") or ""
    if command.program == "gunicorn":
        needs += _WORKERS & {worker.partition(".")[0].replace("_", "-")}
    if command.program == "celery":
        needs += _WORKERS & {command.option("-P", "--pool") or ""}
    by_hand = " ".join(step.text for step in linted.everything if step.keyword == "RUN")
    # Of what a script starts, only the last is what always runs.
    is_sure = command in linted.started[-1:] or "SHLVL" not in command.environ
    for name in (need for need in needs if need):
        if name.partition("-")[0] in by_hand:  # `fastapi[standard]` brings fastapi-cli
            continue
        if name not in locked:
            inner = shell.inside(command.words) if name in {"pdm", "poetry"} else ()
            instead = f": start {inner[0]} itself" if inner else ""
            yield "server-not-locked", f"{name} is not in uv.lock{instead}"
        elif is_sure and is_left_out(linted, chosen := linted.context.optional.get(name, ())):
            why = f"uv.lock has it for {' and '.join(chosen)} alone, which no sync installs"
            yield "server-not-locked", f"{name} is not in the image: {why}"
            return
    folders = tuple(f"{each.rstrip('/')}/" for each in import_folders(linted, command))
    for module in {module.partition(".")[0] for module, _ in loaded_modules(linted, command)}:
        member = module.replace("_", "-")
        is_there = any(f"{f}{module}/" in file for f in folders for file in linted.end.files)
        chosen = linted.context.optional.get(member, ()) if module in linted.context.local else ()
        if not is_there and is_left_out(linted, chosen):
            yield "server-not-locked", f"{member} is not in the image: no sync installs it"


def _is_at_root(sync: ShellCommand) -> bool:
    """Whether it surely reads the manifest at the root of the build context."""
    manifest = sync.state.files.get(sync.state.path(MANIFEST))
    is_seen = manifest == MANIFEST or not {MANIFEST, ""}.isdisjoint(sync.step.bound)
    return is_seen and not sync.has("--directory", "--project") and "cd " not in sync.step.text


def is_left_out(linted: Dockerfile, chosen: Collection[str]) -> bool:
    """Whether no sync asks for one of these; for the group `dev` each does by default."""
    commands = (*linted.building, *linted.started)
    of_project = re.compile(r"uv pip install\b.* (?:-r pyproject\.toml|\.)$")
    syncs = [c for c in commands if c.starts("uv", "sync") or c.run_syncs]
    syncs += [c for c in commands if of_project.match(c.text)]
    asked = {"--all-extras", "--all-groups", "--dev", "--only-dev", *chosen}
    given = (part for sync in syncs for word in sync.words for part in re.split("[=,]", word))
    words = {re.sub("(?<=\\w)[-_.]+", "-", part).lower() for part in given}  # as uv.lock has names
    with_dev = [c for c in syncs if not (c.has(*_NO_DEV) or c.starts("uv", "pip"))]
    is_open = "dev" in chosen and with_dev != []
    is_member = not linted.context.local.isdisjoint(name.replace("-", "_") for name in chosen)
    if is_member and ("--all-packages" in words or not all(map(_is_at_root, syncs))):
        return False
    by_other = any(BY_PIP.match(each.text) and each not in syncs for each in commands)
    is_computed = any("$" in word for word in words)
    return bool(chosen and syncs) and not (is_open or by_other or is_computed or asked & words)
