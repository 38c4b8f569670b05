"""PNG: pixels through libvips, chunks with metadata byte for byte, palettes."""

import io
import struct
import zlib
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from quietpixel.files import vips
from quietpixel.files.apng import SIGNATURE, make_chunk, read_frames, write_frames
from quietpixel.files.decoding import add_fields, read_pages, size_reader
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, starts_with
from quietpixel.files.picture import (
    Block,
    Metadata,
    Picture,
    Pixels,
    first_block,
    put_block,
    round_to_bits,
)

_OF_THE_PIXELS = {"PLTE", "tRNS", "sBIT", "hIST", "bKGD", "IHDR", "fcTL", "acTL", "fdAT", "iDOT"}
_XMP = b"XML:com.adobe.xmp\0"
_UNPACKED = bytes(4)  # neither compression nor language
_BEFORE_PALETTE = {"iCCP", "sRGB", "gAMA", "cHRM", "cICP", "mDCV", "cLLI"}
_STILL_TRUE = _BEFORE_PALETTE | {"tIME", "sPLT", "pCAL", "sCAL", "sTER"}


def _read_chunks(file: BinaryIO) -> tuple[Block, ...]:
    """Return every chunk as (type, content); of pixels, only that there are some."""
    file.seek(len(SIGNATURE))
    chunks: list[Block] = []
    # Checksums are left to the decoder, which knows which chunks matter.
    while len(header := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", header)
        if kind in (b"IDAT", b"fdAT"):
            chunks.append((kind.decode(), b""))
            file.seek(size + 4, 1)
            continue
        data = file.read(size)
        if len(data) < size or kind == b"IEND" or not kind.isalpha():
            break
        file.seek(4, 1)
        chunks.append((kind.decode("ascii"), data))
    return tuple(chunks)


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a PNG file."""
    with vips.open_binary(source) as file:
        chunks = _read_chunks(file)
    resolution = None
    density = first_block(chunks, "pHYs") or b""
    if len(density) == 9 and density[8] == 1:
        across, down = struct.unpack(">II", density[:8])
        resolution = (across / 1000, down / 1000) if across and down else None
    numbers = tuple(first_block(chunks, "cICP") or b"")
    header = Picture(
        pages=(),
        format="png",
        metadata=Metadata(
            resolution=resolution,
            cicp=numbers if len(numbers) == 4 else None,
            blocks=tuple(chunk for chunk in chunks if _is_kept(chunk[0]) is True),
        ),
    )
    if not _count_frames(chunks):
        return read_pages("pngload", source, header, limits)
    with vips.decoding_errors():
        header = add_fields(header, vips.open_page("pngload", source))
    return read_frames(source, header, limits)


def _is_kept(name: str) -> bool | None:
    """Say whether a chunk is kept beside other pixels; None for one that belongs to the coding."""
    if name[0].isupper() or name in _OF_THE_PIXELS:  # a capital: needed for decoding
        return None
    # A capital: untrue once the pixels change, as a signature is.
    return name[3].islower() or name in _STILL_TRUE


def _count_frames(chunks: tuple[Block, ...]) -> int:
    """Return the number of frames of an animation; 0 for a still image."""
    count = sum(name == "fcTL" for name, _ in chunks)
    return count if count > 1 and first_block(chunks, "acTL") else 0


def read_size(source: Source) -> Size:
    """Return the size in the header, and the number of frames."""
    with vips.open_binary(source) as file:
        frames = _count_frames(_read_chunks(file))
    return replace(size_reader("pngload")(source), pages=frames or 1)


def find_lost(source: Source) -> tuple[str, ...]:
    """Name a still image that is no frame of the animation, and chunks on pixels that change."""
    with vips.open_binary(source) as file:
        chunks = _read_chunks(file)
    names = [name for name, _ in chunks]
    lost = [f"the chunk {name}" for name in dict.fromkeys(names) if _is_kept(name) is False]
    if _count_frames(chunks) and "IDAT" in names and names.index("IDAT") < names.index("fcTL"):
        lost.append("the still image beside the animation")
    return tuple(lost)


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a PNG file."""
    pixels, metadata = picture.pages[0], picture.rgb_metadata
    indices, palette = pixels, None
    several = len(picture.pages) > 1  # whose palettes would differ
    if picture.encoding.palette and pixels.dtype == np.uint8 and not several:
        indices, palette = find_palette(pixels) or (pixels, None)
    bits = 8 * pixels.dtype.itemsize
    if palette is not None:
        bits = next(each for each in (1, 2, 4, 8) if len(palette) <= 2**each)
        indices = indices * np.uint8(255 // (2**bits - 1))
    elif picture.format == "png" and pixels.shape[2] == 1 and (picture.encoding.bits or 8) < 8:
        bits = picture.encoding.bits or 8
        indices = round_to_bits(pixels, bits)  # libvips cuts off instead
    blocks: list[Block] = []
    if picture.format == "png":
        own = put_block(metadata.blocks, "eXIf", b"", metadata.exif)
        xmp = metadata.xmp and _UNPACKED + metadata.xmp
        blocks += put_block(own, "iTXt", _XMP, xmp, new_at=len(own))
    else:
        if metadata.icc:
            blocks.append(("iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
        if metadata.cicp:
            blocks.append(("cICP", bytes([*metadata.cicp[:2], 0, 1])))  # full range, no matrix
        if metadata.resolution:
            across, down = (round(1000 * each) for each in metadata.resolution)
            blocks.append(("pHYs", struct.pack(">IIB", across, down, 1)))
        if metadata.exif:
            blocks.append(("eXIf", metadata.exif))
        if metadata.xmp:
            blocks.append(("iTXt", _XMP + _UNPACKED + metadata.xmp))
    still = io.BytesIO()
    vips.save_rewritten(
        vips.from_array(indices),
        "pngsave",
        still if several else file,
        lambda head: _graft(head, blocks, palette),
        interlace=picture.encoding.progressive,
        bitdepth=bits,
    )
    if several:
        options = {"interlace": picture.encoding.progressive, "bitdepth": bits}
        frames = [
            vips.save_bytes(vips.from_array(page), "pngsave", **options)
            for page in picture.pages[1:]
        ]
        delays = tuple((delay, 1000) for delay in picture.encoding.delays)
        exact = picture.metadata.native if picture.format == "png" else None
        loop = picture.encoding.loop
        file.write(write_frames(still.getvalue(), frames, exact or delays, loop))


def _graft(head: bytes, blocks: list[Block], palette: Pixels | None) -> bytes | None:
    """Return the start of a new PNG with `blocks` put in; None while `head` is too short.

    With a palette of colours (N, 3) or (N, 4), the gray pixels that were written are its indices.
    """
    at, kind = len(SIGNATURE), b""
    while kind != b"IDAT":
        if at + 8 > len(head):
            return None
        size, kind = struct.unpack(">I4s", head[at : at + 8])
        data, at = at, at + size + 12
    start = bytearray(head[16:29])
    late = [block for block in blocks if block[0] not in _BEFORE_PALETTE]
    if palette is not None:
        start[9] = 3  # colour type: indices into a palette
        if palette.shape[1] == 4:
            late.insert(0, ("tRNS", palette[:, 3].tobytes()))
        late.insert(0, ("PLTE", palette[:, :3].tobytes()))
    early = [block for block in blocks if block[0] in _BEFORE_PALETTE]
    chunks = [("IHDR", bytes(start)), *early, *late]
    made = b"".join(make_chunk(kind.encode(), data) for kind, data in chunks)
    return SIGNATURE + made + head[data:]


def find_palette(pixels: Pixels) -> tuple[Pixels, Pixels] | None:
    """Return indices (H, W, 1) and the palette (N, C), if there are at most 256 colours.

    Examples
    --------
    >>> indices, palette = find_palette(np.zeros((2, 2, 3), np.uint8))
    >>> indices.shape, palette.tolist()
    ((2, 2, 1), [[0, 0, 0]])
    """
    height, width, channels = pixels.shape
    packed: Pixels = np.zeros((height, width), np.uint32)
    for channel in range(channels):
        packed = (packed << 8) | pixels[:, :, channel]
    colours, indices = np.unique(packed, return_inverse=True)
    if colours.size > 256:
        return None
    shifts = 8 * np.arange(channels - 1, -1, -1)
    palette = (colours[:, None] >> shifts).astype(np.uint8)
    return indices.reshape(height, width, 1).astype(np.uint8), palette


FORMAT = Format(
    name="png",
    title="PNG",
    suffixes=(".png",),
    media_type="image/png",
    recognise=starts_with(SIGNATURE),
    read=read,
    read_size=read_size,
    write=write,
    find_lost=find_lost,
    dtypes=("uint8", "uint16"),
    frames=True,
    orientation=True,
    metadata=("icc", "exif", "xmp", "resolution", "cicp"),
)
