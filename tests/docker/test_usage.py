"""How an image is built and run is told in commands that can be typed."""

from images import DEV, PROD, facts

from uvflow.docker import usage


def test_a_service_is_built_and_run() -> None:
    assert usage.of(facts(selections=(DEV, PROD))) == (
        "docker build --tag shop .",
        "docker run --rm --publish 8000:8000 --read-only --tmpfs /tmp --cap-drop ALL shop",
        "docker build --target dev --tag shop:dev .",
    )


def test_a_member_and_its_secrets_are_named() -> None:
    found = usage.of(facts(directory="packages/api", secrets=("TOKEN",), uses_ssh=True))
    assert found[0] == (
        "docker build --file packages/api/Dockerfile --secret id=TOKEN,env=TOKEN --ssh default "
        "--tag shop ."
    )


def test_an_image_is_called_what_an_image_may_be_called() -> None:
    assert usage.image_name(facts(name="My Ünit__x")) == "my-nit-x"
    assert usage.image_name(facts(name="…")) == "app"
