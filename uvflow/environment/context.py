"""What a command works on: a profile of a project, its environment and its state."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from uvflow import fingerprint, paths
from uvflow.environment.ownership import check_location
from uvflow.project.manifest import Project
from uvflow.project.profiles import Choice, Profile
from uvflow.state import journal, locks
from uvflow.state.journal import LastSync
from uvflow.state.store import State
from uvflow.uv import Uv, find, identity

_UV = "uv.json"  # in the state, the version of the uv that was last used, by its identity


class Subject(NamedTuple):
    """What an answer is about; `chosen_by` is empty where a flag names the profile."""

    profile: str
    chosen_by: str
    environment: Path

    def __str__(self) -> str:
        return fingerprint.profile_with_origin(self.profile, self.chosen_by)

    def as_json(self) -> dict[str, str]:
        return {**self._asdict(), "environment": str(self.environment)}


class SyncContext(NamedTuple):
    """A profile of a project; `environ` are the variables that uv gets."""

    project: Project
    profile: Profile
    chosen_by: str
    state: State
    environ: Mapping[str, str]

    @classmethod
    def of(cls, project: Project, choice: Choice) -> "SyncContext":
        """Raises UsageError where the environment is in no place of its own (`check_location`).

        And where the profile selects what does not exist: uv would not name the profile.
        """
        project.check_selection(choice.profile)
        # By its name, since with UV_PREVIEW an environment that nobody names is in uv's cache.
        default = {"UV_PROJECT_ENVIRONMENT": ".venv"}
        environ = choice.profile.environ(os.environ)
        context = cls(
            project=project,
            profile=choice.profile,
            chosen_by=choice.chosen_by,
            state=State.of(project.workspace),
            environ=default | environ,
        )
        check_location(
            context.environment,
            project.workspace,
            configured=choice.profile.environment,
            is_users_choice=bool(environ.get("UV_PROJECT_ENVIRONMENT")),
        )
        return context

    @property
    def subject(self) -> Subject:
        return Subject(self.profile.name, self.chosen_by, self.environment)

    @property
    def environment(self) -> Path:
        """The directory of the environment; with releases, that of the live one if there is any."""
        return self.live_release or self.place

    @property
    def place(self) -> Path:
        """Where the environment is, or the link to the live release."""
        return self.profile.environment_path(self.project.workspace, self.environ)

    @property
    def releases_directory(self) -> Path:
        return self.place.with_name(f"{self.place.name}.releases")

    @property
    def live_release(self) -> Path | None:
        """The release that the link of a profile with releases leads to, if any."""
        if not (self.profile.releases and self.place.is_symlink()):
            return None
        target = self.place.parent / self.place.readlink()
        return target if target.parent == self.releases_directory else None

    @property
    def fingerprint_name(self) -> str:
        """The file name of its fingerprint; in a workspace each member has one of its own."""
        project = self.project
        return paths.fingerprint_name(self.profile.name, str(project.root), str(project.workspace))

    @property
    def key(self) -> str:
        """The subject of its fingerprint."""
        return fingerprint.key(str(self.state.directory), self.fingerprint_name)

    def find_uv(self) -> Uv:
        """Raises UvMissingError."""
        return find(self.environ, self.state.read_json(_UV))

    def remember_uv(self, uv: Uv) -> None:
        """Raises DiskError."""
        known = {identity(uv.path): uv.version}
        if "" not in known and known != self.state.read_json(_UV):
            self.state.write(_UV, json.dumps(known).encode(), durable=False)

    def read_fingerprint(self) -> bytes:
        """Empty where there is none."""
        return fingerprint.read_encoded(str(self.state.directory), self.fingerprint_name)

    def is_current(self) -> bool:
        """Whether nothing has changed since the last sync."""
        return fingerprint.is_current(self.read_fingerprint(), self.key)


def is_sync_running(context: SyncContext) -> bool:
    """Whether a uvflow process is changing the environment."""
    state, environment = context.state, context.environment
    is_unfinished = journal.last_sync(state, environment) >= LastSync.INTERRUPTED
    return is_unfinished and locks.is_mutex_held(state, environment)


def last_synced_profile(project: Project) -> str | None:
    """The profile that the project was synced with last, if known."""
    return journal.last_profile(State.of(project.workspace))
