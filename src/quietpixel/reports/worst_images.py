"""The images on which a method is worst, at full size, beside all others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quietpixel.evaluation.comparison import Contestant
from quietpixel.evaluation.trials import Trials
from quietpixel.noise.parser import NoiseLaw
from quietpixel.reports.figures import Mosaic

Image = NDArray[np.float32]

SIDE = 112
"""Height and width of the detail that is shown of each image, in pixels: one to one."""
LONGEST = 16
"""Letters of a name that fit above a detail."""


def draw_worst(
    contestants: Sequence[Contestant],
    trials: Trials,
    law: NoiseLaw | None,
    *,
    seed: int,
    numbers: Sequence[int],
) -> bytes:
    """Return a detail of some images: clean, noisy, and what became of it, as a PNG.

    The detail is where the first method is farthest from the clean image, so that no one chose it.

    Parameters
    ----------
    contestants
        The methods; those without one, the noisy images, are shown once.
    trials, law, seed
        As they were judged.
    numbers
        Which images, such as `quietpixel.evaluation.comparison.Table.worst`.
    """
    columns = [_details(contestants, *trials.pair(number, law, seed)) for number in numbers]
    side = min(image.shape[0] for column in columns for image in column)
    rows = [np.stack([image[:side, :side] for image in row]) for row in zip(*columns, strict=True)]
    names = ["clean", "noisy", *(each.name for each in contestants if each.method)]
    return Mosaic(
        title=f"Where {contestants[0].name} is worst",
        blocks=[np.stack(rows)],
        row_labels=[names],
        column_labels=[[_shorten(trials.name(number)) for number in numbers]],
        headings=[""],
    ).draw()


def _shorten(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _details(contestants: Sequence[Contestant], clean: Image, noisy: Image) -> list[Image]:
    methods = [each.method for each in contestants if each.method is not None]
    found = [np.clip(method(noisy[None])[0], 0, 1) for method in methods]
    judged = found[0] if contestants[0].method is not None else noisy
    place = find_worst_place(clean, judged)
    return [np.clip(image[place], 0, 1) for image in (clean, noisy, *found)]


def find_worst_place(clean: Image, image: Image, side: int = SIDE) -> tuple[slice, slice]:
    """Return the square, at most `side` pixels high and wide, that holds the most squared error.

    Examples
    --------
    >>> image = np.zeros((40, 60, 1))
    >>> image[31:39, 51:59] = 1
    >>> find_worst_place(np.zeros_like(image), image, side=20)
    (slice(20, 40, None), slice(40, 60, None))
    """
    height, width = clean.shape[:2]
    side = min(side, height, width)
    errors = np.square(np.asarray(image, np.float64) - clean).sum(axis=-1)
    sums = np.pad(errors, [(1, 0), (1, 0)]).cumsum(axis=0).cumsum(axis=1)
    tops, lefts = (
        np.unique([*range(0, length - side + 1, max(side // 4, 1)), length - side])
        for length in (height, width)
    )
    bottoms, rights = tops + side, lefts + side
    held = sums[np.ix_(bottoms, rights)] - sums[np.ix_(tops, rights)]
    held += sums[np.ix_(tops, lefts)] - sums[np.ix_(bottoms, lefts)]
    row, column = np.unravel_index(int(held.argmax()), held.shape)
    top, left = int(tops[row]), int(lefts[column])
    return slice(top, top + side), slice(left, left + side)
