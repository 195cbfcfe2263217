"""Options of requirements files → settings of `[tool.uv]`."""

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name, is_normalized_name

from uvflow.findings import Origin
from uvflow.migrate.credentials import remaining_secret, split_userinfo, variables
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket
from uvflow.redaction import redacted

# Options of pip that uv does not have, with what to do instead; all others can go.
_INSTEAD = {
    "--all-releases": "request the pre-release explicitly, as in `name>=2.0b1`",
    "--config-settings": "see `config-settings-package` in uv's settings reference",
    "--global-option": "see `config-settings-package` in uv's settings reference",
    "--only-final": "see `prerelease` in uv's settings reference",
    "--prefer-binary": "see `no-build-package` in uv's settings reference",
}

# Options that other modules read.
_NOT_SETTINGS = (
    *("--hash", "--editable", "--requirement", "--constraint"),
    *("--index-url", "--extra-index-url"),
)

_FLAGS: dict[str, dict[str, Any]] = {
    "--no-index": {"no-index": True},
    "--pre": {"prerelease": "allow"},
}
_FORMATS = {"--no-binary": "no-binary", "--only-binary": "no-build"}
_ALL, _NONE = ":all:", ":none:"  # instead of names


def collect_settings(
    lines: Iterable[Line], outcomes: LineOutcomes, exists: Callable[[str], bool]
) -> dict[str, Any]:
    """The settings that `lines` ask for; `exists` tells whether there is something at a path.

    Index options and includes are read by other modules.
    """
    collector = _Collector(outcomes=outcomes, exists=exists)
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
            collector.add(line, option, value)
            if not line.requirement:  # beside one it concerns nothing else
                seen.add((option, value))
    return {**collector.settings, **collector.format_settings()}


@dataclass(kw_only=True)
class _Collector:
    """`settings` are by their names in uv's settings reference.

    `formats` are the words of each setting about formats, `format_lines` the lines with them.
    """

    outcomes: LineOutcomes
    exists: Callable[[str], bool]
    settings: dict[str, Any] = field(default_factory=dict)
    formats: dict[str, list[str]] = field(default_factory=dict)
    format_lines: dict[Origin, Line] = field(default_factory=dict)

    def add(self, line: Line, option: str, value: str) -> None:
        match option:
            case "--find-links":
                self._add_find_links(line, value)
            case "--no-index" | "--pre":
                self.settings |= _FLAGS[option]
                self.outcomes.record_bucket(Bucket.SETTING, line.origin)
            case "--no-binary" | "--only-binary":
                self._add_formats(line, value, self.formats.setdefault(_FORMATS[option], []))
            case "--trusted-host":
                value = value.rpartition("@")[2]
                message = (
                    f"`--trusted-host {value}` was not imported: in uv it would disable TLS"
                    " verification for that host everywhere"
                )
                hint = f'if that is intended: `allow-insecure-host = ["{value}"]` in [tool.uv]'
                self.outcomes.needs_action("trusted-host", message, line.origin, hint)
            case "--require-hashes":  # uv.lock has them for everything
                self.outcomes.record_bucket(Bucket.DEFAULT, line.origin)
            case _:
                message = f"uv has no equivalent of `{option}`"  # its value may be a secret
                hint = _INSTEAD.get(option, "remove it: it concerns pip alone")
                self.outcomes.needs_action("no-equivalent", message, line.origin, hint)

    def _add_find_links(self, line: Line, value: str) -> None:
        place, userinfo = split_userinfo(value)
        if userinfo or remaining_secret(value) or variables(place):
            message = "`--find-links` with credentials or a variable was not imported"
            hint = "write it into `find-links` in [tool.uv] without; uv logs in with a netrc file"
            self.outcomes.needs_action("find-links-credentials", message, line.origin, hint)
            return
        if not re.match(r"[a-z][a-z0-9+.-]+:", place, re.IGNORECASE):
            # pip looks beside the file that has the line, then where it runs: here, the root.
            path = place.replace("\\", "/")
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(line.origin.path), path))
            place = beside if self.exists(beside) else posixpath.normpath(path)
        self.settings.setdefault("find-links", []).append(place)
        self.outcomes.record_bucket(Bucket.SETTING, line.origin)

    def _add_formats(self, line: Line, value: str, words: list[str]) -> None:
        self.format_lines[line.origin] = line
        for word in filter(None, value.split(",")):
            name = canonicalize_name(word)
            if word not in (_ALL, _NONE) and not is_normalized_name(name):
                message = f"`{redacted(word)}` is not the name of a package"
                hint = "correct or remove it"
                self.outcomes.needs_action("overlooked", message, line.origin, hint)
            elif name not in words:
                words.append(name)

    def format_settings(self) -> dict[str, Any]:
        """In pip a line may be an exception to another one, or revoke it; uv has none of that."""
        listed = {setting: words for setting, words in self.formats.items() if words}
        words = [word for of_one in listed.values() for word in of_one]
        if _NONE in words or len({*words}) < len(words) or (_ALL in words and len(listed) > 1):
            for line in self.format_lines.values():
                message = f"`{redacted(line.text)}`: in uv no line is an exception to another"
                hint = "write what counts into [tool.uv]: see `no-binary` and `no-build` there"
                self.outcomes.needs_action("format-exceptions", message, line.origin, hint)
            return {}
        self.outcomes.record_bucket(Bucket.SETTING, *self.format_lines)
        if _ALL in words:
            return dict.fromkeys(listed, True)
        return {f"{setting}-package": names for setting, names in listed.items()}
