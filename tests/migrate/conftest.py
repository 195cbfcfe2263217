"""What the tests of imports stand on: files as a mapping, put together to an import."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from uvflow.migrate.discover import input_files
from uvflow.migrate.groups import import_files
from uvflow.migrate.includes import Reader
from uvflow.migrate.model import ImportedRequirements, ImportOptions

Assembled = Callable[..., ImportedRequirements]


def reader(files: Mapping[str, str | bytes]) -> Callable[[str], bytes]:
    """What `assemble` reads with: the files of a mapping, and nothing else."""

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        content = files[path]
        return content.encode() if isinstance(content, str) else content

    return read


@pytest.fixture
def assembled() -> Assembled:
    """The import of files, found by name; keywords are the fields of Options.

    On every import: the buckets of each file add up to its lines.
    """

    def assembled(files: Mapping[str, str | bytes], **options: Any) -> ImportedRequirements:
        chosen = ImportOptions(**options)
        imported = import_files(
            input_files(files, chosen), Reader(read_file=reader(files), options=chosen)
        )
        for file in imported.files:
            assert sum(file.buckets.values()) == file.lines
        return imported

    return assembled
