"""One requirements file that is named: read, or told why not."""

from collections.abc import Callable
from dataclasses import dataclass

from uvflow.imports import requirements
from uvflow.imports.credentials import UNCLEAR, are_unclear, variables
from uvflow.imports.local import Read
from uvflow.imports.model import Finding, Options, Origin, Severity
from uvflow.imports.places import Place, is_outside, is_url
from uvflow.imports.requirements import RequirementsFile

Fetch = Callable[[str], bytes]


def no_network(_url: str) -> bytes:
    """The Fetch of who has no network."""
    raise ConnectionError("there is no network here")


@dataclass(frozen=True, kw_only=True)
class Reader:
    """`read` takes a path relative to the root, `fetch` a URL of the web.

    Both raise OSError, FileNotFoundError where there is no such file. Where `fetch` raises
    ConnectionError or TimeoutError, the network is the reason.
    """

    read: Read
    fetch: Fetch = no_network
    options: Options

    def file(self, place: Place, origin: Origin | None) -> RequirementsFile | Finding:
        """The file at `place`, included at `origin` or named by the user; else an ERROR finding."""
        refusal = self._refusal(place, origin)
        if refusal:
            return refusal
        try:
            data = (self.fetch if place.is_on_the_web else self.read)(place.address)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            return _unread(place, origin, error)
        file = requirements.parse(data, place.path, self.options.encoding)
        return file.problem or file

    def _refusal(self, place: Place, origin: Origin | None) -> Finding | None:
        """What a file says is not to make uvflow read or ask whatever there is to be read."""
        if not place.address:
            return _error(origin, "include-url", f"{place.path} is not fetched", _SAVE)
        if origin and not self.options.allow_outside and is_outside(place.address):
            if is_url(place.address):
                message = f"{place.path} is not fetched"
                return _error(origin, "include-url", message, f"`--allow-outside`, or {_SAVE}")
            message = f"{place.path} lies outside the project, and is not read"
            return _error(origin, "include-outside", message, f"`--allow-outside`, or {_COPY}")
        unset = variables(place.address)
        if unset:
            message = (
                f"{place.path} needs {' and '.join(unset)}, which the environment does not have"
            )
            return _error(
                origin, "variable-unset", message, f"set {' and '.join(unset)} for this run"
            )
        if are_unclear(place.address):
            hint = "percent-encode what the password has of / ? # @ (RFC 3986)"
            return _error(origin, "include-url", f"{UNCLEAR}, which is not fetched", hint)
        return None


_SAVE = "save the file in the project and include that"
_COPY = "copy the file into the project and include that"


def _unread(place: Place, origin: Origin | None, error: OSError | ValueError) -> Finding:
    why = getattr(error, "strerror", None) or error
    match error:
        case FileNotFoundError():
            kind = "file" if origin is None else "included file"
            hint = "write the file, or take the line out"
            return _error(origin, "file-not-found", f"{kind} {place.path} not found", hint)
        case ConnectionError() | TimeoutError():
            message = f"{place.path} cannot be reached: {why}"
            return _error(origin, "include-unreachable", message, f"try again, or {_SAVE}")
        case _:
            return _error(origin, "file-unreadable", f"{place.path} cannot be read: {why}")


def _error(origin: Origin | None, code: str, message: str, hint: str | None = None) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, message=message, origin=origin, hint=hint)
