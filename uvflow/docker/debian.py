"""Debian packages that Python packages need to build or to run. Pure.

Names are those of Debian 13. Wheels of psycopg2-binary or opencv-python-headless contain their
libraries; packages named here do not, or are built from an sdist.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from uvflow.docker.settings import Settings

_OF_PYTHON = {"ca-certificates", "tzdata"}
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
    "antlr4-python3-runtime", "coreschema", "dkimpy", "docopt", "flask-bootstrap", "flask-script",
    "func-timeout", "googlemaps", "hdfs", "ibm-cos-sdk", "ibm-cos-sdk-core",
    "ibm-cos-sdk-s3transfer", "jieba", "langdetect", "odfpy", "openapi-codec", "pathtools",
    "pyperclip", "pyspark", "rouge-score", "sendgrid-django", "sgmllib3k", "stringcase", "visitor",
    "wget", "wikipedia",
}  # fmt: skip

# Debian package → those that load its library or run its program, however they were installed:
# their documentation asks for it, or their wheels link or open what they do not have.
_LOADED: Mapping[str, set[str]] = {
    "ffmpeg": {"ffmpeg-python", "openai-whisper", "pydub"},
    "ghostscript": {"camelot-py", "ocrmypdf"},
    "git": {"copier", "gitpython", "pre-commit"},
    "graphviz": {"graphviz", "pydot"},
    "libcairo2": {"cairocffi", "cairosvg"},
    "libenchant-2-2": {"pyenchant"},
    "libgl1": {"open3d", "opencv-contrib-python", "opencv-python", "vtk"},
    "libglib2.0-0t64": {"opencv-contrib-python", "opencv-python"},
    "libgomp1": {"lightgbm", "numba", "open3d"},  # of numba one of its threading layers
    "libharfbuzz-subset0": {"weasyprint"},
    "libmagic1t64": {"python-magic"},
    "libpango-1.0-0": {"weasyprint"},
    "libpangoft2-1.0-0": {"weasyprint"},
    "libportaudio2": {"sounddevice"},
    "libpq5": {"psycopg"},  # unless psycopg-binary or psycopg-c is installed, too
    "libsndfile1": {"soundfile"},
    "libvips42t64": {"pyvips"},
    "libx11-6": {"open3d"},
    "libxrender1": {"vtk"},
    "libzbar0t64": {"pyzbar"},
    "openssh-client": {"ansible-core"},
    "pandoc": {"pypandoc"},
    "poppler-utils": {"pdf2image"},
    "tesseract-ocr": {"ocrmypdf", "pytesseract"},
}
_HAVE_LIBPQ = {"psycopg-binary", "psycopg-c"}

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
    **dict.fromkeys(("cython", "meson-python", "mypy", "nanobind", "numpy", "pybind11"), ()),
    **dict.fromkeys(("maturin", "setuptools-rust"), ("cargo", "rustc")),
    "cffi": ("libffi-dev",),
    "scikit-build-core": (),
}


def is_known(name: str) -> bool:
    """Whether it is known what a distribution needs to be built."""
    return name in _BUILT or name in _PURE


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
    # What Python itself asks for; its own images have it.
    runtime = {*settings.runtime_packages, *(_OF_PYTHON if settings.base != "slim" else ())}
    for name in built & _BUILT.keys():
        headers, libraries = _BUILT[name]
        tools |= set(headers)
        runtime |= set(libraries)
    runtime |= loaded(installed).keys()
    build = tools if settings.build_packages is None else set(settings.build_packages)
    return DebianPackages(build=tuple(sorted(build)), runtime=tuple(sorted(runtime)))


def loaded(installed: set[str]) -> dict[str, set[str]]:
    """The Debian packages whose library or program `installed` distributions use → these."""
    users = installed - {"psycopg"} if installed & _HAVE_LIBPQ else installed
    return {package: names & users for package, names in _LOADED.items() if names & users}
