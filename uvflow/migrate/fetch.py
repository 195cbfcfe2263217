"""Requirements files on the web: read over http and https, within bounds of size and time."""

import contextlib
import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from uvflow import __version__

SECONDS = 10  # for one file, with all its redirects
BYTES = 1_000_000  # of one file; upper-constraints.txt of OpenStack has 20,000
FILES = 100  # of one import: a server can answer with new includes forever


def fetcher(progress: Callable[[str], None], environ: Mapping[str, str]) -> Callable[[str], bytes]:
    """A function that reads the file at a URL, for one import.

    It raises FileNotFoundError where the server does not have the file, ConnectionError or
    TimeoutError where the network is the reason, OSError for anything else.
    """
    urls: set[str] = set()

    def fetch(url: str) -> bytes:
        urls.add(url)
        if len(urls) > FILES:
            raise OSError(f"more than {FILES} files would have to be fetched")
        if environ.get("UV_OFFLINE", "").lower() in ("1", "true", "yes", "on", "y", "t"):
            raise ConnectionError("UV_OFFLINE is set")
        progress(f"Fetching {url}")
        return _read_in_time(url)

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


def _answer(url: str) -> bytes | Exception:
    try:
        return _read(url)
    except urllib.error.HTTPError as error:
        error.close()
        phrase = http.client.responses.get(error.code, "")  # not the server's own
        message = f"the server answers {error.code} {phrase}".rstrip()
        if error.code in (404, 410):
            return FileNotFoundError(message)
        if error.code in range(300, 400):
            message = "the server redirects to a URL that is not followed"
        return ConnectionError(message) if error.code in range(500, 600) else OSError(message)
    except (http.client.InvalidURL, ValueError):
        return OSError("it is not a URL that can be fetched")
    except _NETWORK as error:
        reason = getattr(error, "reason", error)
        return ConnectionError(getattr(reason, "strerror", None) or str(reason))
    except OSError as error:
        return OSError(error.strerror or str(error))


def _read(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": f"uvflow/{__version__}"})  # noqa: S310  the caller knows http and https only
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
        return super().redirect_request(req, fp, code, msg, headers, newurl)
