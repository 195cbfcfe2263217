"""Local packages that a profile installs as copies, and whether their sources have changed since.

uv builds such a package again when its pyproject.toml changes but not when its code does, and may
take an earlier build from its cache (uv docs, "Dynamic metadata"). So the state has a digest of the
sources of each copy that a sync has installed. Any other copy may be of any age.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from uvflow import fingerprint
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment, read_quickly
from uvflow.environment.integrity import MOST_JSON
from uvflow.lockfile.packages import local_sources

_NAME = "copies.json"
_MOST = 100_000  # files and directories of a package; one with more is reinstalled by every sync
_LARGE = 1 << 20  # bytes; files above are compared by their identity


class LocalCopy(NamedTuple):
    """A package that a profile installs as a copy, with its sources as they are now.

    `digest` is of the names and contents of the sources, empty where there are too many. `answers`
    are a question for a fingerprint with its answer, empty where they cannot be watched. `changed`
    is when a source last was, `installed` the identity of the copy in the environment (empty
    without one), and `made_from` the digest of the sources it was made from, if known.
    """

    name: str
    digest: str = ""
    answers: tuple[bytes, ...] = ()
    changed: int = 0
    installed: str = ""
    made_from: str | None = None

    @property
    def is_current(self) -> bool:
        """Whether it is known to be what its sources are."""
        return bool(self.digest) and self.made_from == self.digest

    @property
    def is_outdated(self) -> bool:
        """Whether it is installed and older than its sources, if need be by time stamps."""
        if not self.digest or self.made_from is None:
            return bool(self.installed) and self.changed > int(self.installed.split()[2])
        return not self.is_current


def find_copies(context: SyncContext) -> tuple[LocalCopy, ...]:
    """Every local package that the profile installs as a copy, if it selects it."""
    sources = [source for source in local_sources(context.project) if source.path.is_dir()]
    kinds = {"directory"} if context.profile.editable else {"directory", "editable"}
    chosen = {s.name: os.path.normpath(s.path) for s in sources if s.kind in kinds}
    if not chosen:
        return ()
    places = sorted({os.path.normpath(source.path) for source in sources})
    installed = dict(_installed_copies(context.environment))
    remembered = context.state.read_json(_NAME)
    found = []
    for name, place in chosen.items():
        others = (other for other in places if other.startswith(place + os.sep))
        identity, _, digest = str(remembered.get(_key(context, name), "")).rpartition(" ")
        copy = LocalCopy(
            name=name,
            installed=installed.get(name, ""),
            made_from=digest if identity and identity == installed.get(name) else None,
        )
        question = os.fsencode("\0".join((place, *others)))
        # Without sources where one cannot be read, or there are too many.
        with contextlib.suppress(OSError, ValueError):
            files = fingerprint.source_files(question, most=_MOST)
            times = (int(each.split()[2]) for _, each in files if each != b"-")
            answers = (b"sources " + question, fingerprint.sources_answer(files))
            copy = copy._replace(
                digest=_digest_of(files),
                answers=answers if len(files) <= fingerprint.MOST_SOURCES else (),
                changed=max(times, default=0),
            )
        found.append(copy)
    return tuple(found)


def outdated_copies(context: SyncContext) -> tuple[str, ...]:
    """The names of the packages whose copy in the environment is older than their sources."""
    return tuple(copy.name for copy in find_copies(context) if copy.is_outdated)


def remember_copies(context: SyncContext, copies: Sequence[LocalCopy]) -> tuple[bytes, ...] | None:
    """Remember what the copies that a sync has installed were made from.

    Returns what their fingerprint depends on; None where that cannot be watched. Raises DiskError.
    """
    if not copies:
        return ()
    identities = dict(_installed_copies(context.environment))
    installed = [copy for copy in copies if copy.name in identities]
    known = context.state.read_json(_NAME).items()
    # Without those of environments that are gone: each release has a path of its own.
    remembered = {key: value for key, value in known if os.path.lexists(key.rpartition(" ")[0])}
    for copy in copies:
        remembered.pop(_key(context, copy.name), None)
    for copy in installed:
        remembered[_key(context, copy.name)] = f"{identities[copy.name]} {copy.digest}"
    context.state.write(_NAME, json.dumps(remembered).encode(), durable=False)
    answers = tuple(copy.answers for copy in installed)
    return sum(answers, ()) if all(answers) else None


def _digest_of(files: Iterable[tuple[bytes, bytes]]) -> str:
    """A digest of the paths and the contents of files, each of which has its identity with it.

    That counts in the place of what cannot be read, or is large.
    """
    import hashlib  # 3 ms, and only needed where there are copies, or defects

    digest = hashlib.sha256()
    for path, identity in files:
        content = identity
        with contextlib.suppress(OSError):
            content = fingerprint.read_file(path, _LARGE)
        for part in (path, content):
            digest.update(b"%d:%b" % (len(part), part))
    return digest.hexdigest()


def _installed_copies(environment: Path) -> Iterator[tuple[str, str]]:
    """The distributions that were built from a directory (PEP 610), with their identities."""
    for distribution in Environment(environment).distributions:
        origin = read_quickly(f"{distribution.location}{os.sep}direct_url.json", MOST_JSON) or b""
        with contextlib.suppress(ValueError, RecursionError):
            match json.loads(origin):
                case {"dir_info": dict(info)} if not info.get("editable"):
                    _, identity = fingerprint.record([f"identity {distribution.location}"])
                    yield distribution.name, identity.decode()


def _key(context: SyncContext, name: str) -> str:
    return f"{context.environment} {name}"
