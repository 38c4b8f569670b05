"""Arrays of any number of dimensions as the pages of an image, and back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from quietpixel.array_types import NUMBERS
from quietpixel.errors import ImageError, QuietpixelError
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, damaged
from quietpixel.files.picture import Encoding, Metadata, Picture, Pixels
from quietpixel.imaging.axes import OTHER_LETTERS, Axes, find_axes


@dataclass(frozen=True)
class ArrayForm:
    """How an array was cut into pages.

    Parameters
    ----------
    shape, dtype
        Of the array; `dtype` states the byte order.
    axes
        Its dimensions.

    Examples
    --------
    >>> form = ArrayForm((2, 5, 6), np.dtype(">i2"), name_axes((2, 5, 6)))
    >>> form.join([np.zeros((5, 6, 1), np.int16)] * 2).shape
    (2, 5, 6)
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: Axes

    def size(self) -> Size:
        """Return the size of a page, and how many there are."""
        height, width = self.shape[self.axes.y], self.shape[self.axes.x]
        inner = prod(self.shape[axis] for axis in self.axes.inner)
        colours = self.axes.colours is not None and self.shape[self.axes.colours] > 2
        return Size(height, width, colours, prod(self.shape) // inner)

    def check(self, limits: ReadLimits) -> None:
        """Raise an error for values that are not numbers, and for too many pixels; take memory."""
        if self.dtype.name not in NUMBERS:
            raise ImageError(
                f"its values are of type {self.dtype}; convert them to integers of 8 to 64 bits or "
                "floats of 16 to 64."
            )
        size = self.size()
        limits.check(size.width, size.height, size.pages)
        limits.reserve(prod(self.shape) * self.dtype.itemsize)

    def cut(self, array: Pixels, **fields: Any) -> Picture:
        """Return the pages of an array, as views of it where its byte order is the machine's."""
        pairs = list(self.axes.planes(array))
        views = [page if page.ndim == 3 else page[..., np.newaxis] for _, page in pairs]
        native = array.dtype.newbyteorder("=")
        pages = tuple(page.astype(native, copy=False) for page in views)
        channels = () if self.axes.channels is None else tuple(channel for channel, _ in pairs)
        encoding = Encoding(bits=8 * native.itemsize)
        return Picture((), channels=channels, encoding=encoding, **fields).with_pages(pages)

    def join(self, pages: Sequence[Pixels]) -> Pixels:
        """Return the array of which these are the pages; another type of theirs stays."""
        same = pages[0].dtype == self.dtype.newbyteorder("=")
        array = np.empty(self.shape, self.dtype if same else pages[0].dtype)
        for page, (_, place) in zip(pages, self.axes.planes(array), strict=True):
            place[...] = page.reshape(place.shape)
        return array


@dataclass(frozen=True)
class StoredArray:
    """An array in an open file.

    Parameters
    ----------
    form
        How it is cut into pages.
    load
        Returns it; called when memory is reserved.
    metadata
        What the writer of the format needs.
    notes
        Sentences for the user.
    """

    form: ArrayForm
    load: Callable[[], Pixels]
    metadata: Metadata
    notes: tuple[str, ...] = ()


Opener = Callable[[Source, ReadLimits], AbstractContextManager[StoredArray]]


def array_format(open_array: Opener, *, name: str, **fields: Any) -> Format:
    """Return the record of a format of arrays.

    Parameters
    ----------
    open_array
        Gives the array of a file, which is closed afterwards; no values are read yet.
    name, **fields
        Fields of `quietpixel.files.Format`, except those on reading.
    """

    def read(source: Source, limits: ReadLimits) -> Picture:
        with ExitStack() as opened:
            with _naming_damage():
                found = opened.enter_context(open_array(source, limits))
            found.form.check(limits)
            with _naming_damage():
                array = found.load()
        return found.form.cut(array, metadata=found.metadata, notes=found.notes)

    def read_size(source: Source) -> Size:
        with _naming_damage(), open_array(source, ReadLimits(0)) as found:
            return found.form.size()

    return Format(name=name, read=read, read_size=read_size, pages=True, **fields)


@contextmanager
def _naming_damage() -> Iterator[None]:
    """Turn what libraries raise on a damaged file, which is of any kind, into a sentence."""
    try:
        yield
    except (QuietpixelError, MemoryError):
        raise
    except Exception as error:
        if getattr(error, "errno", None):  # of the system, such as a file that is missing
            raise
        raise damaged() from error


def describe_array(
    shape: Sequence[int], dtype: Any, letters: str | None = None, *, samples: bool = True
) -> ArrayForm:
    """Return how an array is cut into pages.

    Parameters
    ----------
    shape, dtype
        Of the array.
    letters
        A letter for each dimension, as for `quietpixel.DenoiseOptions`; None for the usual order.
    samples
        Whether a last dimension of 1 to 4 means the samples of a pixel.

    Raises
    ------
    ImageError
        If there are fewer than two dimensions, or one is empty.
    """
    if len(shape) < 2 or not all(shape):
        raise ImageError(
            f"its array has the shape {tuple(shape)}, and an image has at least one row and one "
            "column; give it two dimensions or more, none of them empty."
        )
    axes = find_axes(shape, letters) if letters else name_axes(shape, samples=samples)
    return ArrayForm(tuple(shape), np.dtype(dtype), axes)


def name_axes(shape: Sequence[int], *, samples: bool = True) -> Axes:
    """Return the dimensions of an array in the usual order: planes, rows, columns, samples.

    Examples
    --------
    >>> name_axes((7, 64, 64)), name_axes((64, 64, 3))
    (Axes(y=1, x=2, colours=None, channels=None), Axes(y=0, x=1, colours=2, channels=None))
    """
    inner = "yxs" if samples and len(shape) > 2 and shape[-1] <= 4 else "yx"
    return find_axes(shape, OTHER_LETTERS[: len(shape) - len(inner)] + inner)


def stack_pages(picture: Picture) -> Pixels:
    """Return the pages of an image as one array, without dimensions of one page or channel."""
    pages = [page[..., 0] if page.shape[-1] == 1 else page for page in picture.pages]
    return pages[0] if len(pages) == 1 else np.stack(pages)


def map_array(source: Source, form: ArrayForm, *, offset: int, fortran: bool = False) -> Pixels:
    """Return the array that lies in a file at an offset; a file on disk is mapped into memory.

    Raises
    ------
    FileError
        If the file ends before the array does.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size < offset + prod(form.shape) * form.dtype.itemsize:
        raise damaged()
    order: Any = "F" if fortran else "C"
    if isinstance(source, bytes):
        return np.ndarray(form.shape, form.dtype, source, offset, order=order)
    return np.memmap(source, form.dtype, "r", offset, form.shape, order)
