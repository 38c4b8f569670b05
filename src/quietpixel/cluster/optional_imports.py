"""Imports what the extra ``cluster`` brings, or says how to get it."""

from importlib import import_module
from typing import Any

from quietpixel.errors import MissingDependencyError


def need(name: str) -> Any:
    """Return the module of that name.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        missing = error.name or name
        raise MissingDependencyError(
            f"Work on a cluster, and on images larger than memory, needs the package "
            f"{missing.partition('.')[0]}; install it with pip install 'quietpixel[cluster]'."
        ) from error
