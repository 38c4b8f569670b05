"""One function for each format that turns a picture into the bytes of a file."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from quietpixel.files import bmp, cmyk, jpeg, png, pnm, tiff, vips, webp
from quietpixel.files.picture import Metadata, Picture, Pixels
from quietpixel.files.tags import Directory

DEFAULT_QUALITY = 92
"""For lossy files whose source tells none."""

_Quality = int | None
_MOST_IN_MEMORY = 32_000_000
"""Pixels of a JPEG up to which it is progressive, or its codes are fitted to it: both take some
12 bytes of memory for each pixel."""


def _interpretation(pixels: Pixels) -> str:
    """Name the channels for libvips; floats are left as they are, without any curve."""
    gray = pixels.shape[2] < 3
    if pixels.dtype.itemsize == 2 and pixels.dtype.kind == "u":
        return "grey16" if gray else "rgb16"
    if pixels.dtype == np.uint8:
        return "b-w" if gray else "srgb"
    return "b-w" if gray else "rgb"


def _screen_metadata(picture: Picture) -> Metadata:
    """Metadata for RGB pixels: a CMYK profile does not describe them."""
    if picture.encoding.cmyk is None:
        return picture.metadata
    return replace(picture.metadata, icc=None)


def _writes_back(picture: Picture, name: str) -> bool:
    """Whether the picture goes back into the format that it came from."""
    return picture.format == name


def _save(image: Any, operation: str, target: Any, **options: Any) -> None:
    """Run one of libvips' savers, and turn its words for a full disk into ours."""
    sink = target if isinstance(target, vips.Sink) else None
    try:
        getattr(image, f"{operation}_target")(
            sink.target if sink else target, keep="none", **options
        )
    except vips.VipsError as error:
        if sink is not None and sink.error is not None:
            raise sink.error from None
        raise vips.unwritten(error) from error


def _jpeg(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    pixels, metadata = picture.pages[0], picture.metadata
    stored = picture.encoding.cmyk
    own = _writes_back(picture, "jpeg")
    if own and stored is not None:
        pixels = cmyk.to_cmyk(picture.pages, stored, metadata.icc)[0]
    blocks = metadata.blocks if own else jpeg.blocks_of(_screen_metadata(picture))
    image = _with_resolution(
        vips.from_array(pixels, "cmyk" if pixels.shape[2] == 4 else _interpretation(pixels)),
        metadata,
    )
    sink = vips.Sink(file, lambda head: jpeg.graft(head, blocks))
    small = pixels.shape[0] * pixels.shape[1] <= _MOST_IN_MEMORY
    _save(
        image,
        "jpegsave",
        sink,
        Q=quality or picture.encoding.quality or DEFAULT_QUALITY,
        subsample_mode="on" if picture.encoding.subsampling == "4:2:0" else "off",
        interlace=picture.encoding.progressive and small,
        optimize_coding=small,
    )
    sink.finish()


def _with_resolution(image: Any, metadata: Metadata) -> Any:
    if metadata.resolution is None:
        return image
    across, down = metadata.resolution
    return image.copy(xres=across, yres=down)


def _png(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    pixels, metadata = picture.pages[0], picture.metadata
    found = (
        png.find_palette(pixels) if picture.encoding.palette and pixels.dtype == np.uint8 else None
    )
    indices, palette = found or (pixels, None)
    own = _writes_back(picture, "png")
    blocks = metadata.blocks if own else png.blocks_of(_screen_metadata(picture))
    sink = vips.Sink(file, lambda head: png.graft(head, blocks, palette))
    image = vips.from_array(indices, _interpretation(indices))
    bits = 16 if pixels.dtype.itemsize == 2 else 8
    _save(image, "pngsave", sink, interlace=picture.encoding.progressive, bitdepth=bits)
    sink.finish()


def _webp(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    metadata, encoding = picture.metadata, picture.encoding
    own = _writes_back(picture, "webp")
    blocks = metadata.blocks if own else webp.blocks_of(_screen_metadata(picture))
    pixels = _as_rgb(picture.pages[0])
    lossless = quality is None and (encoding.lossless or not _is_lossy(picture))
    image = vips.from_array(pixels, "srgb")
    options = {"lossless": True, "exact": True} if lossless else {"exact": True}
    whole = _save_bytes(
        image, "webpsave", Q=quality or encoding.quality or DEFAULT_QUALITY, **options
    )
    file.write(webp.graft(whole, blocks, size=picture.size, alpha=picture.alpha))


def _is_lossy(picture: Picture) -> bool:
    """Whether the pixels come from a file that lost some; pixels alone tell no bits."""
    return picture.encoding.bits is not None and picture.format in ("jpeg", "webp", "avif")


def _as_rgb(pixels: Pixels) -> Pixels:
    if pixels.shape[2] > 2:
        return pixels
    return np.concatenate([np.repeat(pixels[:, :, :1], 3, axis=2), pixels[:, :, 1:]], axis=2)


def _save_bytes(image: Any, operation: str, **options: Any) -> bytes:
    try:
        return bytes(getattr(image, f"{operation}_buffer")(**{"keep": "none", **options}))
    except vips.VipsError as error:
        raise vips.unwritten(error) from error


def _avif(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    """libvips writes the metadata itself here, and may complete the EXIF block."""
    pixels, metadata = picture.pages[0], _screen_metadata(picture)
    deep = pixels.dtype == np.uint16
    image = vips.from_array(pixels, _interpretation(pixels))
    image = vips.with_blocks(image, metadata)
    bits = picture.encoding.bits if picture.encoding.bits in (10, 12) else 12
    lossless = quality is None and not _is_lossy(picture) and not deep
    file.write(
        _save_bytes(
            image,
            "heifsave",
            compression="av1",
            Q=quality or DEFAULT_QUALITY,
            lossless=lossless,
            bitdepth=bits if deep else 8,
            keep="all",
        )
    )


def _gif(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    image = vips.from_array(_as_rgb(picture.pages[0]), "srgb")
    file.write(_save_bytes(image, "gifsave", dither=0.0, effort=7, bitdepth=8))


def _bmp(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    pixels = picture.pages[0]
    pixels = _as_rgb(pixels) if pixels.shape[2] == 2 else pixels
    for part in bmp.encode(pixels, _screen_metadata(picture)):
        file.write(part)


def _pnm(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    for part in pnm.encode(picture.pages[0], picture.maximum):
        file.write(part)


def _tiff(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    """TIFF is written with seeking, so a pipe gets it by way of a temporary file."""
    if _is_seekable_file(file):
        _tiff_file(picture, file, quality)
        return
    with tempfile.TemporaryFile() as between:
        _tiff_file(picture, between, quality)
        between.seek(0)
        shutil.copyfileobj(between, file, 1 << 20)


def _is_seekable_file(file: BinaryIO) -> bool:
    try:
        return file.fileno() >= 0 and file.seekable() and file.readable()
    except (AttributeError, OSError):
        return False


def _tiff_file(picture: Picture, file: BinaryIO, quality: _Quality) -> None:
    own = _writes_back(picture, "tiff")
    pages, stored = picture.pages, picture.encoding.cmyk
    directories = picture.metadata.directories
    if own and tiff.wants_contiguous(directories, picture.encoding):
        tiff.write_contiguous(file, pages, directories)
        return
    if own and stored is not None:
        pages = cmyk.to_cmyk(pages, stored, picture.metadata.icc)
    half = pages[0].dtype == np.float16
    names = "cmyk" if own and stored is not None else _interpretation(pages[0])
    images = [vips.from_array(_half_as_words(page), names) for page in pages]
    image = images[0] if len(images) == 1 else type(images[0]).arrayjoin(images, across=1)
    image = _with_resolution(image, picture.metadata)
    file.flush()
    options = _tiff_options(picture, pages, quality)
    _save(image, "tiffsave", vips.descriptor_target(file), **options)
    tiff.graft(file, _carried(picture, own=own), half_float=half)


def _half_as_words(page: Pixels) -> Pixels:
    return np.ascontiguousarray(page).view(np.uint16) if page.dtype == np.float16 else page


def _carried(picture: Picture, *, own: bool) -> tuple[Directory, ...]:
    if own and picture.metadata.directories:
        return picture.metadata.directories
    return (tiff.directory_of(_screen_metadata(picture)),) * len(picture.pages)


def _tiff_options(picture: Picture, pages: tuple[Pixels, ...], quality: _Quality) -> dict[str, Any]:
    encoding, dtype = picture.encoding, pages[0].dtype
    compression = encoding.compression or "deflate"
    if compression in ("jpeg", "webp") and dtype != np.uint8:
        compression = "deflate"
    options: dict[str, Any] = {
        "compression": compression,
        "Q": quality or encoding.quality or DEFAULT_QUALITY,
        "predictor": _predictor(picture, compression),
        "page_height": pages[0].shape[0],
        "bigtiff": encoding.bigtiff or sum(page.nbytes for page in pages) > 3_900_000_000,
    }
    if compression == "webp":
        options["lossless"] = True
    if encoding.tile is not None:
        width, height = encoding.tile
        options |= {"tile": True, "tile_width": width, "tile_height": height}
    return options


def _predictor(picture: Picture, compression: str) -> str:
    """Keep the source's predictor; half floats travel as integers, so theirs is horizontal."""
    if compression not in ("lzw", "deflate", "zstd"):
        return "none"
    if picture.format != "tiff":
        return "horizontal" if picture.dtype.kind in "iu" else "none"
    known = {2: "horizontal", 3: "float"}.get(picture.encoding.predictor, "none")
    return "horizontal" if known == "float" and picture.dtype != np.float32 else known


ENCODERS: dict[str, Callable[[Picture, BinaryIO, _Quality], None]] = {
    "jpeg": _jpeg, "png": _png, "tiff": _tiff, "webp": _webp, "avif": _avif, "gif": _gif,
    "bmp": _bmp, "pnm": _pnm,
}  # fmt: skip
