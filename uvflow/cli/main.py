"""All commands, in the groups of the help; each group has a module.

The commands import what they need when they are called: `uvflow sync` need not load tomlkit.
"""

import sys

import click

from uvflow import __version__, process
from uvflow.cli.cache import cache_command
from uvflow.cli.docker import docker_command
from uvflow.cli.environment import (
    profiles_command,
    releases_command,
    rollback_command,
    run_command,
    status_command,
    sync_command,
    verify_command,
)
from uvflow.cli.errors import as_uvflow_error, run_reported
from uvflow.cli.migrate import init_command, undo_command
from uvflow.cli.mistakes import explain
from uvflow.cli.onboarding import ONBOARDING
from uvflow.cli.options import options_of_all
from uvflow.console import Console, wants_color
from uvflow.errors import UsageError

HELP_GROUPS = {
    "Migrate": (init_command, undo_command),
    "Environment": (
        *(sync_command, run_command, status_command, verify_command, profiles_command),
        *(releases_command, rollback_command),
    ),
    "Docker": (docker_command,),
    "Onboarding": ONBOARDING,
    "Cache": (cache_command,),
}


class GroupedCommands(click.Group):
    """A group whose help lists its commands in groups."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [str(command.name) for commands in HELP_GROUPS.values() for command in commands]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group, commands in HELP_GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(str(c.name), c.get_short_help_str(80)) for c in commands])


@click.group(
    cls=GroupedCommands,
    commands=[command for commands in HELP_GROUPS.values() for command in commands],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@options_of_all
def uvflow(**_options: object) -> None:
    """A thin workflow wrapper around uv, for teams that come from pip and other tools.

    `uvflow init` migrates, `uvflow sync` keeps the environment, `uvflow docker` makes the image.
    """


def main() -> int:
    """Run the command line and return its exit code; errors come out as text, never raised."""
    process.install_signal_handlers()
    arguments = sys.argv[1:]
    # For errors before click has parsed the options of a command.
    console = Console(color=wants_color("auto"), as_json="--json" in arguments)
    command = next((word for word in arguments if word in uvflow.commands), "")

    def act() -> int:
        try:
            # What a command returns, or the number of a `click.exceptions.Exit`.
            return uvflow.main(standalone_mode=False) or 0
        except click.Abort as abort:  # click's word for a KeyboardInterrupt
            raise as_uvflow_error(abort.__cause__) from abort
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            return 0
        except click.ClickException as error:
            message, hint = explain(error, arguments)
            raise UsageError(message, hint=hint) from error

    return run_reported(console, command, act)
