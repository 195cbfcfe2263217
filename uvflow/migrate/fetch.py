"""Requirements files on the web: read over http and https, within bounds of size and time."""

import contextlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from uvflow import __version__

SECONDS = 10  # for a body, and for each word of a server before it
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
        return _read(url)

    return fetch


def _read(url: str) -> bytes:
    try:
        return _body(url)
    except urllib.error.HTTPError as error:
        error.close()
        phrase = http.client.responses.get(error.code, "")  # not the server's own
        message = f"the server answers {error.code} {phrase}".rstrip()
        if error.code in range(300, 400):
            message = "the server redirects to a URL that is not followed"
        if error.code in (404, 410):
            raise FileNotFoundError(message) from None
        raise (ConnectionError if error.code in range(500, 600) else OSError)(message) from None
    except (http.client.InvalidURL, ValueError):
        raise OSError("it is not a URL that can be fetched") from None
    except (urllib.error.URLError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ConnectionError(getattr(reason, "strerror", None) or str(reason)) from None


def _body(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": f"uvflow/{__version__}"})  # noqa: S310  the caller knows http and https only
    opener = urllib.request.build_opener(_Redirects)
    deadline, data = time.monotonic() + SECONDS, b""
    with contextlib.closing(opener.open(request, timeout=SECONDS)) as response:
        if response.headers.get_content_type() == "text/html":
            raise OSError("it is a web page, not a text file")
        while part := response.read1(BYTES):
            data += part
            if len(data) > BYTES:
                raise OSError(f"it is longer than {BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer within {SECONDS} seconds")
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
