"""What a file says about its picture before it is decoded, one function for each format."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from quietpixel.errors import ImageError
from quietpixel.files import jpeg, png, tags, tiff, vips, webp
from quietpixel.files.picture import Encoding, Metadata

Facts = tuple[Metadata, Encoding, tuple[str, ...]]

LOADERS = {"jpeg": "jpegload", "png": "pngload", "tiff": "tiffload", "webp": "webpload",
            "avif": "heifload", "gif": "gifload"}  # fmt: skip


def open_page(name: str, source: Path | bytes, number: int, *, fail_on: str = "error") -> Any:
    """Return a page as a libvips image that is not decoded yet."""
    options: dict[str, Any] = {"fail_on": fail_on}
    if name == "tiff":
        options["page"] = number
    if name == "avif":
        options["page"] = 0
    loader = vips.find_loader(LOADERS[name])
    return loader(vips.open_source(source), access="sequential", **options)


def explain(error: Exception) -> Exception:
    """Return the error for what libvips said when it opened or decoded a file."""
    text = str(error).lower()
    if any(word in text for word in ("too large", "too big", "exceed", "dimensions out of range")):
        return ImageError(
            f"its declared size is beyond what can be decoded ({vips.reason_of(error)}); "
            "cut the picture into smaller ones."
        )
    return vips.damaged(error)


def _jpeg_facts(source: Path | bytes) -> Facts:
    with vips.open_binary(source) as file:
        segments = jpeg.read_segments(file)
    _refuse_deep(jpeg.frame_bits(segments))
    metadata = jpeg.parse_metadata(segments)
    encoding = Encoding(
        bits=8,
        quality=jpeg.estimate_quality(segments),
        subsampling=jpeg.subsampling(segments),
        progressive=any(name in ("c2", "c6", "ca", "ce") for name, _ in segments),
    )
    return replace(metadata, orientation=tags.exif_orientation(metadata.exif)), encoding, ()


def _refuse_deep(bits: int) -> None:
    if bits != 8:
        raise ImageError(
            f"it is a JPEG with {bits} bits per sample, and only 8 can be read; "
            "convert it to a 16-bit TIFF or PNG."
        )


def _png_facts(source: Path | bytes) -> Facts:
    with vips.open_binary(source) as file:
        chunks = png.read_chunks(file)
    metadata = png.parse_metadata(chunks)
    bits, kind, interlaced = png.header(chunks)
    notes = ("Animated PNG: only the still picture was read.",) if png.is_animated(chunks) else ()
    encoding = Encoding(bits=bits, palette=kind == 3, progressive=interlaced)
    return replace(metadata, orientation=tags.exif_orientation(metadata.exif)), encoding, notes


def _webp_facts(source: Path | bytes) -> Facts:
    with vips.open_binary(source) as file:
        chunks = webp.read_chunks(file)
    metadata = webp.parse_metadata(chunks)
    animated = webp.is_animated(chunks)
    notes = ("Animated WebP: only the first frame was read.",) if animated else ()
    encoding = Encoding(bits=8, lossless=webp.is_lossless(chunks))
    return replace(metadata, orientation=tags.exif_orientation(metadata.exif)), encoding, notes


def _tiff_facts(source: Path | bytes) -> Facts:
    with vips.open_binary(source) as file:
        directories = tags.read_directories(file)
    tiff.check_samples(directories)
    return tiff.parse_metadata(directories), tiff.parse_encoding(directories), ()


def _opened_facts(name: str) -> Callable[[Path | bytes], Facts]:
    """Facts of formats whose container is read by libvips alone."""

    def facts(source: Path | bytes) -> Facts:
        try:
            image = open_page(name, source, 0)
        except vips.VipsError as error:
            raise explain(error) from error
        return _fields_of(name, image)

    return facts


def _fields_of(name: str, image: Any) -> Facts:
    def field(key: str) -> bytes | None:
        return bytes(image.get(key)) if key in image.get_fields() else None

    exif = field("exif-data")
    metadata = Metadata(
        icc=field("icc-profile-data"),
        exif=tags.turn_upright(exif.removeprefix(b"Exif\0\0")) if exif else None,
        xmp=field("xmp-data"),
    )
    frames = image.get("n-pages") if "n-pages" in image.get_fields() else 1
    notes = (f"{name.upper()}: only the first of {frames} frames was read.",) if frames > 1 else ()
    bits = image.get("bits-per-sample") if "bits-per-sample" in image.get_fields() else 8
    return metadata, Encoding(bits=bits, palette=name == "gif"), notes


FACTS: dict[str, Callable[[Path | bytes], Facts]] = {
    "jpeg": _jpeg_facts,
    "png": _png_facts,
    "webp": _webp_facts,
    "tiff": _tiff_facts,
    "avif": _opened_facts("avif"),
    "gif": _opened_facts("gif"),
}
