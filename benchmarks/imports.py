"""What becomes of old projects: uvflow beside `uv add -r`, migrate-to-uv and `pdm import`.

    uv run benchmarks/imports.py [--case A01]... [--json FILE]

Each tool comes into an environment of its own, with one uv for all. Each case is written anew for
each tool that says it reads the format (elsewhere a dash is shown), and the tool is used as its own
documentation has it; then one judge reads what is there, and what a package is built to:

    kept     everything that the case wants is there
    said     something is left out or changed, and the tool's output names it
    lost     something is left out or changed without a word
    refused  exit code other than 0, and nothing was changed
    broke    exit code other than 0 and files changed, a traceback, or no end

A `*` marks the best there is for a case. `-` after a verdict: input files were deleted; `!`: a
secret was written into a file. With --case it is shown what the tools said, and what is missing;
`!` before it means that nobody was told. Only the installation of the tools takes a network.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.import_cases import (
    BROKE,
    KEPT,
    LOST,
    NOT_COMPARED,
    REFUSED,
    REQUIREMENTS,
    SAID,
    Case,
    requirements_cases,
)
from benchmarks.import_judge import Judgement, Run, judged, tree_of
from benchmarks.import_project_cases import FLIT, FORMATS, PIPENV, POETRY, SETUPTOOLS, project_cases
from benchmarks.import_wheels import BACKENDS, built
from benchmarks.import_world import SECRET, World, world

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
IGNORED = (".venv", ".pdm-python")  # what is of one machine alone
PATIENCE = 60  # seconds for one command
NOT_READ = "—"  # a tool that does not say that it reads the format
NAMED = '[project]\nname = "shop"\nversion = "0.1.0"\n'

Command = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Tool:
    """`packages` are what is installed, `commands` how its documentation imports a project.

    `formats` are those that its documentation names. `prepared` makes the pyproject.toml that a
    tool expects to be there, where there is none.
    """

    name: str
    packages: tuple[str, ...]
    commands: Callable[[Case], tuple[Command, ...]]
    formats: tuple[str, ...]
    prepared: Callable[[Path], Command | None] = lambda _root: None


def _with_uvflow(_case: Case) -> tuple[Command, ...]:
    return (("uvflow", "init", "--no-sync"),)


def _with_uv(case: Case) -> tuple[Command, ...]:
    """uv's guide "Migrating from pip to a uv project"; compiled files become constraints."""
    groups = [(("--group", n), file) for n, files in case.groups.items() for file in files]
    listed = [*(((), file) for file in case.project), *groups]
    return tuple(
        (
            *("uv", "add", "--no-sync", *group, "-r", file),
            *(("-c", case.compiled[file]) if file in case.compiled else ()),
        )
        for group, file in listed
    )


def _bare(root: Path) -> Command | None:
    return None if (root / "pyproject.toml").exists() else ("uv", "init", "--bare")


def _with_migrate_to_uv(case: Case) -> tuple[Command, ...]:
    """Its documentation: files with names of their own, and included ones, are named to it."""
    if case.format != REQUIREMENTS:
        return (("migrate-to-uv",),)
    development = [file for files in case.groups.values() for file in files]
    usual = ("requirements.txt", "requirements-dev.txt", "requirements.in", "requirements-dev.in")
    listed = [("--requirements-file", file) for file in (*case.project, *case.included)]
    listed += [("--dev-requirements-file", file) for file in development]
    if all(file in usual for _, file in listed):
        return (("migrate-to-uv",),)
    return (("migrate-to-uv", *(word for pair in listed for word in pair)),)


def _name(root: Path) -> Command | None:
    """It keeps what [project] says; without a name there it writes an empty one, which uv refuses.

    `uv init --bare` would not do: it writes an empty list of dependencies, which is kept as well.
    """
    if not (root / "pyproject.toml").exists():
        (root / "pyproject.toml").write_text(NAMED)
    return None


_READ_BY_PDM = {
    POETRY: "pyproject.toml",
    PIPENV: "Pipfile",
    SETUPTOOLS: "setup.py",
    FLIT: "pyproject.toml",
}


def _with_pdm(case: Case) -> tuple[Command, ...]:
    if case.format != REQUIREMENTS:
        return (("pdm", "import", _READ_BY_PDM[case.format]),)
    how = ("pdm", "import", "-f", "requirements")
    groups = [(("-d", "-G", n), file) for n, files in case.groups.items() for file in files]
    listed = [*(((), file) for file in case.project), *groups]
    return tuple((*how, *group, file) for group, file in listed)


TOOLS = (
    Tool(name="uvflow", packages=(str(ROOT),), commands=_with_uvflow, formats=FORMATS),
    Tool(
        name="uv add",
        packages=("uv",),
        commands=_with_uv,
        formats=(REQUIREMENTS,),
        prepared=_bare,
    ),
    Tool(
        name="migrate-to-uv",
        packages=("migrate-to-uv",),
        commands=_with_migrate_to_uv,
        formats=(REQUIREMENTS, POETRY, PIPENV),
        prepared=_name,
    ),
    Tool(
        name="pdm import",
        packages=("pdm", "hishel<2"),  # PDM 2.29 crashes with the next major version of it
        commands=_with_pdm,
        formats=(REQUIREMENTS, *_READ_BY_PDM),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Installed:
    tool: Tool
    version: str
    scripts: Path


def main() -> None:
    options = _options()
    for program in ("git", "uv"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not on PATH")
    with tempfile.TemporaryDirectory(prefix="imports-") as directory:
        place = Path(directory).resolve()
        tools = tuple(_installed(place / "tools"))
        builder = _python_with(BACKENDS, place / "tools" / "backends")
        with world(place) as around:
            every = (*requirements_cases(around), *project_cases(around))
            chosen = _chosen(every, options.case or ())
            runs = Runs(tools=tools, builder=builder, around=around)
            table = dict(_table(runs, chosen, with_reasons=bool(options.case)))
    _totals(tools, chosen, table)
    if options.json:
        told = _as_json(tools, chosen, table)
        Path(options.json).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", action="append", metavar="ID", help="such as A01; repeatable")
    parser.add_argument("--json", metavar="FILE", help="write everything there is to tell")
    return parser.parse_args()


def _chosen(every: Sequence[Case], ids: Sequence[str]) -> Sequence[Case]:
    unknown = set(ids) - {case.id for case in every}
    if unknown:
        sys.exit(f"there is no case {', '.join(sorted(unknown))}")
    return [case for case in every if not ids or case.id in ids]


# Tools


def _installed(place: Path) -> Iterator[Installed]:
    """The tools that can be had; of the others it is said why not."""
    uv = shutil.which("uv") or "uv"
    for tool in TOOLS:
        home = place / tool.name.replace(" ", "-")
        scripts = home / SCRIPTS
        command = scripts / tool.name.split()[0]
        for step in (
            (uv, "venv", "-q", "--python", sys.executable, str(home)),
            (uv, "pip", "install", "-q", "--python", str(home), *tool.packages),
            (str(command), "--version"),
        ):
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                print(f"{tool.name} is left out: {done.stderr.strip()}\n")
                break
        else:
            version = next(w for w in done.stdout.split() if w[0].isdigit())
            print(f"{tool.name:14} {version}")
            yield Installed(tool=tool, version=version, scripts=scripts)
    print()


def _python_with(packages: Sequence[str], home: Path) -> Path:
    """The Python of a new environment that has these packages."""
    uv = shutil.which("uv") or "uv"
    python = home / SCRIPTS / "python"
    subprocess.run((uv, "venv", "-q", "--python", sys.executable, str(home)), check=True)
    install = (uv, "pip", "install", "-q", "--python", str(python), *packages)
    subprocess.run(install, check=True)
    return python


# Runs


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What all runs have: the tools, where they run, and the Python that builds packages."""

    tools: Sequence[Installed]
    builder: Path
    around: World


Table = Mapping[tuple[int, str], Judgement]  # a case's number and a tool's name → the judgement


def _table(
    runs: Runs, chosen: Sequence[Case], *, with_reasons: bool
) -> Iterator[tuple[tuple[int, str], Judgement]]:
    """Every judgement of the table, the rows printed as they come."""
    print(_row("", "", [t.tool.name for t in runs.tools]))
    for number, case in enumerate(chosen):
        row = {}
        for one in runs.tools:
            if case.format not in one.tool.formats:
                continue
            run = _run_of(runs, one, case, number)
            row[one.tool.name] = _neutral(judged(case, run, SECRET), runs.around)
            if with_reasons:
                written = run.after.get("pyproject.toml", b"").decode(errors="replace")
                print(textwrap.indent(run.said, f"{one.tool.name:14}| "))
                print(textwrap.indent(written, f"{one.tool.name:14}> "))
        cells = [_cell(case, row.get(t.tool.name)) for t in runs.tools]
        print(_row(case.id, case.about, cells), flush=True)
        for name, judgement in row.items() if with_reasons else ():
            print("".join(f"       {name}: {reason}\n" for reason in judgement.why), end="")
        yield from (((number, name), judgement) for name, judgement in row.items())


def _run_of(runs: Runs, one: Installed, case: Case, number: int) -> Run:
    """What a tool does to a case; of a package that it imports, the wheels too."""
    place = runs.around.place / "runs" / f"{number}-{one.tool.name.replace(' ', '-')}"
    environ = runs.around.environ(_uv(runs.tools))
    own = {**environ, "UVFLOW_CACHE_DIR": str(place / "state"), **case.environ}
    run = _tried(one, case, place, own)
    if not case.is_package or run.code != 0:
        return run
    before, after = (built(tree, runs.builder, environ) for tree in (run.inputs, run.after))
    return replace(run, wheels=(before, after))


def _uv(tools: Sequence[Installed]) -> Path:
    """The uv for all: the one that was installed, or else this machine's."""
    installed = (t.scripts / "uv" for t in tools if t.tool.packages == ("uv",))
    return next(installed, Path(shutil.which("uv") or "uv"))


def _tried(one: Installed, case: Case, place: Path, environ: Mapping[str, str]) -> Run:
    """The case, written into `place` and imported, as far as the first command that fails."""
    root = place / "shop"
    _write(root, case.files)
    inputs = tree_of(root, IGNORED)
    prepared = one.tool.prepared(root)
    if prepared:
        _run(one, prepared, root, environ)
    said = []
    for command in one.tool.commands(case):
        before = tree_of(root, IGNORED)
        done = _run(one, command, root, environ)
        said.append(done.stdout)
        if done.returncode != 0:
            break
    return Run(
        code=done.returncode,
        said="".join(said).replace(str(place), ""),
        inputs=inputs,
        before=before,
        after=tree_of(root, IGNORED),
        elsewhere=tree_of(place, (*IGNORED, root.name)),
    )


def _write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


def _neutral(judgement: Judgement, around: World) -> Judgement:
    """Without what is another in each run."""
    why = (reason.replace(around.host, "127.0.0.1") for reason in judgement.why)
    return replace(judgement, why=tuple(why))


def _run(
    one: Installed, command: Command, root: Path, environ: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run to the end, or for as long as PATIENCE lasts; both streams come as one."""
    words = (str(one.scripts / command[0]), *command[1:])
    try:
        return subprocess.run(
            words,
            cwd=root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        (root / "it-never-ended").touch()  # what is left of a run without an end is not as it was
        return subprocess.CompletedProcess(words, 1, "it never ended\n")


# Report


def _row(case: str, about: str, cells: Sequence[str]) -> str:
    return f"{case:4} {about:42} {' '.join(f'{cell:13}' for cell in cells)}".rstrip()


def _cell(case: Case, judgement: Judgement | None) -> str:
    if judgement is None:
        return NOT_READ
    best = "*" if _is_best(case, judgement) else ""
    deleted, secret = "-" if judgement.deleted else "", "!" if judgement.secret else ""
    return f"{judgement.verdict}{best}{deleted}{secret}"


def _is_best(case: Case, judgement: Judgement) -> bool:
    return judgement.verdict in (KEPT, case.asks) and not judgement.secret


def _totals(
    tools: Sequence[Installed],
    chosen: Sequence[Case],
    table: Table,
) -> None:
    names = [t.tool.name for t in tools]
    counts = {
        name: Counter(j.verdict for (_, n), j in table.items() if n == name) for name in names
    }
    print("\n" + _row("", f"of {len(chosen)} cases", names))
    for verdict in (KEPT, SAID, LOST, REFUSED, BROKE):
        print(_row("", verdict, [str(counts[name][verdict]) for name in names]))
    for title, count in (
        (
            "* the best there is",
            Counter(n for (i, n), j in table.items() if _is_best(chosen[i], j)),
        ),
        ("- deleted input files", Counter(n for (_, n), j in table.items() if j.deleted)),
        ("! wrote a secret", Counter(n for (_, n), j in table.items() if j.secret)),
    ):
        print(_row("", title, [str(count[name]) for name in names]))
    print("\n" + _row("", "* of each format", names))
    for file_format in FORMATS:
        number = sum(case.format == file_format for case in chosen)
        best = _best_of(file_format, chosen, table)
        if number:
            cells = [str(best.get(name, NOT_READ)) for name in names]
            print(_row("", f"{file_format}: {number}", cells))
    print("\nNot compared:")
    for what, why in NOT_COMPARED.items():
        print(f"  {what}: {why}")


def _best_of(file_format: str, chosen: Sequence[Case], table: Table) -> dict[str, int]:
    """How often each tool that reads a format has done the best there is."""
    counts: dict[str, int] = {}
    for (number, name), judgement in table.items():
        case = chosen[number]
        if case.format == file_format:
            counts[name] = counts.get(name, 0) + _is_best(case, judgement)
    return counts


def _as_json(
    tools: Sequence[Installed],
    chosen: Sequence[Case],
    table: Table,
) -> dict[str, object]:
    return {
        "measured": datetime.now(UTC).date().isoformat(),
        "versions": {t.tool.name: t.version for t in tools},
        "cases": [
            {
                "id": case.id,
                "about": case.about,
                "format": case.format,
                "asks": case.asks,
                "verdicts": {
                    name: asdict(judgement) for (n, name), judgement in table.items() if n == i
                },
            }
            for i, case in enumerate(chosen)
        ],
        "not_compared": NOT_COMPARED,
    }


if __name__ == "__main__":
    main()
