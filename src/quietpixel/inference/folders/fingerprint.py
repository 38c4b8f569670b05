"""One text for a model and its options, so that the same work is known again."""

import hashlib
from collections.abc import Sequence
from typing import Any

from quietpixel.inference.store import default_model, find_model


def fingerprint(model: str | None, options: Sequence[Any]) -> str:
    """Return a text that is the same for the same model file and options."""
    paths = [find_model(model)] if model else [default_model(3), default_model(1)]
    digest = hashlib.sha256(repr(list(options)).encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
