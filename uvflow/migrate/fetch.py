"""Requirements files on the web: read over http and https, within bounds of size and time."""

import contextlib
import http.client
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from uvflow import __version__
from uvflow.migrate.credentials import split_userinfo

SECONDS = 10  # for one file, with all its redirects
BYTES = 1_000_000  # of one file; upper-constraints.txt of OpenStack has 20,000
FILES = 100  # of one import: a server can answer with new includes forever

_AUTHORIZATION = "Authorization"


def fetcher(
    progress: Callable[[str], None], environ: Mapping[str, str]
) -> Callable[[str, str], bytes]:
    """A function that reads the file at a URL, for one import; `progress` gets the name of each.

    It raises FileNotFoundError where the server does not have the file, ConnectionError or
    TimeoutError where the network is the reason, OSError for anything else. No message has the URL:
    it may hold secrets, or the value of a variable, in any place.
    """
    urls: set[str] = set()
    unreachable: dict[str, OSError] = {}

    def fetch(url: str, name: str) -> bytes:
        urls.add(url)
        if len(urls) > FILES:
            raise OSError(f"more than {FILES} files would have to be fetched")
        if environ.get("UV_OFFLINE", "").lower() in ("1", "true", "yes", "on", "y", "t"):
            raise ConnectionError("UV_OFFLINE is set")
        host = url.split("/", 3)[2]
        if host in unreachable:  # one wait is enough
            raise unreachable[host]
        progress(f"Fetching {name}")
        try:
            return _read_in_time(url)
        except (ConnectionError, TimeoutError) as error:
            unreachable[host] = error
            raise

    return fetch


def _read_in_time(url: str) -> bytes:
    """In a thread of its own: no socket time-out covers the look-up of the host's name."""
    answers: SimpleQueue[bytes | Exception] = SimpleQueue()
    thread = threading.Thread(target=lambda: answers.put(_answer(url)), daemon=True, name="fetch")
    thread.start()
    try:
        answer = answers.get(timeout=SECONDS)
    except Empty:
        raise TimeoutError(f"no answer within {SECONDS} seconds") from None
    thread.join()  # no thread runs when uv is started
    if isinstance(answer, Exception):
        raise answer from None
    return answer


_NETWORK = (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException)
_KINDS = {401: PermissionError, 403: PermissionError} | dict.fromkeys((404, 410), FileNotFoundError)


def _answer(url: str) -> bytes | Exception:
    try:
        return _read(url)
    except urllib.error.HTTPError as error:
        error.close()
        phrase = http.client.responses.get(error.code, "")  # not the server's own
        message = f"the server answers {error.code} {phrase}".rstrip()
        match error.code // 100:
            case 3:
                return OSError("the server redirects to a URL that is not followed")
            case 5:
                return ConnectionError(message)
            case _:
                return _KINDS.get(error.code, OSError)(message)
    except (http.client.InvalidURL, ValueError):
        return OSError("it is not a URL that can be fetched")
    except _NETWORK as error:
        return ConnectionError(_without_url(getattr(error, "reason", error)))
    except OSError as error:
        return OSError(error.strerror or str(error))


def _without_url(reason: BaseException | str) -> str:
    """What went wrong, without the host's name, which a failed check of a certificate has."""
    if isinstance(reason, ssl.SSLError):
        return f"no secure connection ({reason.reason})"
    strerror: str | None = getattr(reason, "strerror", None)
    return strerror or (reason if isinstance(reason, str) else type(reason).__name__)


def _read(url: str) -> bytes:
    bare, userinfo = split_userinfo(url)
    request = urllib.request.Request(bare, headers={"User-Agent": f"uvflow/{__version__}"})  # noqa: S310  the caller knows http and https only
    if userinfo:
        # "unredirected": a server that the answer redirects to does not get it.
        request.add_unredirected_header(_AUTHORIZATION, userinfo.as_header({}))
    opener = urllib.request.build_opener(_Redirects)
    with contextlib.closing(opener.open(request, timeout=SECONDS)) as response:
        if response.headers.get_content_type() == "text/html":
            raise OSError("it is a web page, not a text file")
        data: bytes = response.read(BYTES + 1)
    if len(data) > BYTES:
        raise OSError(f"it is longer than {BYTES} bytes")
    return data


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Only to where a file may be fetched from, and never from https to http."""

    def redirect_request(  # noqa: PLR0913, PLR0917  the signature is urllib's
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in allowed:
            raise urllib.error.HTTPError(newurl, code, msg, headers, fp)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        login = req.get_header(_AUTHORIZATION)
        if request and login and (request.type, request.host) == (req.type, req.host):
            request.add_unredirected_header(_AUTHORIZATION, login)
        return request
