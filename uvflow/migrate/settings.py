"""Options of requirements files → settings of `[tool.uv]`."""

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name, is_normalized_name

from uvflow import findings
from uvflow.findings import Finding
from uvflow.migrate.credentials import left_in, split_userinfo, variables
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket
from uvflow.redaction import redacted

# What pip has and uv has not, with what there is to do instead.
_NO_EQUIVALENT = {
    "--all-releases": "ask for the pre-release where it is wanted, as in `name>=2.0b1`",
    "--config-settings": "see `config-settings-package` in uv's settings reference",
    "--global-option": "see `config-settings-package` in uv's settings reference",
    "--only-final": "see `prerelease` in uv's settings reference",
    "--prefer-binary": "see `no-build-package` in uv's settings reference",
    "--use-feature": "it is about pip itself; most likely there is nothing to do",
    **dict.fromkeys(
        (
            *("--allow-all-external", "--allow-external", "--allow-unverified", "--always-unzip"),
            *("--install-option", "--no-use-wheel", "--process-dependency-links", "--use-wheel"),
        ),
        "pip has dropped it as well; take it out",
    ),
}

# Options that concern the one requirement they stand with, or that others read.
_SAID_TO_ONE = (
    *("--hash", "--config-settings", "--global-option", "--install-option", "--editable"),
    *("--requirement", "--constraint", "--index-url", "--extra-index-url"),
)

# Options that a later one may take back: what is said again may mean something again.
_TAKEN_BACK = ("--no-binary", "--only-binary")


def collect_settings(
    lines: Iterable[Line], ledger: LineOutcomes, exists: Callable[[str], bool]
) -> dict[str, Any]:
    """The settings that `lines` ask for; `exists` tells whether there is something at a path.

    Index options and includes are left to others.
    """
    reader = _Reader(ledger=ledger, exists=exists)
    for line in lines:
        reader.take(line)
    return reader.settings()


@dataclass(kw_only=True)
class _Reader:
    """Options as pip would apply them, one after the other."""

    ledger: LineOutcomes
    exists: Callable[[str], bool]
    find_links: list[str] = field(default_factory=list)
    flags: dict[str, Any] = field(default_factory=dict)
    no_binary: dict[str, Line] = field(default_factory=dict)
    only_binary: dict[str, Line] = field(default_factory=dict)
    formats: list[Line] = field(default_factory=list)  # with options that may be taken back
    _said: set[tuple[str, str]] = field(default_factory=set)

    def take(self, line: Line) -> None:
        for overlooked in line.overlooked:
            message = f"pip takes no notice of `{redacted(overlooked)}` here"
            self._leave(line, "overlooked", message, "take it out, or give it a line of its own")
        for option, value in line.effective:
            if (option, value) in self._said:
                self.ledger.mark(Bucket.MERGED, line.origin)
            else:
                self._apply(line, option, value)
            if option not in (*_SAID_TO_ONE, *_TAKEN_BACK):
                self._said.add((option, value))

    def _apply(self, line: Line, option: str, value: str) -> None:
        match option:
            case "--find-links":
                self._find_links(line, value)
            case "--no-index":
                self._set(line, "no-index", True)
            case "--pre":
                self._set(line, "prerelease", "allow")
            case "--no-binary":
                self._format(line, value, self.no_binary, self.only_binary)
            case "--only-binary":
                self._format(line, value, self.only_binary, self.no_binary)
            case "--trusted-host":
                self._trusted_host(line, value)
            case "--require-hashes":
                self.ledger.mark(Bucket.DEFAULT, line.origin)  # uv.lock has them for everything
            case _ if option in _NO_EQUIVALENT:
                said = redacted(f"{option} {value}".rstrip())
                message = f"uv has nothing like `{said}`"
                self._leave(line, "no-equivalent", message, _NO_EQUIVALENT[option])

    def settings(self) -> dict[str, Any]:
        """In the words of uv's settings reference."""
        self._count_formats()
        self._leave_exceptions(self.no_binary, self.only_binary, "no-binary")
        self._leave_exceptions(self.only_binary, self.no_binary, "no-build")
        return {
            **({"find-links": self.find_links} if self.find_links else {}),
            **self.flags,
            **_formats(self.no_binary, "no-binary"),
            **_formats(self.only_binary, "no-build"),
        }

    def _count_formats(self) -> None:
        """A line of which nothing is left has been said by another, or asked for the default."""
        counting = {line.origin for line in (*self.no_binary.values(), *self.only_binary.values())}
        for line in self.formats:
            if line.origin in counting:
                self.ledger.mark(Bucket.SETTING, line.origin)
            elif all(value == ":none:" for _, value in line.options):
                self.ledger.mark(Bucket.DEFAULT, line.origin)
            else:
                self.ledger.mark(Bucket.MERGED, line.origin)
                self.ledger.note(_overruled(line))

    def _leave_exceptions(
        self, here: dict[str, Line], there: dict[str, Line], setting: str
    ) -> None:
        """pip lets a package be the exception to `:all:`, and uv does not."""
        if ":all:" in here and there:
            message = f"`:all:` with the exception of {', '.join(there)} cannot be said to uv"
            hint = f"choose: `{setting} = true` in [tool.uv], or a list of packages"
            self._leave(here.pop(":all:"), "format-exceptions", message, hint)

    def _leave(self, line: Line, code: str, message: str, hint: str) -> None:
        self.ledger.note(findings.action(code, message, line.origin, hint))
        self.ledger.mark(Bucket.ACTION, line.origin)

    def _find_links(self, line: Line, value: str) -> None:
        place, userinfo = split_userinfo(value)
        if left_in(value):
            hint = "let uv know them by a netrc file, and take them out of the URL"
            self._leave(line, "find-links-credentials", left_in(value), hint)
            return
        if variables(place):
            message = f"uv expands no variables in `{place}`"
            self._leave(line, "variable", message, "write what it stands for into `find-links`")
            return
        if userinfo:
            message = userinfo.told_of(place, line.origin.path, is_at_hand=False)
            self._leave(line, "find-links-credentials", message, "let uv know them by a netrc file")
        self.find_links.append(self._relative_to_root(line, place))
        self.ledger.mark(Bucket.SETTING, line.origin)

    def _relative_to_root(self, line: Line, place: str) -> str:
        """pip looks beside the file that has the line, then where it runs: here, the root."""
        if re.match(r"[a-z][a-z0-9+.-]+:", place, re.IGNORECASE):
            return place
        path = place.replace("\\", "/")
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(line.origin.path), path))
        return beside if self.exists(beside) else posixpath.normpath(path)

    def _set(self, line: Line, setting: str, value: Any) -> None:
        self.flags[setting] = value
        self.ledger.mark(Bucket.SETTING, line.origin)

    def _format(
        self, line: Line, value: str, here: dict[str, Line], there: dict[str, Line]
    ) -> None:
        """As pip: a later word takes back an earlier one; `:none:` empties, `:all:` is all."""
        for name in filter(None, value.split(",")):
            if name == ":none:":
                here.clear()
            elif name == ":all:":
                there.clear()
                first = here.get(name, line)
                here.clear()
                here[name] = first
            elif not is_normalized_name(canonicalize_name(name)):
                message = f"`{redacted(name)}` is not the name of a package"
                self._leave(line, "overlooked", message, "correct it, or take it out")
            elif ":all:" not in here:
                there.pop(canonicalize_name(name), None)
                here.setdefault(canonicalize_name(name), line)
        self.formats.append(line)

    def _trusted_host(self, line: Line, value: str) -> None:
        self._leave(
            line,
            "trusted-host",
            f"that {value} is trusted is not taken over: it would switch TLS checks off for all",
            f'if you mean it: `allow-insecure-host = ["{value}"]` in [tool.uv]',
        )


def _overruled(line: Line) -> Finding:
    return findings.note(
        "overruled",
        f"`{line.text}` changes nothing: other lines say it, or take it back",
        line.origin,
    )


def _formats(names: dict[str, Line], setting: str) -> dict[str, Any]:
    if ":all:" in names:
        return {setting: True}
    return {f"{setting}-package": list(names)} if names else {}
