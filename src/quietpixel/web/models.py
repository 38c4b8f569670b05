"""The models that the service offers, by name; a client's model name never becomes a path."""

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from quietpixel.card import Card
from quietpixel.errors import QuietpixelError, check_known
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import DEFAULTS, find_model, known_models
from quietpixel.inference.options import DenoiseOptions


class Models:
    """Denoisers by name, each opened at its first use and then kept.

    Parameters
    ----------
    paths
        ONNX file of each name.
    options
        Options of each denoiser; `model` is the name that replaces the default models, if any.
    """

    def __init__(self, paths: Mapping[str, Path], options: DenoiseOptions) -> None:
        self.paths, self.options = dict(paths), options
        self.cards: dict[str, Card] = {name: read_card(path) for name, path in paths.items()}
        self._denoisers: dict[str, Denoiser] = {}
        self._lock = threading.Lock()

    @property
    def default(self) -> str | None:
        """The model for requests that name none; None if there is none."""
        if self.options.model is not None:
            return str(self.options.model)
        return next((name for name in DEFAULTS if name in self.paths), None)

    def choose(self, model: str | Path | None) -> str:
        """Return the name of the model for an image.

        Raises
        ------
        UnknownNameError
            If no model has this name.
        ModelError
            If `model` is None and there is no default.
        """
        if model is None:
            return self.default or find_model(None).stem
        name = str(model)
        check_known("model", name, self.paths)
        return name

    def open(self, name: str) -> Denoiser:
        """Return the denoiser of a known name."""
        # Requests run in threads, and two must not open one model twice.
        with self._lock:
            if name not in self._denoisers:
                options = replace(self.options, model=self.paths[name])
                self._denoisers[name] = Denoiser.from_options(options)
            return self._denoisers[name]

    def describe(self) -> dict[str, Any]:
        """Return the cards of all models, and the default model, for gray and for RGB images."""
        return {
            "models": [
                {**asdict(card), "name": name, "size": card.only_size}
                for name, card in self.cards.items()
            ],
            "default": {"gray": self.default, "rgb": self.default},
        }

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Why models that are open do not compute on the device that was asked for."""
        found = (denoiser.engine.fallback for denoiser in self._denoisers.values())
        return tuple(dict.fromkeys(filter(None, found)))

    def warm_up(self) -> None:
        """Open the default model, or any: wrong options then fail before the first request."""
        self.open(self.default or next(iter(self.paths)))


def find_models(options: DenoiseOptions) -> Models:
    """Return the bundled models, the user's own, and the one in `options`.

    Raises
    ------
    QuietpixelError
        If `options.model` cannot be used. Other unusable files in the user's folder are skipped.
    """
    paths = {}
    for known, path in known_models().items():
        with contextlib.suppress(QuietpixelError):
            read_card(path)
            paths[known] = path
    if options.model is None:
        return Models(paths, options)
    path = find_model(options.model)
    # A model given by path is offered under the name in its card.
    name = options.model if paths.get(str(options.model)) == path else read_card(path).name
    return Models({**paths, str(name): path}, replace(options, model=str(name)))
