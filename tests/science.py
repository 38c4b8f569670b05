"""Files of scientific formats, made by the libraries that define them, or by description."""

import io
import struct

import h5py
import mrcfile
import numpy as np
from astropy.io import fits


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def mrc(array: np.ndarray, path, voxel_size: float = 1.5, extended: bytes = b"x" * 80) -> bytes:
    with mrcfile.new(path) as file:
        file.set_data(array)
        file.set_extended_header(np.frombuffer(extended, "V1"))
        file.header.exttyp = b"MRCO"
        file.voxel_size = voxel_size
        file.add_label("tilt series 7")
    return path.read_bytes()


def fits_file(*parts) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(parts)).writeto(stream)
    return stream.getvalue()


def hdf5(**arrays) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, array in arrays.items():
            data = file.create_dataset(name.replace("__", "/"), data=array)
            data.attrs["unit"] = "counts"
    return stream.getvalue()


def lif(**images: np.ndarray) -> bytes:
    """Return a LIF file of images (Z, Y, X) of 16 bits, half a micrometre from pixel to pixel."""
    blocks, elements = b"", ""
    for name, array in images.items():
        memory = array.astype("<u2").tobytes()
        block = f"MemBlock_{name}"
        head = struct.pack("<BQBI", 0x2A, len(memory), 0x2A, len(block))
        inner = head + block.encode("utf-16-le")
        blocks += struct.pack("<II", 0x70, len(inner)) + inner + memory
        step, dimensions = 2, ""
        for number, length in zip((1, 2, 3), array.shape[::-1], strict=True):
            dimensions += (
                f'<DimensionDescription DimID="{number}" NumberOfElements="{length}" Origin="0" '
                f'Length="{0.5e-6 * (length - 1)}" Unit="m" BitInc="0" BytesInc="{step}"/>'
            )
            step *= length
        elements += (
            f'<Element Name="{name}"><Data><Image><ImageDescription><Channels><ChannelDescription '
            'DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" Max="1" '
            'Unit="" LUTName="Green" IsLUTInverted="0" BytesInc="0" BitInc="0"/></Channels>'
            f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
            f'<Memory Size="{len(memory)}" MemoryBlockID="{block}"/></Element>'
        )
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project"><Children>'
        f"{elements}</Children></Element></LMSDataContainerHeader>"
    )
    text = xml.encode("utf-16-le")
    return struct.pack("<IIBI", 0x70, 5 + len(text), 0x2A, len(xml)) + text + blocks


def czi(array: np.ndarray) -> bytes:
    """Return a CZI file of an image (C, Y, X) of 16 bits, 0.1 um from pixel to pixel."""
    names = "".join(f'<Channel Name="stain {number}"/>' for number in range(len(array)))
    distances = "".join(f'<Distance Id="{axis}"><Value>1e-7</Value></Distance>' for axis in "XYZ")
    xml = (
        f"<ImageDocument><Metadata><Information><Image><Dimensions><Channels>{names}</Channels>"
        f"</Dimensions></Image></Information><Scaling><Items>{distances}</Items></Scaling>"
        "</Metadata></ImageDocument>"
    ).encode()

    def segment(name: bytes, data: bytes) -> bytes:
        padded = data.ljust(-(-len(data) // 32) * 32, b"\0")
        return struct.pack("<16sqq", name, len(padded), len(data)) + padded

    def entry(number: int, at: int) -> bytes:
        sizes = (("X", 0, array.shape[2]), ("Y", 0, array.shape[1]), ("C", number, 1))
        dimensions = b"".join(
            struct.pack("<4siifi", axis.encode(), start, size, 0.0, size)
            for axis, start, size in sizes
        )
        return struct.pack("<2siqiiB5xi", b"DV", 1, at, 0, 0, 0, len(sizes)) + dimensions

    start = 32 + 512
    metadata = segment(b"ZISRAWMETADATA", struct.pack("<ii248x", len(xml), 0) + xml)
    at, blocks, entries = start + len(metadata), b"", b""
    for number, plane in enumerate(array):
        entries += (one := entry(number, at + len(blocks)))
        pixels = plane.astype("<u2").tobytes()
        head = struct.pack("<iiq", 0, 0, len(pixels)) + one.ljust(240, b"\0")
        blocks += segment(b"ZISRAWSUBBLOCK", head + pixels)
    directory = segment(b"ZISRAWDIRECTORY", struct.pack("<i124x", len(array)) + entries)
    places = 0, at + len(blocks), start, 0, 0
    header = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, b"", b"", *places)
    return segment(b"ZISRAWFILE", header.ljust(512, b"\0")) + metadata + blocks + directory
