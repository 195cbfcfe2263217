"""What is wrong with the image of a hand-written Dockerfile. Pure."""

import re

from uvflow.docker.base_image import newest_release, specifier
from uvflow.docker.debian import loaded
from uvflow.docker.lint.model import BY_PIP, Dockerfile, Stage, Violations
from uvflow.docker.lint.needs import LACKING, is_left_out
from uvflow.docker.lint.parse import Parsed, expanded
from uvflow.redaction import redacted_urls

_PYTHON = re.compile(r"(?:docker\.io/)?(?:library/)?python(?::(?P<tag>.*))?")
_PYTHON_OF_UV = re.compile(r"\buv python install\b|\s--python\b|\bUV_PYTHON(?:_PREFERENCE)?[ =]")
_PINNED = re.compile(r"3\.\d+.*-(?:trixie|bookworm|bullseye|buster|alpine\d|windows)")
# No digest, and no tag, or one for whatever is current.
_MOVES = re.compile(
    r"(?:[^@$]*/)?[^:@$/]+(?::(?:latest|stable|edge|rolling|lts|debian|alpine|ubuntu|cli|dind)(?:-slim)?)?"
)
_ENDED = re.compile(
    r".*(?::[^/]*\b(?:jessie|stretch|buster|bullseye)\b|\bpython:?3\.\d\b|\bubuntu:1)"
)
_SECRET = re.compile(
    r"\w*(?:PASSW(?:OR)?D|TOKEN|SECRET)|(?:\w*_)?(?:PASS|SECRET_KEY(?:_BASE)?|CREDENTIALS?"
    r"|(?:API|ACCESS|PRIVATE|ENCRYPTION|SIGNING)_?KEY)",
    re.IGNORECASE,
)
# Packages that bring no library that others load.
_SMALL = re.compile(r"-.*|ca-certificates|curl|git|gosu|libpq5|locales|procps|tini|tzdata|wget")
_SWITCH = re.compile(r"(?i)(?:\w*_)?(?:allow|disable|enable|has|is|require|skip|use|verify)_\w+")
_NO_SECRET = re.compile(r"(?is)(?:true|false|yes|no|on|off|none|null|\d{1,5}|/.*|.*\$.*)")
# Users of Debian, Ubuntu, Alpine and distroless images, and what is no name.
_USERS = re.compile(
    r"_apt|adm|backup|bin|cron|daemon|ftp|games|guest|list|lp|mail|man|news|nobody|nonroot|ntp"
    r"|operator|proxy|root|sshd|sync|sys|ubuntu|uucp|www-data|\d*|.*\$.*"
)
_SECRET_FILE = re.compile(
    r"(?:.*/)?(?:\.env(?:\.(?!example|sample|template|dist)\w+)?|\.(?:netrc|pypirc|git-credentials)"
    r"|\.(?:ssh|aws|azure|gnupg|kube)/?|id_(?:rsa|ed25519)|(?:private|server|tls)[\w-]*\.(?:key|pem)"
    r"|[\w-]*service[-_]account[\w-]*\.json|\.streamlit/secrets\.toml)"
)

# A login of HTTP as a header or an option: a variable in its place is not a secret.
_LOGIN = re.compile(
    r"""
    \b (?: authorization | (?:private|job|deploy|x-[\w-]{0,20})-token | x-[\w-]{0,20}key )
    \s*:\s* (?: (?:bearer|basic|token|digest|negotiate)\s+ )?+ [^\s"'$]
    | \bcurl\b [^\n]{0,500} \s (?:-u|--user|--proxy-user) [\s=]? ["']? [^\s"':]*: [^\s"'$]
    | \bmachine\s+\S{1,99}\s+login\s+\S{1,99}(?:\s|\\n)+password\s+[^\s"'$]
    | \s--oauth2-bearer [\s=] ["']? [^\s"'$]
    | \s-- (?!disabled-) [\w-]{0,30} (?:password|passwd|token|api-key) [\s=] ["']? [^\s"'$-]
    """,
    re.IGNORECASE | re.VERBOSE,
)
# A secret of a mount that is written to a file, or into the configuration of a tool.
_KEEPS = re.compile(
    r"(?:^|[;&|]\s*)(?:cp|install|mv) [^;&|\n]{0,500}/run/secrets/"
    r"|\b(?:git|npm|pip\d?|poetry) config [^;&|\n]{0,500}/run/secrets/"
    r"|/run/secrets/[^;&|\n]{0,500}(?<![\d&])>{1,2} *(?!/dev/)[^\s&]"
)
_GIVEN = re.compile(r"://[^\s/@:]*:\$\{?(\w+)\}?@")  # a password by a variable, in a URL
_UNVERIFIED = re.compile(
    r"\bUV_INSECURE_HOST=[\"']?\w|\bPIP_TRUSTED_HOST=|--trusted-host\b|--allow-insecure-host\b"
    r"|\bcurl [^;&|\n]{0,300}(?<=\s)(?:-[a-zA-Z]{0,9}k|--insecure)\b|--no-check-certificate\b"
)
_DOWNLOAD = re.compile(r"\bhttps?://(?!\S*\.git\b|astral\.sh/uv/install)")
_DEBUGS = {"DEBUG", "DJANGO_DEBUG", "FLASK_DEBUG"}
_VARIABLE = re.compile(r"\$(?:\([^)]*\)|\{[^}]*\}|\w+)")
# A variable as the password or none, a user name (a token for HTTP), or an address.
_NO_LOGIN = re.compile(r"//[^\s/@:]*:(?:\$\{X\})?@|(?<!https:)(?<!http:)//[\w.-]+@|\bmailto:\S+")
_NAME = re.compile(r"//[\w.-]{1,19}@")
_KEY = re.compile(r"\b(?:[sr]k_live_\w{8}|AKIA[0-9A-Z]{16}\b)")  # of Stripe, of AWS


def _base_images(linted: Dockerfile) -> Violations:
    """And those that are copied from."""
    froms = ((s, expanded(s.flag("from") or "", linted.defaults)) for s in linted.everything)
    named: list[tuple[Parsed | Stage, str]] = [(stage, stage.image) for stage in linted.stages]
    named += ((step, name) for step, name in froms if re.search("[/:]", name))
    for at, image in named:
        python, is_stage = _PYTHON.fullmatch(image), linted.stage(image) not in {None, at}
        is_open = is_stage or image == "scratch" or re.search(r"/uv\b|[@$]", image)
        is_pinned = _PINNED.match(python["tag"] or "") if python else not _MOVES.fullmatch(image)
        if not is_open and not is_pinned:
            is_minor = python and re.match(r"3\.\d", python["tag"] or "")
            system = "Alpine" if "alpine" in image else "Debian"
            becomes = f"to another {system}" if is_minor else "to whatever is the latest"
            yield "base-not-pinned", at, f"{image} is not pinned: it will move {becomes}"
        if not is_stage and _ENDED.match(image):
            yield "base-ended", at, f"{image} gets no security updates any more"
    # A whole image also has programs that a service may call.
    base, programs = linted.final.lineage[0], {c.program for c in (*linted.started, *linted.probes)}
    is_used = linted.is_for_checks or programs & LACKING.keys() - {"sh", "uv"}
    is_whole = re.search(r"^(?!.*(?:@|slim|alpine|windows)).*\bpython", base.image)
    if linted.started and linted.is_plain and is_whole and not is_used:
        yield "compiler-in-image", base, f"{base.image} has compilers, which only a build needs"


def _pythons(linted: Dockerfile) -> Violations:
    """Of the image, and of the stages that install, where nothing else chooses one."""
    allowed = specifier(linted.context.requires_python, "requires-python")
    chooses = any(_PYTHON_OF_UV.search(step.text) for step in linted.everything)
    versions = dict[tuple[str, bool], Stage]()
    for stage in linted.environment_stages:
        base, commands = stage.lineage[0], [*linted.commands(stage.instructions)]
        installs = any(c.installs or BY_PIP.match(c.text) for c in commands)
        there = re.search(r"python:?(3\.\d+)(\.\d+)?", base.image)
        if there and (installs or stage == linted.final):
            versions[there[1], "alpine" in base.image] = base
        commands += linted.started if stage == linted.final else ()
        reads = (c for c in commands if there and (c.starts("uv", "sync") or c.run_syncs))
        for pin in () if chooses else dict.fromkeys(map(linted.pin, reads)):
            asked = re.match(r"(?:c?python@?)?(3\.\d+)(\.\d+)?\s*$", pin)
            if there and asked and asked.groups() not in {(there[1], None), there.groups()}:
                other = f"{base.image} has or will have another"
                message = f".python-version asks for {asked[0].strip()}, and {other}"
                yield "python-not-allowed", base, message
    for (minor, _), base in versions.items():
        if linted.has_project and not chooses and newest_release(allowed, minor) is None:
            yield "python-not-allowed", base, f"requires-python `{allowed}` excludes {base.image}"
    if len(versions) > 1:
        named = " and ".join(base.image for base in versions.values())
        message = f"the environment is made with another Python: {named}"
        yield "pythons-differ", [*versions.values()][-1], message


def _libraries(linted: Dockerfile) -> Violations:
    """What distributions load or run, and a slim image has not; other packages may bring it."""
    locked, optional = linted.context.locked or frozenset(), linted.context.optional
    adds = [c for c in linted.commands(linted.image) if re.match(r"apt(-get)? .*install", c.text)]
    others = [w for c in adds for w in c.words[2:] if not _SMALL.fullmatch(w)]
    is_open = any(re.search(r"/usr\b|/lib/|\.so\b", s.text) for s in linted.image if s.is_copy)
    parts = (s.has("--package", "--only-group") or s.is_of_member for s in linted.syncs)
    is_whole = linted.syncs and not any(parts)
    if not is_whole or is_open or not (linted.is_plain and re.search("slim|debian:", linted.base)):
        return
    is_computed = any("$" in sync.text for sync in linted.syncs)
    maybe = locked & optional.keys()
    absent = {n for n in maybe if is_computed or is_left_out(linted, optional[n])}
    # which may do without
    installed = {*locked} - absent - {"copier", "numba", "pre-commit", "soundfile"}
    if installed & {"mlflow-skinny", "streamlit", "wandb"}:  # which bring it, and may as well
        installed.discard("gitpython")
    for name, users in loaded(installed).items():
        package = name.removesuffix("t64") if "bookworm" in linted.base else name
        stem = "".join(re.findall(r"^[a-z-]+", package))
        is_there = any(stem in word for c in adds for word in c.words)
        if not (is_there or (others and package.startswith("lib"))):
            message = f"{min(users)} needs {package}, which no step installs"
            yield "package-missing", linted.final, message


def _uv_in_image(linted: Dockerfile) -> Violations:
    is_used = any(command.program in {"uv", "uvx"} for command in linted.started)
    is_used = is_used or re.search(r"\buvx?\b(?![.:])", linted.composed) is not None
    # Another base image may have a CMD, or be for what is mounted, as of a dev container.
    if is_used or not linted.started or linted.last("ONBUILD"):
        return
    base = linted.final.lineage[0]
    if "/uv:" in f"{base.image}:":  # with or without a tag
        yield "uv-in-image", base, "the image is based on uv's: 45 MB that nothing uses at run time"
    for step in linted.image:
        source = step.flag("from") or "" if step.keyword == "COPY" else ""
        stage = linted.stage(source)
        is_program = any(re.search(r"(?:^|/)uvx?$", word) for word in step.words[:-1])
        if "/uv:" in f"{stage.image if stage else source}:" and is_program:
            yield "uv-in-image", step, "uv is copied into the image: 45 MB that no start uses"


def _user(linted: Dockerfile) -> Violations:
    user, steps = linted.end.user, [s for s in linted.image if s.is_copy or s.keyword == "RUN"]
    texts = [expanded(step.text, step.state.environ) for step in steps]
    by_script = any(".sh" in c.text and c.program != "chmod" for c in linted.commands(linted.image))
    is_made = by_script or any(word in text for text in texts for word in (user, "/etc"))
    if linted.is_plain and not _USERS.fullmatch(user) and not is_made:
        message = f"{linted.base} has no user {user}, and no RUN adds one"
        yield "user-not-there", linted.last("USER") or linted.final, message
    if linted.runs_as_root and (linted.started or linted.base != "scratch"):
        yield "runs-as-root", linted.last("USER") or linted.final, "the service runs as root"


def _process(linted: Dockerfile) -> Violations:
    """Its variables and its end; the PATH of the base image is not known."""
    for step in linted.steps("ENV"):
        path = dict(step.assignments).get("PATH", "/")
        if {"", "."} & {*path.split(":")}:
            yield "path-empty-element", step, f"PATH={path} searches the current directory"
        for name in dict(step.assignments).keys() & _DEBUGS:
            is_read = linted.context.is_in_sources(name)
            is_on = linted.end.environ[name].lower() in {"1", "true", "yes", "on"}
            if is_on and (is_read or name == "FLASK_DEBUG"):
                yield "debug-mode", step, f"{name} turns debug mode on"
    for step in linted.steps("STOPSIGNAL"):
        if re.fullmatch(r"(?:SIG)?KILL|9", step.text):
            yield "stop-signal", step, f"{step.text} leaves a service no time to stop"
    names = {step.keyword for step in linted.image}
    programs = [command.program for command in linted.started if "ENTRYPOINT" in names]
    is_service = {"EXPOSE", "HEALTHCHECK"} & names or linted.context.scripts.isdisjoint(programs)
    by_option = any("-u" in command.words for command in linted.started)
    is_set = by_option or "PYTHONUNBUFFERED" in linted.end.environ
    texts = [linted.base, *(step.text for step in linted.image)]
    has_python = re.search(r"python|venv|\buv\b", "\n".join(texts))
    if linted.is_plain and has_python and is_service and not (is_set or linted.is_for_checks):
        yield "output-buffered", linted.final, "the last output of a crashing service is lost"


def _secrets(linted: Dockerfile) -> Violations:
    steps = (step for step in linted.everything if step.keyword == "ARG")
    arguments, kept = {name for step in steps for name, _ in step.assignments}, linted.histories
    for step in (*linted.before, *linted.everything):
        is_kept = step.line in kept
        pairs = step.assignments if is_kept and step.keyword in {"ARG", "ENV"} else ()
        # An ARG without a value is given one by the build.
        given = [(n, v) for n, v in pairs if (v or step.keyword == "ARG") and _SECRET.fullmatch(n)]
        names = [n for n, v in given if not (_SWITCH.fullmatch(n) or _NO_SECRET.fullmatch(v))]
        text = _NO_LOGIN.sub("//", _VARIABLE.sub("${X}", step.text))
        text = _NAME.sub("//", text) if step.keyword == "LABEL" else text
        url = "a URL with a password or a token" if redacted_urls(text) != text else ""
        key = "a key" if _KEY.search(text) else ""
        has_login = step.keyword in {"ADD", "COPY", "RUN"} and _LOGIN.search(text)  # in heredocs
        login = "a password or a token" if has_login else ""
        if is_kept and step.keyword == "ENV" and arguments & {*_GIVEN.findall(step.text)}:
            url = "a URL with the password of the build"
        is_written = is_kept and step.keyword == "RUN" and _KEEPS.search(step.text)
        written = "what is mounted as a secret" if is_written and "rm " not in step.text else ""
        if what := " and ".join(names) or url or key or login or written:
            where = "the image's history" if is_kept else "the Dockerfile"
            yield "secret-in-image", step, f"{what} is in {where}"
        if step.keyword in {"ARG", "ENV", "RUN"} and _UNVERIFIED.search(step.text):
            yield "tls-not-verified", step, "what is installed may come from anyone"
        is_latest = step.keyword == "RUN" and "releases/latest/download/" in step.text
        is_added = step.keyword == "ADD" and not step.flag("checksum")
        if is_latest or (is_added and _DOWNLOAD.search(step.text)):
            yield "download-unchecked", step, "nothing says that every build gets the same file"
        files = tuple(filter(_SECRET_FILE.fullmatch, step.copied))
        if files and (is_kept or any(o.startswith(files) for o in linted.end.files.values())):
            yield "env-file-in-image", step, "a file of secrets is in a layer"


def _context(linted: Dockerfile) -> Violations:
    whole = next((i for i in linted.everything if i.copies_context), None)
    if whole and linted.context.not_ignored:
        yield "context-not-ignored", whole, f"it copies {', '.join(linted.context.not_ignored)}"


CHECKS = (_base_images, _pythons, _libraries, _uv_in_image, _user, _process, _secrets, _context)
