"""What is measured of an image: one function a measure."""

import json
import tarfile
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import IO

from engine import Engine

from benchmarks.docker import service

PATIENCE = 60  # seconds for a start
_CHUNK = 1 << 20


def seconds_to_build(engine: Engine, root: Path, tag: str, *options: str) -> float:
    begun = time.perf_counter()
    engine.build(root, tag, *options)
    return time.perf_counter() - begun


def own_caches(nonce: str) -> tuple[str, ...]:
    """Options for a build whose cache mounts are its own: nobody's caches have to be emptied.

    The argument is BuildKit's ("BuildKit built-in build args" of the Dockerfile reference).
    """
    return (f"--build-arg=BUILDKIT_CACHE_MOUNT_NS={nonce}",)


def seconds_to_answer(engine: Engine, image: str) -> float:
    """From `docker run` to the first answer with status 200."""
    variables = (f"--env={name}={value}" for name, value in service.ENVIRON.items())
    begun = time.perf_counter()
    started = engine.docker("run", "--detach", "--network=host", *variables, image)
    try:
        while not _answers():
            if time.perf_counter() - begun > PATIENCE:
                raise AssertionError(engine.docker("logs", started.stdout.strip()).stderr)
            time.sleep(0.01)
        return time.perf_counter() - begun
    finally:
        engine.docker("rm", "--force", started.stdout.strip())


def _answers() -> bool:
    address = f"http://127.0.0.1:{service.PORT}{service.HEALTH}"
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def megabytes(engine: Engine, image: str) -> float:
    return float(engine.inspect(image)["Size"]) / 1e6


def programs(engine: Engine, image: str) -> set[str]:
    """The names of the files in directories of programs."""
    places = (path.rpartition("/") for path in engine.files(image))
    return {name for place, _, name in places if place.endswith("bin")}


class Layers:
    """Layers of images as a registry gets them; each is compressed once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.compressed: dict[str, int] = {}  # digest of the layer → bytes

    def megabytes(self, image: str, *, beyond: Iterable[str] = ()) -> float:
        """What pushing `image` sends to where the layers `beyond` are."""
        layers = self.of(image)
        self._compress(image, layers)
        return sum(self.compressed[layer] for layer in set(layers) - set(beyond)) / 1e6

    def of(self, image: str) -> tuple[str, ...]:
        return tuple(self.engine.inspect(image)["RootFS"]["Layers"])

    def _compress(self, image: str, layers: tuple[str, ...]) -> None:
        if set(layers) <= set(self.compressed):
            return
        with tempfile.TemporaryDirectory() as directory:
            saved = Path(directory, "image.tar")
            self.engine.docker("save", f"--output={saved}", image)
            with tarfile.open(saved) as archive:
                (manifest,) = json.load(_member(archive, "manifest.json"))
                for layer, path in zip(layers, manifest["Layers"], strict=True):
                    if layer not in self.compressed:
                        self.compressed[layer] = _gzipped(_member(archive, path))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    assert file, name
    return file


def _gzipped(file: IO[bytes]) -> int:
    """The size after gzip at its usual level, which is how engines push layers."""
    gzip = zlib.compressobj(wbits=31)
    chunks = iter(lambda: file.read(_CHUNK), b"")
    return sum(len(gzip.compress(chunk)) for chunk in chunks) + len(gzip.flush())
