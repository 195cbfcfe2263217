"""conda: environment.yml as a requirements file of the same packages on PyPI. Pure."""

import re
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from uvflow.errors import UsageError, shell_command
from uvflow.findings import Origin
from uvflow.migrate.formats.versions import read_constraint
from uvflow.migrate.groups import import_lines
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import NAME, Bucket, ImportedRequirements, Read
from uvflow.migrate.toml_lines import Keys, TomlLine

# Packages of conda that are the same project on PyPI, under the same name …
_SAME = re.compile(
    r"""
      aiohttp|altair|anyio|arrow|attrs|beautifulsoup4|black|bokeh|boto3|cartopy|certifi|click
    | coverage|cython|dask|django|duckdb|fastapi|flask|fsspec|gensim|geopandas|h5py|httpx
    | hypothesis|idna|imageio|iniconfig|ipykernel|ipython|ipywidgets|isort|jax|jinja2|joblib
    | jupyter|jupyterlab|keras|lightgbm|lxml|matplotlib|mypy|nbformat|netcdf4|networkx|nltk
    | notebook|numba|numexpr|numpy|openpyxl|packaging|pandas|pillow|plotly|polars|pre-commit
    | protobuf|psutil|pyarrow|pydantic|pymongo|pyproj|pytest|pytest-cov|python-dateutil|pytz
    | pyyaml|pyzmq|requests|rich|ruff|scikit-image|scikit-learn|scipy|seaborn|shapely|six|spacy
    | sphinx|sqlalchemy|statsmodels|streamlit|sympy|tensorboard|tensorflow|toolz|torchaudio
    | torchvision|tornado|tqdm|transformers|urllib3|xarray|xgboost|xlrd|zarr
    """,
    re.VERBOSE,
)
# … or under another one.
_ON_PYPI = dict(
    re.findall(
        r"(\S+)=(\S+)",
        """
        dask-core=dask docker-py=docker matplotlib-base=matplotlib msgpack-python=msgpack
        opencv=opencv-python py-opencv=opencv-python py-xgboost=xgboost pyqt=PyQt5 pytables=tables
        python-graphviz=graphviz python-lmdb=lmdb python-xxhash=xxhash pytorch=torch
        redis-py=redis seaborn-base=seaborn tensorflow-base=tensorflow
        """,
    )
)
# What is not Python, whatever PyPI has under the name.
_SYSTEM = re.compile(
    r"(?:_|r-|lib|cuda|cudnn|gcc|gxx|blas|mkl).*"
    r"|curl|ffmpeg|gdal|git|graphviz|hdf5|make|mysql|nodejs|openssl|postgresql|proj|redis|snappy"
    r"|yaml|zlib"
)
_CHANNELS = re.compile("anaconda|bioconda|conda-forge|defaults|main|nodefaults|nvidia|pytorch|r")
_SPEC = re.compile(
    r"(?:(?P<channel>[^\s:/]+)[^\s:]*::)?(?P<name>[\w.-]+)\s*(?P<versions>[^\[]*)"
    r"(?:\[(?P<keys>.*)\])?"
)
_KEY = re.compile(
    r"""\s*(?P<key>version|build|channel)\s*=\s*"""
    r"""(?P<quote>['"]?)(?P<value>[^'"]*?)(?P=quote)\s*(?:,|$)"""
)
_WITH_BUILD = re.compile(r"(?P<version>={0,2}\s*[^=<>!~,|\s]+)(?:=|\s+)(?P<build>[\w.*]+)")
_CLAUSE = re.compile(r"(?P<operator>[<>=!~]{0,2})\s*(?P<version>[\w.!+]*)(?P<all>\.?\*)?")
_CUDA = re.compile(r"(?:cuda|^=*)(?P<major>\d+)\.(?P<minor>\d+)")
_PYTORCH = "https://download.pytorch.org/whl/"
_MAX_LENGTH = 1 << 17  # characters of a file; an export of 500 packages has a quarter of it


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """The packages of the environment.yml at `path`, as far as they are known to be on PyPI."""
    import yaml  # 15 ms, for a project with an environment.yml only

    text = read_file(path).decode("utf-8", "replace")
    if len(text) > _MAX_LENGTH:
        raise UsageError(f"{path} is too large", cause=f"more than {_MAX_LENGTH:,} characters")
    reader = _Reader(path=path, lines=text.splitlines(), outcomes=outcomes)
    try:
        reader.read(yaml.compose(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", "")
        reader.refuse_file(f"this is not YAML: {problem}", mark.line if mark else 0)
    return reader.imported(read_file)


@dataclass(kw_only=True)
class _Reader:
    """Reads one file; `requirements` are the lines of a requirements file, by their numbers."""

    path: str
    lines: list[str]
    outcomes: LineOutcomes
    requirements: dict[int, str] = field(default_factory=dict)
    values: dict[Keys, TomlLine] = field(default_factory=dict)
    requires_python: str | None = None

    def imported(self, read_file: Read) -> ImportedRequirements:
        """The import of the requirements file, with the rest of the environment."""
        numbered = enumerate(self.lines, 1)
        comments = {at: text for at, text in numbered if text.lstrip().startswith("#")}
        lines = comments | self.requirements
        imported = import_lines(self.path, lines, read_file, self.outcomes.options)
        own, *others = imported.files
        buckets = {**own.outcomes, **self.outcomes.buckets}
        return replace(
            imported,
            files=(own._replace(format="conda", outcomes=buckets), *others),
            values=self.values,
            requires_python=self.requires_python,
        )

    def refuse_file(self, message: str, line: int) -> None:
        hint = f"correct it, or {shell_command('--ignore', self.path)}"
        self.outcomes.refuse("file-unreadable", message, self._origin(line), hint)

    def _origin(self, line: int) -> Origin:
        """Of a line as PyYAML counts them, from 0."""
        return Origin(path=self.path, line=line + 1)

    def _needs_action(self, message: str, line: int, hint: str) -> None:
        self.outcomes.needs_action("not-imported", message, self._origin(line), hint)

    def read(self, root: Any) -> None:
        for key, node in root.value if root and root.id == "mapping" else ():
            line = key.start_mark.line
            match key.value, node.id:
                case "dependencies" | "channels" as name, "sequence":
                    for item in node.value:
                        self._read_item(name, item, line)
                case "variables", "mapping":
                    message = "conda sets these variables, and uv sets none"
                    self._needs_action(message, line, "see `env-file` in [tool.uvflow.profiles]")
                case "name" | "prefix", "scalar":
                    self.outcomes.record_bucket(Bucket.DEFAULT, self._origin(line))
                    if key.value == "name" and NAME.fullmatch(node.value):
                        self.values["project", "name"] = TomlLine(value=node.value)
                case name, _:
                    self.refuse_file(f"`{name}` is not understood here", line)

    def _read_item(self, key: str, item: Any, header: int) -> None:
        line = item.start_mark.line
        match item.id, item.value:
            case "scalar", _ if key == "dependencies":
                self._read_spec(item, header)
            case "scalar", channel:
                self.outcomes.record_bucket(Bucket.DEFAULT, self._origin(line))
                if not _CHANNELS.fullmatch(channel):  # whose URL may have a token
                    message, hint = "uv takes nothing from this channel", "see [[tool.uv.index]]"
                    self._needs_action(message, line, hint)
            case "mapping", [(name, lines)] if name.value == "pip" and _are_texts(lines):
                for one in lines.value:
                    self._write(one, " ".join(one.value.split()))
            case _:
                self.refuse_file("this is neither a package nor `pip:`", line)

    def _write(self, node: Any, text: str) -> None:
        """A line for pip, with the comment after it."""
        start, end = node.start_mark, node.end_mark
        comment = self.lines[end.line][end.column :].strip() if end.line < len(self.lines) else ""
        if start.line + 1 in self.requirements:  # each line has one outcome
            self.refuse_file(f"`{node.value}` is on the line of another package", start.line)
        if comment.startswith("#"):
            text = f"{text}  {comment}"
        self.requirements[start.line + 1] = text

    def _read_spec(self, node: Any, header: int) -> None:
        line = node.start_mark.line
        try:
            spec = _parse_spec(node.value.strip())
            constraint = read_constraint(_as_pep440(spec.versions))
        except ValueError:
            message = f"`{node.value}` is not a package with its versions"
            self._needs_action(message, line, "write it as `name=version`")
            return
        name = spec.name
        text = f"{_ON_PYPI.get(name, name)}{constraint.specifier}"
        if name == "python":
            # An export has a patch release, which nobody has chosen.
            minor = re.sub(r"^==(\d+\.\d+)\.\d+(\.\*)?$", r"==\1.*", constraint.specifier)
            self.requires_python = minor or None
            self.outcomes.record_bucket(Bucket.IMPORTED, self._origin(line))
        elif name in ("pytorch-cuda", "cpuonly"):
            self._write(node, f"--extra-index-url {_PYTORCH}{_pytorch_build(spec.versions)}")
        elif name in ("pip", "setuptools", "wheel"):
            self.outcomes.record_bucket(Bucket.DEFAULT, self._origin(line))
        elif _CHANNELS.fullmatch(spec.channel) and (name in _ON_PYPI or _SAME.fullmatch(name)):
            self._write(node, text)
            if spec.build:
                self._read_build(name, spec.build, header, line)
        elif _SYSTEM.fullmatch(name):
            message = f"`{name}` is not Python: uv installs no system libraries"
            self._needs_action(message, line, "keep conda, apt or pixi for it")
        else:
            message = f"it is not known whether PyPI's `{name}` is the same"
            self._needs_action(message, line, f"if it is: {shell_command('uv', 'add', text)}")
        if constraint.dropped:
            message = f"of `{node.value}` this is left out: {', '.join(constraint.dropped)}"
            self._needs_action(message, line, "PEP 440 has no `or`: see which is needed")

    def _read_build(self, name: str, build: str, header: int, line: int) -> None:
        message = f"the build {build} of {name} is left out"
        if name == "pytorch" and "cuda" in build:
            url = f"{_PYTORCH}{_pytorch_build(build)}"
            self.requirements[header + 1] = f"--extra-index-url {url}"
            message += f", except for {url}"
        self.outcomes.warn("build-dropped", message, self._origin(line))


class _Spec(NamedTuple):
    """A package with its versions as conda has them, and "" for any build."""

    name: str
    channel: str
    versions: str
    build: str


def _parse_spec(text: str) -> _Spec:
    """A spec such as `conda-forge::numpy=1.26.4=py312_0` or `numpy[version='>=1.2']`.

    The keys in brackets count (conda's documentation, "Package match specifications"). Raises
    ValueError for others than the version, the build and the channel.
    """
    match = _SPEC.fullmatch(text)
    if match is None or _KEY.sub("", match["keys"] or ""):
        raise ValueError(text)
    keys = {key["key"]: key["value"] for key in _KEY.finditer(match["keys"] or "")}
    versions, build = match["versions"].strip(), ""
    with_build = _WITH_BUILD.fullmatch(versions)
    if with_build:
        versions, build = f"=={with_build['version'].lstrip('= ')}", with_build["build"]
    channel, _, _ = keys.get("channel", match["channel"] or "defaults").partition("/")
    return _Spec(
        name=match["name"].lower(),
        channel=channel,
        versions=keys.get("version", versions),
        build=keys.get("build", build),
    )


def _are_texts(node: Any) -> bool:
    return node.id == "sequence" and all(one.id == "scalar" for one in node.value)


def _pytorch_build(text: str) -> str:
    """`cu121` of `=12.1`, or of a build such as `py3.10_cuda12.1_0`; else `cpu`."""
    version = _CUDA.search(text)
    return f"cu{version['major']}{version['minor']}" if version else "cpu"


def _as_pep440(text: str) -> str:
    """What conda means: `=1.2` is `==1.2.*`, `==1.2` or ` 1.2` is exact, `|` is a union."""
    parts = (filter(None, map(_clause, part.split(","))) for part in text.split("|"))
    return "||".join(",".join(clauses) or "*" for clauses in parts)


def _clause(text: str) -> str:
    """Raises ValueError for what is not one."""
    match = _CLAUSE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    operator, version = match["operator"], match["version"].rstrip(".")
    if operator in ("", "=", "=="):
        is_prefix = match["all"] or operator == "="
        return f"=={version}{'.*' if is_prefix else ''}" if version else ""
    return f"{operator}{version}{'.*' if match['all'] and operator == '!=' else ''}"
