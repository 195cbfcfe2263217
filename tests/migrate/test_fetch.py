import socket
import threading
from urllib.error import HTTPError
from urllib.request import Request

import pytest
from site_of_tests import Page, served

from uvflow.migrate import fetch as fetching
from uvflow.migrate.fetch import fetcher


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def fetched(url: str) -> bytes:
    return fetcher(lambda _text: None, {})(url)


def refused(url: str) -> OSError:
    with pytest.raises(OSError, match=r".") as caught:
        fetched(url)
    return caught.value


def test_a_file_is_read_and_its_reading_told() -> None:
    progress: list[str] = []
    with served({"/c.txt": Page("six==1.16.0\n")}) as site:
        assert fetcher(progress.append, {})(f"{site.url}/c.txt") == b"six==1.16.0\n"
    assert progress == [f"Fetching {site.url}/c.txt"]


def test_a_redirect_on_the_web_is_followed() -> None:
    with served({"/there": Page("a")}) as other:
        pages = {"/here": Page(status=302, headers={"Location": f"{other.url}/there"})}
        with served(pages) as site:
            assert fetched(f"{site.url}/here") == b"a"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/x", "data:,six", "/loop"])
def test_no_redirect_leads_away_from_the_web(target: str) -> None:
    with served({"/loop": Page(status=302, headers={"Location": target})}) as site:
        error = refused(f"{site.url}/loop")
    assert str(error) == "the server redirects to a URL that is not followed"


def test_from_https_there_is_no_way_to_http() -> None:
    redirects = fetching._Redirects()
    request = Request("https://h/x")
    with pytest.raises(HTTPError) as caught:
        redirects.redirect_request(request, None, 302, "Found", {}, "http://h/x")
    caught.value.close()


@pytest.mark.parametrize(
    ("page", "kind", "message"),
    [
        (Page(status=404), FileNotFoundError, "the server answers 404 Not Found"),
        (Page(status=401), OSError, "the server answers 401 Unauthorized"),
        (Page(status=403), OSError, "the server answers 403 Forbidden"),
        (Page(status=418), OSError, "the server answers 418 I'm a Teapot"),
        (Page(status=503), ConnectionError, "the server answers 503 Service Unavailable"),
        (Page("x" * 1001), OSError, "it is longer than 1000 bytes"),
        (
            Page("<html>", headers={"Content-Type": "text/html; charset=utf-8"}),
            OSError,
            "it is a web page, not a text file",
        ),
        (Page("slow", pause=0.1), TimeoutError, "no answer within 0.3 seconds"),
    ],
)
def test_what_cannot_be_had_says_why(
    monkeypatch: pytest.MonkeyPatch, page: Page, kind: type[OSError], message: str
) -> None:
    monkeypatch.setattr(fetching, "BYTES", 1000)
    monkeypatch.setattr(fetching, "SECONDS", 0.3)
    with served({"/c.txt": page}) as site:
        error = refused(f"{site.url}/c.txt")
    assert (type(error), str(error)) == (kind, message)


def test_a_server_that_is_not_there_is_for_want_of_a_network() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        error = refused(f"http://127.0.0.1:{bound.getsockname()[1]}/c.txt")
    assert (type(error), str(error)) == (ConnectionError, "Connection refused")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:s3cret/c.txt", "it is not a URL that can be fetched"),
        ("http://127.0.0.1:1/s3 cret/c.txt", "it is not a URL that can be fetched"),
        ("http://[s3cret]/c.txt", "it is not a URL that can be fetched"),
        (f"http://{'s3cret' * 20}.test/c.txt", "it is not a URL that can be fetched"),
    ],
)
def test_no_part_of_a_url_is_in_its_error(url: str, message: str) -> None:
    assert str(refused(url)) == message


def test_the_words_of_a_server_are_not_shown() -> None:
    with served({"/c.txt": Page(status=499)}) as site:
        assert str(refused(f"{site.url}/c.txt")) == "the server answers 499"


def test_offline_means_offline() -> None:
    with pytest.raises(ConnectionError, match="UV_OFFLINE is set"):
        fetcher(lambda _text: None, {"UV_OFFLINE": "1"})("http://127.0.0.1:1/c.txt")


def test_there_is_an_end_to_ever_new_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FILES", 2)
    with served({f"/{n}": Page("six") for n in range(3)}) as site:
        fetch = fetcher(lambda _text: None, {})
        assert [fetch(f"{site.url}/{n}") for n in range(2)] == [b"six", b"six"]
        with pytest.raises(OSError, match="more than 2 files"):
            fetch(f"{site.url}/2")


def test_no_thread_is_left_for_uv_to_be_started_beside() -> None:
    with served({"/c.txt": Page("six")}) as site:
        threads = set(threading.enumerate())
        fetched(f"{site.url}/c.txt")
        ours = [t for t in threading.enumerate() if t not in threads and "fetch" in t.name]
    assert ours == []
