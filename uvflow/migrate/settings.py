"""Options of requirements files → settings of `[tool.uv]`."""

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name, is_normalized_name

from uvflow import findings
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

# Options that a later one may revoke: repeated, they may have an effect again.
_FORMATS = {"--no-binary": "no-binary", "--only-binary": "no-build"}


def collect_settings(
    lines: Iterable[Line], outcomes: LineOutcomes, exists: Callable[[str], bool]
) -> dict[str, Any]:
    """The settings that `lines` ask for; `exists` tells whether there is something at a path.

    Index options and includes are read by other modules.
    """
    collector = _Collector(outcomes=outcomes, exists=exists)
    for line in lines:
        collector.add(line)
    return collector.settings()


@dataclass(kw_only=True)
class _Collector:
    """Options as pip would apply them, one after the other.

    `formats` has the setting that each name is in, with the first line that asked for that;
    `format_lines` are the lines with such options.
    """

    outcomes: LineOutcomes
    exists: Callable[[str], bool]
    find_links: list[str] = field(default_factory=list)
    flags: dict[str, Any] = field(default_factory=dict)
    formats: dict[str, tuple[str, Line]] = field(default_factory=dict)
    format_lines: list[Line] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def add(self, line: Line) -> None:
        for overlooked in line.overlooked:
            message = f"pip ignores `{redacted(overlooked)}` here"
            hint = "remove it, or put it on a line of its own"
            self._needs_action(line, "overlooked", message, hint)
        for option, value in line.effective:
            if (option, value) in self._seen:
                self.outcomes.record_bucket(Bucket.MERGED, line.origin)
            else:
                self._apply(line, option, value)
            # Beside a requirement it concerns nothing else.
            if not line.requirement and option not in (*_NOT_SETTINGS, *_FORMATS):
                self._seen.add((option, value))

    def _apply(self, line: Line, option: str, value: str) -> None:
        match option:
            case "--find-links":
                self._add_find_links(line, value)
            case "--no-index" | "--pre":
                self.flags |= _FLAGS[option]
                self.outcomes.record_bucket(Bucket.SETTING, line.origin)
            case "--no-binary" | "--only-binary":
                self._add_formats(line, value, _FORMATS[option])
            case "--trusted-host":
                message = (
                    f"`--trusted-host {value}` was not imported: in uv it would disable TLS"
                    " verification for that host everywhere"
                )
                hint = f'if that is intended: `allow-insecure-host = ["{value}"]` in [tool.uv]'
                self._needs_action(line, "trusted-host", message, hint)
            case "--require-hashes":  # uv.lock has them for everything
                self.outcomes.record_bucket(Bucket.DEFAULT, line.origin)
            case _ if option not in _NOT_SETTINGS:
                message = f"uv has no equivalent of `{redacted(f'{option} {value}'.rstrip())}`"
                hint = _INSTEAD.get(option, "remove it: it concerns pip alone")
                self._needs_action(line, "no-equivalent", message, hint)

    def _add_find_links(self, line: Line, value: str) -> None:
        place, userinfo = split_userinfo(value)
        if remaining_secret(value):
            hint = "give them to uv in a netrc file, and remove them from the URL"
            self._needs_action(line, "find-links-credentials", remaining_secret(value), hint)
            return
        if variables(place):
            message = f"uv does not expand variables in `{place}`"
            hint = "write its value into `find-links`"
            self._needs_action(line, "variable", message, hint)
            return
        if userinfo:
            message = userinfo.removal_notice(place, line.origin.path, is_at_hand=False)
            hint = "give them to uv in a netrc file"
            self._needs_action(line, "find-links-credentials", message, hint)
        if not re.match(r"[a-z][a-z0-9+.-]+:", place, re.IGNORECASE):
            # pip looks beside the file that has the line, then where it runs: here, the root.
            path = place.replace("\\", "/")
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(line.origin.path), path))
            place = beside if self.exists(beside) else posixpath.normpath(path)
        self.find_links.append(place)
        self.outcomes.record_bucket(Bucket.SETTING, line.origin)

    def _add_formats(self, line: Line, value: str, setting: str) -> None:
        """As pip: a later word revokes an earlier one; `:none:` empties, `:all:` is all."""
        self.format_lines.append(line)
        for word in filter(None, value.split(",")):
            name = canonicalize_name(word)
            if word == ":none:":
                others = (n for n in self.formats if self._format(n) != setting)
                self.formats = {name: self.formats[name] for name in others}
            elif word == ":all:":
                is_said = self._format(word) == setting
                self.formats = {word: self.formats[word] if is_said else (setting, line)}
            elif not is_normalized_name(name):
                message = f"`{redacted(word)}` is not the name of a package"
                self._needs_action(line, "overlooked", message, "correct or remove it")
            elif setting not in (self._format(":all:"), self._format(name)):
                self.formats.pop(name, None)
                self.formats[name] = setting, line

    def _format(self, name: str) -> str:
        return self.formats[name][0] if name in self.formats else ""

    def settings(self) -> dict[str, Any]:
        """By their names in uv's settings reference."""
        counting = {line.origin for _, line in self.formats.values()}
        for line in self.format_lines:
            if line.origin in counting:
                self.outcomes.record_bucket(Bucket.SETTING, line.origin)
            elif all(value == ":none:" for _, value in line.options):
                self.outcomes.record_bucket(Bucket.DEFAULT, line.origin)
            else:
                message = f"`{line.text}` has no effect: other lines repeat or revoke it"
                note = findings.note("overruled", message, line.origin)
                self.outcomes.record_bucket(Bucket.MERGED, line.origin)
                self.outcomes.record_findings(note)
        links = {"find-links": self.find_links} if self.find_links else {}
        formats = self._format_settings("no-binary") | self._format_settings("no-build")
        return {**links, **self.flags, **formats}

    def _format_settings(self, setting: str) -> dict[str, Any]:
        """pip lets a package be the exception to `:all:`, and uv does not."""
        names = [name for name in self.formats if self._format(name) == setting]
        exceptions = [name for name in self.formats if name not in names]
        if ":all:" not in names:
            return {f"{setting}-package": names} if names else {}
        if not exceptions:
            return {setting: True}
        message = f"uv does not support `:all:` with exceptions ({', '.join(exceptions)})"
        hint = f"choose `{setting} = true` in [tool.uv] or a list of packages"
        self._needs_action(self.formats[":all:"][1], "format-exceptions", message, hint)
        return {}

    def _needs_action(self, line: Line, code: str, message: str, hint: str) -> None:
        finding = findings.action(code, message, line.origin, hint)
        self.outcomes.record_findings(finding)
