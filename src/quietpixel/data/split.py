"""A part of a data set: images, and labels where there are any."""

from dataclasses import dataclass

import numpy as np

from quietpixel.array_types import Array, FloatArray
from quietpixel.errors import DataError, check_known

SPLIT_NAMES = ("train", "validation", "test")
"""The parts of every data set; ``"test"`` is for evaluation only."""


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set, as stored.

    Parameters
    ----------
    images
        uint8 in [0, 255] or float32 in [0, 1], shape (N, H, W, C), C 1 or 3; kept as a read-only
        view.
    labels
        Integers of shape (N,), or None.
    name
        The data set, such as ``"mnist"``.
    split
        ``"train"``, ``"validation"`` or ``"test"``.

    Raises
    ------
    DataError
        If shape or type of an array differ from these.

    Examples
    --------
    >>> part = Split(np.full((2, 28, 28, 1), 255, np.uint8), None, "white", "test")
    >>> len(part), part.as_float().max()
    (2, np.float32(1.0))
    """

    images: Array
    labels: Array | None
    name: str
    split: str

    def __post_init__(self) -> None:
        check_known("split", self.split, SPLIT_NAMES)
        shape, kind = self.images.shape, self.images.dtype
        if len(shape) != 4 or shape[-1] not in (1, 3) or kind not in (np.uint8, np.float32):
            raise DataError(
                f"The images of '{self.name}' must be uint8 or float32 of shape (N, height, width, "
                f"1 or 3); got {kind} of shape {shape}. Add the channel axis, or convert them."
            )
        if self.labels is not None and self.labels.shape != (len(self),):
            raise DataError(
                f"'{self.name}' must have one label for each image; got labels of shape "
                f"{self.labels.shape} for {len(self)} images. Take both from the same set."
            )
        # Read-only, because one part is shared by training, evaluation and report.
        for name, array in (("images", self.images), ("labels", self.labels)):
            if array is not None:
                # A view, so that the caller can still write to the array.
                view = array.view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def as_float(self) -> FloatArray:
        """Return the images as float32 (N, H, W, C) in [0, 1]."""
        if self.images.dtype == np.uint8:
            return self.images.astype(np.float32) / np.float32(255)
        return self.images.astype(np.float32)
