"""The card of a model, stored inside its ONNX file."""

import json
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from quietpixel.errors import ModelError

METADATA_KEY = "quietpixel.card"
"""The key of the card in the ``metadata_props`` of an ONNX file."""
UNKNOWN_SIGMA = -0.25
"""Input of a model that takes the noise level, where the level is unknown."""
SMALL_SETS = ("digits", "fashion-mnist", "mnist")
SMALL = (28, 28)
"""Data sets of drawings, whose models are of no use at another size, and that size. Named here,
because `quietpixel.data` needs the extra train."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model is, what images it takes, how it was trained and how good it is.

    Parameters
    ----------
    name
        Name of the model.
    architecture
        Registered name of its architecture, such as ``"bottleneck"``.
    channels
        1 (gray) or 3 (RGB).
    divisor
        Height and width must be multiples of this many pixels.
    halo
        Distance in pixels at which other pixels still affect a pixel; None for a model that
        depends on the whole image, which cannot be tiled.
    size
        (height, width) in pixels of the only size it takes, or None for any.
    noise
        The noise law it was trained for, as text (``"gaussian:0.5"``).
    sigma_input
        Whether it also takes the noise level of the image.
    blind
        Whether it estimates the level itself: its input is `UNKNOWN_SIGMA`, and a level given by
        the user limits how much noise is removed.
    operations
        Multiply-adds per pixel.
    values
        Largest number of values stored at once while it computes, per pixel.
    parameters
        Number of trained weights.
    training
        The fields of the recipe, and facts of the run.
    scores
        Measured quality, by test set.
    uncertainty
        Parameters of `quietpixel.imaging.uncertainty.Calibration` and the coverage measured with
        them; empty for a model that was not calibrated.
    data, licence, not_for
        Training data, terms of use, and what the model must not be used for.

    Examples
    --------
    >>> card = Card(name="tiny", architecture="unet", channels=1, divisor=4, halo=12)
    >>> Card.from_json(card.to_json()) == card
    True
    """

    name: str
    architecture: str
    channels: int
    divisor: int = 1
    halo: int | None = None
    size: tuple[int, int] | None = None
    noise: str = ""
    sigma_input: bool = False
    blind: bool = False
    operations: int | None = None
    values: int | None = None
    parameters: int | None = None
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    uncertainty: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    licence: str = ""
    not_for: str = ""

    @property
    def only_size(self) -> tuple[int, int] | None:
        """The only size (H, W) that the model is good for, None if it takes any.

        A convolutional model of digits computes any size, but turns a photograph into strokes.
        """
        return SMALL if self.training.get("data") in SMALL_SETS else self.size

    @property
    def takes_level(self) -> bool:
        """Whether the model obeys the noise level that it is given."""
        return self.sigma_input and not self.blind

    @property
    def scale_free(self) -> bool:
        """Whether images may be shown on an estimated intensity scale.

        It learned a range of noise levels, so that a change of the scale is another level to it. A
        model that learned from noisy images alone knows their scale only, unless it was shown each
        on a scale of its own.
        """
        training = self.training
        return self.sigma_input and bool(not training.get("method") or training.get("measured"))

    @property
    def training_range(self) -> tuple[float, float] | None:
        """Black and white of the training images; None where their type or file says it."""
        match self.training.get("range"):
            case [int() | float() as low, int() | float() as high] if -1e300 < low < high < 1e300:
                return float(low), float(high)
        return None

    def to_json(self) -> str:
        """Return the card as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Return the card that `text` describes; unknown keys are ignored.

        Parameters
        ----------
        text
            JSON as of `to_json`, of any version of quietpixel.

        Raises
        ------
        ModelError
            If `text` is not JSON, lacks a required key, or states what no model can be.
        """
        try:
            values = json.loads(text)
            required = [f.name for f in fields(cls) if f.default is f.default_factory is MISSING]
            if missing := [name for name in required if name not in values]:
                raise ValueError(f"it lacks {', '.join(missing)}")
            # Keys of later versions are skipped, so that their models still run.
            known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
            if known.get("size") is not None:
                # JSON has lists only, but sizes are compared with tuples.
                known["size"] = tuple(known["size"])
            card = cls(**known)
        except (TypeError, ValueError, RecursionError) as error:
            raise ModelError(
                f"The model's card cannot be read ({error}); export the model again."
            ) from error
        for name, value in vars(card).items():
            if not _CHECKS.get(name, lambda text: isinstance(text, str))(value):
                raise ModelError(
                    f"The model's card cannot be read ('{name}' cannot be {repr(value)[:60]}); "
                    "export the model again."
                )
        return card


def _in_range(least: int, most: int) -> Callable[[Any], bool]:
    # Not isinstance, for which true is an integer.
    return lambda value: type(value) is int and least <= value <= most


def _is_shallow(value: Any, levels: int = 8) -> bool:
    """Say whether containers are nested no deeper than `levels`, which recursion can follow."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inner)


_SIDE = _in_range(1, 1 << 16)
# Cards come from anywhere: a divisor of 10^9 asked for terabytes, a halo of 10^9 for days.
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "channels": lambda value: type(value) is int and value in (1, 3),
    "divisor": _in_range(1, 1024),
    "halo": lambda value: value is None or _in_range(0, 1024)(value),
    "size": lambda value: value is None or (len(value) == 2 and all(map(_SIDE, value))),
    **dict.fromkeys(("sigma_input", "blind"), lambda value: type(value) is bool),
    **dict.fromkeys(
        ("operations", "values", "parameters"),
        lambda value: value is None or (type(value) in (int, float) and 0 <= value < 1e18),
    ),
    **dict.fromkeys(
        ("training", "scores", "uncertainty"),
        lambda value: isinstance(value, dict) and _is_shallow(value),
    ),
}
"""What each field may be; all others are texts."""
