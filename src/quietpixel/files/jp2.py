"""JPEG 2000 through imagecodecs, which gives and takes pixels; header and boxes are read here."""

import struct
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files import vips
from quietpixel.files.boxes import make_box, walk_boxes
from quietpixel.files.decoding import decode_whole
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, damaged, starts_with
from quietpixel.files.picture import Encoding, Metadata, Picture, change_bits

_SIGNATURE = make_box(b"jP  ", b"\r\n\x87\n")
_FILE_TYPE = make_box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
_CODESTREAM = b"\xff\x4f\xff\x51"
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF = b"JpgTiffExif->JP2"
_SRGB, _GRAY = 16, 17
_TAKEN = {b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"uuid", b"rreq", b"free"}


@dataclass(frozen=True)
class _Header:
    """What the code stream (ISO/IEC 15444-1, annex A) and the boxes around it say."""

    width: int
    height: int
    components: int
    bits: int
    lossless: bool
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    palette: bool = False
    other: tuple[str, ...] = ()


def _open(source: Source) -> _Header:
    with vips.open_binary(source) as file:
        if file.read(4) == _CODESTREAM:
            return _read_stream(file, 0)
        found, other, stream = dict[bytes, bytes](), [], None
        for name, at, length in walk_boxes(file):
            file.seek(at)
            if name == b"jp2h":
                for inner, place, size in walk_boxes(file, at, at + length):
                    file.seek(place)
                    found.setdefault(inner, file.read(size))
            elif name == b"jp2c":
                stream = stream or at
            elif name == b"uuid" and (kind := file.read(16)) in (_XMP, _EXIF):
                found[kind] = file.read(length - 16)
            elif name not in _TAKEN:
                other.append(name.decode("latin-1").strip())
        if stream is None:
            raise FileError("there is no image in it; get a whole copy of it.")
        header = _read_stream(file, stream)
    colour = found.get(b"colr", b"")
    if colour[:1] == b"\1" and int.from_bytes(colour[3:7], "big") not in (_SRGB, _GRAY):
        raise ImageError("its colours are neither sRGB nor gray; convert it to TIFF.")
    return replace(
        header,
        icc=colour[3:] if colour[:1] == b"\2" else None,
        exif=found.get(_EXIF),
        xmp=found.get(_XMP),
        palette=b"pclr" in found,
        other=tuple(other),
    )


def _read_stream(file: BinaryIO, at: int) -> _Header:
    """Return what the markers before the first tile say."""
    file.seek(at + 4)
    head = file.read(4096)
    try:
        right, down, left, top = struct.unpack_from(">4I", head, 4)
        (count,) = struct.unpack_from(">H", head, 36)
        parts = [head[38 + 3 * number : 41 + 3 * number] for number in range(min(count, 5))]
        depths, steps = {part[0] for part in parts}, {part[1:] for part in parts}
        # The coding style ends with the wavelet: 1 is the reversible one.
        style = head.index(b"\xff\x52")
        lossless = head[style + 13] == 1
    except (struct.error, IndexError, ValueError) as error:
        raise damaged() from error
    if not 1 <= count <= 4 or len(depths) > 1 or steps != {b"\1\1"} or min(depths) > 15:
        raise ImageError(
            "its components are more than 4, of different sizes or depths, signed, or of more than "
            "16 bits; convert it to TIFF."
        )
    return _Header(right - left, down - top, count, 1 + depths.pop(), lossless)


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a JPEG 2000 file."""
    header = _open(source)
    if header.palette:
        raise ImageError("its pixels are indices into a palette; convert it to PNG.")
    limits.check(header.width, header.height)
    # OpenJPEG's integers of 32 bits, the decoded image, and its copy on the scale of 16 bits.
    limits.reserve(header.width * header.height * header.components * 8)
    pixels = np.ascontiguousarray(decode_whole("jpeg2k", source))
    if header.bits not in (8, 16):
        pixels = change_bits(pixels, header.bits, 16)
    metadata = Metadata(icc=header.icc, exif=header.exif or None, xmp=header.xmp)
    encoding = Encoding(bits=header.bits, lossless=header.lossless)
    return Picture.from_pixels(pixels, metadata=metadata, encoding=encoding)


def read_size(source: Source) -> Size:
    """Return the size in the header of the code stream."""
    header = _open(source)
    return Size(header.height, header.width, colour=header.components >= 3)


def find_lost(source: Source) -> tuple[str, ...]:
    """Name boxes that are not written again."""
    other = _open(source).other
    return (f"the boxes {', '.join(dict.fromkeys(other))}",) if other else ()


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a JPEG 2000 file without loss."""
    import imagecodecs

    pixels, metadata = picture.pages[0], picture.rgb_metadata
    bits = 8 * pixels.dtype.itemsize
    # A camera's 12 bits in 16 go back to 12, as they came.
    if picture.format == "jp2" and 8 < (picture.encoding.bits or bits) < bits:
        bits = picture.encoding.bits or bits
        pixels = change_bits(pixels, 16, bits)
    height, width, channels = pixels.shape
    stream = imagecodecs.jpeg2k_encode(
        np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels),
        level=0,
        reversible=True,
        codecformat="J2K",
        bitspersample=bits,
    )
    header = struct.pack(">IIHBBBB", height, width, channels, bits - 1, 7, 0, 0)
    colour = struct.pack(">BBBI", 1, 0, 0, _GRAY if channels < 3 else _SRGB)
    if metadata.icc:
        # Method 2 is a profile in the file; it replaces the named colour space.
        colour = b"\2\0\0" + metadata.icc
    boxes = make_box(b"ihdr", header) + make_box(b"colr", colour)
    if channels in (2, 4):  # channel, what it is (colour or opacity), and what it belongs to
        kinds = [(each, 0, each + 1) for each in range(channels - 1)] + [(channels - 1, 1, 0)]
        definition = b"".join(struct.pack(">3H", *kind) for kind in kinds)
        boxes += make_box(b"cdef", struct.pack(">H", channels) + definition)
    file.write(_SIGNATURE + _FILE_TYPE + make_box(b"jp2h", boxes))
    for kind, data in ((_XMP, metadata.xmp), (_EXIF, metadata.exif)):
        if data:
            file.write(make_box(b"uuid", kind + data))
    file.write(make_box(b"jp2c", bytes(stream)))


FORMAT = Format(
    name="jp2",
    title="JPEG 2000",
    suffixes=(".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    media_type="image/jp2",
    recognise=starts_with(_SIGNATURE, _CODESTREAM),
    read=read,
    read_size=read_size,
    find_lost=find_lost,
    write=write,
    package=("imagecodecs", "codecs"),
    dtypes=("uint8", "uint16"),
    metadata=("icc", "exif", "xmp"),
)
