"""Denoises a picture as a file holds it: all pages, any scale; makes the reports on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import MOST_PIXELS, ArgumentError, FileError, ImageError
from quietpixel.files import (
    FORMATS,
    Picture,
    choose_format,
    copy_file,
    is_marked,
    mark_as_result,
    turn_page,
    turn_upright,
    write_picture,
)
from quietpixel.files.formats import find_format
from quietpixel.files.jpeg import denoised_encoding
from quietpixel.files.picture import Encoding
from quietpixel.files.write import writer_of
from quietpixel.imaging.intensity_scale import Range, Scale
from quietpixel.inference.arrays import read_axes, read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.job import OnProgress, Result
from quietpixel.inference.level import Noise, level_factors
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.planes import denoise_planes, join, split_page

_GAP = 8
"""White pixels between the parts of a comparison."""
_STRIP = 256
"""Rows of a comparison computed at once, so that large images need little more memory."""


@dataclass(frozen=True)
class FolderScale:
    """The intensity scale that all pictures of a run share.

    Parameters
    ----------
    dtype
        Name of the type of their pixels.
    channels
        Whether samples are ``"rgb"`` or ``"separate"`` channels, as in `DenoiseOptions`.
    scales
        The scale of each channel.
    """

    dtype: str
    channels: str
    scales: tuple[Scale, ...]

    def describe(self) -> str:
        """Return the black and white of each channel.

        Examples
        --------
        >>> FolderScale("uint16", "rgb", (Scale(98, 1190, 4095),)).describe()
        'black 98, white 1190 of 65535'
        """
        return "; ".join(scale.describe_range(np.dtype(self.dtype)) for scale in self.scales)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How pictures are read, denoised and written.

    Parameters
    ----------
    options
        How an image is treated; a map of noise levels lies upright, as the picture is shown.
    format
        Name of the format to write; None keeps that of the name or the source.
    jpeg_quality
        JPEG, WebP or AVIF quality to write, 1 to 100; ``"source"`` keeps that of the source. None
        takes one, never below that of a source, at which writing a JPEG loses 0.1 to 0.2 dB.
    overwrite
        Whether existing files are replaced.
    again
        Whether results of quietpixel are denoised once more.
    backup
        Added to the name under which a replaced file is kept; None to keep none.
    max_pixels
        The most pixels that a file may declare.
    part
        Name of the image in files that may hold several, as for `quietpixel.files.read_picture`.
    compare
        Where before, after and the difference are shown side by side; None for nowhere.
    uncertainty
        Where the error bars are written; None for nowhere.
    folder_range
        Whether all pictures of a run share the scale that `share_scale` finds.
    scale
        That scale; None where each picture has its own.
    """

    options: DenoiseOptions = field(default_factory=DenoiseOptions)
    format: str | None = None
    jpeg_quality: int | Literal["source"] | None = None
    overwrite: bool = False
    again: bool = False
    backup: str | None = None
    max_pixels: int = MOST_PIXELS
    part: str | None = None
    compare: Path | None = None
    uncertainty: Path | None = None
    folder_range: bool = False
    scale: FolderScale | None = None

    def expected(self, picture: Picture) -> Picture:
        """Return an image like the result for a picture, without its values."""
        if self.options.dtype is None:
            return picture
        value = np.zeros((), self.options.dtype)
        return picture.with_type([np.broadcast_to(value, page.shape) for page in picture.pages])

    def __post_init__(self) -> None:
        """Refuse wrong names before any picture is read."""
        if self.format is not None:
            writer_of(find_format(self.format))
        if self.backup is not None and (not self.backup or {"/", "\\", "\0"} & set(self.backup)):
            raise ArgumentError(
                "`backup` must be a part of a file name without '/', and not empty; got "
                f"'{self.backup}'. Try '.orig'."
            )

    def backup_of(self, target: Path) -> Path | None:
        """Return where a file that is replaced is kept."""
        return None if self.backup is None else target.with_name(target.name + self.backup)


@dataclass(frozen=True)
class Findings:
    """What was found in a picture, one entry for each page.

    Parameters
    ----------
    noise
        Level and kinds of the noise.
    scale
        The values that stand for black and white.
    notes
        Sentences on what a user should know, of all pages.
    model
        Name of the model, as its card has it.
    """

    noise: tuple[Noise, ...] = ()
    scale: tuple[Range, ...] = ()
    notes: tuple[str, ...] = ()
    model: str = ""

    @property
    def sigma(self) -> float | None:
        """The noise level, where it is known and the same for all pages."""
        levels = {page.sigma for page in self.noise}
        return levels.pop() if len(levels) == 1 else None


def denoise_picture(
    denoiser: Denoiser,
    picture: Picture,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
    reuse: bool = False,
) -> tuple[Picture, Findings]:
    """Return the denoised picture and what was found in it; write the reports of the settings.

    Parameters
    ----------
    denoiser
        Denoises each page.
    picture, settings
        What is denoised and how.
    on_progress
        Called with the share of all pages that is done; what it raises ends the work.
    reuse
        Whether the result may take the memory of the picture's pages, which are then lost. Reports
        need the pages, so they keep them.

    Raises
    ------
    ImageError
        If the model is good for one size only, and the picture has another.
    """
    card = denoiser.card
    size, (height, width) = card.only_size, picture.pages[0].shape[:2]
    if size is not None and (height, width) != size:
        raise ImageError(
            f"`image` must be {size[0]}x{size[1]} because the model "
            f"'{card.name}' was trained on images of that size and distorts others; got "
            f"{height}x{width}. Choose another `model`, such as 'photo'."
        )
    range, notes = settings.options.range or picture.declared_range, list[str]()
    options = replace(settings.options, axes=None, range=range)
    if settings.uncertainty is not None:  # calibrations know nothing of stabilised noise
        if options.law not in ("auto", "none"):
            raise ArgumentError(
                "`law` cannot be used with `uncertainty` because error bars are known only where "
                f"photon noise is left as it is; got '{options.law}'. Omit one of them."
            )
        profile = picture.metadata.icc is not None
        if denoiser.find_scale(picture.pages, options, profile=profile).photons is not None:
            notes.append(
                "Photon noise was not made equally strong, because error bars are known only where "
                "it is left as it is; the result without `uncertainty` has less noise."
            )
        options = replace(options, law="none")
    if isinstance(options.sigma, np.ndarray):
        # Pages are denoised as stored, and a map is given as the picture is shown.
        level = turn_page(options.sigma, picture.metadata.orientation, back=True)
        options = replace(options, sigma=level)
    # Reports need the pages, and another type another size of memory.
    reuse = reuse and not (settings.compare or settings.uncertainty or options.dtype)
    shared: Mapping[int, Scale] = {}
    if settings.scale is not None:
        if picture.dtype.name != settings.scale.dtype:
            raise other_type(picture.dtype.name, settings.scale.dtype)
        options = replace(options, channels=settings.scale.channels)
        shared = dict(enumerate(settings.scale.scales))
    options = choose_channels(picture, options)
    if settings.uncertainty is not None and _has_channels(picture, options):
        raise ArgumentError(
            "`uncertainty` needs one image or stack of one channel; got several channels. Save "
            "each channel as a file of its own."
        )
    results = _denoise_pages(denoiser, picture, options, shared, on_progress, reuse=reuse)
    pages = [result.image for result in results]
    denoised = picture.with_type(pages) if options.dtype else picture.with_pixels(pages)
    scale = tuple(result.scale for result in results)
    notes += [note for result in results for note in result.notes]
    if level_factors(options.strength, options.colour_strength):  # else nothing was removed
        if is_marked(picture):
            notes.append("It was a result of quietpixel before, and is now denoised once more.")
        denoised = mark_as_result(denoised)
    if settings.uncertainty is not None:
        bars = show_error_bars(denoiser, picture, denoised, scale, settings.uncertainty)
        notes.append(_write_report(*bars, settings.uncertainty, settings))
    if settings.compare is not None:
        shown = compare_pictures(picture, denoised, settings.compare)
        notes.append(_write_report(*shown, settings.compare, settings))
    noise = tuple(result.noise for result in results)
    return denoised, Findings(noise, scale, tuple(dict.fromkeys(notes)), results[0].model)


def other_type(found: str, wanted: str) -> ArgumentError:
    """Return the error for pictures of two types that are to share an intensity scale."""
    return ArgumentError(
        f"`range` folder needs images of one type because they share an intensity scale; got "
        f"{found} beside {wanted}. Use a separate call for each type."
    )


def choose_channels(picture: Picture, options: DenoiseOptions) -> DenoiseOptions:
    """Return the options with a decision on whether three channels of a picture are colours."""
    if options.channels != "auto":
        return options
    middle = picture.pages[len(picture.pages) // 2]
    separate = picture.metadata.icc is None and read_axes(middle).channels is not None
    return replace(options, channels="separate" if separate else "rgb")


def _has_channels(picture: Picture, options: DenoiseOptions) -> bool:
    return options.channels == "separate" or bool(picture.channels)


def _denoise_pages(
    denoiser: Denoiser,
    picture: Picture,
    options: DenoiseOptions,
    scales: Mapping[int, Scale],
    on_progress: OnProgress | None,
    *,
    reuse: bool,
) -> list[Result]:
    """Return one result for each page; planes of one channel share their scale and level."""
    parts, targets = [], []
    if not scales and not _has_channels(picture, options):
        profile = picture.metadata.icc is not None
        scales = {0: denoiser.find_scale(picture.pages, options, profile=profile)}
    for page, channel in zip(picture.pages, picture.channels or cycle([0]), strict=False):
        own = page if reuse and page.flags.writeable else None
        targets.append(np.empty(page.shape, options.dtype or page.dtype) if own is None else own)
        parts.append(split_page(page, targets[-1], options.channels, number=channel))
    planes = list(chain.from_iterable(parts))
    results = iter(
        denoise_planes(denoiser, planes, options, scales=scales, on_progress=on_progress)
    )
    return [
        join(list(islice(results, len(part))), target)
        for part, target in zip(parts, targets, strict=True)
    ]


def write_result(
    picture: Picture,
    source: Path | bytes,
    target: Path | BinaryIO,
    settings: Settings,
    **options: Any,
) -> tuple[tuple[str, ...], Encoding | None]:
    """Write a denoised picture, or the file that it came from where nothing would change in it.

    Parameters
    ----------
    picture
        The result.
    source, target
        The file that it came from, and where it goes.
    settings
        How it is written.
    **options
        As for `quietpixel.files.write_picture`.

    Returns
    -------
    notes
        What the format could not hold.
    encoding
        How it was stored, if as a JPEG; else None.
    """
    kind, wanted = choose_format(picture, target, format=settings.format), settings.jpeg_quality
    how, quality = settings.options, None if wanted == "source" else wanted
    changed = level_factors(how.strength, how.colour_strength) or how.dtype is not None
    if not changed and quality is None and kind == picture.format:
        copy_file(source, target, **options)
        return (), None
    encoding = picture.encoding
    # TIFF may hold JPEG.
    if wanted is None and (FORMATS[kind].quality or kind == "tiff"):
        encoding = denoised_encoding(encoding)
    picture = replace(picture, encoding=encoding)
    notes = write_picture(picture, target, format=kind, quality=quality, **options)
    encoding = replace(encoding, quality=quality or encoding.quality)
    return notes, encoding if kind == "jpeg" else None


def _write_report(report: Picture, note: str, path: Path, settings: Settings) -> str:
    make_folder(path.parent)
    write_picture(report, path, overwrite=settings.overwrite)
    return note


def show_error_bars(
    denoiser: Denoiser, before: Picture, after: Picture, scale: Sequence[Range], path: Path
) -> tuple[Picture, str]:
    """Return the error bars of each pixel as a float picture for `path`, and sentences on it.

    They are in the units of the picture. The pages are upright, one for each page of the picture,
    without transparency.
    """
    # Few images need them, and they take 10 ms of a start.
    from quietpixel.inference.error_bars import (
        find_difference,
        measure_half_width,
        read_calibration,
    )

    pages, share, notes = [], 0.0, []
    upright = turn_upright(before).pages, turn_upright(after).pages
    for noisy, denoised, range in zip(*upright, scale, strict=True):
        layout = read_layout(noisy, range, holes=True)
        card = denoiser.card
        share = read_calibration(card).share
        pages.append(measure_half_width(card, noisy, denoised, layout))
        if difference := find_difference(card, noisy, denoised, layout):
            notes.append(difference)
    bars = Picture(tuple(pages), format="tiff", colour=before.colour, maximum=1.0)
    note = f"'{path}' holds half widths of {share:.0%} intervals, in the units of the image."
    return bars, " ".join(dict.fromkeys([note, *notes]))


def compare_pictures(before: Picture, after: Picture, path: Path) -> tuple[Picture, str]:
    """Return before, after and their difference side by side for `path`, and a sentence on it.

    The picture has 8 bits and shows the first page of a stack. The difference is amplified around
    middle gray, so that its strong parts are easy to see.
    """
    first, second = turn_upright(before), turn_upright(after)
    height, width = first.pages[0].shape[:2]
    # These rows are enough to find how strong the difference is.
    some = slice(None, None, max(height // _STRIP, 1))
    size = float(np.percentile(np.abs(_rows(first, some) - _rows(second, some)), 99.5))
    gain = max(1, min(100, round(0.4 / size))) if size > 0 else 1
    colours = 3 if first.colour == "rgb" else 1
    shown = np.full((height, 3 * width + 2 * _GAP, colours), 255, np.uint8)
    for top in range(0, height, _STRIP):
        strip = slice(top, top + _STRIP)
        old, new = _rows(first, strip), _rows(second, strip)
        for number, part in enumerate((old, new, (old - new) * gain + 0.5)):
            left = number * (width + _GAP)
            shown[strip, left : left + width] = np.rint(np.clip(part, 0, 1) * 255)
    strength = f" {gain} times as strong" if gain > 1 else ""
    note = f"'{path}' shows before, after, and what was removed{strength}."
    return Picture.from_pixels(shown), note


def _rows(picture: Picture, rows: slice) -> NDArray[np.float32]:
    page = picture.pages[0][rows].astype(np.float32) / np.float32(picture.maximum)
    return page[..., :-1] if picture.alpha else page


def make_folder(folder: Path) -> None:
    """Create a folder for results if it does not exist, or raise FileError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder '{folder}' cannot be made: {error.strerror}.") from error
