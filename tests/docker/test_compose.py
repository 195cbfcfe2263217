"""A compose file runs the image as in production, and the sources in place."""

from images import DEV, PROD, facts

from uvflow.docker.compose import compose_file


def test_the_whole_file() -> None:
    assert compose_file(facts(selections=(DEV, PROD), secrets=("TOKEN",))) == (
        "services:\n"
        "  shop:\n"
        '    image: "shop"\n'
        "    build:\n"
        '      context: "."\n'
        '      dockerfile: "Dockerfile"\n'
        '      target: "prod"\n'
        "      secrets:\n"
        '        - "TOKEN"\n'
        "    init: true\n"
        "    ports:\n"
        '      - "8000:8000"\n'
        "    read_only: true\n"
        "    tmpfs:\n"
        '      - "/tmp"\n'
        "    cap_drop:\n"
        '      - "ALL"\n'
        "    security_opt:\n"
        '      - "no-new-privileges:true"\n'
        "  shop-dev:\n"
        "    profiles:\n"
        '      - "dev"\n'
        '    image: "shop:dev"\n'
        "    build:\n"
        '      context: "."\n'
        '      dockerfile: "Dockerfile"\n'
        '      target: "dev"\n'
        "      secrets:\n"
        '        - "TOKEN"\n'
        "    init: true\n"
        "    ports:\n"
        '      - "8000:8000"\n'
        "    volumes:\n"
        '      - ".:/app"\n'
        "secrets:\n"
        "  TOKEN:\n"
        '    environment: "TOKEN"\n'
    )


def test_a_member_is_built_from_the_workspace() -> None:
    text = compose_file(facts(directory="packages/$api"))
    assert '      context: "../.."\n      dockerfile: "packages/$$api/Dockerfile"\n' in text
