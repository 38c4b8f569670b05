"""NPY, MRC, FITS, HDF5, CZI and LIF through the command line, checked by other readers."""

import io
import json
import struct

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from astropy.io import fits

from quietpixel.errors import ImageError
from quietpixel.files import FORMATS, read_picture, read_size
from quietpixel.files.image_format import Format

from ..science import czi, fits_file, hdf5, lif, mrc, npy

RNG = np.random.default_rng(0)
STACK = (1000 + 500 * np.add.outer(np.arange(3), RNG.random((24, 32)))).astype(np.uint16)
RANGE = ("--range", "0,65535")
"""With which the halver halves every value."""


@pytest.mark.parametrize("dtype", ["bool", "int8", ">i2", "uint32", "float16", ">f4", "int64"])
def test_npy_keeps_type_shape_and_byte_order(quietpixel, halver, tmp_path, dtype) -> None:
    array = (100 * RNG.random((2, 24, 32))).astype(dtype)
    (tmp_path / "a.npy").write_bytes(npy(array))
    assert quietpixel("denoise", tmp_path / "a.npy", "--model", halver, *RANGE).code == 0
    result = np.load(tmp_path / "a-clean.npy")
    assert (result.dtype, result.shape) == (array.dtype, array.shape)
    if array.dtype != bool:
        assert np.abs(result.astype(float) - array / 2).max() <= 1


def test_npy_is_mapped_and_not_read(tmp_path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    page = read_picture(tmp_path / "a.npy").pages[1]
    assert isinstance(page.base, np.memmap)
    np.testing.assert_array_equal(page[..., 0], STACK[1])


DAMAGE = {
    "npy": (b"(40, 50)", b"(40, 50 "),
    "fits": (b"SIMPLE  =                    T", b"SIMPLE  =                    F"),
    "tif": (struct.pack("<HHII", 277, 3, 1, 1), struct.pack("<HHII", 277, 3, 1, 0)),
}
"""Bytes to exchange; libraries raise a TokenError, AttributeError and ValueError."""


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_of_any_kind_stops_no_folder(quietpixel, halver, tmp_path, kind) -> None:
    image, stream = np.random.default_rng(0).random((40, 50)), io.BytesIO()
    writers = {"npy": np.save, "tif": tifffile.imwrite}
    write = writers.get(kind, lambda file, array: fits.PrimaryHDU(array).writeto(file))
    write(stream, image)
    content = stream.getvalue()
    assert DAMAGE[kind][0] in content
    (tmp_path / f"a.{kind}").write_bytes(content.replace(*DAMAGE[kind]))
    np.save(tmp_path / "b.npy", image)
    outcome = quietpixel("denoise", tmp_path, "--model", halver)
    assert outcome.code == 1
    assert f"a.{kind}' cannot be read: the file is damaged" in outcome.err
    assert "1 of 2 images are done" in outcome.err


def test_columns_that_lie_together_are_read_as_such(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(STACK[0]))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.npy").pages[0][..., 0], STACK[0])


def test_objects_in_npy_are_refused() -> None:
    with pytest.raises(ImageError, match="values are of type object; convert them to integers"):
        read_picture(npy(np.full((4, 4), None)))


def test_axes_say_which_dimension_is_which(quietpixel, halver, tmp_path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(np.moveaxis(STACK, 0, 1)))
    words = ("denoise", tmp_path / "a.npy", "--model", halver, *RANGE, "--axes", "ycx")
    assert quietpixel(*words, "--json", tmp_path / "a.json").code == 0
    result = np.load(tmp_path / "a-clean.npy")
    assert np.abs(result - np.moveaxis(STACK, 0, 1) / 2).max() <= 1
    assert len(json.loads((tmp_path / "a.json").read_text())["files"][0]["scale"]) == 3


def test_a_note_names_its_channel(quietpixel, tmp_path) -> None:
    noise = np.random.default_rng(0).normal(0, 40, (2, 64, 64))
    stack = (np.array([900, 9000])[:, None, None] + noise).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": "CYX"})
    np.save(tmp_path / "a.npy", stack)
    for words in (["a.ome.tif"], ["a.npy", "--axes", "cyx"]):
        outcome = quietpixel("denoise", tmp_path / words[0], *words[1:])
        assert outcome.code == 0
        assert "Channel 1: Intensity scale: black 7" in outcome.err
        assert "Channel 2: Intensity scale: black 8" in outcome.err


def test_mrc_keeps_both_headers(quietpixel, halver, tmp_path) -> None:
    mrc(STACK, tmp_path / "a.mrc")
    assert quietpixel("denoise", tmp_path / "a.mrc", "--model", halver, *RANGE).code == 0
    with mrcfile.open(tmp_path / "a-clean.mrc") as file:
        assert np.abs(file.data - STACK / 2).max() <= 1
        assert file.data.dtype == np.uint16
        assert file.voxel_size.x == pytest.approx(1.5)
        assert file.extended_header.tobytes() == b"x" * 80
        assert b"tilt series 7" in file.header.label.tobytes()
        assert file.header.dmean == pytest.approx(file.data.mean(), rel=1e-5)
    assert mrcfile.validate(tmp_path / "a-clean.mrc", io.StringIO())


def test_few_columns_of_mrc_and_fits_are_no_samples(tmp_path) -> None:
    columns = np.moveaxis(STACK, 0, -1).copy()
    for content in (mrc(columns, tmp_path / "a.mrc"), fits_file(fits.PrimaryHDU(columns))):
        pages = read_picture(content).pages
        assert (len(pages), pages[0].shape) == (24, (32, 3, 1))


def test_fits_keeps_headers_and_all_other_parts(quietpixel, halver, tmp_path) -> None:
    science = fits.ImageHDU(STACK[0], name="SCI")
    science.header["EXPTIME"] = 30.5
    table = fits.BinTableHDU.from_columns([fits.Column("flux", "E", array=[1.5, 2.5])], name="CAT")
    parts = fits.PrimaryHDU(), science, fits.ImageHDU(STACK[1] * 1.0, name="ERR"), table
    (tmp_path / "a.fits").write_bytes(fits_file(*parts))
    done = quietpixel("denoise", tmp_path / "a.fits", "--model", halver, *RANGE)
    assert done.code == 0
    assert "Only the first image was denoised; left unchanged: 'ERR'." in done.err
    with fits.open(tmp_path / "a-clean.fits") as file:
        file.verify("exception")
        assert np.abs(file["SCI"].data - STACK[0] / 2).max() <= 1
        assert file["SCI"].data.dtype == np.uint16
        assert file["SCI"].header["EXPTIME"] == 30.5
        np.testing.assert_array_equal(file["ERR"].data, STACK[1])
        assert file["CAT"].data["flux"].tolist() == [1.5, 2.5]


def test_a_part_of_fits_is_named_after_the_file(quietpixel, halver, tmp_path) -> None:
    parts = fits.PrimaryHDU(), fits.ImageHDU(STACK[0], name="A"), fits.ImageHDU(STACK[1], name="B")
    (tmp_path / "a.fits").write_bytes(fits_file(*parts))
    assert quietpixel("denoise", f"{tmp_path}/a.fits::B", "--model", halver, *RANGE).code == 0
    with fits.open(tmp_path / "a-clean.fits") as file:
        np.testing.assert_array_equal(file["A"].data, STACK[0])
        assert np.abs(file["B"].data - STACK[1] / 2).max() <= 1


def test_compressed_fits_with_blank_pixels_and_a_checksum(quietpixel, halver, tmp_path) -> None:
    values = STACK[0].astype(np.int16)
    part = fits.CompImageHDU(values)
    part.header["BLANK"] = int(values[3, 4])
    values = np.where(values == values[3, 4], np.nan, values)
    fits.HDUList([fits.PrimaryHDU(), part]).writeto(tmp_path / "a.fits", checksum=True)
    assert quietpixel("denoise", tmp_path / "a.fits", "--model", halver, *RANGE).code == 0
    with fits.open(tmp_path / "a-clean.fits", checksum=True) as file:  # a wrong one would warn
        assert isinstance(file[1], fits.CompImageHDU)
        np.testing.assert_array_equal(np.isnan(file[1].data), np.isnan(values))
        # astropy stores floats in steps of a sixteenth of their noise.
        assert np.nanmax(np.abs(file[1].data - values / 2)) < np.nanstd(values) / 16
    with fits.open(tmp_path / "a-clean.fits", disable_image_compression=True) as file:
        assert all("CHECKSUM" in part.header for part in file)


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("dtype", ["uint16", "uint32", "scaled"])
def test_fits_of_scaled_integers_keeps_its_values(
    quietpixel, halver, tmp_path, dtype: str, floats: bool
) -> None:
    """The zero point of the source, such as 32768 for uint16, was added to floats once more."""
    image = STACK[0].astype(np.float32 if dtype == "scaled" else dtype)
    part = fits.PrimaryHDU(image)
    if dtype == "scaled":
        part.scale("int16", bscale=0.5, bzero=100)
    part.writeto(tmp_path / "a.fits")
    words = ("--dtype", "float32") if floats else ()
    done = quietpixel("denoise", tmp_path / "a.fits", "--model", halver, *RANGE, *words)
    assert done.code == 0
    result = fits.getdata(tmp_path / "a-clean.fits")
    assert (result.dtype.kind == "f") == (floats or dtype == "scaled")
    np.testing.assert_allclose(result, STACK[0] / 2, atol=0.5)


@pytest.mark.parametrize("name", ["a.ome.tif", "a.zarr", "a.czi"])
def test_axes_that_contradict_the_file_are_named(quietpixel, halver, tmp_path, name) -> None:
    """They were ignored, or won, without a word."""
    if name.endswith("tif"):
        tifffile.imwrite(tmp_path / name, np.stack([STACK, STACK]), metadata={"axes": "CZYX"})
    elif name.endswith("zarr"):
        stack = np.stack([STACK, STACK])
        zarr.create_array(tmp_path / name, data=stack, dimension_names=list("czyx"))
    else:
        (tmp_path / name).write_bytes(czi(STACK))
    stated, given = ("cyxs", "zyxs") if name.endswith("czi") else ("czyx", "tzyx")
    shown = "zyx" if name.endswith("tif") else given  # without time, of which there is none
    words = "denoise", tmp_path / name, "--model", halver, *RANGE, "--overwrite", "--axes"
    note = f"The axes are {shown} as given by --axes, and not {stated} as the image states."
    assert note in quietpixel(*words, given).err
    assert "The axes are" not in quietpixel(*words, stated).err
    if not name.endswith("tif"):
        assert "--axes must name each dimension, and s only" in quietpixel(*words, "yx").err
    refused = quietpixel(*words, "zy")
    assert refused.code == 2
    assert "--axes must name each dimension by a letter of its own, y and x among" in refused.err


def test_axes_without_an_effect_are_named(quietpixel, halver, gray, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", np.stack([STACK, STACK]), metadata={"axes": "CZYX"})
    done = quietpixel("denoise", tmp_path / "a.ome.tif", "--model", halver, "--axes", "zcyx")
    note = "The axes are czyx as the image states, and not zcyx as given by --axes."
    assert (done.code, note in done.err) == (0, True)
    done = quietpixel("denoise", gray, "--model", halver, "--axes", "zyx")
    assert (done.code, "--axes has no effect on PNG" in done.err) == (0, True)


def test_hdf5_keeps_everything_but_the_image(quietpixel, halver, tmp_path) -> None:
    content = hdf5(entry__data=STACK, entry__angles=np.arange(3.0), table=np.ones((5, 2)))
    (tmp_path / "a.h5").write_bytes(content)
    assert quietpixel("denoise", tmp_path / "a.h5", "--model", halver, *RANGE).code == 0
    with h5py.File(tmp_path / "a-clean.h5") as file:
        assert np.abs(file["entry/data"][...] - STACK / 2).max() <= 1
        assert file["entry/data"].attrs["unit"] == "counts"
        assert file["entry/angles"][...].tolist() == [0, 1, 2]
        assert (file["table"][...] == 1).all()


def test_a_data_set_of_several_is_named_after_the_file(quietpixel, halver, tmp_path) -> None:
    (tmp_path / "a.h5").write_bytes(hdf5(dark=STACK[0], light=STACK[1]))
    refused = quietpixel("denoise", tmp_path / "a.h5", "--model", halver)
    assert refused.code == 2
    assert "such as 'file.h5::/dark'. Data sets with rows and columns: /dark, /light" in refused.err
    words = f"{tmp_path}/a.h5::/light", "--model", halver, *RANGE, "--dtype", "float32"
    assert quietpixel("denoise", *words).code == 0
    with h5py.File(tmp_path / "a-clean.h5") as file:
        np.testing.assert_array_equal(file["dark"], STACK[0])
        assert file["light"].dtype == np.float32
        assert file["light"].attrs["unit"] == "counts"
        np.testing.assert_allclose(file["light"], STACK[1] / 2, atol=0.5)


@pytest.mark.parametrize("floats", [False, True])
def test_a_data_set_is_stored_as_it_was(quietpixel, halver, tmp_path, floats: bool) -> None:
    stored = {"chunks": (1, 24, 16), "maxshape": (None, 24, 32), "compression": "gzip"}
    stored |= {"compression_opts": 7, "shuffle": True, "fletcher32": True, "fillvalue": 9}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("entry/data", data=STACK, **stored).attrs["unit"] = "counts"
    words = ("--dtype", "float32") if floats else ()
    assert quietpixel("denoise", tmp_path / "a.h5", "--model", halver, *RANGE, *words).code == 0
    with h5py.File(tmp_path / "a-clean.h5") as file:
        data = file["entry/data"]
        assert {name: getattr(data, name) for name in stored} == stored
        assert dict(data.attrs) == {"unit": "counts"}
        assert data.dtype == (np.float32 if floats else np.uint16)
        np.testing.assert_allclose(data, STACK / 2, atol=0.5)
        assert list(file["entry"]) == ["data"]


def test_pixels_in_other_files_are_refused(tmp_path) -> None:
    (tmp_path / "secret").write_bytes(STACK.tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "x", STACK.shape, STACK.dtype, external=[(tmp_path / "secret", 0, STACK.nbytes)]
        )
    with pytest.raises(ImageError, match="the pixels of /x lie in other files"):
        read_picture(tmp_path / "a.h5")


@pytest.mark.parametrize("kind", ["czi", "lif"])
def test_files_of_microscopes_become_ome_tiff(quietpixel, halver, tmp_path, kind) -> None:
    content = czi(STACK) if kind == "czi" else lif(one=STACK)
    axes, micrometres = ("CYX", 0.1) if kind == "czi" else ("ZYX", 0.5)
    (tmp_path / f"a.{kind}").write_bytes(content)
    size = read_size(tmp_path / f"a.{kind}")
    assert (size.height, size.width, size.pages) == (24, 32, 3)
    done = quietpixel("denoise", tmp_path / f"a.{kind}", "--model", halver, *RANGE)
    assert done.code == 0
    with tifffile.TiffFile(tmp_path / "a-clean.tif") as file:
        assert (file.series[0].axes, file.series[0].shape) == (axes, STACK.shape)
        assert np.abs(file.asarray() - STACK / 2).max() <= 1
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{axis}"] for axis in "XYZ"] == [micrometres] * 3
    if kind == "czi":
        assert [each["Name"] for each in pixels["Channel"]] == ["stain 0", "stain 1", "stain 2"]
    result = (tmp_path / "a-clean.tif").read_bytes()
    again = ("--model", halver, *RANGE, "--overwrite")
    assert quietpixel("denoise", tmp_path / f"a.{kind}", *again).code == 0
    assert (tmp_path / "a-clean.tif").read_bytes() == result, "the same input gives the same bytes"


def test_an_image_of_a_lif_file_is_named_after_the_file(tmp_path) -> None:
    (tmp_path / "a.lif").write_bytes(lif(one=STACK, two=STACK[::-1]))
    page = read_picture(f"{tmp_path}/a.lif::two").pages[0]
    np.testing.assert_array_equal(page[..., 0], STACK[2])
    with pytest.raises(ImageError, match=r"It holds 'one', 'two'\."):
        read_picture(tmp_path / "a.lif")


def test_nd2_is_read_as_its_library_says(monkeypatch) -> None:
    class Recording:
        dtype, metadata = np.dtype(np.uint16), None

        def __init__(self, file):
            self.sizes = {"T": 2, "C": 2, "Y": 3, "X": 4}

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def voxel_size(self):
            return 0.25, 0.25, 1.0

        def asarray(self):
            return np.arange(48, dtype=np.uint16).reshape(2, 2, 3, 4)

    monkeypatch.setattr("nd2.ND2File", Recording)
    picture = read_picture(b"\xda\xce\xbe\x0a" + bytes(100))
    assert picture.channels == (0, 0, 1, 1)
    assert [int(page[0, 0, 0]) for page in picture.pages] == [0, 24, 12, 36]
    text = picture.metadata.directories[0].block(270)
    assert b'SizeC="2" SizeZ="2" SizeT="1" PhysicalSizeX="0.25"' in text
    assert b'PhysicalSizeZ="1"' in text


@pytest.mark.parametrize("name", ["mrc", "fits", "hdf5", "czi", "nd2", "lif"])
def test_without_the_extra_the_format_and_the_install_line_are_named(
    quietpixel, tmp_path, monkeypatch, name
) -> None:
    kind = FORMATS[name]
    remedy = property(lambda self: f"pip install 'quietpixel[{self.package[1]}]'")
    monkeypatch.setattr(Format, "remedy", remedy)
    heads = {"mrc": bytes(208) + b"MAP ", "fits": b"SIMPLE  =", "hdf5": b"\x89HDF\r\n\x1a\n",
             "czi": b"ZISRAWFILE", "nd2": b"\xda\xce\xbe\x0a", "lif": b"\x70\0\0\0"}  # fmt: skip
    (tmp_path / f"a.{name}").write_bytes(heads[name].ljust(600, b"\0"))
    done = quietpixel("denoise", tmp_path / f"a.{name}")
    assert done.code == 2
    text = f"{kind.title} files need an optional package; install it with pip install"
    assert f"{text} 'quietpixel[science]'" in done.err


def test_every_page_of_an_array_is_measured(quietpixel, tmp_path) -> None:
    pages = np.stack([np.full((64, 64), 1000.0), RNG.normal(1000, 50, (64, 64))])
    (tmp_path / "a.h5").write_bytes(hdf5(a=pages.astype(np.float32), b=pages))
    done = quietpixel("noise", f"{tmp_path}/a.h5::a", "--range", "0,4000", "--json", "-")
    assert done.code == 0
    # Of the first page alone it would be 0.
    assert json.loads(done.out)[0]["counts"]["sigma"] == pytest.approx(50, rel=0.1)


def test_an_array_without_pixels_is_refused(quietpixel, tmp_path) -> None:
    np.save(tmp_path / "empty.npy", np.zeros((0, 5)))
    outcome = quietpixel("denoise", tmp_path / "empty.npy")
    assert outcome.code == 2
    assert "at least one row and one column; give it two dimensions or more, none of them" in (
        outcome.err
    )
