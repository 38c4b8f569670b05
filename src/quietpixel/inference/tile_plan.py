"""Tile sizes: what a model computes in the memory allowed."""

from quietpixel.card import Card
from quietpixel.errors import ImageError, TooLargeError
from quietpixel.imaging.tiling import Grid, plan_grid, round_up

VALUE_BYTES = {"f32": 4, "bf16": 2, "f16": 2}
MARGIN = 2
"""What an engine and the arrays around it take for each byte that a card's `values` name: 1.1 to
2.2 were measured with OpenVINO, 1.3 for the bundled photo models."""
UNKNOWN_VALUES = 128
"""What is assumed of a model whose card does not say: a U-Net of 32 filters at full resolution."""


def bytes_per_pixel(card: Card, precision: str) -> int:
    """Return what one pixel of a tile takes while a model computes in ``"f32"`` or ``"bf16"``.

    Examples
    --------
    >>> bytes_per_pixel(Card(name="m", architecture="unet", channels=3, values=68), "bf16")
    272
    """
    return MARGIN * (card.values or UNKNOWN_VALUES) * VALUE_BYTES[precision]


def choose_grid(card: Card, shape: tuple[int, int], pixels: int, *, margin: int = 0) -> Grid:
    """Return how images of this (height, width) are cut for a model.

    Parameters
    ----------
    card
        The model's card.
    shape
        (height, width) of the images.
    pixels
        The most that one tile should read.
    margin
        Pixels of surroundings that steps before and after the model need.

    Raises
    ------
    ImageError
        If the model takes only one size, and this is another.
    TooLargeError
        If the model looks at the whole image, and the image is too large for that.
    """
    if card.size is not None and tuple(shape) != tuple(card.size):
        height, width = card.size
        raise ImageError(
            f"`image` must be {height}x{width} because the model '{card.name}' looks at the whole "
            f"image and was made for that size; got {shape[0]}x{shape[1]}. Resize or pad it to "
            f"{height}x{width}, or use a model of any size."
        )
    if card.halo is not None:
        # A step before the model looks around pixels that the model looks at: distances add up.
        halo = card.halo + margin
        return plan_grid(shape, pixels=pixels, halo=halo, divisor=card.divisor)
    whole = round_up(shape[0], card.divisor), round_up(shape[1], card.divisor)
    # A model of one size leaves no choice, whatever the budget.
    if card.size is None and whole[0] * whole[1] > pixels:
        raise TooLargeError(
            f"The model '{card.name}' cannot take an image of {shape[0]}x{shape[1]} in the memory "
            "allowed, and not in tiles because it looks at the whole image at once; use a model "
            "whose card names a halo",
            "memory",
        )
    return Grid(shape, whole, halo=0, divisor=card.divisor)
