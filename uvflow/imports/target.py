"""A requirement that names a place: the place, and what its fragment and its marker say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508

from uvflow.imports.credentials import split_userinfo, variables
from uvflow.imports.model import Requirement
from uvflow.imports.requirements import Line

# pip's archive extensions (pip._internal.utils.filetypes).
ARCHIVE = re.compile(
    r"\.(?:whl|zip|tar|tgz|tbz|txz|tlz|tar\.(?:gz|bz2|xz|lz|lzma))$", re.IGNORECASE
)
SCHEME = re.compile(r"(?P<vcs>git|hg|svn|bzr)[+:]|(?:https?|ftp|file):", re.IGNORECASE)
_DIRECT = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)\s*(?:\[(?P<extras>[^\]]*)\])?\s*@\s*(?P<place>.+)",
    re.IGNORECASE | re.ASCII,
)
_WITH_EXTRAS = re.compile(r"(?P<place>.+?)\s*\[(?P<extras>[^\[\]]*)\]")
_EGG = re.compile(
    r"(?P<name>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?:\[(?P<extras>[^\]]*)\])?",
    re.IGNORECASE | re.ASCII,
)
_OLD_EGG = re.compile(r"-\d+(?:\.\w+)+$")  # setuptools once wanted `#egg=name-1.0`
_ALGORITHMS = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A requirement that names a place: the place, what its fragment says, what is around it."""

    line: Line
    place: str
    said: Mapping[str, str]
    name: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""


def target_of(line: Line) -> Target | None:
    """The place that a requirement names by URL or path, or None: it is a name with a version."""
    text = line.requirement
    direct = _DIRECT.fullmatch(text)
    if direct:
        place, marker = _split_marker(direct["place"], r"\s+;|;\s+")
        return _split_fragment(line, place, marker, direct["name"], direct["extras"])
    if SCHEME.match(text):
        place, marker = _split_marker(text, r"\s+;|;\s+")
    else:
        place, marker = _split_marker(text, r";")
        if not (line.is_editable or _looks_like_path(place)):
            return None
    behind = _WITH_EXTRAS.fullmatch(place) if "egg=" not in place else None
    if behind:
        return _split_fragment(line, behind["place"], marker, "", behind["extras"])
    return _split_fragment(line, place, marker, "", "")


def _split_marker(text: str, separator: str) -> tuple[str, str]:
    place, *marker = re.split(separator, text, maxsplit=1)
    return place.strip(), "".join(marker).strip()


def _split_fragment(line: Line, place: str, marker: str, name: str, extras: str | None) -> Target:
    """`#egg=name[x]&subdirectory=s&sha256=…`; what stands behind the name means nothing to pip."""
    place, _, fragment = place.partition("#")
    said = dict(part.partition("=")[::2] for part in fragment.split("&"))
    egg = _EGG.match(_OLD_EGG.sub("", unquote(said.get("egg", ""))))
    return Target(
        line=line,
        place=place,
        said=said,
        name=name or (egg["name"] if egg else ""),
        extras=tuple(sorted({*_listed(extras), *_listed(egg["extras"] if egg else "")})),
        marker=marker,
    )


def _listed(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _looks_like_path(text: str) -> bool:
    """pip goes by the look: a separator, a dot in front, or an archive's extension."""
    is_path = text.startswith(".") or "/" in text or "\\" in text
    return is_path or ARCHIVE.search(text) is not None


def is_strange(target: Target, scheme: re.Match[str] | None) -> bool:
    """Two lines that have become one, or a URL behind a quote: what is secret cannot be told."""
    if scheme is None:
        return "://" in target.place
    parts = () if scheme[0].lower() == "file:" else (target.place, *target.said.values())
    return any(re.search(r"\s", part) for part in parts)


def is_valid(target: Target) -> bool:
    """Whether uv can be told of it: a known marker, extras that are names, no variable left."""
    try:
        Marker(target.marker or "python_version > '0'")
        Pep508(f"name[{','.join(target.extras)}]")
    except (InvalidMarker, InvalidRequirement):
        return False
    return bool(target.place) and not variables(split_userinfo(target.place)[0])


def requirement_at(target: Target, text: str, name: str, source: Mapping[str, Any]) -> Requirement:
    """The requirement with `source`; `text` is what has to be named first where `name` is empty."""
    line = target.line
    in_url = (f"{a}:{target.said[a]}" for a in _ALGORITHMS if a in target.said)
    requirement = Requirement(
        text=text,
        name=None,
        origin=line.origin,
        comment=line.comment,
        above=line.above,
        hashes=(*(line.values("--hash") if not line.is_editable else ()), *in_url),
        source=source,
        extras=target.extras,
        marker=target.marker,
    )
    return requirement.named(name) if name else requirement
