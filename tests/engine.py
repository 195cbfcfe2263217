"""A container engine for tests: builds, and runs what was built, on the host's network."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")


@dataclass(frozen=True)
class Container:
    """A running container."""

    engine: "Engine"
    id: str

    def get(self, port: int, path: str, *, seconds: float = 20) -> tuple[int, bytes]:
        """Status and body of the first answer; fails with the logs where none comes."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"no answer; the container said:\n{self.logs()}")

    def logs(self) -> str:
        done = self.engine.docker("logs", self.id, check=False)
        return done.stdout + done.stderr

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.engine.docker("exec", self.id, *words, check=False)

    def probe(self) -> int:
        """The exit code of the image's own health check."""
        test = self.engine.inspect(self.id)["Config"]["Healthcheck"]["Test"]
        return self.run(*test[1:]).returncode


@dataclass(frozen=True)
class Engine:
    """The engine that DOCKER_HOST names; `built` are the images to be removed in the end."""

    built: set[str] = field(default_factory=set)

    def docker(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(["docker", *words], capture_output=True, check=False, text=True)
        if check and done.returncode:
            raise AssertionError(f"docker {words[0]}: {done.stderr[-3000:]}")
        return done

    def build(self, root: Path, tag: str, *options: str) -> None:
        with self.building(tag):
            self.docker("build", "--network=host", f"--tag={tag}", *options, str(root))

    @contextlib.contextmanager
    def building(self, tag: str) -> Iterator[None]:
        """Alone: two builds that share a step let BuildKit panic (moby/buildkit#5606)."""
        self.built.add(tag)
        name = hashlib.sha256(os.environ["DOCKER_HOST"].encode()).hexdigest()[:16]
        with FileLock(Path(tempfile.gettempdir()) / f"uvflow-test-engine-{name}.lock"):
            yield

    def output(self, image: str, *words: str) -> str:
        """What a container of `image` prints; it writes nothing and has no privileges."""
        return self.docker("run", "--rm", "--network=host", *HARDENED, image, *words).stdout

    @contextlib.contextmanager
    def running(self, image: str, environ: Mapping[str, str]) -> Iterator[Container]:
        variables = [f"--env={name}={value}" for name, value in environ.items()]
        done = self.docker("run", "--detach", "--network=host", *HARDENED, *variables, image)
        container = Container(self, done.stdout.strip())
        try:
            yield container
        finally:
            self.docker("rm", "--force", container.id, check=False)

    def inspect(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", name).stdout)
        return found[0]

    def files(self, image: str) -> dict[str, str]:
        """Path → digest of the content, for all that is in `image`; needs no shell in there."""
        name = self.docker("create", image, "nothing").stdout.strip()
        exporting = subprocess.Popen(["docker", "export", name], stdout=subprocess.PIPE)
        try:
            with exporting, tarfile.open(fileobj=exporting.stdout, mode="r|") as archive:
                return {entry.name: _digest(archive, entry) for entry in archive}
        finally:
            self.docker("rm", "--force", name, check=False)


def _digest(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    file = archive.extractfile(entry) if entry.isfile() else None
    return hashlib.sha256(file.read()).hexdigest() if file else entry.linkname


def find() -> Engine | str:
    """The engine, or why there is none."""
    if not os.environ.get("DOCKER_HOST"):
        return "DOCKER_HOST names no engine (.ci/engine starts one)"
    if shutil.which("docker") is None:
        return "there is no docker on PATH"
    asked: Sequence[str] = ("docker", "version", "--format", "{{.Server.Version}}")
    done = subprocess.run(asked, capture_output=True, check=False, text=True)
    return Engine() if done.returncode == 0 else f"the engine does not answer: {done.stderr[-300:]}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
