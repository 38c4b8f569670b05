"""The models that the service knows, by name: a name from a client never becomes a path."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quietpixel.card import Card
from quietpixel.errors import QuietpixelError, unknown_name
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.engine import read_card
from quietpixel.inference.model_store import default_model, find_model, known_models


class Models:
    """Denoisers by name, each opened when it is first asked for and then kept.

    Parameters
    ----------
    paths
        The ONNX file of each name.
    usual
        The name that takes the place of the default models, if any.
    engine
        Options for each denoiser.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        usual: str | None = None,
        engine: dict[str, Any] | None = None,
    ) -> None:
        self.cards: dict[str, Card] = {name: read_card(path) for name, path in paths.items()}
        self.paths, self._usual, self._engine = dict(paths), usual, engine or {}
        self._denoisers: dict[str, Denoiser] = {}
        self._lock = threading.Lock()

    def default(self, channels: int) -> str | None:
        """Return the name of the model for images of so many channels, None where there is none."""
        if self._usual is not None:
            return self._usual
        wanted = ("photo-gray", "photo") if channels == 1 else ("photo", "photo-gray")
        return next((name for name in wanted if name in self.paths), None)

    def choose(self, name: str | None, channels: int) -> str:
        """Return the name of the model that an image gets.

        Raises
        ------
        UnknownNameError
            If the name is not known here.
        ModelError
            If no name is given and there is no default.
        """
        if name is None:
            return self.default(channels) or default_model(channels).stem
        if name not in self.paths:
            raise unknown_name("model", name, self.paths)
        return name

    def open(self, name: str) -> Denoiser:
        """Return the denoiser of a known name."""
        with self._lock:
            if name not in self._denoisers:
                self._denoisers[name] = Denoiser(self.paths[name], **self._engine)
            return self._denoisers[name]

    def warm(self) -> None:
        """Open the default models, or any: wrong options are told before the first request."""
        usual = {name for name in (self.default(1), self.default(3)) if name is not None}
        for name in usual or list(self.paths)[:1]:
            self.open(name)


def find_models(model: str | None, engine: dict[str, Any]) -> Models:
    """Return the bundled models, the user's own, and the one that the service was started with.

    Raises
    ------
    QuietpixelError
        If that one cannot be used. Files of the user's own that are no models are left out.
    """
    paths = {name: path for name, path in known_models().items() if _is_model(path)}
    if model is None:
        return Models(paths, None, engine)
    path = find_model(model)
    usual = model if paths.get(model) == path else read_card(path).name
    return Models({**paths, usual: path}, usual, engine)


def _is_model(path: Path) -> bool:
    try:
        read_card(path)
    except QuietpixelError:
        return False
    return True
