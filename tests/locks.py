"""Lockfiles that uv reads, from a few words about each package."""

from collections.abc import Sequence

from uvflow.migrate.indexes import PYPI

ANY = ("py3-none-any",)


def locked(*packages: str, requires_python: str = ">=3.11") -> str:
    """The text of a uv.lock."""
    head = f'version = 1\nrevision = 3\nrequires-python = "{requires_python}"\n'
    return "\n".join((head, *packages))


def package(
    name: str,
    version: str = "1.0",
    *,
    needs: Sequence[str] = (),
    wheels: Sequence[str] = ANY,
    source: str = f'registry = "{PYPI}"',
) -> str:
    """A `[[package]]`: `needs` are names or whole inline tables, `wheels` are tags."""
    stem = f"{name.replace('-', '_')}-{version}"
    files = (f'{{ url = "https://x.test/{stem}-{tag}.whl" }}' for tag in wheels)
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ {source} }}\n'
        f"dependencies = {_edges(needs)}\nwheels = [{', '.join(files)}]\n"
        f'sdist = {{ url = "https://x.test/{stem}.tar.gz" }}\n'
    )


def local(
    name: str,
    *,
    needs: Sequence[str] = (),
    dev: Sequence[str] = (),
    source: str = 'virtual = "."',
    rest: str = "",
) -> str:
    """The `[[package]]` of a project; `dev` is its dependency group of that name."""
    groups = f"\n[package.dev-dependencies]\ndev = {_edges(dev)}\n" if dev else ""
    return (
        f'[[package]]\nname = "{name}"\nversion = "1.0"\nsource = {{ {source} }}\n'
        f"dependencies = {_edges(needs)}\n{rest}{groups}"
    )


def manifest(name: str = "shop", rest: str = "", *, needs: Sequence[str] = ()) -> str:
    """The text of a pyproject.toml."""
    return (
        f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = {list(needs)}\n{rest}"
    )


def _edges(needs: Sequence[str]) -> str:
    tables = (need if need.startswith("{") else f'{{ name = "{need}" }}' for need in needs)
    return f"[{', '.join(tables)}]"
