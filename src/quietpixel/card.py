"""What a model says of itself: the card that travels inside its ONNX file."""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from quietpixel.errors import ModelError

METADATA_KEY = "quietpixel.card"
"""The key of the card in the ``metadata_props`` of an ONNX file."""
UNKNOWN_SIGMA = -0.25
"""What a model that takes the noise level is told where nobody knows it."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model is, what it takes, how it was made and how good it is.

    Parameters
    ----------
    name
        The name the model goes by.
    architecture
        The registered name of its layers, such as ``"bottleneck"``.
    channels
        1 (gray) or 3 (RGB).
    divisor
        Height and width must be multiples of this many pixels.
    halo
        How many pixels of surroundings decide one pixel; ``None`` for a model that looks at the
        whole image, which then cannot be tiled.
    size
        (height, width) in pixels of the only size it takes, or ``None`` for any.
    noise
        The noise law it was trained for, as text (``"gaussian:0.5"``).
    sigma_input
        Whether it also takes the noise level of the image.
    blind
        Whether it finds the level by itself: it is told `UNKNOWN_SIGMA`, and a level that is given
        limits how much of the noise is taken away.
    operations
        Multiply-adds for each pixel.
    values
        The most numbers that it holds at once for each pixel while it computes.
    parameters
        Number of trained weights.
    training
        The recipe and facts of the run.
    scores
        Measured quality, by test set.
    uncertainty
        What `quietpixel.imaging.uncertainty.Calibration` tells error bars by, and how many pixels
        it held; empty for a model that was not calibrated.
    data, licence, not_for
        What it was trained on, under which terms, and what it must not be used for.

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

    def to_json(self) -> str:
        """Return the card as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Return the card that `text` describes; words it does not know are left out.

        Raises
        ------
        ModelError
            If `text` is not JSON or lacks what a card must say.
        """
        try:
            values = json.loads(text)
            known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
            if known.get("size") is not None:
                known["size"] = tuple(known["size"])
            return cls(**known)
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"The model's card cannot be read ({error}); export the model again."
            ) from error
