"""Imports what the extra ``cluster`` brings, or says how to get it."""

from typing import Any

from quietpixel.errors import import_optional


def need(name: str) -> Any:
    """Return the module of that name.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    package = name.partition(".")[0]
    what = f"Work on a cluster, and on images larger than memory, needs the package {package}"
    return import_optional(name, what, "'quietpixel[cluster]'")
