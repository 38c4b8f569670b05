"""The chunks of a PNG file: metadata byte for byte, and palettes."""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from quietpixel.files.picture import Block, Metadata, Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OF_THE_PIXELS = {"PLTE", "tRNS", "sBIT", "hIST", "bKGD", "IHDR", "IDAT", "IEND", "fdAT", "fcTL"}
_XMP = b"XML:com.adobe.xmp\0"
_BEFORE_PALETTE = {"iCCP", "sRGB", "gAMA", "cHRM", "cICP", "mDCV", "cLLI"}
_MOST_PROFILE = 64 << 20  # a profile that unpacks to more is a bomb


def read_chunks(file: BinaryIO) -> tuple[Block, ...]:
    """Return every chunk but the picture data, as (type, content)."""
    file.seek(len(SIGNATURE))
    return tuple(_chunks(file))


def _chunks(file: BinaryIO) -> Iterator[Block]:
    while len(header := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", header)
        if kind in (b"IDAT", b"fdAT"):
            file.seek(size + 4, 1)
            continue
        data = file.read(size)
        if len(data) < size or kind == b"IEND" or not kind.isalpha():
            return
        file.seek(4, 1)
        yield kind.decode("ascii"), data


def parse_metadata(chunks: tuple[Block, ...]) -> Metadata:
    """Return what the chunks say, with those to be written back as its blocks."""
    return Metadata(
        icc=_profile(chunks),
        exif=_first(chunks, "eXIf"),
        xmp=_xmp(chunks),
        resolution=_resolution(chunks),
        blocks=tuple(block for block in chunks if _is_kept(block[0])),
    )


def _is_kept(kind: str) -> bool:
    """Ancillary chunks (small first letter) that do not describe the pixels' own coding."""
    return kind[0].islower() and kind not in _OF_THE_PIXELS and kind != "acTL"


def _first(chunks: tuple[Block, ...], kind: str) -> bytes | None:
    return next((data for name, data in chunks if name == kind), None)


def _profile(chunks: tuple[Block, ...]) -> bytes | None:
    data = _first(chunks, "iCCP")
    return _inflate(data.partition(b"\0")[2][1:]) if data else None


def _inflate(data: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(data, _MOST_PROFILE)
    except zlib.error:
        return None


def _xmp(chunks: tuple[Block, ...]) -> bytes | None:
    found = (data for name, data in chunks if name == "iTXt" and data.startswith(_XMP))
    data = next(found, None)
    if data is None:
        return None
    packed, rest = data[len(_XMP) : len(_XMP) + 1] == b"\1", data[len(_XMP) + 2 :]
    text = rest.split(b"\0", 2)[-1]
    return _inflate(text) if packed else text


def _resolution(chunks: tuple[Block, ...]) -> tuple[float, float] | None:
    data = _first(chunks, "pHYs")
    if data is None or len(data) != 9 or data[8] != 1:
        return None
    across, down = struct.unpack(">II", data[:8])
    return (across / 1000, down / 1000) if across and down else None


def is_animated(chunks: tuple[Block, ...]) -> bool:
    """Say whether the file holds more frames than the one that every PNG has."""
    control = _first(chunks, "acTL")
    return control is not None and int.from_bytes(control[:4], "big") > 1


def header(chunks: tuple[Block, ...]) -> tuple[int, int, bool]:
    """Return bits per sample, colour type (3 is a palette) and whether rows are interlaced."""
    data = (_first(chunks, "IHDR") or b"").ljust(13, b"\0")
    return data[8], data[9], data[12] == 1


def blocks_of(metadata: Metadata) -> tuple[Block, ...]:
    """Return chunks that say what `metadata` says, for a picture of another format."""
    blocks: list[Block] = []
    if metadata.icc:
        blocks.append(("iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
    if metadata.resolution:
        across, down = (round(1000 * each) for each in metadata.resolution)
        blocks.append(("pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        blocks.append(("eXIf", metadata.exif))
    if metadata.xmp:
        blocks.append(("iTXt", _XMP + b"\0\0\0\0" + metadata.xmp))
    return tuple(blocks)


def graft(head: bytes, blocks: tuple[Block, ...], palette: Pixels | None = None) -> bytes | None:
    """Return the start of a new PNG with `blocks` put in; None while `head` is too short.

    Parameters
    ----------
    head
        What libvips wrote first, without metadata of its own.
    blocks
        The chunks to carry.
    palette
        Colours (N, 3) or (N, 4) of uint8; the gray pixels written are then indices into it.
    """
    at = _data_start(head)
    if at is None:
        return None
    early = [block for block in blocks if block[0] in _BEFORE_PALETTE]
    late = [block for block in blocks if block[0] not in _BEFORE_PALETTE]
    chunks = [_header(head, palette), *early, *_palette(palette), *late]
    return SIGNATURE + b"".join(map(_chunk, chunks)) + head[at:]


def _data_start(head: bytes) -> int | None:
    at = len(SIGNATURE)
    while at + 8 <= len(head):
        size, kind = struct.unpack(">I4s", head[at : at + 8])
        if kind == b"IDAT":
            return at
        at += size + 12
    return None


def _header(head: bytes, palette: Pixels | None) -> Block:
    data = bytearray(head[16:29])
    if palette is not None:
        data[9] = 3
    return "IHDR", bytes(data)


def _palette(palette: Pixels | None) -> list[Block]:
    if palette is None:
        return []
    blocks = [("PLTE", palette[:, :3].tobytes())]
    if palette.shape[1] == 4:
        blocks.append(("tRNS", palette[:, 3].tobytes()))
    return blocks


def _chunk(block: Block) -> bytes:
    kind, data = block[0].encode("ascii"), block[1]
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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
