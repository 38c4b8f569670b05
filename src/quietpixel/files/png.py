"""PNG: pixels through libvips, chunks with metadata byte for byte, palettes."""

import struct
import zlib
from dataclasses import replace
from functools import partial
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
    drop_padding,
    first_block,
    put_block,
    round_to_bits,
)

_OF_THE_PIXELS = {"PLTE", "tRNS", "sBIT", "hIST", "bKGD", "IHDR", "fcTL", "acTL", "fdAT", "iDOT"}
_XMP = b"XML:com.adobe.xmp\0"
_UNPACKED = bytes(4)  # neither compression nor language
_BEFORE_PALETTE = {"iCCP", "sRGB", "gAMA", "cHRM", "cICP", "mDCV", "cLLI"}
_STILL_TRUE = _BEFORE_PALETTE | {"tIME", "sPLT", "pCAL", "sCAL", "sTER"}
_CARRIED = {"iCCP", "cICP", "pHYs", "eXIf", "sRGB"}
_OF_SRGB = {
    ("gAMA", struct.pack(">I", 45455)),
    ("cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
}


def _read_chunks(source: Source) -> tuple[tuple[Block, ...], bytes]:
    """Return every chunk as (type, content), of pixels only that there are some, and the rest."""
    chunks: list[Block] = []
    tail = b""
    with vips.open_binary(source) as file:
        file.seek(len(SIGNATURE))
        # Checksums are left to the decoder, which knows which chunks matter.
        while len(header := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", header)
            pixels = kind in (b"IDAT", b"fdAT")
            data = b"" if pixels else file.read(size)
            if kind == b"IEND":
                tail = file.read()[4:]  # behind the checksum
            if kind == b"IEND" or not kind.isalpha() or (len(data) < size and not pixels):
                break
            file.seek(size + 4 if pixels else 4, 1)
            chunks.append((kind.decode("ascii"), data))
    return tuple(chunks), drop_padding(tail)


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a PNG file."""
    chunks, tail = _read_chunks(source)
    indexed = (first_block(chunks, "IHDR") or b"")[9:10] == b"\3"
    resolution = None
    density = first_block(chunks, "pHYs") or b""
    if len(density) == 9 and density[8] == 1:
        across, down = struct.unpack(">II", density[:8])
        resolution = (across / 1000, down / 1000) if across and down else None
    numbers = tuple(first_block(chunks, "cICP") or b"")
    metadata = Metadata(
        resolution=resolution,
        cicp=numbers if len(numbers) == 4 else None,
        blocks=tuple(
            (name, data)
            for name, data in chunks
            if _is_kept(name) or (name == "bKGD" and not indexed)
        ),
        tail=tail,
    )
    header = Picture((), metadata=metadata)
    if not _count_frames(chunks):
        return read_pages("pngload", source, header, limits)
    with vips.working(), vips.decoding_errors():
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
    frames = _count_frames(_read_chunks(source)[0])
    return replace(size_reader("pngload")(source), pages=frames or 1)


def find_lost(source: Source) -> tuple[str, ...]:
    """Name a still image that is not a frame of the animation, and chunks on pixels that change."""
    chunks, _ = _read_chunks(source)
    names = [name for name, _ in chunks]
    lost = [f"the chunk {name}" for name in dict.fromkeys(names) if _is_kept(name) is False]
    if _count_frames(chunks) and "IDAT" in names and names.index("IDAT") < names.index("fcTL"):
        lost.append("the still image beside the animation")
    return tuple(lost)


def name_own(metadata: Metadata) -> tuple[str, ...]:
    """Name the chunks that files of other formats do not hold."""
    names = dict.fromkeys(
        name
        for name, data in metadata.blocks
        if name not in _CARRIED and (name, data) not in _OF_SRGB and not data.startswith(_XMP)
    )
    return (f"the chunks {', '.join(names)}",) if names else ()


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a PNG file."""
    pixels, encoding, own = picture.pages[0], picture.encoding, picture.format == "png"
    palette, bits = None, 8 * pixels.dtype.itemsize
    single = len(picture.pages) == 1  # the palettes of several would differ
    if encoding.palette and bits == 8 and picture.colour == "rgb" and single:
        pixels, palette = find_palette(pixels) or (pixels, None)
    if palette is not None:
        bits = next(each for each in (1, 2, 4, 8) if len(palette) <= 2**each)
        pixels = pixels * np.uint8(255 // (2**bits - 1))
    elif own and pixels.shape[2] == 1 and encoding.bits in (1, 2, 4):
        bits = encoding.bits
        pixels = round_to_bits(pixels, bits)  # libvips cuts off instead
    image, options = vips.from_array(pixels), {"interlace": encoding.progressive, "bitdepth": bits}
    rewrite = partial(_graft, blocks=_blocks_of(picture), palette=palette)
    if single:
        vips.save(image, "pngsave", file, rewrite, **options)
        return
    still = vips.save_bytes(image, "pngsave", rewrite=rewrite, **options)
    others = (vips.from_array(page) for page in picture.pages[1:])
    frames = (vips.save_bytes(page, "pngsave", **options) for page in others)
    delays = picture.metadata.native or tuple((delay, 1000) for delay in encoding.delays)
    file.writelines(write_frames(still, frames, delays, encoding.loop))


def _blocks_of(picture: Picture) -> tuple[Block, ...]:
    """Return the chunks for an image: its own, or those that say the same as another format."""
    metadata = picture.rgb_metadata
    if picture.format == "png":
        blocks = put_block(metadata.blocks, "eXIf", b"", metadata.exif)
    else:
        density = [round(1000 * each) for each in metadata.resolution or ()]
        said = {
            "iCCP": metadata.icc and b"icc\0\0" + zlib.compress(metadata.icc),
            "cICP": metadata.cicp and bytes([*metadata.cicp[:2], 0, 1]),  # full range, no matrix
            "pHYs": density and struct.pack(">IIB", *density, 1),
            "eXIf": metadata.exif,
        }
        blocks = tuple((name, data) for name, data in said.items() if data)
    xmp = metadata.xmp and _UNPACKED + metadata.xmp
    return put_block(blocks, "iTXt", _XMP, xmp, new_at=len(blocks))


def _graft(head: bytes, blocks: tuple[Block, ...], palette: Pixels | None) -> bytes | None:
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
    suffixes=(".png", ".apng"),
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
    tail=True,
    name_own=name_own,
)
