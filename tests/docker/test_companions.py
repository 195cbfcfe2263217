"""A bake file has a target for each profile."""

import yaml
from images import DEV, PROD, facts

from uvflow.docker import companions
from uvflow.docker.companions import bake_file, compose_file
from uvflow.docker.start import Start


def test_the_whole_bake_file() -> None:
    assert bake_file(facts(selections=(DEV, PROD), secrets=("TOKEN",))) == (
        "# For a registry, with a builder of your own: docker buildx bake release --push\n"
        "# A cache, read and written: CACHE=type=registry,ref=registry.example/shop:cache\n"
        'variable "CACHE" {\n  default = ""\n}\n'
        "\n"
        'group "default" {\n  targets = ["prod"]\n}\n'
        "\n"
        'target "prod" {\n'
        '  context = "."\n'
        '  dockerfile = "Dockerfile"\n'
        '  target = "prod"\n'
        '  tags = ["shop"]\n'
        '  secret = ["id=TOKEN,env=TOKEN"]\n'
        '  cache-from = CACHE == "" ? [] : [CACHE]\n'
        '  cache-to = CACHE == "" ? [] : ["${CACHE},mode=max"]\n'
        "}\n"
        "\n"
        'target "dev" {\n'
        '  context = "."\n'
        '  dockerfile = "Dockerfile"\n'
        '  target = "dev"\n'
        '  tags = ["shop:dev"]\n'
        '  secret = ["id=TOKEN,env=TOKEN"]\n'
        "}\n"
        "\n"
        'target "release" {\n'
        '  inherits = ["prod"]\n'
        '  platforms = ["linux/amd64", "linux/arm64"]\n'
        '  attest = ["type=provenance,mode=max", "type=sbom"]\n'
        "}\n"
    )


def test_a_profile_called_release_is_its_own_target() -> None:
    text = bake_file(facts(selections=(PROD._replace(name="release"), PROD)))
    assert text.count('target "release" {') == 1
    assert "attest" not in text


def test_a_path_is_no_template() -> None:
    assert 'dockerfile = "$${x}/Dockerfile"' in bake_file(facts(directory="${x}"))


def test_the_whole_compose_file() -> None:
    assert compose_file(facts(selections=(DEV, PROD), secrets=("TOKEN",))) == (
        "services:\n"
        "  shop:\n"
        '    image: "shop"\n'
        "    build:\n"
        '      context: "."\n'
        '      dockerfile: "Dockerfile"\n'
        '      target: "prod"\n'
        '      secrets: ["TOKEN"]\n'
        "    init: true\n"
        '    ports: ["8000:8000"]\n'
        "    read_only: true\n"
        '    tmpfs: ["/tmp"]\n'
        '    cap_drop: ["ALL"]\n'
        '    security_opt: ["no-new-privileges:true"]\n'
        "  shop-dev:\n"
        '    profiles: ["dev"]\n'
        '    image: "shop:dev"\n'
        "    build:\n"
        '      context: "."\n'
        '      dockerfile: "Dockerfile"\n'
        '      target: "dev"\n'
        '      secrets: ["TOKEN"]\n'
        "    init: true\n"
        '    ports: ["8000:8000"]\n'
        '    volumes: [".:/app"]\n'
        "    develop:\n"
        '      watch: [{"action": "rebuild", "path": "uv.lock"}]\n'
        "secrets:\n"
        "  TOKEN:\n"
        '    environment: "TOKEN"\n'
    )


def test_a_service_gets_the_variables_of_its_profile() -> None:
    text = compose_file(facts(selections=(PROD._replace(env_file="a$.env"),)))
    assert '    env_file: [{"path": "a$$.env", "required": false}]\n' in text


def test_a_member_is_built_from_the_workspace() -> None:
    text = compose_file(facts(directory="packages/$api"))
    assert '      context: "../.."\n      dockerfile: "packages/$$api/Dockerfile"\n' in text


def test_a_service_is_built_and_run() -> None:
    assert companions.usage_lines(facts(selections=(DEV, PROD))) == (
        "docker build --tag shop .",
        "docker run --rm --publish 8000:8000 --read-only --tmpfs /tmp --cap-drop ALL shop",
        "uvflow docker build --try",
        "docker build --target dev --tag shop:dev .",
    )


def test_a_member_and_its_secrets_are_named() -> None:
    found = companions.usage_lines(
        facts(directory="packages/api", secrets=("TOKEN",), uses_ssh=True)
    )
    assert found[0] == (
        "docker build --file packages/api/Dockerfile --secret id=TOKEN,env=TOKEN --ssh default "
        "--tag shop ."
    )


def test_other_processes_are_services_of_the_same_image() -> None:
    found = facts(processes=(("worker", ("celery", "worker")), ("release", ("migrate",))))
    services = yaml.safe_load(compose_file(found))["services"]
    assert list(services) == ["shop", "shop-worker", "shop-release"]
    assert services["shop-worker"]["image"] == services["shop"]["image"]
    assert services["shop-worker"]["entrypoint"] == ["celery", "worker"]
    assert services["shop-worker"]["healthcheck"] == {"disable": True}
    assert "ports" not in services["shop-worker"]
    assert services["shop-release"]["profiles"] == ["release"]
    assert companions.usage_lines(found)[-1] == (
        "docker run --rm --no-healthcheck --read-only --tmpfs /tmp --cap-drop ALL shop migrate"
    )


def test_another_process_of_a_program_is_no_argument_of_it() -> None:
    start = Start(command=("shop",), evidence="`shop` of [project.scripts]", is_program=True)
    found = companions.usage_lines(facts(start=start, processes=(("worker", ("rq", "worker")),)))
    assert found[-1].endswith("--cap-drop ALL --entrypoint rq shop worker")
