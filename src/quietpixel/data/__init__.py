"""Data sets by name, image folders, patches and training tasks."""

from quietpixel.data.registry import load_split, named_sets
from quietpixel.data.split import SPLIT_NAMES, Split

__all__ = ["SPLIT_NAMES", "Split", "load_split", "named_sets"]
