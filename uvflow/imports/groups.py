"""Many files → the project's dependencies and dependency groups (PEP 735), all of it merged."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from uvflow.imports import (
    conflicts,
    constraints,
    hashes,
    includes,
    indexes,
    lists,
    settings,
    sources,
)
from uvflow.imports.credentials import for_git
from uvflow.imports.includes import Includes
from uvflow.imports.indexes import Indexes
from uvflow.imports.ledger import Ledger
from uvflow.imports.lists import PROJECT
from uvflow.imports.local import Read, is_there
from uvflow.imports.model import (
    Bucket,
    Finding,
    Import,
    InputFile,
    Options,
    Origin,
    Requirement,
    Role,
)
from uvflow.imports.reading import Fetch, Reader, no_network
from uvflow.imports.said import Reading


def assemble(
    inputs: Iterable[InputFile],
    read: Read,
    options: Options | None = None,
    *,
    fetch: Fetch = no_network,
) -> Import:
    """Everything that `inputs`, and the files they include, say.

    `read` and `fetch` are as in a Reader. Nothing is raised for what the files say: what stops the
    import is an ERROR finding, and every logical line is in one bucket of its file's report.
    """
    options = options or Options()
    ledger = Ledger(options=options)
    files = includes.follow(inputs, Reader(read=read, fetch=fetch, options=options))
    ledger.refuse(*files.findings, *hashes.missing(files))
    ledger.mark(Bucket.ACTION, *files.unread)
    found = indexes.collect(files.lines(), ledger, options)
    spoken = settings.collect(files.lines(), ledger, lambda path: is_there(path, read))
    readings = _readings(files, found, read, ledger)
    listed = lists.collect(files, readings, ledger)
    settled = conflicts.settle({n: li.entries for n, li in listed.items()}, options.on_conflict)
    ledger.note(*settled.findings)
    ledger.mark(Bucket.ACTION, *settled.dropped)
    imported = Import(
        dependencies=tuple(e for e in settled.lists[PROJECT] if isinstance(e, Requirement)),
        groups={name: entries for name, entries in settled.lists.items() if name != PROJECT},
        indexes=found.entries,
        settings={**spoken, **settled.settings},
        tails={name: li.tail for name, li in listed.items() if li.tail},
        credentials={**found.credentials(options.environ), **_for_git(readings, options)},
    )
    return _completed(imported, files, readings, found, ledger)


def _readings(files: Includes, found: Indexes, read: Read, ledger: Ledger) -> dict[Origin, Reading]:
    """What every line with a requirement says, wherever the line will end."""
    readings = {}
    for line in files.lines():
        role = files.roles[line.origin.path].role
        if line.problem:
            ledger.refuse(line.problem)
        elif line.requirement:
            reading = sources.read(line, ledger.options, read)
            if role is Role.PINS and reading.requirement:
                reading = replace(reading, findings=(), bucket=Bucket.IMPORTED)  # the `.in` says it
            if reading.requirement and role not in (Role.PINS, Role.CONSTRAINTS):
                reading = replace(reading, requirement=found.placed(reading.requirement))
            ledger.refuse(*reading.findings)
            if reading.bucket is not Bucket.IMPORTED:  # that it is depends on the list it is in
                ledger.mark(reading.bucket, line.origin)
            readings[line.origin] = reading
    return readings


def _for_git(readings: Mapping[Origin, Reading], options: Options) -> dict[str, str]:
    logins = (reading.git_login for reading in readings.values() if reading.git_login)
    return for_git(logins, options.environ)


def _completed(
    imported: Import,
    files: Includes,
    readings: Mapping[Origin, Reading],
    found: Indexes,
    ledger: Ledger,
) -> Import:
    """`imported` with what depends on which packages are wanted, and with the books closed."""
    wanted = imported.requirements
    held = constraints.sort_out(
        wanted,
        compiled=_read_in(Role.PINS, files, readings),
        constraining=_read_in(Role.CONSTRAINTS, files, readings),
        ledger=ledger,
    )
    ledger.note(*_unused(found, wanted))
    _mark_includes(files, ledger)
    return replace(
        imported,
        pins=tuple(held.pins.values()),
        constraints=held.constraints,
        findings=ledger.findings,
        files=ledger.reports(files),
    )


def _read_in(
    role: Role, files: Includes, readings: Mapping[Origin, Reading]
) -> Iterator[Requirement]:
    for origin, reading in readings.items():
        if files.roles[origin.path].role is role and reading.requirement:
            yield reading.requirement


def _unused(found: Indexes, wanted: Iterable[Requirement]) -> Iterator[Finding]:
    used = {(requirement.source or {}).get("index") for requirement in wanted}
    for index in found.found:
        if index.build and index.name not in used:
            yield indexes.unused(index)


def _mark_includes(files: Includes, ledger: Ledger) -> None:
    """The includes that no list is made of: those of constraints, and in compiled files."""
    for line in files.lines():
        constraining = files.constraining(line)
        if constraining:
            is_read = constraining.role in (Role.CONSTRAINTS, Role.PINS)
            ledger.mark(Bucket.IMPORTED if is_read else Bucket.DEFAULT, line.origin)
        elif line.include and files.roles[line.origin.path].role in (Role.CONSTRAINTS, Role.PINS):
            ledger.mark(Bucket.IMPORTED, line.origin)
