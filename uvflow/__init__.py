"""A thin workflow wrapper around uv: migrate from pip, keep environments, build images."""

__version__ = "0.2.0"
