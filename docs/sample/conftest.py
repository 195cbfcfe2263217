"""Django, set up once for all tests; no plugin is needed for that."""

import os

import django
from django.test.utils import setup_test_environment

os.environ["DJANGO_DEBUG"] = "1"
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
setup_test_environment()
