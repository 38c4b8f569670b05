"""Files of microscopes: Zeiss CZI, Nikon ND2, Leica LIF. They are only read; results are OME-TIFF.

None of the programs that write them runs here, so the tests know files made to the descriptions
that the readers follow, not those of instruments.
"""

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any
from xml.etree import ElementTree

from quietpixel.array_types import NUMBERS
from quietpixel.errors import FileError, ImageError, QuietpixelError
from quietpixel.files import vips
from quietpixel.files.array_pages import ArrayForm, StoredArray, array_format, describe_array
from quietpixel.files.image_format import Format, ReadLimits, Source, starts_with
from quietpixel.files.picture import Metadata, Pixels
from quietpixel.files.tags import Directory, Tag
from quietpixel.imaging.axes import compare_axes

_DESCRIPTION = 270
_TYPES = {"float32": "float", "float64": "double"}
"""Names of OME for types that it calls otherwise."""


@dataclass(frozen=True)
class _Recording:
    """What a file holds: letters and lengths of its dimensions, and a function for the pixels."""

    sizes: dict[str, int]
    dtype: Any
    load: Callable[[], Pixels]
    pixel_size: dict[str, float]
    """Micrometres along X, Y and Z, as far as they are known."""
    channel_names: tuple[str, ...]


_Opener = Callable[[Source, str | None], AbstractContextManager[_Recording]]


@contextlib.contextmanager
def _open_czi(source: Source, part: str | None) -> Iterator[_Recording]:
    import czifile

    content = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    # Other files of a recording lie beside it.
    with czifile.CziFile(content, multifile=not isinstance(source, bytes)) as file:
        text = file.metadata() if file.header.metadata_position else None
        root = ElementTree.fromstring(text or "<none/>")
        sides = {axis: root.find(f".//Scaling//Distance[@Id='{axis}']/Value") for axis in "XYZ"}
        names = [each.get("Name", "") for each in root.iterfind(".//Image//Channels/Channel")]
        letters = file.axes.replace("S", "P").replace("0", "S")  # S is a scene there
        yield _Recording(
            dict(zip(letters, file.shape, strict=True)),
            file.dtype,
            file.asarray,
            {axis: 1e6 * float(side.text or 0) for axis, side in sides.items() if side is not None},
            tuple(names),
        )


@contextlib.contextmanager
def _open_nd2(source: Source, part: str | None) -> Iterator[_Recording]:
    import nd2

    with nd2.ND2File(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
        channels = getattr(file.metadata, "channels", None) or ()
        yield _Recording(
            dict(file.sizes),
            file.dtype,
            file.asarray,
            dict(zip("XYZ", file.voxel_size(), strict=True)),
            tuple(each.channel.name for each in channels),
        )


@contextlib.contextmanager
def _open_lif(source: Source, part: str | None) -> Iterator[_Recording]:
    import liffile

    # Opened here, because liffile would ask for the suffix.
    with vips.open_binary(source) as content, liffile.LifFile(content) as file:
        named = {image.name: image for image in file.images}
        chosen = [*named] if part is None else [name for name in named if name == part]
        if len(chosen) != 1:
            names = ", ".join(f"'{name}'" for name in named)
            raise ImageError(
                f"it holds {len(named)} images; name one after the file, such as 'file.lif::NAME'. "
                f"It holds {names or 'none'}."
            )
        image = named[chosen[0]]
        sides = {axis: image.coords[axis] for axis in "XYZ" if axis in image.coords}
        yield _Recording(
            dict(image.sizes),
            image.dtype,
            image.asarray,
            {axis: 1e6 * float(at[1] - at[0]) for axis, at in sides.items() if len(at) > 1},
            (),
        )


@contextlib.contextmanager
def _open(open_file: _Opener, source: Source, limits: ReadLimits) -> Iterator[StoredArray]:
    """Give what the file holds; errors of the readers, which are of any kind, become sentences."""
    try:
        with open_file(source, limits.part) as recording:
            form, notes = _describe(recording, limits.axes)
            text = describe_ome(form, recording.pixel_size, recording.channel_names)
            data = text.encode("ascii", "xmlcharrefreplace") + b"\0"
            first = Directory({_DESCRIPTION: Tag(2, len(data), data)})
            directories = (first, *[Directory({})] * (form.size().pages - 1))
            metadata = Metadata(directories=directories)
            yield StoredArray(form, lambda: recording.load().reshape(form.shape), metadata, notes)
    except (QuietpixelError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:100].rstrip(".") or type(error).__name__
        raise FileError(
            f"the file is damaged, cut short or of an unknown version ({reason}); save it as "
            "OME-TIFF, for example with Bio-Formats in Fiji."
        ) from error


def _describe(recording: _Recording, letters: str | None) -> tuple[ArrayForm, tuple[str, ...]]:
    """Return the form of the recording, and notes; dimensions not named by a letter get one."""
    given = [name.lower() for name in recording.sizes]
    free = iter(letter for letter in "abdefghijklmnopqruvw" if letter not in given)
    named = [name if re.fullmatch("[a-z]", name) else next(free) for name in given]
    shape = tuple(recording.sizes.values())
    stated = "".join(named)
    form = describe_array(shape, recording.dtype, letters or stated)
    return form, compare_axes(letters, stated)


def describe_ome(
    form: ArrayForm, pixel_size: Mapping[str, float], channel_names: Sequence[str]
) -> str:
    """Return the OME-XML of the pages that an array is cut into.

    Parameters
    ----------
    form
        The array. OME knows depth, time and channels: planes that are not the last dimension before
        the rows count as time.
    pixel_size
        Micrometres along X, Y and Z, as far as they are known; 0 is not.
    channel_names
        One for each channel, as far as they are known.
    """
    from xml.sax.saxutils import quoteattr  # loads urllib too, 22 ms of every start

    axes, size = form.axes, form.size()
    channels = 1 if axes.channels is None else form.shape[axes.channels]
    outer = [axis for axis in range(len(form.shape)) if axis not in (*axes.inner, axes.channels)]
    depth = form.shape[outer[-1]] if outer else 1
    samples = 1 if axes.colours is None else form.shape[axes.colours]
    kind = form.dtype.name
    attributes = {
        "ID": "Pixels:0", "DimensionOrder": "XYZTC", "Type": _TYPES.get(kind, kind),
        "SizeX": size.width, "SizeY": size.height, "SizeC": channels * samples, "SizeZ": depth,
        "SizeT": size.pages // (channels * depth),
    }  # fmt: skip
    for axis, micrometres in pixel_size.items():
        if micrometres:
            name = f"PhysicalSize{axis}"
            attributes |= {name: f"{micrometres:.6g}", f"{name}Unit": "µm"}
    names = [*channel_names, *[""] * channels][:channels]
    elements = "".join(
        f'<Channel ID="Channel:0:{number}" SamplesPerPixel="{samples}"'
        f"{f' Name={quoteattr(name)}' if name else ''}/>"
        for number, name in enumerate(names)
    )
    pixels = " ".join(f"{key}={quoteattr(str(value))}" for key, value in attributes.items())
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels {pixels}>{elements}<TiffData/></Pixels></Image></OME>'
    )


def _record(name: str, title: str, package: str, mark: bytes, open_file: _Opener) -> Format:
    return array_format(
        partial(_open, open_file),
        name=name,
        title=title,
        suffixes=(f".{name}",),
        media_type=f"image/x-{name}",
        recognise=starts_with(mark),
        named_images=name == "lif",
        replacement="tiff",
        package=(package, "science"),
        tested=False,
        dtypes=tuple(kind for kind in NUMBERS if kind != "bool"),
        name_own=lambda metadata: ("the settings of the microscope",),
    )


FORMATS = (
    _record("czi", "Zeiss CZI", "czifile", b"ZISRAWFILE", _open_czi),
    _record("nd2", "Nikon ND2", "nd2", b"\xda\xce\xbe\x0a", _open_nd2),
    _record("lif", "Leica LIF", "liffile", b"\x70\0\0\0", _open_lif),
)
