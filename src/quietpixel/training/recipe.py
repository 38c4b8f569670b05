"""The recipe: everything that decides how a training run goes, frozen."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from quietpixel.data.self_supervised import Structure
from quietpixel.errors import ArgumentError, TrainingError, unknown_name
from quietpixel.noise.parser import parse_noise

CHOICES = {
    "target": ("clean", "noisy", "none"),
    "method": ("", "pairs", "recorrupted", "neighbours", "hidden"),
    "optimizer": ("adam", "muon", "convolution-muon"),
    "loss": ("mean_squared_error", "mean_absolute_error", "negative_psnr"),
    "schedule": ("plateau", "cosine", "constant", "trapezoid"),
    "precision": ("auto", "float32", "mixed_bfloat16"),
}
CHANGES = ("plain", "soft", "shrunk", "woven", "gray")
"""The fields that say which share of a folder's patches is changed."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one run goes; the same recipe on the same machine gives the same weights.

    Parameters
    ----------
    data
        A named set, such as ``"mnist"``, or a folder.
    noise
        The noise law as text; of noisy images the law of their noise, empty if it is not known.
    model, options
        The registered model and what its builder takes.
    optimizer
        ``"adam"``, ``"muon"`` (dense layers; Adam for the rest) or ``"convolution-muon"``.
    learning_rate
        The highest learning rate.
    loss
        ``"mean_squared_error"``, ``"mean_absolute_error"`` or ``"negative_psnr"`` (the mean of the
        images' own, so that those with little noise count as well).
    schedule
        ``"plateau"`` (ReduceLROnPlateau on the validation error), ``"cosine"`` (warm-up, then a
        cosine to zero), ``"trapezoid"`` (warm-up, constant, in the last fifth down to zero) or
        ``"constant"``.
    warmup
        Epochs of warm-up of the cosine schedule.
    averaging
        Momentum of the averaged weights, 0 for none.
    fresh_noise
        Whether the noise is drawn anew in each epoch.
    epochs, batch, seed
        Passes over the data, images in a step, and the number that decides all randomness.
    minutes
        How long to train instead of `epochs`, earlier sessions of the run included; the schedule
        follows the clock, so that such a run is not exactly repeatable. ``None`` goes by epochs.
    clip_norm
        Greatest norm of all gradients together, 0 for no limit.
    patch, steps, channels
        For a folder: height and width of the patches, steps that count as an epoch, and 1 (gray)
        or 3 (RGB).
    precision
        ``"auto"`` (bfloat16 where the processor computes in it, else float32), or one of the two.
    plain
        For clean pictures of a folder: the share of patches that one colour or a gradient stands in
        for, half of these without noise, so that flat areas stay as they are; 0 to 1.
    soft
        For clean pictures of a folder: the share of patches that are softened, as a camera's own
        pixels are softer than those of pictures made smaller; 0 to 1.
    shrunk
        For clean pictures of a folder: the share of patches that are made smaller from up to twice
        their sides, so that finer structure than the pictures have is learned as well; 0 to 1.
    woven
        For clean pictures of a folder: the share of patches that get a regular fine pattern on a
        part of them, as cloth and bricks have and most photographs have not; 0 to 1.
    gray
        For clean pictures of a folder: the share of patches that are made gray, with the same noise
        in all channels; half of these are toned; 0 to 1.
    target
        Of a folder: ``"clean"`` (clean pictures, or pairs of a noisy and a clean one), ``"noisy"``
        (pairs of two noisy ones), or ``"none"`` (noisy pictures only).
    pairs
        Two patterns of names that make pairs, such as ``"*_real.*=*_mean.*"``; empty takes the
        subfolders ``noisy`` and ``clean``, if there are any.
    method
        How noisy pictures alone teach: ``"recorrupted"`` (the law of their noise is known),
        ``"neighbours"`` or ``"hidden"`` (it is not). ``"pairs"`` for pairs, empty for clean ones.
    structure
        For ``"hidden"``: noise that rows (``"h:5"``) or columns (``"v:5"``) share over so many
        pixels to both sides.
    start
        The model whose weights the run begins with, as it was called, or ``"nothing"``.

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
    plain: float = 0.0
    soft: float = 0.0
    shrunk: float = 0.0
    woven: float = 0.0
    gray: float = 0.0
    target: str = "clean"
    pairs: str = ""
    method: str = ""
    structure: str = ""
    start: str = "nothing"

    def __post_init__(self) -> None:
        if self.noise or not self.method:
            parse_noise(self.noise)
        Structure(self.structure)
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown_name(name, getattr(self, name), known)
        self._require("epochs", self.epochs >= 1, "be at least 1")
        self._require("batch", self.batch >= 1, "be at least 1")
        self._require("patch", self.patch >= 8, "be at least 8")
        self._require("steps", self.steps >= 1, "be at least 1")
        self._require("channels", self.channels in (1, 3), "be 1 or 3")
        self._require("clip_norm", self.clip_norm >= 0, "not be negative")
        self._require("minutes", self.minutes is None or self.minutes > 0, "be more than 0")
        self._require("seed", self.seed >= 0, "be at least 0")
        self._require("learning_rate", self.learning_rate > 0, "be more than 0")
        for share in CHANGES:
            self._require(share, 0 <= getattr(self, share) <= 1, "lie in [0, 1]")
        self._require("averaging", 0 <= self.averaging < 1, "lie in [0, 1)")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ArgumentError(f"`{name}` must {rule}; got {getattr(self, name)}.")

    def leaving_patches(self) -> "Recipe":
        """Return the recipe with all patches of a folder as they are, for those that judge."""
        untouched: dict[str, Any] = dict.fromkeys(CHANGES, 0.0)
        return replace(self, **untouched)

    def to_json(self) -> str:
        """Return the recipe as JSON."""
        return json.dumps({**asdict(self), "options": dict(self.options)}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Return the recipe that `text` describes.

        Raises
        ------
        TrainingError
            If it is none.
        """
        try:
            values = json.loads(text)
            known = {f.name for f in fields(cls)}
            return cls(**{name: value for name, value in values.items() if name in known})
        except (AttributeError, TypeError, ValueError) as error:
            raise TrainingError(f"The recipe of this run cannot be read: {error}.") from error
