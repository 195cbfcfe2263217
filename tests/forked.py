"""`uvflow` as a fork of a process that has imported it: most of a command's time are its imports.

For the rest it is what a start of the installed command is: a process of its own with these words,
this environment, this directory and these streams, and an exit code or a signal. The module is the
program of the process that forks as well.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_MOST = 200_000  # bytes of a request, which is one packet
_HEEDED_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ")


class ForkServer:
    def __init__(self, program: Path) -> None:
        """`program` is the installed command; nothing is started before the first `run`."""
        self._program = program
        self._environ: Mapping[str, str] = {}
        self._socket: socket.socket | None = None

    def starts_alike(self, environ: Mapping[str, str]) -> bool:
        """Whether a Python started with `environ` is like the one that is forked."""
        if self._socket is None:
            self._start(environ)
        return _heeded(environ) == self._environ

    def _start(self, environ: Mapping[str, str]) -> None:
        self._environ = _heeded(environ)
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                (sys.executable, __file__, str(other.fileno()), self._program),
                env=environ,
                stdout=subprocess.DEVNULL,
                pass_fds=(other.fileno(),),
            )

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._process.wait()

    def run(
        self, words: Sequence[str], *, cwd: Path, environ: Mapping[str, str], seconds: float
    ) -> tuple[int, str, str]:
        """The exit code, negative for a signal, and what went to stdout and to stderr."""
        assert self._socket is not None
        pipes = [os.pipe() for _ in range(3)]
        request = json.dumps((words, str(cwd), dict(environ))).encode()
        socket.send_fds(self._socket, [request], [0, *(write for _, write in pipes)])
        for _, write in pipes:
            os.close(write)
        out, err, told = _read_all([read for read, _ in pipes], time.monotonic() + seconds)
        assert told, "the process that forks has died"
        _, code = told.split()
        return int(code), _text(out), _text(err)


def _heeded(environ: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_HEEDED_AT_START)}


def _text(data: bytes) -> str:
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")  # as subprocess does


def _read_all(descriptors: Sequence[int], end: float) -> list[bytes]:
    """Read each to its end and close it; the last one is first told the number of the process."""
    found = dict.fromkeys(descriptors, b"")
    with selectors.DefaultSelector() as selector:
        for fd in descriptors:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0, end - time.monotonic()))
            if not ready:
                for pid in found[descriptors[-1]].split()[:1]:
                    os.kill(int(pid), signal.SIGKILL)
                raise TimeoutError(found)
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                found[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return list(found.values())


def _serve(requests: socket.socket, program: str) -> None:
    import uvflow  # noqa: PLC0415  only the process that forks needs all of it

    for module in pkgutil.walk_packages(uvflow.__path__, "uvflow."):
        importlib.import_module(module.name)
    sys.path[0] = str(Path(program).parent)
    gc.freeze()
    while True:
        request, received, *_ = socket.recv_fds(requests, _MOST, 4, socket.MSG_CMSG_CLOEXEC)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            _watch(request, received, program)
        for fd in received:
            os.close(fd)
        _reap()


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _watch(request: bytes, received: Sequence[int], program: str) -> NoReturn:
    """Fork the command, and tell its number and, when it has ended, its exit code."""
    *streams, told = received
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _become(request, streams, program)
    for fd in streams:
        os.close(fd)
    os.write(told, f"{pid} ".encode())
    _, status = os.waitpid(pid, 0)
    os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(request: bytes, streams: Sequence[int], program: str) -> NoReturn:
    words, cwd, environ = json.loads(request)
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = [program, *words]
    try:
        from uvflow.__main__ import main  # noqa: PLC0415  as the installed script does

        main()  # does not return
    except SystemExit as end:  # of the shell's completion
        os._exit(int(end.code or 0))
    finally:  # a bug, which Python shows before it leaves
        sys.excepthook(*sys.exc_info())
        os._exit(1)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # which the tests report
        _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
