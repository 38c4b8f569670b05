"""The recipe: everything that decides how a training run goes, frozen."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any

from quietpixel.data.self_supervised import Structure
from quietpixel.errors import ArgumentError, TrainingError, check_known, check_number
from quietpixel.noise.parser import parse_noise

CHOICES = {
    "target": ("clean", "noisy", "none"),
    "method": ("", "pairs", "recorrupted", "neighbours", "hidden"),
    "optimizer": ("adam", "muon", "convolution-muon"),
    "loss": ("mean_squared_error", "mean_absolute_error", "negative_psnr"),
    "schedule": ("plateau", "cosine", "constant", "trapezoid"),
    "precision": ("auto", "float32", "mixed_bfloat16"),
}
FRACTIONS = (
    "clean_fraction",
    "blur_fraction",
    "downscale_fraction",
    "pattern_fraction",
    "gray_fraction",
    "contrast_fraction",
)
"""The fields that say which fraction of a folder's patches is modified."""
LEAST = {
    "epochs": 1, "batch": 1, "seed": 0, "patch": 8, "steps": 1, "warmup": 0, "clip_norm": 0,
    "level_excess": 1,
}  # fmt: skip
"""The smallest values of fields that have one."""
RENAMED = {
    "plain": "clean_fraction",
    "soft": "blur_fraction",
    "shrunk": "downscale_fraction",
    "woven": "pattern_fraction",
    "gray": "gray_fraction",
}
"""Fields by the names they had in recipes of version 0.1, which are still read."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a run; the same recipe on the same machine gives the same weights.

    Parameters
    ----------
    name
        Name of the recipe.
    data
        A named set, such as ``"mnist"``, or a folder.
    noise
        The noise law as text; for noisy images the law of their noise, empty if it is not known.
    model, options
        The registered model and the options of its builder.
    optimizer
        ``"adam"``, ``"muon"`` (dense layers; Adam for the rest) or ``"convolution-muon"``.
    learning_rate
        The highest learning rate.
    loss
        ``"mean_squared_error"``, ``"mean_absolute_error"`` or ``"negative_psnr"`` (the mean over
        the images, so that those with little noise count as much as the others).
    schedule
        ``"plateau"`` (ReduceLROnPlateau on the validation error), ``"cosine"`` (warm-up, then a
        cosine to zero), ``"trapezoid"`` (warm-up, constant, in the last fifth down to zero) or
        ``"constant"``.
    warmup
        Epochs of warm-up of the cosine schedule.
    averaging
        Momentum of the averaged weights, 0 for none.
    fresh_noise
        Whether new noise is drawn in each epoch.
    epochs, batch, seed
        Passes over the data, images in a step, and the seed of all randomness.
    precision
        ``"auto"`` (bfloat16 where the processor computes in it, else float32), or one of the two.
    minutes
        Duration of training instead of `epochs`, including earlier sessions of the run; the
        schedule follows the clock, so that such a run is not exactly repeatable. None uses epochs.
    clip_norm
        Largest norm of all gradients together, 0 for no limit.
    patch, steps, channels
        For a folder: height and width of the patches, steps in an epoch, and 1 (gray) or 3 (RGB).
    clean_fraction
        Of the patches of clean images, the fraction replaced by one colour or a gradient, half of
        these without noise, so that the model leaves flat areas unchanged; 0 to 1.
    blur_fraction
        The fraction that is blurred, as the pixels of a camera are less sharp than those of images
        that were downscaled; 0 to 1. Patches with noise of a camera (``camera=yes``) always are,
        by more.
    downscale_fraction
        The fraction downscaled from up to twice their size, so that the model also learns finer
        structure than the images have; 0 to 1.
    pattern_fraction
        The fraction that gets a regular fine pattern on a part of the patch, as cloth and bricks
        have and most photographs lack; 0 to 1.
    gray_fraction
        The fraction of colour patches made gray, with the same noise in all channels; half of
        these are toned; 0 to 1.
    contrast_fraction
        The fraction whose contrast is changed, so that values lie beyond black and white, as they
        do where the intensity scale is estimated; 0 to 1.
    level_excess
        The noise level that the model is given is up to this many times the true one where the
        noise is not white, because real noise is less regular than any law.
    teacher
        Of clean images: a model, by name or path. The mean of its results over the flips and turns
        of a noisy patch is then the target, which is better than one result; empty for none.
    target
        Of a folder: ``"clean"`` (clean images, or pairs of a noisy and a clean one), ``"noisy"``
        (pairs of two noisy ones), or ``"none"`` (noisy images only).
    pairs
        Two patterns for the names of pairs, such as ``"*_real.*=*_mean.*"``; empty uses the
        subfolders ``noisy`` and ``clean``, if there are any.
    masks
        Folder of masks under the names of the images, or one mask; only pixels where the mask is
        not 0 count in the loss. Empty uses all pixels.
    method
        How to learn from noisy images alone: ``"recorrupted"`` (the law of their noise is known),
        ``"neighbours"`` or ``"hidden"`` (it is not). ``"pairs"`` for pairs, empty for clean images.
    measured
        Of noisy images alone: whether the model is shown each as in denoising, on an intensity
        scale of its own, with photon noise made equally strong and its measured level.
    structure
        For ``"hidden"``: noise that rows (``"h:5"``) or columns (``"v:5"``) share over this many
        pixels on both sides.
    start
        The model whose weights the run starts from, as the user named it, or ``"nothing"``.

    Examples
    --------
    >>> from quietpixel.training.named_recipes import named_recipe
    >>> recipe = named_recipe("classic", data="digits", epochs=3)
    >>> recipe.schedule, recipe.fresh_noise, recipe.epochs
    ('plateau', False, 3)
    """

    name: str = "tuned"
    data: str = "digits"
    noise: str = "gaussian:0.5"
    model: str = "bottleneck"
    options: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    loss: str = "mean_squared_error"
    schedule: str = "cosine"
    warmup: float = 0.5
    averaging: float = 0.0
    fresh_noise: bool = True
    epochs: int = 20
    batch: int = 128
    seed: int = 0
    precision: str = "auto"
    minutes: float | None = None
    clip_norm: float = 0.0
    patch: int = 64
    steps: int = 400
    channels: int = 3
    clean_fraction: float = 0.0
    blur_fraction: float = 0.0
    downscale_fraction: float = 0.0
    pattern_fraction: float = 0.0
    gray_fraction: float = 0.0
    contrast_fraction: float = 0.0
    level_excess: float = 1.0
    teacher: str = ""
    target: str = "clean"
    pairs: str = ""
    masks: str = ""
    method: str = ""
    measured: bool = False
    structure: str = ""
    start: str = "nothing"

    def __post_init__(self) -> None:
        # Only the methods that learn from noisy images do without a law.
        if self.noise or not self.method:
            parse_noise(self.noise)
        Structure(self.structure)
        # Now, because Keras would refuse a wrong name only after the data are loaded.
        for name, known in CHOICES.items():
            check_known(name, getattr(self, name), known)
        for each in fields(self):
            value, kind = getattr(self, each.name), type(each.default)
            if kind in (int, float) or (each.name == "minutes" and value is not None):
                check_number(each.name, value, whole=kind is int, least=LEAST.get(each.name))
                object.__setattr__(self, each.name, _plain(value))
        options = {name: _plain(value) for name, value in self.options.items()}
        object.__setattr__(self, "options", options)
        self._require("channels", self.channels in (1, 3), "be 1 or 3")
        self._require("minutes", self.minutes is None or self.minutes > 0, "be more than 0")
        self._require("learning_rate", self.learning_rate > 0, "be more than 0")
        if self.measured and not (self.method == "neighbours" and self.options.get("sigma")):
            raise ArgumentError(
                "`measured` is for noisy images alone (`method` neighbours) and a model that takes "
                "a noise level; omit it, or start from a model that obeys one, such as photo."
            )
        for name in FRACTIONS:
            self._require(name, 0 <= getattr(self, name) <= 1, "lie in [0, 1]")
        self._require("averaging", 0 <= self.averaging < 1, "lie in [0, 1)")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ArgumentError(f"`{name}` must {rule}; got {getattr(self, name)}.")

    def without_modified_patches(self) -> "Recipe":
        """Return the recipe with the patches of a folder unmodified, as for validation."""
        unmodified: dict[str, Any] = dict.fromkeys(FRACTIONS, 0.0)
        return replace(self, **unmodified)

    def to_json(self) -> str:
        """Return the recipe as JSON."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Return the recipe that `text` describes; see `from_dict`.

        Parameters
        ----------
        text
            JSON as of `to_json`, of any version of quietpixel.

        Raises
        ------
        TrainingError
            If it is not a recipe.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (AttributeError, TypeError, ValueError) as error:
            raise TrainingError(
                f"The recipe of this run, recipe.json, cannot be read ({error}); start another run."
            ) from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with these fields; other keys are ignored.

        Parameters
        ----------
        values
            Fields by name, also by those of version 0.1, as in a file or in `Card.training`.
        """
        known = {f.name for f in fields(cls)}
        # A card has keys that are not settings, such as the number of epochs done.
        current = {RENAMED.get(name, name): value for name, value in values.items()}
        return cls(**{name: value for name, value in current.items() if name in known})


def _plain(value: Any) -> Any:
    """Return numbers of NumPy and fractions as Python's own, which JSON can hold."""
    if isinstance(value, list | tuple):
        return type(value)(_plain(each) for each in value)
    if isinstance(value, Real) and not isinstance(value, int | float):
        return int(value) if isinstance(value, Integral) else float(value)
    return value
