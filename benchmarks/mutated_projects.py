"""Whole projects for benchmarks/mutated_inputs.py: files that are not what they should be.

A project that is in sync, with its environment, its state and the files of an image, of which one
to four files are mutated: characters lost, numbers of 5,000 digits, brackets 3,000 deep, raw bytes;
or are a named pipe, a device, a directory, 40 MB of nothing, a link to nowhere or out of the
project. The commands are those that write nothing.
"""

import contextlib
import os
import random
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutated_seeds import ODD, PROJECT, RUNS, SECRET
from uvflow.paths import state_name
from uvflow.process import Completed

OUTSIDE = "quagga77"  # in the file that links lead to, and in nothing else
OUTSIDE_FILE = "outside.txt"  # beside the project

COMMANDS: tuple[tuple[str, ...], ...] = (
    *(("status",), ("sync", "--dry-run"), ("sync", "--check"), ("sync", "--check", "--prod")),
    *(("verify",), ("verify", "--deep"), ("profiles",), ("cache", "list")),
    *(("docker", "--print"), ("docker", "--check")),
    *(("docker", "--dry-run", "--bake", "--compose"), ("init", "--dry-run", "--name=shop")),
)

_LIBRARY = f".venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
_DIST_INFO = f"{_LIBRARY}/six-1.16.0.dist-info"
_STATE = "../state/projects/"


@dataclass(frozen=True)
class Special:
    """What is no regular file: `kind` is fifo, directory, link or sparse."""

    kind: str
    target: str = ""

    def make(self, path: Path) -> None:
        match self.kind:
            case "fifo":
                os.mkfifo(path)
            case "directory":
                path.mkdir()
            case "link":
                path.symlink_to(self.target)
            case _:
                with path.open("wb") as file:
                    file.truncate(40 << 20)


Content = bytes | Special
Tree = dict[str, Content]

_SPECIALS = (
    *(Special("fifo"), Special("fifo"), Special("directory"), Special("sparse")),
    *(Special("link", "nowhere"), Special("link", "/dev/zero"), Special("link", "/dev/null")),
    *(Special("link", "."), Special("link", "/proc/self/mem"), Special("link", "/dev/tty")),
)


def project(draw: random.Random, root: Path) -> Tree:
    """The files of a project at `root`, by paths relative to it."""
    tree = _sound(draw, root)
    for name in draw.sample(sorted(tree), draw.choice((0, 1, 1, 2, 4))):
        content = tree[name]
        if _by_chance(draw, 0.4):
            outside = Special("link", str(root.with_name(OUTSIDE_FILE)))
            tree[name] = draw.choice((*_SPECIALS, outside, outside, outside))
        elif isinstance(content, bytes):
            tree[name] = _mutated(draw, content)
    if _by_chance(draw, 0.1):
        tree["linked"] = Special("link", "..")
        tree["requirements.txt"] = f"-r linked/{OUTSIDE_FILE}\n".encode()
    return tree


def command(draw: random.Random) -> list[str]:
    as_json = ("--json",) if _by_chance(draw, 0.7) else ()
    return [*draw.choice(COMMANDS), *as_json]


def _by_chance(draw: random.Random, chance: float) -> bool:
    return draw.random() < chance


def _sound(draw: random.Random, root: Path) -> Tree:
    texts = {name: draw.choice(some) for name, some in PROJECT.items()}
    home = Path(sys.executable).parent
    texts = {
        name.format(site=_LIBRARY, info=_DIST_INFO, state=_STATE + state_name(str(root))): text
        for name, text in texts.items()
    }
    tree: Tree = {
        name: text.replace("{home}", str(home)).replace("{root}", str(root)).encode()
        for name, text in texts.items()
        if _by_chance(draw, 0.95 if name.startswith((".venv", "pyproject", "uv.lock")) else 0.7)
    }
    tree[".venv/bin/python"] = Special("link", sys.executable)
    return tree


def _mutated(draw: random.Random, content: bytes) -> bytes:
    text = content.decode(errors="surrogateescape")
    for _ in range(draw.choice((1, 1, 2, 4))):
        text = draw.choice(_OF_TEXTS)(draw, text)
    data = text.encode(errors="replace" if _by_chance(draw, 0.5) else "surrogatepass")
    if _by_chance(draw, 0.2):
        place = draw.randint(0, len(data))
        data = data[:place] + draw.randbytes(draw.randint(1, 8)) + data[place:]
    return data[: draw.randint(0, len(data))] if _by_chance(draw, 0.1) else data


def _place(draw: random.Random, text: str) -> int:
    """Not in a password, which would not be one any more."""
    place = draw.randint(0, len(text))
    return place if SECRET not in text[max(0, place - 9) : place + 9] else 0


def _bitten(draw: random.Random, text: str) -> str:
    place = _place(draw, text)
    middle = draw.choice(("", draw.choice(ODD), draw.choice(RUNS), text[place : place + 9]))
    lost = 0 if SECRET in text[place : place + 30] else draw.randint(0, 3)
    return text[:place] + middle + text[place + lost :]


def _with_a_run(draw: random.Random, text: str) -> str:
    place = _place(draw, text)
    one: str = draw.choice((*RUNS, "a.", "[a]", "*?", "**/", "x,", "\n", "+1", "elif x: y = 1\n"))
    run = one * draw.choice((9, 300, 20_000))
    return text[:place] + run + text[place:]


def _with_another_value(draw: random.Random, text: str) -> str:
    """What stands behind a `=` or a `:` becomes something else."""
    lines = text.split("\n")
    places = [n for n, line in enumerate(lines) if "=" in line or ":" in line]
    if not places:
        return text
    number = draw.choice(places)
    line = lines[number]
    separator = "=" if "=" in line else ":"
    before, _, after = line.partition(separator)
    if SECRET not in after:
        lines[number] = f"{before}{separator} {draw.choice(_VALUES)}"
    return "\n".join(lines)


_VALUES = (
    *("9" * 5000, "[" * 3000 + "]" * 3000, "{ a = " * 900 + "1" + " }" * 900, '"\\u0000"', '""'),
    *("nan", "-inf", "true", "[]", "{}", '["dev"]', "[[1], 2]", "1e999", "1979-13-45", "'x'"),
    *('"python_version >< 3"', '"3.99999999"', '">=3.99999999"', '"../../.."', '"/"', '"."'),
    *(
        "null",
        '"dev"',
        '{ path = "." }',
        "{ registry = 1 }",
        '"[" ',
        '"\\ud800"',
        "0x" + "f" * 99,
    ),
    *('"' + "a" * 300 + '"', '{ name = "six" }', '[{ name = "six", marker = "x" }]', "a.b.c"),
)


def _without_a_line(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    number = draw.randrange(len(lines))
    kept = [line for n, line in enumerate(lines) if n != number or SECRET in line]
    return "\n".join(kept)


def _with_a_line_twice(draw: random.Random, text: str) -> str:
    lines = text.split("\n")
    again: str = draw.choice(lines)
    lines.insert(draw.randint(0, len(lines)), again)
    return "\n".join(lines)


def _with_other_text(draw: random.Random, _text: str) -> str:
    everything = [text for some in PROJECT.values() for text in some]
    other = draw.choice((*everything, "", "\n", "[", "{", "3.99999999", "<<<<<<< ours\n"))
    return draw.choice((other, other.replace("\n", "\r\n"), "\ufeff" + other))


_OF_TEXTS: tuple[Callable[[random.Random, str], str], ...] = (
    *(_bitten, _bitten, _with_a_run, _with_another_value, _with_another_value),
    *(_without_a_line, _with_a_line_twice, _with_other_text),
)


# uv, as far as the commands see it.


_ANSWERS = (
    Completed(code=0, out="", err=""),
    Completed(code=1, out="", err="Would install 1 package\n + six==1.17.0\n - six==1.16.0\n"),
    Completed(code=1, out="", err="error: The lockfile at `uv.lock` needs to be updated\n"),
    Completed(code=2, out="", err="error: Failed to parse `uv.lock`\n  Caused by: TOML\n"),
    Completed(code=2, out="", err=""),
)
_EXPORTS = (
    Completed(code=0, out="gunicorn==22.0.0\nsix==1.16.0 ; python_version >= '3.8'\n", err=""),
    Completed(code=0, out="-e .\n./libs/lib\ngunicorn==22.0.0\nflask==3.0.0\n", err=""),
    Completed(code=0, out="six==1.16.0\n", err=""),
    Completed(code=2, out="", err="error: Extra `x` is not defined\n"),
)


class StandIn:
    """Takes the place of `process.capture`: reads what uv would read, and answers by lot."""

    def __init__(self, manifest: str) -> None:
        self.draw = random.Random(0)
        self._manifest = manifest

    def __call__(
        self,
        words: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path | None = None,
        seconds: float | None = None,
    ) -> Completed:
        del environ, seconds
        if words[1] == "--version":
            return Completed(code=0, out="uv 0.13.9\n", err="")
        _read_as_uv(words[1], cwd or Path.cwd())
        if words[1] == "init":
            target = Path(words[-1])
            target.mkdir(exist_ok=True)
            (target / "pyproject.toml").write_text(self._manifest)
            return Completed(code=0, out="", err="")
        if words[1] in {"export", "lock", "sync"}:
            return self.draw.choice(_EXPORTS if words[1] == "export" else _ANSWERS)
        return Completed(code=2, out="", err="nobody knows")


def _read_as_uv(command: str, root: Path) -> None:
    """As uv does: a pipe is waited for, and a device is read."""
    names = ("pyproject.toml", "uv.lock", "uv.toml", ".python-version", ".python-versions")
    paths = [*(root / name for name in names), *root.glob("libs/*/pyproject.toml")]
    if command in {"lock", "sync"}:
        paths.append(root / ".venv/pyvenv.cfg")
    if command == "sync":
        paths += root.glob(f"{_LIBRARY}/*.dist-info/*")
    for path in paths:
        with contextlib.suppress(OSError), path.open("rb") as file:
            if len(file.read(100 << 20)) == 100 << 20:
                raise RuntimeError(f"uv would read {path} without an end")


def snapshot(*directories: Path) -> Iterator[tuple[str, str, bytes]]:
    """Everything below `directories`, without opening what is no regular file."""
    for directory in directories:
        for folder, folders, names in os.walk(directory):
            for name in (*folders, *names):
                path = Path(folder, name)
                status = path.lstat()
                data = b""
                if stat.S_ISLNK(status.st_mode):
                    data = os.fsencode(path.readlink())
                elif stat.S_ISREG(status.st_mode) and status.st_size < 1 << 20:
                    data = path.read_bytes()
                yield str(path), stat.filemode(status.st_mode), data
