from uvflow.status import changes


def test_what_uv_would_change_is_one_sentence_a_distribution() -> None:
    said = """Would use project environment at: .venv
Would uninstall 3 packages
Would install 4 packages
 - attrs==23.1.0
 + attrs==25.1.0
 + idna==3.10
 - toml==0.10.1
 ~ shop==0.1.0 (from file:///shop)
 - lib==0.1.0 (from file:///shop/lib)
 + lib @ file:///shop/lib
error: The environment is outdated; run `uv sync` to update the environment
"""
    assert changes(said) == (
        "attrs is 23.1.0 instead of 25.1.0",
        "idna 3.10 is missing",
        "toml 0.10.1 is not asked for",
        "shop has changed at its source since it was installed",
        "lib has changed at its source since it was installed",
    )
