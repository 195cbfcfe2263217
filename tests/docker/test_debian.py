"""Debian packages follow from Python packages, and from what the user says."""

from collections.abc import Iterable

from uvflow.docker.debian import DebianPackages, debian_packages
from uvflow.docker.settings import Settings


def need(
    built: Iterable[str] = (),
    installed: Iterable[str] = (),
    backends: Iterable[str] = (),
    settings: Settings | None = None,
) -> DebianPackages:
    return debian_packages(
        built=built,
        installed=installed,
        backends=backends,
        fetchers=(),
        settings=settings or Settings(),
    )


def test_wheels_need_nothing() -> None:
    assert need(installed=["django", "psycopg2-binary"]) == DebianPackages()


def test_pythons_own_images_have_what_it_asks_of_debian() -> None:
    found = need(settings=Settings(base="managed"))
    assert found == DebianPackages(runtime=("ca-certificates", "tzdata"))


def test_psycopg2_is_compiled_against_libpq_and_runs_with_it() -> None:
    assert need(built=["psycopg2"], installed=["psycopg2"]) == DebianPackages(
        build=("g++", "libpq-dev", "make"), runtime=("libpq5",)
    )


def test_an_unknown_distribution_gets_a_compiler() -> None:
    assert need(built=["odd"]) == DebianPackages(build=("g++", "make"))


def test_what_loads_a_library_has_it() -> None:
    assert need(installed=["python-magic"]) == DebianPackages(runtime=("libmagic1t64",))


def test_psycopg_brings_libpq_with_its_binary() -> None:
    assert need(installed=["psycopg"]) == DebianPackages(runtime=("libpq5",))
    assert need(installed=["psycopg", "psycopg-binary"]) == DebianPackages()


def test_a_project_that_compiles_gets_what_its_backend_needs() -> None:
    assert need(backends=["maturin"]) == DebianPackages(build=("cargo", "g++", "make", "rustc"))
    assert need(backends=["hatchling"]) == DebianPackages()


def test_the_user_decides_about_building_and_adds_to_running() -> None:
    settings = Settings(build_packages=("gcc",), runtime_packages=("curl",))
    assert need(built=["psycopg2"], settings=settings) == DebianPackages(
        build=("gcc",), runtime=("curl", "libpq5")
    )
    assert need(built=["pure"], settings=Settings(build_packages=())) == DebianPackages()


def test_what_is_known_to_be_pure_needs_no_compiler() -> None:
    assert need(built=["docopt"]) == DebianPackages()
    assert need(built=["docopt", "odd"]).build == ("g++", "make")


def test_what_runs_a_program_has_it() -> None:
    assert need(installed=["gitpython", "lightgbm"]).runtime == ("git", "libgomp1")
