"""The size of a picture by what its file declares, without decoding it."""

from dataclasses import dataclass
from pathlib import Path

from quietpixel.files import vips
from quietpixel.files.formats import sniff
from quietpixel.files.headers import explain, open_page
from quietpixel.files.read import _naming, read_picture


@dataclass(frozen=True)
class Size:
    """Height and width of the first page in pixels, and whether it is in colour."""

    height: int
    width: int
    colour: bool


def read_size(path: Path) -> Size:
    """Return the size that a picture file declares; formats of a few bytes of header are read.

    Raises
    ------
    FileError, ImageError
        If it is no picture that can be read; damage that lies behind the header is not found.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.pgm").write_bytes(b"P5 2 1 255 \\x00\\xff")
    ...     read_size(Path(folder) / "a.pgm")
    Size(height=1, width=2, colour=False)
    """
    with _naming(path):
        name = sniff(vips.read_bytes(path, 0, 64))
        if name in ("bmp", "pnm"):
            picture = read_picture(path)
            height, width = picture.pages[0].shape[:2]
            return Size(height, width, colour=picture.colour == "rgb")
        try:
            image = open_page(name, path, 0)
        except vips.VipsError as error:
            raise explain(error) from error
    return Size(image.height, image.width, colour=image.bands >= 3)
