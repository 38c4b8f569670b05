"""JPEG XL through imagecodecs, which gives and takes pixels; header and boxes are read here."""

import io
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from quietpixel.errors import ImageError
from quietpixel.files import vips
from quietpixel.files.boxes import make_box, walk_boxes
from quietpixel.files.decoding import decode_whole
from quietpixel.files.image_format import (
    DEFAULT_QUALITY,
    Format,
    ReadLimits,
    Size,
    Source,
    damaged,
    starts_with,
)
from quietpixel.files.picture import (
    Encoding,
    Metadata,
    Picture,
    change_bits,
    describe_colour_numbers,
)

_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_CODESTREAM = b"\xff\n"
_METADATA = {b"Exif", b"xml ", b"brob"}
_TAKEN = {b"JXL ", b"ftyp", b"jxll", b"jxli", b"jhgm", b"jbrd", *_METADATA}
_HEADER = 4096
"""Bytes of the code stream that hold its header, unless it names very many channels."""
_MOST_METADATA = 1 << 22
"""Bytes that a compressed box of metadata may unpack to."""
_RATIOS = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_GRAY, _XYB, _CUSTOM = 1, 2, 2
_P3, _P3_D65, _WHITE_D65 = 11, 12, 1


@dataclass(frozen=True)
class _Header:
    """What the header of a code stream says (ISO/IEC 18181-1, annex D)."""

    width: int
    height: int
    bits: int = 8
    floats: bool = False
    orientation: int = 1
    animated: bool = False
    gray: bool = False
    alpha: bool = False
    lossy: bool = True
    cicp: tuple[int, int, int, int] | None = None
    end: int = 0
    """Bits before the end of the colours."""


class _Bits:
    """Reads numbers of some bits, the lowest bit first."""

    def __init__(self, data: bytes) -> None:
        self._number, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def read(self, count: int) -> int:
        if count > self.left:
            raise damaged()
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        self.left -= count
        return value

    def choose(self, *choices: tuple[int, int]) -> int:
        """Return the number that two bits choose: an offset and some bits more."""
        offset, count = choices[self.read(2)]
        return offset + self.read(count)

    def enum(self) -> int:
        return self.choose((0, 0), (1, 0), (2, 4), (18, 6))

    def size(self) -> tuple[int, int]:
        """Return width and height."""
        small = self.read(1)

        def side() -> int:
            if small:
                return 8 * (self.read(5) + 1)
            return self.choose((1, 9), (1, 13), (1, 18), (1, 30))

        height, ratio = side(), self.read(3)
        if not ratio:
            return side(), height
        over, under = _RATIOS[ratio - 1]
        return height * over // under, height

    def depth(self) -> tuple[int, bool]:
        """Return bits for each sample, and whether they are floats."""
        if self.read(1):
            bits = self.choose((32, 0), (16, 0), (24, 0), (1, 6))
            self.read(4)
            return bits, True
        return self.choose((8, 0), (10, 0), (12, 0), (1, 6)), False


def _read_header(stream: bytes) -> _Header:
    bits = _Bits(stream[len(_CODESTREAM) :])
    header = _Header(*bits.size())
    if bits.read(1):  # all defaults: sRGB of 8 bits
        return header
    if bits.read(1):
        header = replace(header, orientation=1 + bits.read(3))
        if bits.read(1):
            bits.size()
        if bits.read(1):
            raise ImageError("it holds a preview, which cannot be kept; convert it with djxl.")
        if bits.read(1):
            header = replace(header, animated=True)
            bits.choose((100, 0), (1000, 0), (1, 10), (1, 30))
            bits.choose((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.choose((0, 0), (0, 3), (0, 16), (0, 32))
            bits.read(1)
    depth, floats = bits.depth()
    bits.read(1)
    alpha = _read_channels(bits)
    lossy = bool(bits.read(1))
    gray, cicp = _read_colour(bits)
    return replace(
        header, bits=depth, floats=floats, alpha=alpha, lossy=lossy,
        gray=gray, cicp=cicp, end=8 * len(stream) - bits.left,
    )  # fmt: skip


def _read_channels(bits: _Bits) -> bool:
    """Return whether there is alpha; refuse other channels beside the colours."""
    count, alpha = bits.choose((0, 0), (1, 0), (2, 4), (1, 12)), False
    for number in range(count):
        if bits.read(1):  # all defaults: straight alpha of 8 bits
            alpha = True
            continue
        kind = bits.enum()
        bits.depth()
        bits.choose((0, 0), (3, 0), (4, 0), (1, 3))
        for _ in range(bits.choose((0, 0), (0, 4), (16, 5), (48, 10))):
            bits.read(8)
        if kind != 0:
            raise ImageError(
                f"its channel {number + 1} beside the colours is neither colour nor transparency; "
                "convert it to PNG or TIFF with djxl."
            )
        if bits.read(1):
            raise ImageError("its alpha is premultiplied; save it with straight alpha.")
        alpha = True
    if count > 1:
        raise ImageError("it has several alpha channels; convert it to PNG with djxl.")
    return alpha


def _read_colour(bits: _Bits) -> tuple[bool, tuple[int, int, int, int] | None]:
    """Return whether it is gray, and the colours by numbers; None for sRGB."""
    if bits.read(1):
        return False, None
    profile, space = bits.read(1), bits.enum()
    if profile or space == _XYB:
        raise ImageError(
            "its colour profile cannot be read here; convert it to PNG or TIFF with djxl."
        )
    white = bits.enum()
    primaries = 1 if space == _GRAY or white == _CUSTOM else bits.enum()
    if _CUSTOM in (white, primaries) or bits.read(1):
        raise ImageError(
            "its colours have primaries or a curve of their own; convert it with djxl."
        )
    if primaries == _P3 and white == _WHITE_D65:
        primaries = _P3_D65
    curve = bits.enum()
    return space == _GRAY, None if (primaries, curve) == (1, 13) else (primaries, curve, 0, 1)


def _open(source: Source) -> tuple[_Header, dict[bytes, bytes]]:
    """Return the header of the code stream, and the boxes of metadata."""
    with vips.open_binary(source) as file:
        start = file.read(_HEADER)
        if not start.startswith(_CONTAINER):
            return _read_header(start), {}
        found, stream = dict[bytes, bytes](), b""
        for name, at, length in walk_boxes(file):
            file.seek(at)
            if name in (b"jxlc", b"jxlp"):
                part = file.read(min(length, _HEADER))
                stream += part[4 * (name == b"jxlp") :]
            else:
                found.setdefault(name, file.read(length) if name in _METADATA else b"")
    return _read_header(stream), found


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read the first frame of a JPEG XL file, upright."""
    header, boxes = _open(source)
    deep = header.floats or header.bits > 8
    channels = (1 if header.gray else 3) + header.alpha
    limits.check(header.width, header.height)
    # The file, libjxl's floats, the decoded image and its copy on the scale of 16 bits.
    limits.reserve(header.width * header.height * channels * (8 if deep else 6))
    pixels = decode_whole("jpegxl", source, index=0 if header.animated else None)
    if pixels.shape[2] != channels:
        raise ImageError(
            f"it has {pixels.shape[2]} channels where its header names {channels}; get a whole "
            "copy of it."
        )
    pixels = np.ascontiguousarray(pixels)
    if not header.floats and 8 < header.bits < 16:
        pixels = change_bits(pixels, header.bits, 16)
    exif = _unpack(boxes, b"Exif")
    metadata = Metadata(
        # Four bytes say where the TIFF header begins.
        exif=exif and exif[4 + int.from_bytes(exif[:4], "big") :],
        xmp=_unpack(boxes, b"xml "),
        cicp=None if header.floats else header.cicp,
    )
    encoding = Encoding(bits=header.bits, lossless=not header.lossy)
    return Picture.from_pixels(pixels, metadata=metadata, encoding=encoding)


def _unpack(boxes: dict[bytes, bytes], name: bytes) -> bytes | None:
    """Return the content of a box, which may be compressed in a box of another name."""
    import imagecodecs

    packed = boxes.get(b"brob", b"")
    if name in boxes or not packed.startswith(name):
        return boxes.get(name)
    try:
        return bytes(imagecodecs.brotli_decode(packed[4:], out=_MOST_METADATA))
    except (imagecodecs.BrotliError, ValueError, RuntimeError):
        return None


def read_size(source: Source) -> Size:
    """Return the size as it is shown."""
    header, _ = _open(source)
    height, width = header.height, header.width
    if header.orientation >= 5:
        height, width = width, height
    return Size(height, width, colour=not header.gray)


def find_lost(source: Source) -> tuple[str, ...]:
    """Name further frames and channels, a gain map, and colours that cannot be written."""
    header, boxes = _open(source)
    numbers = "" if header.floats else describe_colour_numbers(Metadata(cicp=header.cicp))
    other = [name.decode("latin-1").strip() for name in boxes.keys() - _TAKEN]
    kinds = {
        "the frames of the animation": header.animated,
        "the gain map": b"jhgm" in boxes,
        numbers: numbers,
        f"the boxes {', '.join(other)}": other,
    }
    return tuple(kind for kind, found in kinds.items() if found)


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a JPEG XL file."""
    import imagecodecs

    pixels, encoding, metadata = picture.pages[0], picture.encoding, picture.rgb_metadata
    bits = 8 * pixels.dtype.itemsize
    if pixels.dtype == np.uint16 and picture.format == "jxl" and 8 < (encoding.bits or 16) < 16:
        bits = encoding.bits or 16
        pixels = change_bits(pixels, 16, bits)
    # imagecodecs declares deep pixels as linear, which can be corrected in lossless files only.
    lossless = bits > 8 or (quality is None and encoding.lossless)
    # The scale of cjxl: 90 is visually lossless.
    distance = 0.1 + 0.09 * (100 - (quality or encoding.quality or DEFAULT_QUALITY))
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    encoded = imagecodecs.jpegxl_encode(
        np.ascontiguousarray(pixels),
        lossless=lossless,
        distance=0.0 if lossless else distance,
        bitspersample=bits if pixels.dtype.kind == "u" else None,
        usecontainer=True,
    )
    content = bytes(encoded)
    places = walk_boxes(io.BytesIO(content))
    at = next(at for name, at, _ in places if name == b"jxlc")
    if pixels.dtype.kind == "u" and bits > 8:
        content = content[:at] + _as_srgb(content[at:])
    boxes = make_box(b"Exif", b"\0\0\0\0" + metadata.exif) if metadata.exif else b""
    boxes += make_box(b"xml ", metadata.xmp) if metadata.xmp else b""
    file.write(content[: at - 8] + boxes + content[at - 8 :])


def _as_srgb(stream: bytes) -> bytes:
    """Return a code stream whose curve is that of sRGB (13), not linear (8), in the same bits."""
    end, number = _read_header(stream).end, int.from_bytes(stream[:_HEADER], "little")
    # A number from 2 to 17 is stored minus 2, in the last 4 bits before the rendering intent.
    number ^= ((8 - 2) ^ (13 - 2)) << (end - 4)
    head = number.to_bytes(len(stream[:_HEADER]), "little")
    return head + stream[len(head) :]


FORMAT = Format(
    name="jxl",
    title="JPEG XL",
    suffixes=(".jxl",),
    media_type="image/jxl",
    recognise=starts_with(_CODESTREAM, _CONTAINER),
    read=read,
    read_size=read_size,
    find_lost=find_lost,
    write=write,
    package=("imagecodecs", "codecs"),
    dtypes=("uint8", "uint16", "float16", "float32"),
    metadata=("exif", "xmp"),
    quality=True,
)
