"""What a build needs to get at private packages: the variables of credentials, ssh. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from uvflow.docker.lock import Package
from uvflow.errors import UsageError

Table = Mapping[str, Any]


def secrets(
    indexes: Iterable[Table], private: tuple[str, ...], packages: Iterable[Package]
) -> tuple[str, ...]:
    """The variables that hold the credentials of the indexes that `packages` are taken from.

    An index asks for them where `private` names it, where it says `authenticate = "always"`, or
    where its URL has a user (uv docs, "Authentication"). Raises UsageError for a name in `private`
    that no index has, and for a URL with a password in it.
    """
    indexes = tuple(indexes)
    names = {str(index.get("name")) for index in indexes}
    for name in private:
        if name not in names:
            raise UsageError(
                f"[tool.uvflow.docker] private-indexes names `{name}`, which no index is called",
                hint=f"[[tool.uv.index]] has: {', '.join(sorted(names)) or 'nothing'}",
            )
    used = {_address(str(package.source.get("registry", ""))) for package in packages}
    found = (v for i in indexes if _asks(i, private, used) for v in _variables(i))
    return tuple(dict.fromkeys(found))


def uses_ssh(packages: Iterable[Package]) -> bool:
    return any(str(p.source.get("git", "")).startswith("ssh://") for p in packages)


def fetchers(packages: Iterable[Package]) -> tuple[str, ...]:
    """The Debian packages that get at sources which are in git."""
    packages = tuple(packages)
    if not any("git" in package.source for package in packages):
        return ()
    return ("git", "openssh-client") if uses_ssh(packages) else ("git",)


def _asks(index: Table, private: tuple[str, ...], used: set[str]) -> bool:
    url = str(index.get("url", ""))
    if urlsplit(url).password:
        raise UsageError(
            f"the URL of the index `{index.get('name')}` has a password in it",
            hint="take it out: the build gets it as a secret",
        )
    if index.get("name") in private:
        return True
    said = index.get("authenticate") == "always" or bool(urlsplit(url).username)
    return said and _address(url) in used


def _variables(index: Table) -> Iterator[str]:
    """uv docs, "Providing credentials directly": the name in capitals, the rest underscores."""
    if "name" not in index:
        raise UsageError(
            "an index that asks for credentials has no name, and so no variables to give them by",
            hint='say `name = "…"` in its [[tool.uv.index]]',
        )
    name = re.sub(r"[^A-Z0-9]", "_", str(index["name"]).upper())
    yield f"UV_INDEX_{name}_USERNAME"
    yield f"UV_INDEX_{name}_PASSWORD"


def _address(url: str) -> str:
    """`url` without its user and without a slash at its end."""
    return re.sub(r"(?<=://)[^/@]*@", "", url).rstrip("/")
