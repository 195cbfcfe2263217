"""A reproducible image: the same files, whenever and wherever it is built, make the same digest.

BuildKit stamps files with the time of the build; told so, it writes SOURCE_DATE_EPOCH in place of
every later time (BuildKit documentation, "Build reproducibility"). It can do so where it writes
an archive, which is then loaded into the engine.
"""

import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uvflow import uv
from uvflow.docker import engine
from uvflow.errors import UsageError, UvflowError

# 1980-01-01, the earliest that a zip file can hold. One date for all: that of the last commit would
# make every layer another one with each commit, those of the dependencies too.
_EPOCH = 315532800

_WRITTEN_BY_US = ("--output", "-o", "--push", "--load")


def build(words: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str | None]:
    """Run `docker buildx build` with `words`, and load the image; its exit code, and the digest.

    SOURCE_DATE_EPOCH of `environ` counts before the date that is built in. Raises UsageError where
    the builder cannot rewrite times, and for options about what is done with the image.
    """
    epoch = _epoch(environ)
    for word in words[: words.index("--")]:
        if word.partition("=")[0] in _WRITTEN_BY_US:
            raise UsageError(
                f"{word} cannot be said with --reproducible, which loads the image into the engine",
                hint="push it from there with `docker push`",
            )
    engine.check_rewriting(environ)
    with tempfile.TemporaryDirectory(prefix="uvflow-image-") as place:
        archive = Path(place) / "image.tar"
        command = ("docker", "buildx", "build", *_options(epoch, archive), *words)
        code = uv.run_program(command, environ=environ)
        if code:
            return code, None
        _check_times(archive, epoch)
        _load(archive, environ)
        return 0, _digest(archive)


def _epoch(environ: Mapping[str, str]) -> int:
    said = environ.get("SOURCE_DATE_EPOCH", str(_EPOCH))
    if not (said.isascii() and said.isdigit()):
        raise UsageError(f"SOURCE_DATE_EPOCH must be a number of seconds, not {said!r}")
    return int(said)


def _options(epoch: int, archive: Path) -> tuple[str, ...]:
    return (
        "--provenance=false",  # it tells when and how the image was built
        f"--build-arg=SOURCE_DATE_EPOCH={epoch}",
        f"--output=type=docker,dest={archive},rewrite-timestamp=true",
    )


def _check_times(archive: Path, epoch: int) -> None:
    """A BuildKit that does not know the option passes over it without a word."""
    with tarfile.open(archive) as image:
        [manifest] = _json_in(image, "manifest.json")
        with tarfile.open(fileobj=image.extractfile(manifest["Layers"][-1])) as layer:
            if any(entry.mtime > epoch for entry in layer):
                raise engine.cannot_rewrite("its BuildKit is older than 0.13")


def _load(archive: Path, environ: Mapping[str, str]) -> None:
    answer = uv.ask_program(("docker", "load", f"--input={archive}"), environ=environ)
    if answer.code:
        raise UvflowError("the image was built and could not be loaded", cause=answer.err.strip())


def _digest(archive: Path) -> str:
    """That of the manifest, by which registries know it (OCI image layout specification)."""
    with tarfile.open(archive) as image:
        return str(_json_in(image, "index.json")["manifests"][0]["digest"])


def _json_in(image: tarfile.TarFile, name: str) -> Any:
    file = image.extractfile(name)
    return json.load(file) if file else None
