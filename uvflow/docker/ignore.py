""".dockerignore: what never gets into a build context, and what an existing one leaves out of that.

Patterns are those of the Docker documentation ("Dockerignore files"): Go's filepath.Match, `**` for
any number of directories, `!` for an exception, and the last match decides. Pure.
"""

import re

_PATTERNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("made for this machine, of no use in another", (".venv*", "**/__pycache__", "**/*.py[cod]")),
    ("history, and what tools keep", (
        ".git", ".uvflow", "**/.mypy_cache", "**/.pytest_cache", "**/.ruff_cache", "**/.tox",
        "**/.nox", "**/.hypothesis", "**/.coverage", "**/htmlcov", "**/node_modules",
    )),
    ("secrets", ("**/.env", "**/.env.*", "!**/.env.example", "**/.netrc", "**/*.key")),
    ("what is built", ("**/*.egg-info", "dist")),
    ("what describes the image", (
        "**/Dockerfile*", "**/.dockerignore", "**/compose*.yaml", "**/compose*.yml",
        "**/docker-compose*", "docker-bake.*",
    )),
    ("of editors and systems", ("**/.idea", "**/.vscode", "**/.DS_Store")),
)  # fmt: skip

# What an image is worse for, each as a path that a pattern has to match.
_MUST_NOT_GET_IN = {
    ".venv": ".venv/bin/python",
    ".git": ".git/config",
    "**/.env": ".env",
    "**/__pycache__": "package/__pycache__/module.pyc",
}


def dockerignore() -> str:
    """The text of a .dockerignore; the same for every project."""
    sections = ("\n".join((f"# {why}", *patterns)) for why, patterns in _PATTERNS)
    return "# Made by `uvflow docker`; yours to edit.\n\n" + "\n\n".join(sections) + "\n"


def missing(text: str) -> tuple[str, ...]:
    """The patterns that `text`, a .dockerignore, needs and lacks."""
    return tuple(need for need, path in _MUST_NOT_GET_IN.items() if not is_ignored(path, text))


def is_ignored(path: str, text: str) -> bool:
    """Whether the .dockerignore `text` leaves `path` out of the context."""
    ignored = False
    for line in text.removeprefix("\ufeff").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        if _matches(pattern.removeprefix("!").strip(), path):
            ignored = not pattern.startswith("!")
    return ignored


def _matches(pattern: str, path: str) -> bool:
    """A pattern that matches a directory matches what is in it."""
    regex = re.compile(_regex(pattern.strip("/").removeprefix("./")))
    parts = path.split("/")
    return any(regex.fullmatch("/".join(parts[:n])) for n in range(1, len(parts) + 1))


def _regex(pattern: str) -> str:
    def piece(match: re.Match[str]) -> str:
        match match[0]:
            case "**/":
                return "(?:.*/)?"
            case "**":
                return ".*"
            case "*":
                return "[^/]*"
            case "?":
                return "[^/]"
            case text if text.startswith("["):
                return text
            case text:
                return re.escape(text.removeprefix("\\") or text)

    return re.sub(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|\\.|.", piece, pattern)
