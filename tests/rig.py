"""Types of the fixtures in conftest, and where the commands under test are."""

import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sysconfig.get_path("scripts"))


@dataclass(frozen=True)
class Result:
    """The result of a command: its exit code and its two streams."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]
Tree = Callable[[Mapping[str, str]], Path]
