"""HEIC, the photographs of phones, through pillow-heif: the wheel of libvips has no HEVC."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files import vips
from quietpixel.files.boxes import has_brand, inspect_heif
from quietpixel.files.image_format import DEFAULT_QUALITY, Format, ReadLimits, Size, Source
from quietpixel.files.picture import Encoding, Metadata, Picture, change_bits, first_block

_NCLX = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")
"""Colour by numbers, in the order of `Metadata.cicp`."""
_WHOLE, _TILE = 4096, 1024
"""Sides from which an image is stored in tiles, as phones do: x265 refuses 8192 x 1 pixels."""


def recognise(head: bytes) -> bool:
    """Say whether a file is HEIF with HEVC; one with AV1 is AVIF and may share the brand mif1."""
    hevc = has_brand(head, b"heic", b"heix", b"heim", b"heis", b"hevc")
    return hevc and not has_brand(head, b"avif")


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read the primary image of a HEIC file, upright, with 8 bits or 10 and 12 in 16."""
    with _open(source) as image:
        width, height = image.size
        colours, _, depth = image.mode.partition(";")
        if colours.endswith("a"):
            raise ImageError(
                "its alpha is premultiplied; save it with straight alpha, as PNG does."
            )
        limits.check(width, height)
        # The decoded image stays in memory beside the copy that is cut to its width.
        limits.reserve(2 * width * height * len(colours) * (2 if depth else 1))
        pixels = np.asarray(image)[:, :width]
        info = image.info
    exif = (info.get("exif") or b"").removeprefix(b"Exif\0\0")
    nclx = info.get("nclx_profile")
    metadata = Metadata(
        icc=info.get("icc_profile") or None,
        exif=exif or None,
        xmp=info.get("xmp") or None,
        # Kept for a file in kind: the decoders of phones may know 4:2:0 only.
        blocks=(
            ("chroma", str(info.get("chroma") or 444).encode()),
            *(("thumbnail", str(side).encode()) for side in info["thumbnails"]),
        ),
        cicp=tuple(int(nclx[key]) for key in _NCLX) if nclx else None,  # type: ignore[arg-type]
        tail=inspect_heif(source)[1],
    )
    pixels = change_bits(pixels, int(depth), 16) if depth else np.ascontiguousarray(pixels)
    encoding = Encoding(bits=int(depth or 8), lossless=False)
    return Picture.from_pixels(pixels, metadata=metadata, encoding=encoding)


def read_size(source: Source) -> Size:
    """Return the size of the primary image."""
    with _open(source) as image:
        return Size(image.size[1], image.size[0], colour=image.mode.startswith("RGB"))


def find_lost(source: Source) -> tuple[str, ...]:
    """Return what a file holds besides its primary image: bursts, depth maps, gain maps."""
    with _open(source) as image:
        more = [f"{image.count - 1} more images"] if image.count > 1 else []
    return (*more, *inspect_heif(source)[0])


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a HEIC file of 8 or, from 16 bits, of 10 or 12."""
    import pillow_heif

    pixels, metadata = picture.pages[0], picture.rgb_metadata
    height, width, channels = pixels.shape
    mode, bits = ("L", "LA", "RGB", "RGBA")[channels - 1], 8
    if pixels.dtype == np.uint16:
        bits = 10 if picture.encoding.bits == 10 else 12
        pixels = change_bits(pixels, 16, bits).astype("<u2") << (16 - bits)
        mode += ";16"
    own = picture.format == "heic"
    options: dict[str, Any] = {"icc_profile": metadata.icc, "xmp": metadata.xmp}
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.cicp:
        # The matrix is that of the encoder: others store RGB itself (0), which takes more room.
        options |= dict(zip(_NCLX[: 4 if own else 2], metadata.cicp, strict=False))
    if max(width, height) > _WHOLE:
        options["tile_size"] = _TILE
    coded = pillow_heif.from_bytes(mode, (width, height), pixels.tobytes())
    if own:  # by their longer sides; they are made from the new pixels
        coded.info["thumbnails"] = [
            int(side) for name, side in metadata.blocks if name == "thumbnail"
        ]
    stream = io.BytesIO()
    try:
        coded.save(
            stream,
            quality=quality or picture.encoding.quality or DEFAULT_QUALITY,
            chroma=int(first_block(metadata.blocks, "chroma") or 444),
            bit_depth=bits,
            **{key: value for key, value in options.items() if value is not None},
        )
    except (RuntimeError, ValueError) as error:
        raise vips.unwritten(error) from error
    file.write(stream.getvalue())


@contextlib.contextmanager
def _open(source: Source) -> Iterator[Any]:
    """Give the primary image, not decoded yet; `count` tells how many images there are."""
    import pillow_heif

    try:
        content = io.BytesIO(source) if isinstance(source, bytes) else source
        file = pillow_heif.open_heif(content, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        image = file[file.primary_index]
        image.count = len(file)
        yield image
    except (EOFError, IndexError, RuntimeError, SyntaxError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        reason = " ".join(str(error).split())
        raise FileError(
            f"the file is damaged, cut short or of a kind that libheif cannot decode ({reason}); "
            "get a whole copy of it, or convert it on the phone."
        ) from error


FORMAT = Format(
    name="heic",
    title="HEIC",
    suffixes=(".heic", ".heif", ".hif", ".heics"),
    media_type="image/heic",
    recognise=recognise,
    read=read,
    read_size=read_size,
    find_lost=find_lost,
    write=write,
    package=("pillow_heif", "heif"),
    dtypes=("uint8", "uint16"),
    max_side=16384,
    metadata=("icc", "exif", "xmp", "cicp"),
    tail=True,
    lossless=False,
    quality=True,
)
