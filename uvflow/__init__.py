"""A thin workflow wrapper around uv: move in from pip, live in dev or prod, ship an image."""

__version__ = "0.1.0"
