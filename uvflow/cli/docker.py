"""`uvflow docker` and `uvflow docker build`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvflow.cli.errors import Answer
from uvflow.cli.options import common, profile_choice
from uvflow.console import Console

if TYPE_CHECKING:
    from uvflow.docker.command import DockerResult


@click.group(
    name="docker",
    short_help="Write a Dockerfile made from facts of the project",
    invoke_without_command=True,
)
@click.option("--python", metavar="X.Y", help="The Python of the image.")
@click.option(
    "--base", type=click.Choice(["slim", "managed", "distroless"]), help="The kind of base image."
)
@click.option(
    "--uv", metavar="X.Y.Z", help="The uv to build with; default: as before, or this one."
)
@click.option("--pin", is_flag=True, help="Write the digests of images, which then stay.")
@click.option("--bake", is_flag=True, help="Write docker-bake.hcl as well.")
@click.option("--compose", is_flag=True, help="Write compose.yaml as well.")
@click.option("--print", "prints", is_flag=True, help="Print the Dockerfile, and write nothing.")
@click.option("--check", is_flag=True, help="Fail if files are not what today's facts give.")
@click.option("--dry-run", is_flag=True, help="Show what would be written.")
@click.option("--force", is_flag=True, help="Overwrite files that were written or edited by hand.")
@common
def docker_command(console: Console, **given: Any) -> Answer | None:
    """Write a Dockerfile and a .dockerignore, made from facts of the project.

    --check compares them with today's facts, or finds what is wrong with a Dockerfile that was
    written by hand. Options are kept in the Dockerfile, for the next time.
    """
    from uvflow.docker.command import DockerOptions, check_copied, run_docker
    from uvflow.project.manifest import Project

    if click.get_current_context().invoked_subcommand:
        return None
    here, options = Path.cwd(), DockerOptions(**given)
    checked = check_copied(here) if options.check else None
    return _show(console, checked or run_docker(Project.find(here), options))


def _show(console: Console, outcome: "DockerResult") -> Answer:
    for finding in outcome.warnings:
        console.warn(finding)
    for line in outcome.messages:
        console.say(line)
    # `--print > Dockerfile` writes what is generated: its placeholders look like secrets.
    show = console.script if "dockerfile" in outcome.data else console.verbatim
    show(*outcome.text)
    console.result(*outcome.result)
    if outcome.error:
        console.problem(outcome.error)
    return outcome.error.exit_code if outcome.error else outcome.code, outcome.data


@docker_command.command(
    name="build", short_help="Build the image", context_settings={"ignore_unknown_options": True}
)
@profile_choice
@click.option("-t", "--tag", metavar="NAME", help="The image's name; default: the project's.")
@click.option("--try", "tries", is_flag=True, help="Start the image, and report what holds.")
@click.argument("more", metavar="[-- OPTIONS…]", nargs=-1, type=click.UNPROCESSED)
@common
def build_command(console: Console, **given: Any) -> Answer:
    """Build the image with `docker build`, which gets OPTIONS and the secrets it needs.

    Without a flag it is the image of prod. A lockfile or a Dockerfile that is not current is an
    error before anything is built. --try starts it without network, capabilities and a file
    system to write to: what it starts must load, become healthy, and stop when told to.
    """
    from uvflow.docker.build import build_image
    from uvflow.project.manifest import Project

    return _show(console, build_image(Project.find(Path.cwd()), **given))
