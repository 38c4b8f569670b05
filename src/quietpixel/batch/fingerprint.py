"""One text for a model and its options, so that the same work is known again."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from quietpixel.inference.model_store import default_model, find_model


def fingerprint(model: str | None, options: Sequence[Any]) -> str:
    """Return a text that is the same for the same model file and options, maps included."""
    paths = [find_model(model)] if model else [default_model(3), default_model(1)]
    digest = hashlib.sha256()
    for option in options:
        whole = isinstance(option, np.ndarray)
        digest.update(repr(option.shape if whole else option).encode() + b"\0")
        digest.update(option.tobytes() if whole else b"")
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
