from django.test import Client


def test_healthz_answers() -> None:
    assert Client().get("/healthz").content == b"ok"


def test_words_are_counted() -> None:
    answer = Client().post("/api/word-count", {"text": "to be or not to be"})
    assert answer.json() == {"words": {"to": 2, "be": 2, "or": 1, "not": 1}}
