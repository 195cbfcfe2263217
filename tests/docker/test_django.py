"""The settings of Django: which are served, static files, what a container cannot keep."""

from pathlib import Path

import pytest
from rig import Tree

from uvflow.docker.django import Django, Static
from uvflow.docker.source import Sources

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\n'


def django(root: Path) -> Django:
    return Django(Sources(root))


def test_the_settings_that_are_served_come_before_those_of_manage_py(tree: Tree) -> None:
    root = tree({"manage.py": MANAGE.format("a.b")})
    assert django(root).settings_module == "a.b"
    tree({"core/asgi.py": MANAGE.format("c.d")})
    assert django(root).settings_module == "c.d"
    assert Django(Sources(root), "e.f").settings_module == "e.f"


def test_static_files_are_collected_with_the_settings_that_are_served(tree: Tree) -> None:
    root = tree(
        {
            "web/manage.py": MANAGE.format("local"),
            "web/core/wsgi.py": MANAGE.format("production"),
            "production.py": STATIC.format('str(BASE_DIR / "static")'),
        }
    )
    assert django(root).static(()) == Static(
        directory="web/static",
        manage="web/manage.py",
        environment=(("DJANGO_SETTINGS_MODULE", "production"),),
    )


def test_apps_are_added_up_for_the_static_files(tree: Tree) -> None:
    text = 'ALL = OWN + THEIRS\nOWN = ["shop"]\nTHEIRS = ["django.contrib.staticfiles"]\n'
    text += 'INSTALLED_APPS = ALL + ["x"]\nSTATIC_ROOT = "static"\n'
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert django(root).static(()) == Static(directory="static", environment=())


def test_apps_that_one_file_of_settings_adds_to_another_are_added_up(tree: Tree) -> None:
    root = tree(
        {
            "manage.py": MANAGE.format("production"),
            "production.py": 'from base import *\nINSTALLED_APPS = [*INSTALLED_APPS, "shop"]\n',
            "base.py": STATIC.format('"static"'),
        }
    )
    assert django(root).static(()) == Static(directory="static", environment=())


def test_settings_that_the_line_of_a_start_names_are_served(tree: Tree) -> None:
    root = tree({"manage.py": MANAGE.format("dev"), "prod.py": STATIC.format('"s"')})
    found = Django(Sources(root), in_line="prod")
    assert found.static(()) == Static(
        directory="s", environment=(("DJANGO_SETTINGS_MODULE", "prod"),)
    )


def test_settings_that_a_variable_may_replace_are_served(tree: Tree) -> None:
    text = 'os.environ["DJANGO_SETTINGS_MODULE"] = os.environ.get("X") or "core.prod"\n'
    root = tree({"manage.py": MANAGE.format("core.dev"), "core/wsgi.py": text})
    assert django(root).settings_module == "core.prod"


@pytest.mark.parametrize(
    "value", ["where()", "Path(ELSEWHERE)", "join(BASE, PART, 's')", "BASE.parent / 's'"]
)
def test_a_static_root_that_is_computed_is_remarked(tree: Tree, value: str) -> None:
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": STATIC.format(value)})
    assert list(django(root).remarks()) == [
        "the STATIC_ROOT of settings is computed: it is not collected"
    ]


@pytest.mark.parametrize(
    ("base", "directory"),
    [
        ("Path(__file__).resolve().parent.parent", "src/static"),
        ("Path(__file__).resolve().parents[2]", "static"),
        ("os.path.dirname(os.path.dirname(os.path.abspath(__file__)))", "src/static"),
        ("where()", "static"),
    ],
)
def test_static_files_are_below_what_the_file_of_settings_counts_from(
    tree: Tree, base: str, directory: str
) -> None:
    settings = f"BASE_DIR = {base}\n" + STATIC.format('BASE_DIR / "static"')
    root = tree({"manage.py": MANAGE.format("core.settings"), "src/core/settings.py": settings})
    assert django(root).static(()) == Static(directory=directory, environment=())


def test_a_static_root_in_a_class_is_remarked(tree: Tree) -> None:
    text = "class Production(Configuration):\n    STATIC_ROOT = 'static'\n"
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert list(django(root).remarks()) == [
        "the STATIC_ROOT of settings is in a class: it is not collected"
    ]


def test_without_manage_py_the_wsgi_module_does(tree: Tree) -> None:
    text = 'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "core.settings"\n'
    assert django(tree({"core/wsgi.py": text})).settings_module == "core.settings"


@pytest.mark.parametrize("line", ["from .base import *", "from config.settings.base import *"])
def test_settings_are_followed_into_what_they_import(tree: Tree, line: str) -> None:
    root = tree(
        {
            "manage.py": MANAGE.format("config.settings.local"),
            "config/settings/local.py": f"{line}\nDEBUG = True\n",
            "config/settings/base.py": 'WSGI_APPLICATION = "config.wsgi.application"\n',
        }
    )
    assert django(root).text("WSGI_APPLICATION") == "config.wsgi.application"


def test_settings_that_import_each_other_end(tree: Tree) -> None:
    root = tree(
        {
            "manage.py": MANAGE.format("a"),
            "a.py": "from b import *\n",
            "b.py": "from a import *\n",
        }
    )
    assert django(root).text("WSGI_APPLICATION") is None


def test_the_variables_of_a_secret_key_are_named(tree: Tree) -> None:
    text = 'import os\nSECRET_KEY = os.environ["DJANGO_SECRET_KEY"]\nSTATIC_ROOT = "static"\n'
    text += 'INSTALLED_APPS = ["django.contrib.staticfiles"]\n'
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert django(root).static(()) == Static(
        directory="static", environment=(("DJANGO_SECRET_KEY", "collectstatic-only"),)
    )


STATIC = 'INSTALLED_APPS = ["django.contrib.staticfiles"]\nSTATIC_ROOT = {}\n'


@pytest.mark.parametrize(
    ("value", "directory"),
    [
        ('BASE_DIR / "static"', "static"),
        ('os.path.join(BASE_DIR, "static")', "static"),
        ('os.path.join(BASE_DIR, "public", "static")', "public/static"),
        ('str(BASE_DIR / "public" / "static/")', "public/static"),
        ('Path("/srv", "static")', "/srv/static"),
        ('"/srv/static/"', "/srv/static"),
    ],
)
def test_static_files_are_collected_where_the_settings_say(
    tree: Tree, value: str, directory: str
) -> None:
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": STATIC.format(value)})
    assert django(root).static(()) == Static(directory=directory, environment=())


def test_the_secret_key_is_made_up_unless_one_is_given(tree: Tree) -> None:
    text = STATIC.format('"/s"') + 'SECRET_KEY = env("THE_KEY")\n'
    found = django(tree({"manage.py": MANAGE.format("settings"), "settings.py": text}))
    assert found.static(()) == Static(
        directory="/s", environment=(("THE_KEY", "collectstatic-only"),)
    )
    assert found.static((("THE_KEY", "x"),)) == Static(
        directory="/s", environment=(("THE_KEY", "x"),)
    )


def test_the_variables_that_settings_demand_are_known(tree: Tree) -> None:
    text = (
        "from base import *\nenv = environ.Env(DEBUG=(bool, False))\n"
        "A = env('A_URL')\nB = env.list('B', default=[])\nC = env.bool('DEBUG')\n"
        "D = {'default': env.db('D_URL')}\nif D:\n    E = env('E_URL')\n"
        "os.environ['F'] = '1'\nG = os.environ['G']\nH = config('H', cast=int)\n"
    )
    files = {"settings.py": text, "base.py": "I = os.environ.get('I')\nJ = env.str('J')\n"}
    found = django(tree({"manage.py": MANAGE.format("settings"), **files}))
    assert found.demanded() == {"A_URL", "D_URL", "G", "H", "J"}


def test_without_a_static_root_nothing_is_collected(tree: Tree) -> None:
    text = 'INSTALLED_APPS = ["django.contrib.staticfiles"]\n'
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert django(root).static(()) is None


def test_what_a_container_cannot_keep_is_remarked(tree: Tree) -> None:
    text = 'DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}\nMEDIA_ROOT = "m"\n'
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert list(django(root).remarks()) == [
        "settings keeps an SQLite database, and the image is not writable",
        "settings has a MEDIA_ROOT: mount a volume there to keep uploads",
    ]
