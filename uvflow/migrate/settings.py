"""Options of requirements files → settings of `[tool.uv]`."""

import itertools
import posixpath
import re
from collections.abc import Callable, Iterable
from typing import Any

from packaging.utils import canonicalize_name, is_normalized_name

from uvflow.migrate.credentials import remaining_secret, split_userinfo, variables
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket
from uvflow.redaction import redacted

# Options that other modules read.
_INDEXES = ("--index-url", "--extra-index-url")
_NOT_SETTINGS = ("--hash", "--editable", "--requirement", "--constraint", *_INDEXES)

_FLAGS: dict[str, dict[str, Any]] = {
    "--no-index": {"no-index": True},
    "--pre": {"prerelease": "allow"},
    "--require-hashes": {},  # uv.lock has them for everything
}
_FORMATS = {"--no-binary": "no-binary", "--only-binary": "no-build"}
_ALL, _NONE = ":all:", ":none:"  # instead of names


def collect_settings(
    lines: Iterable[Line], outcomes: LineOutcomes, exists: Callable[[str], bool]
) -> dict[str, Any]:
    """The settings of `[tool.uv]` that `lines` ask for; `exists` is whether a path exists.

    Index options and includes are read by other modules.
    """
    settings: dict[str, Any] = {}
    formats: list[tuple[Line, str, str]] = []
    seen: set[tuple[str, str]] = set()
    for line in lines:
        for overlooked in line.overlooked:
            message = f"pip ignores `{redacted(overlooked)}` here"
            hint = "remove it, or put it on a line of its own"
            outcomes.needs_action("overlooked", message, line.origin, hint)
        for option, value in line.effective:
            if option in _NOT_SETTINGS:
                continue
            if (option, value) in seen:
                outcomes.record_bucket(Bucket.MERGED, line.origin)
                continue
            if option == "--find-links":
                _add_find_links(line, value, settings, outcomes, exists)
            elif option in _FLAGS:
                settings |= _FLAGS[option]
                bucket = Bucket.SETTING if _FLAGS[option] else Bucket.DEFAULT
                outcomes.record_bucket(bucket, line.origin)
            elif option in _FORMATS:
                formats.append((line, _FORMATS[option], value))
            else:
                _refuse(option, value, line, outcomes)
            if not line.requirement:  # the options of a requirement concern nothing else
                seen.add((option, value))
    return settings | _format_settings(formats, outcomes)


def _refuse(option: str, value: str, line: Line, outcomes: LineOutcomes) -> None:
    if option == "--trusted-host":
        host = value.rpartition("@")[2]
        message = (
            f"`--trusted-host {host}` was not imported: in uv it would disable TLS"
            " verification for that host everywhere"
        )
        hint = f'if that is intended: `allow-insecure-host = ["{host}"]` in [tool.uv]'
        outcomes.needs_action("trusted-host", message, line.origin, hint)
    else:
        message = f"uv has no equivalent of `{option}`"  # its value may be a secret
        hint = "see uv's settings reference for one that comes near, or remove it"
        outcomes.needs_action("no-equivalent", message, line.origin, hint)


def _add_find_links(
    line: Line,
    value: str,
    settings: dict[str, Any],
    outcomes: LineOutcomes,
    exists: Callable[[str], bool],
) -> None:
    place, userinfo = split_userinfo(value)
    if userinfo or remaining_secret(value) or variables(place):
        message = "`--find-links` with credentials or a variable was not imported"
        hint = "write it into `find-links` in [tool.uv] without; uv logs in with a netrc file"
        outcomes.needs_action("find-links-credentials", message, line.origin, hint)
        return
    if not re.match(r"[a-z][a-z0-9+.-]+:", place, re.IGNORECASE):
        # pip looks beside the file that has the line, then where it runs: here, the root.
        path = place.replace("\\", "/")
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(line.origin.path), path))
        place = beside if exists(beside) else posixpath.normpath(path)
    settings.setdefault("find-links", []).append(place)
    outcomes.record_bucket(Bucket.SETTING, line.origin)


def _format_settings(
    formats: Iterable[tuple[Line, str, str]], outcomes: LineOutcomes
) -> dict[str, Any]:
    listed: dict[str, list[str]] = {}
    for line, setting, value in formats:
        for word in filter(None, value.split(",")):
            name = canonicalize_name(word)
            if word not in (_ALL, _NONE) and not is_normalized_name(name):
                message = f"`{redacted(word)}` is not the name of a package"
                outcomes.needs_action("overlooked", message, line.origin, "correct or remove it")
            elif name not in listed.setdefault(setting, []):
                listed[setting].append(name)
    words = [*itertools.chain.from_iterable(listed.values())]
    # In pip such a line may be an exception to another one, or revoke it; in uv it cannot.
    are_in_both = len({*words}) < len(words)
    if _NONE in words or are_in_both or (_ALL in words and len(listed) > 1):
        for line, _, _ in formats:
            message = f"`{redacted(line.text)}`: in uv no line is an exception to another"
            hint = "write what counts into [tool.uv]: see `no-binary` and `no-build` there"
            outcomes.needs_action("format-exceptions", message, line.origin, hint)
        return {}
    outcomes.record_bucket(Bucket.SETTING, *(line.origin for line, _, _ in formats))
    if _ALL in words:
        return dict.fromkeys(listed, True)
    return {f"{setting}-package": names for setting, names in listed.items() if names}
