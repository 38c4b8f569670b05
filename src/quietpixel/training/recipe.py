"""The recipe: everything that decides how a training run goes, frozen."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from quietpixel.errors import ArgumentError, TrainingError, unknown_name
from quietpixel.imaging.noise import parse_noise

CHOICES = {
    "optimizer": ("adam", "muon", "convolution-muon"),
    "loss": ("mean_squared_error", "mean_absolute_error"),
    "schedule": ("plateau", "cosine", "constant"),
    "precision": ("auto", "float32", "mixed_bfloat16"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one run goes; the same recipe on the same machine gives the same weights.

    Parameters
    ----------
    data
        A named set, such as ``"mnist"``, or a folder of clean photographs.
    noise
        The noise law as text.
    model, options
        The registered model and what its builder takes.
    optimizer
        ``"adam"``, ``"muon"`` (dense layers; Adam for the rest) or ``"convolution-muon"``.
    learning_rate
        The highest learning rate.
    loss
        ``"mean_squared_error"`` or ``"mean_absolute_error"``.
    schedule
        ``"plateau"`` (ReduceLROnPlateau on the validation error), ``"cosine"`` (warm-up, then a
        cosine to zero) or ``"constant"``.
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
    start
        The model whose weights the run begins with, as it was called, or ``"nothing"``.

    Examples
    --------
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
    start: str = "nothing"

    def __post_init__(self) -> None:
        parse_noise(self.noise)
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
        self._require("averaging", 0 <= self.averaging < 1, "lie in [0, 1)")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ArgumentError(f"`{name}` must {rule}; got {getattr(self, name)}.")

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


RECIPES: dict[str, Recipe] = {
    "classic": Recipe(
        name="classic",
        learning_rate=1e-3,
        schedule="plateau",
        fresh_noise=False,
        epochs=40,
        precision="float32",
    ),
    "tuned": Recipe(name="tuned", optimizer="muon", learning_rate=1e-2),
    "photo": Recipe(
        name="photo",
        noise="gaussian:0..55/255,clip=no",
        model="unet",
        options={"filters": (16, 48, 96), "blocks": (0, 1, 2), "output": "residual"},
        optimizer="convolution-muon",
        learning_rate=1e-2,
        loss="mean_absolute_error",
        clip_norm=1.0,
        epochs=200,
        batch=8,
    ),
}
"""The recipes by name."""

MODEL_CHANGES: dict[tuple[str, str], dict[str, Any]] = {
    # With noise drawn anew, dropout before the code only hides what the code has to say.
    ("tuned", "bottleneck"): {"options": {"dropout": 0.0}},
    # With the sigmoid output its error stayed near 0.12 for an epoch (Muon 1e-2, Adam 1e-3); these
    # three changes, made at once, learn. Which of them matters was not tested apart.
    ("tuned", "unet"): {
        "options": {"output": "residual"},
        "optimizer": "adam",
        "learning_rate": 2e-3,
        "clip_norm": 1.0,
    },
}
"""What a recipe sets differently for a model, by the names of both."""


def named_recipe(name: str, **changes: Any) -> Recipe:
    """Return the recipe `name` with some of its fields changed; ``None`` changes nothing.

    Raises
    ------
    UnknownNameError
        If there is no recipe or no field of that name.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    known = [f.name for f in fields(Recipe)]
    for change in changes:
        if change not in known:
            raise unknown_name("recipe field", change, known)
    wanted = {key: value for key, value in changes.items() if value is not None}
    preset = MODEL_CHANGES.get((name, wanted.get("model", RECIPES[name].model)), {})
    options = {**preset.get("options", {}), **wanted.get("options", RECIPES[name].options)}
    return replace(RECIPES[name], **{**preset, **wanted, "options": options})
