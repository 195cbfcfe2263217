from uvflow.migrate.model import reachable

GRAPH = {"a": ["c", "b"], "b": ["d", "a"], "c": ["d"], "d": [], "e": ["a"]}


def test_what_is_reachable_is_visited_once_the_nearest_first() -> None:
    assert reachable(["a"], GRAPH.__getitem__) == ("a", "c", "b", "d")
    assert reachable(["d", "e", "d"], GRAPH.__getitem__) == ("d", "e", "a", "c", "b")
    assert reachable([], GRAPH.__getitem__) == ()
