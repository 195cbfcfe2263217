"""The command of `uvflow run`: which program it is, and with which variables it runs.

Part of the short path of `uvflow run`, so it imports `os` only.
"""

import os


def command_environ(environment: str) -> dict[str, str]:
    """This process's variables as the environment's own `activate` would leave them."""
    scripts = os.path.join(environment, "Scripts" if os.name == "nt" else "bin")
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    environ["VIRTUAL_ENV"] = environment
    environ["PATH"] = os.pathsep.join((scripts, os.environ.get("PATH", os.defpath)))
    return environ


def command_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """With `python` before a script and before `-m MODULE`, as `uv run` does."""
    is_script = words[0].endswith(".py") and os.path.isfile(words[0])
    return ("python", *words) if is_script or words[0] == "-m" else words


def find_program(name: str, path: str) -> str | None:
    """The program that `name` stands for: a path, or the first of that name on `path`."""
    if os.name == "nt":
        import shutil  # 9 ms; it knows the suffixes of programs

        return shutil.which(name, path=path)
    places = [name]
    if not os.path.dirname(name):
        places = [os.path.join(directory, name) for directory in path.split(os.pathsep)]
    return next((p for p in places if os.access(p, os.X_OK) and not os.path.isdir(p)), None)
