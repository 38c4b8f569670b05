"""Beyond one machine: folders and images larger than memory on the workers of a Dask cluster.

Everything here needs the extra ``cluster``; importing this package alone loads none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quietpixel.cluster.arrays import denoise as denoise
    from quietpixel.cluster.workers import Cluster as Cluster
    from quietpixel.cluster.workers import connect as connect

__all__ = ["Cluster", "connect", "denoise"]

_HOME = {"Cluster": "workers", "connect": "workers", "denoise": "arrays"}


def __getattr__(name: str) -> Any:
    """Load a public name from its module, once."""
    if name not in _HOME:
        raise AttributeError(f"module 'quietpixel.cluster' has no attribute '{name}'")
    value = getattr(import_module(f"quietpixel.cluster.{_HOME[name]}"), name)
    globals()[name] = value
    return value
