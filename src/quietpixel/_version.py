"""The version of the installed package, read from its metadata."""

from importlib.metadata import version

__version__ = version("quietpixel")
