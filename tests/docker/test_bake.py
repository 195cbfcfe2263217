"""A bake file has a target for each profile."""

from images import DEV, PROD, facts

from uvflow.docker.bake import bake_file


def test_the_whole_file() -> None:
    assert bake_file(facts(selections=(DEV, PROD), secrets=("TOKEN",))) == (
        'group "default" {\n  targets = ["prod"]\n}\n'
        "\n"
        'target "prod" {\n'
        '  context = "."\n'
        '  dockerfile = "Dockerfile"\n'
        '  target = "prod"\n'
        '  tags = ["shop"]\n'
        '  secret = ["id=TOKEN,env=TOKEN"]\n'
        "}\n"
        "\n"
        'target "dev" {\n'
        '  context = "."\n'
        '  dockerfile = "Dockerfile"\n'
        '  target = "dev"\n'
        '  tags = ["shop:dev"]\n'
        '  secret = ["id=TOKEN,env=TOKEN"]\n'
        "}\n"
    )


def test_a_path_is_no_template() -> None:
    assert 'dockerfile = "$${x}/Dockerfile"' in bake_file(facts(directory="${x}"))
