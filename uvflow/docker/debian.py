"""Debian packages that Python packages need to build or to run. Pure.

Names are those of Debian 13. Wheels of psycopg2-binary or opencv-python-headless contain their
libraries; packages named here do not, or are built from an sdist.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from uvflow.docker.settings import Settings

_COMPILER = {"g++", "make"}  # build-essential takes half as long again to install


@dataclass(frozen=True, kw_only=True)
class DebianPackages:
    """Debian packages, sorted: for the stage that builds, and for the image."""

    build: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()


# Built from an sdist: the headers besides the compiler, and the libraries that are linked.
_BUILT: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cairocffi": (("libcairo2-dev", "libffi-dev"), ("libcairo2",)),
    "cffi": (("libffi-dev",), ("libffi8",)),
    "cryptography": (("cargo", "libssl-dev", "pkgconf", "rustc"), ("libssl3t64",)),
    "dbus-python": (("libdbus-1-dev", "libglib2.0-dev", "pkgconf"), ("libdbus-1-3",)),
    "gdal": (("libgdal-dev",), ("libgdal36",)),
    "gssapi": (("libkrb5-dev",), ("libgssapi-krb5-2",)),
    "h5py": (("libhdf5-dev", "pkgconf"), ("libhdf5-310",)),
    "lxml": (("libxml2-dev", "libxslt1-dev"), ("libxml2", "libxslt1.1")),
    "mysqlclient": (("libmariadb-dev", "pkgconf"), ("libmariadb3",)),
    "pillow": (("libjpeg-dev", "zlib1g-dev"), ("libjpeg62-turbo", "zlib1g")),
    "psycopg-c": (("libpq-dev",), ("libpq5",)),
    "psycopg2": (("libpq-dev",), ("libpq5",)),
    "pycairo": (("libcairo2-dev", "pkgconf"), ("libcairo2",)),
    "pycurl": (("libcurl4-openssl-dev", "libssl-dev"), ("libcurl4t64",)),
    "pygraphviz": (("graphviz", "libgraphviz-dev"), ("graphviz",)),
    "pymssql": (("freetds-dev",), ("libsybdb5",)),
    "pyaudio": (("portaudio19-dev",), ("libportaudio2",)),
    "pyodbc": (("unixodbc-dev",), ("libodbc2",)),
    "python-ldap": (("libldap-dev", "libsasl2-dev"), ("libldap2", "libsasl2-2")),
    "uwsgi": (("libpcre2-dev",), ("libpcre2-8-0",)),
    "xmlsec": (("libxmlsec1-dev", "pkgconf"), ("libxmlsec1t64-openssl",)),
}

# Published as an sdist alone, and without an extension module.
_PURE = {
    "antlr4-python3-runtime", "docopt", "func-timeout", "ibm-cos-sdk", "ibm-cos-sdk-core",
    "ibm-cos-sdk-s3transfer", "langdetect", "odfpy", "pyperclip", "pyspark", "sgmllib3k",
    "stringcase", "wget",
}  # fmt: skip

# Packages that load a library or run a program at run time, however they were installed: what
# their documentation asks for, or what their wheels link or open and do not contain.
_LOADED: Mapping[str, tuple[str, ...]] = {
    "ansible-core": ("openssh-client",),
    "cairocffi": ("libcairo2",),
    "cairosvg": ("libcairo2",),
    "camelot-py": ("ghostscript",),
    "copier": ("git",),
    "ffmpeg-python": ("ffmpeg",),
    "gitpython": ("git",),
    "graphviz": ("graphviz",),
    "lightgbm": ("libgomp1",),
    "numba": ("libgomp1",),  # for one of its threading layers
    "ocrmypdf": ("ghostscript", "tesseract-ocr"),
    "open3d": ("libgl1", "libgomp1", "libx11-6"),
    "openai-whisper": ("ffmpeg",),
    "opencv-contrib-python": ("libgl1", "libglib2.0-0t64"),
    "opencv-python": ("libgl1", "libglib2.0-0t64"),
    "pdf2image": ("poppler-utils",),
    "psycopg": ("libpq5",),  # unless psycopg-binary or psycopg-c is installed, too
    "pre-commit": ("git",),
    "pydot": ("graphviz",),
    "pydub": ("ffmpeg",),
    "pyenchant": ("libenchant-2-2",),
    "pypandoc": ("pandoc",),
    "pytesseract": ("tesseract-ocr",),
    "python-magic": ("libmagic1t64",),
    "pyzbar": ("libzbar0t64",),
    "pyvips": ("libvips42t64",),
    "sounddevice": ("libportaudio2",),
    "soundfile": ("libsndfile1",),
    "vtk": ("libgl1", "libxrender1"),
    "weasyprint": ("libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0"),
}
_BRINGS_ITS_OWN = {"psycopg": ("psycopg-binary", "psycopg-c")}

# Libraries that wheels link without having them, each with the package that does.
LIBRARIES = """\
libGL.so.1=libgl1 libSM.so.6=libsm6 libX11.so.6=libx11-6 libXext.so.6=libxext6
libXrender.so.1=libxrender1 libasound.so.2=libasound2t64 libcairo.so.2=libcairo2
libcurl.so.4=libcurl4t64 libgfortran.so.5=libgfortran5 libglib-2.0.so.0=libglib2.0-0t64
libgomp.so.1=libgomp1 libmagic.so.1=libmagic1t64 libmariadb.so.3=libmariadb3
libodbc.so.2=libodbc2 libopenblas.so.0=libopenblas0 libportaudio.so.2=libportaudio2
libpq.so.5=libpq5 libsndfile.so.1=libsndfile1 libxml2.so.2=libxml2 libxslt.so.1=libxslt1.1"""

# Build backends that compile the project itself (PEP 518, build-system.requires).
_BACKENDS: Mapping[str, tuple[str, ...]] = {
    "cffi": ("libffi-dev",),
    "cython": (),
    "maturin": ("cargo", "rustc"),
    "meson-python": (),
    "mypy": (),
    "nanobind": (),
    "numpy": (),
    "pybind11": (),
    "scikit-build-core": (),
    "setuptools-rust": ("cargo", "rustc"),
}


def debian_packages(
    *,
    built: Iterable[str],
    installed: Iterable[str],
    backends: Iterable[str],
    fetchers: Iterable[str],
    settings: Settings,
) -> DebianPackages:
    """What `installed` distributions need, of which those in `built` have no wheel.

    `backends` are what local packages are built with, `fetchers` the Debian packages that fetch
    sources. The user's `build-packages` replace those for building; `runtime-packages` are added.
    """
    built, installed, backends = set(built), set(installed), _BACKENDS.keys() & set(backends)
    tools = {*fetchers, *(_COMPILER if built - _PURE or backends else ())}
    tools |= {package for name in backends for package in _BACKENDS[name]}
    runtime = set(settings.runtime_packages)
    for name in built & _BUILT.keys():
        headers, libraries = _BUILT[name]
        tools |= set(headers)
        runtime |= set(libraries)
    for name in installed & _LOADED.keys():
        if not installed & set(_BRINGS_ITS_OWN.get(name, ())):
            runtime |= set(_LOADED[name])
    build = tools if settings.build_packages is None else settings.build_packages
    return DebianPackages(build=tuple(sorted(set(build))), runtime=tuple(sorted(runtime)))
