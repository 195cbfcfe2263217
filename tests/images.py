"""Facts of an image, as a plain service has them."""

from typing import Any

from uvflow.docker.base_image import base_images
from uvflow.docker.debian import DebianPackages
from uvflow.docker.facts import Facts
from uvflow.docker.settings import Settings
from uvflow.docker.start import Start
from uvflow.project.profiles import BUILT_IN

DEV, PROD = BUILT_IN["dev"], BUILT_IN["prod"]

_PLAIN = {
    "name": "shop",
    "directory": ".",
    "python": "3.13",
    "python_release": "3.13",
    "python_evidence": ".python-version",
    "base": "slim",
    "stages_evidence": "every locked package has a wheel",
    "dev_switch_variable": "UV_NO_DEV",
    "selections": (PROD,),
    "mounts": ("uv.lock", "pyproject.toml"),
    "no_install_option": "--no-install-project",
    "lock_check_needs_sources": False,
    "built": (),
    "local_packages": (),
    "version_variables": (),
    "secrets": (),
    "uses_ssh": False,
    "reads_certificates": False,
    "system": DebianPackages(),
    "copies_source": True,
    "labels": (("org.opencontainers.image.title", "shop"),),
    "static": None,
    "start": Start(
        command=("uvicorn", "main:app"),
        development=("uvicorn", "--reload", "main:app"),
        evidence="main.py has FastAPI(); uvicorn is a dependency",
        port=8000,
        loads_source=True,
    ),
    "processes": (),
    "shadowed": "",
    "user": 10001,
    "environment": (),
}


class _Given(Facts):
    """Facts that nobody has to read: what is not given is derived from the others."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


def facts(**changes: Any) -> Facts:
    """The facts of a service of one file, with one stage and the one target prod."""
    settings = Settings(uv="0.13.9", base=changes.get("base", "slim"))
    images = base_images(settings, "3.13")
    return _Given(settings=settings, images=images, **{**_PLAIN, **changes})
