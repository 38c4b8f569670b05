"""An image file in memory: pixels, and everything else that the file carried."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ImageError

Pixels = NDArray[Any]
Block = tuple[str, bytes]
"""Type and content of a part of a file: a segment of a JPEG, a chunk of a PNG or WebP."""
MARK = "quietpixel:denoised"
"""The mark that results carry in their XMP, so that they are recognised wherever they lie."""
_MARKED = MARK.encode()
_MARK_PROPERTY = (
    b'<rdf:Description rdf:about="" xmlns:quietpixel="urn:quietpixel" %s="True"/>' % _MARKED
)
_XMP_END = b"</rdf:RDF>"
_XMP_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:'
    b'meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    + _XMP_END
    + b'</x:xmpmeta><?xpacket end="w"?>'
)
_MOST_XMP = 65_000
"""Bytes that fit into the one segment that a JPEG has for XMP."""


def first_block(blocks: Sequence[Block], kind: str, prefix: bytes = b"") -> bytes | None:
    """Return what follows `prefix` in the first block of a kind that begins with it.

    Examples
    --------
    >>> first_block([("e1", b"Exif..II"), ("e1", b"XMP..<x/>")], "e1", b"XMP..")
    b'<x/>'
    """
    found = (data for name, data in blocks if name == kind and data.startswith(prefix))
    data = next(found, None)
    return data[len(prefix) :] if data is not None else None


def drop_padding(tail: bytes, padding: bytes = b"\0") -> bytes:
    """Return what follows an image in its file; nothing if that is only padding.

    Examples
    --------
    >>> drop_padding(bytes(9)), drop_padding(b"\\0ftypmp42")
    (b'', b'\\x00ftypmp42')
    """
    return tail if tail.strip(padding) else b""


def put_block(
    blocks: tuple[Block, ...],
    kind: str,
    prefix: bytes,
    data: bytes | None,
    *,
    new_at: int | None = None,
) -> tuple[Block, ...]:
    """Return blocks in which the first of a kind that begins with `prefix` goes on with `data`.

    Parameters
    ----------
    blocks, kind, prefix
        As for `first_block`.
    data
        None changes nothing.
    new_at
        Where such a block is added if there is none; None to add none.

    Examples
    --------
    >>> put_block((("e1", b"Exif..II"), ("fe", b"")), "e1", b"Exif..", b"MM")
    (('e1', b'Exif..MM'), ('fe', b''))
    """
    found = (at for at, (name, old) in enumerate(blocks) if name == kind and old.startswith(prefix))
    at = next(found, None)
    before, after = (new_at, new_at) if at is None else (at, at + 1)
    if data is None or before is None:
        return blocks
    return (*blocks[:before], (kind, prefix + data), *blocks[after:])


@dataclass(frozen=True)
class Metadata:
    """What a file says about its image, as raw bytes wherever it is not a number.

    Parameters
    ----------
    icc, exif, xmp, iptc
        Profile and metadata as the standards define them (EXIF begins with its TIFF header).
    resolution
        Pixels per millimetre, horizontally and vertically.
    cicp
        Colour by numbers of ITU-T H.273 (nclx, cICP): primaries, transfer curve, matrix, and
        whether the range is full; (9, 16, 9, 1) is BT.2020 with PQ.
    orientation
        EXIF orientation, 1 to 8. Pixels are held as stored, so it comes out as it went in.
    blocks
        All blocks of the file that may be written back byte for byte, in order. These, `tail` and
        `native` reach only the writer of the image's own format.
    tail, tail_offset
        What follows the image in a file, such as a video, a gain map or a second view; and where
        it began in a JPEG, counted from the header of the MPF segment, or 0.
    directories
        The tags of each page of a TIFF (`quietpixel.files.tags.Directory`).
    native
        What else the writer of the format needs: header and further channels of an OpenEXR file.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    resolution: tuple[float, float] | None = None
    cicp: tuple[int, int, int, int] | None = None
    orientation: int = 1
    blocks: tuple[Block, ...] = field(default=(), repr=False)
    tail: bytes = field(default=b"", repr=False)
    tail_offset: int = 0
    directories: tuple[Any, ...] = field(default=(), repr=False)
    native: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Encoding:
    """How a file stored its pixels, so that the result can be stored the same way.

    Parameters
    ----------
    bits
        Bits per sample in the file.
    quality
        JPEG quality, 1 to 100, estimated from the file; None where unknown or lossless.
    subsampling
        JPEG chroma subsampling, such as ``"4:2:0"``.
    progressive
        Whether the file is a progressive JPEG or an interlaced PNG.
    lossless
        Whether the file stored its pixels without loss, as far as its format tells.
    compression
        TIFF compression, by libvips' name.
    predictor
        TIFF predictor: 1 none, 2 horizontal, 3 floating point.
    tile
        (width, height) of a TIFF's tiles, None for strips.
    bigtiff
        Whether a TIFF has 64-bit offsets.
    pyramid
        Where a TIFF has smaller copies of its pages: ``"pages"`` behind them, or ``"subpages"``
        below them; None where it has none that can be made anew.
    palette
        Whether the pixels were indices into a palette.
    premultiplied
        Whether the colours of the pages are multiplied by alpha ("associated", in a TIFF).
    delays, loop
        Milliseconds that each page of an animation is shown, and how often it runs; 0 for ever.
    cmyk
        CMYK pixels as stored, for each page; the pages of the image are RGB.
    """

    bits: int | None = None
    quality: int | None = None
    subsampling: str | None = None
    progressive: bool = False
    lossless: bool = True
    compression: str | None = None
    predictor: int = 1
    tile: tuple[int, int] | None = None
    bigtiff: bool = False
    pyramid: Literal["pages", "subpages"] | None = None
    palette: bool = False
    premultiplied: bool = False
    delays: tuple[int, ...] = ()
    loop: int = 0
    cmyk: tuple[Pixels, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Picture:
    """Pages of an image with everything else that their file carried.

    Parameters
    ----------
    pages
        One array (H, W, C) for each page, in the dtype of the file. C is 1 (gray), 2 (gray and
        alpha), 3 (RGB) or 4 (RGB and alpha). Rows are as stored: orientation is not applied.
    format
        Name of the format it was read from.
    colour
        ``"gray"`` or ``"rgb"``.
    alpha
        Whether the last channel is transparency.
    maximum
        The value that stands for white: 255, 65535, 1.0, or what the file declares.
    metadata, encoding
        What the file said and how it stored its pixels.
    notes
        Sentences for the user, for example on a name that promises another format.
    lost
        What the file holds and a result does not, such as "2 smaller copies".
    channels
        Number of the channel that each page shows, where a stack has several; else empty.
    suffix
        Suffix of the name of its file, such as ``".jpg"``; empty if none.

    Examples
    --------
    >>> picture = Picture.from_pixels(np.zeros((4, 6, 3), np.uint8))
    >>> picture.size, picture.colour, picture.dtype.name
    ((6, 4), 'rgb', 'uint8')
    """

    pages: tuple[Pixels, ...]
    format: str = "png"
    colour: Literal["gray", "rgb"] = "rgb"
    alpha: bool = False
    maximum: float = 255.0
    metadata: Metadata = Metadata()
    encoding: Encoding = Encoding()
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    suffix: str = ""

    @classmethod
    def from_pixels(cls, pixels: Pixels, *, format: str = "png", **fields: Any) -> "Picture":
        """Return an image of one page from an array (H, W) or (H, W, C) with 1 to 4 channels.

        Parameters
        ----------
        pixels
            The array.
        format
            Name of a format.
        **fields
            Other fields of the image, such as `metadata`.

        Raises
        ------
        ImageError
            If the shape is none of these.
        """
        page = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if page.ndim != 3 or not 1 <= page.shape[2] <= 4 or page.size == 0:
            raise ImageError(
                "`pixels` must have shape (H, W) or (H, W, C) with 1 to 4 channels and no empty "
                f"axis, because that is what image files hold; got {pixels.shape}."
            )
        return replace(cls((), format).with_pages([page]), **fields)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first page, in pixels."""
        return self.pages[0].shape[1], self.pages[0].shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self.pages[0].dtype

    @property
    def rgb_metadata(self) -> Metadata:
        """Metadata for the RGB pixels in another file: a CMYK profile does not describe them."""
        if self.encoding.cmyk is None:
            return self.metadata
        # Readers would take the RGB values for inks.
        return replace(self.metadata, icc=None)

    @property
    def declared_range(self) -> tuple[float, float] | None:
        """Black and white as the file declares them; None where they are those of the type."""
        # Only PNM declares a maximum, such as 1023 for 10 bits in 16.
        white = float(self.maximum)
        return None if white == white_of(self.dtype) else (0.0, white)

    def with_pixels(self, pages: Sequence[Pixels]) -> "Picture":
        """Return the same image with other pixels.

        Parameters
        ----------
        pages
            One array for each page, of the same shape and dtype as the page it replaces.

        Raises
        ------
        ImageError
            If the number of pages, a shape or a dtype differs.

        Examples
        --------
        >>> picture = Picture.from_pixels(np.zeros((4, 6, 3), np.uint8))
        >>> int(picture.with_pixels([page + 1 for page in picture.pages]).pages[0].max())
        1
        """
        if len(pages) != len(self.pages):
            raise ImageError(
                f"`pages` must hold one array for each page of the image, which has "
                f"{len(self.pages)}; got {len(pages)}."
            )
        # Writers rely on the type and size that the metadata describe.
        for old, new in zip(self.pages, pages, strict=True):
            if old.shape != new.shape or old.dtype != new.dtype:
                raise ImageError(
                    "`pages` must have the shape and dtype of the pages they replace, because the "
                    f"file keeps both; expected {old.dtype} {old.shape}, got {new.dtype} "
                    f"{new.shape}."
                )
        return replace(self, pages=tuple(pages))

    def with_pages(self, pages: Sequence[Pixels]) -> "Picture":
        """Return the same image with any other pages, from which kind and white follow."""
        channels = pages[0].shape[2]
        return replace(
            self,
            pages=tuple(pages),
            colour="gray" if channels < 3 else "rgb",
            alpha=channels in (2, 4),
            maximum=white_of(pages[0].dtype),
        )

    def with_type(self, pages: Sequence[Pixels]) -> "Picture":
        """Return the same image with pixels of the same values in another type."""
        encoding = replace(self.encoding, cmyk=None)
        return replace(self, pages=tuple(pages), encoding=encoding)

    def with_notes(self, *notes: str) -> "Picture":
        """Return the same image with more notes."""
        return replace(self, notes=self.notes + notes)


def white_of(dtype: np.dtype[Any]) -> float:
    """Return the value that stands for white in pixels of a type.

    Examples
    --------
    >>> white_of(np.dtype("uint16")), white_of(np.dtype("float32"))
    (65535.0, 1.0)
    """
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def change_bits(pixels: Pixels, bits: int, new: int) -> Pixels:
    """Return unsigned integers on the scale of `bits` bits, 16 at most, on that of `new` bits.

    Examples
    --------
    >>> change_bits(np.array([0, 1, 1023], np.uint16), 10, 16).tolist()
    [0, 64, 65535]
    """
    return rescale(pixels, 2**bits - 1, 2**new - 1)


def rescale(pixels: Pixels, white: int, new: int) -> Pixels:
    """Return unsigned integers of 16 bits or fewer whose white becomes `new`, also for lighter."""
    # Rounded: cutting 65535 values off to 256 would lose half a value in brightness.
    scaled = (pixels.astype(np.uint32) * new + white // 2) // white
    return np.minimum(scaled, new).astype(np.uint16)


def round_to_bits(pixels: Pixels, bits: int) -> Pixels:
    """Return 8-bit pixels rounded to the values that 1, 2 or 4 bits can hold.

    Examples
    --------
    >>> round_to_bits(np.array([0, 30, 100, 255], np.uint8), 2).tolist()
    [0, 0, 85, 255]
    """
    step = np.uint8(255 // (2**bits - 1))
    return np.rint(pixels / step).astype(np.uint8) * step


def describe_colour_numbers(metadata: Metadata) -> str:
    """Return colour numbers that change what an image looks like, in words; else nothing.

    Examples
    --------
    >>> describe_colour_numbers(Metadata(cicp=(9, 16, 9, 1)))
    'the colour numbers (primaries 9, transfer curve 16)'
    >>> describe_colour_numbers(Metadata(cicp=(1, 13, 6, 1)))
    ''
    """
    # 2 is unspecified; the curves 1 and 6 are shown like that of sRGB, 13.
    primaries, curve = metadata.cicp[:2] if metadata.cicp else (2, 2)
    if primaries in (1, 2) and curve in (1, 2, 6, 13):
        return ""
    return f"the colour numbers (primaries {primaries}, transfer curve {curve})"


def mark_xmp(xmp: bytes | None) -> bytes:
    """Return XMP, or a new packet, with the mark of a result; as it is where that cannot be put in.

    Examples
    --------
    >>> b"quietpixel:denoised" in mark_xmp(None)
    True
    """
    known = xmp or _XMP_PACKET
    if _MARKED in known or _XMP_END not in known or len(known) > _MOST_XMP:
        return known
    start, end = known.rsplit(_XMP_END, 1)
    return start + _MARK_PROPERTY + _XMP_END + end


def is_marked(picture: Picture) -> bool:
    """Return whether an image carries the mark of a result."""
    return _MARKED in (picture.metadata.xmp or b"")


def mark_as_result(picture: Picture) -> Picture:
    """Return the image with XMP that says it was denoised.

    Other XMP stays. XMP that cannot be read, or is too long for a JPEG, stays as it is; formats
    without XMP lose the mark when they are written. Such results are known by their content.

    Examples
    --------
    >>> marked = mark_as_result(Picture.from_pixels(np.zeros((4, 6), np.uint8)))
    >>> b"quietpixel:denoised" in marked.metadata.xmp
    True
    """
    metadata = replace(picture.metadata, xmp=mark_xmp(picture.metadata.xmp))
    return replace(picture, metadata=metadata)
