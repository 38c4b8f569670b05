"""All types of numbers, in either byte order, with holes: from arrays, TIFF files and blocks."""

import json
import re
from pathlib import Path

import dask.array
import numpy as np
import pytest
import tifffile
import zarr

import quietpixel
from quietpixel import DenoiseOptions, Denoiser, measure_noise
from quietpixel.cli.main import main
from quietpixel.errors import ImageError, UnknownNameError
from quietpixel.files import read_picture, write_picture

SIDE = 96
SCENE = 0.5 + 0.3 * np.sin(np.add.outer(np.arange(SIDE), 2 * np.arange(SIDE)) / 15)
NOISY = SCENE + 0.06 * np.random.default_rng(0).standard_normal(SCENE.shape)
UNITS = {
    "int8": (200, -100), "uint8": (255, 0), "int16": (900, -300), "uint16": (900, 100),
    "int32": (1e6, -3e5), "uint32": (4e9, 0), "int64": (1000, 2**50), "uint64": (1e6, 2**40),
    "float16": (50, 100), "float32": (1e-6, 0), "float64": (1e9, -5e9),
}  # fmt: skip
"""A width of the scene and an offset for each type."""
HOLES = np.zeros(SCENE.shape, bool)
HOLES[:9], HOLES[50, 40] = True, True
every_type = pytest.mark.parametrize(
    ("name", "order"),
    [
        *((name, "<") for name in UNITS),
        ("uint16", ">"),
        *(pytest.param(each, ">", marks=pytest.mark.slow) for each in UNITS if each != "uint16"),
    ],
)


@pytest.fixture(scope="module")
def photo() -> Denoiser:
    return Denoiser("photo", precision="f32")


def in_type(dtype: str, image: np.ndarray = NOISY) -> np.ndarray:
    factor, offset = UNITS[np.dtype(dtype).name]
    values = image * factor
    if np.dtype(dtype).kind in "ui":
        return (np.rint(values).astype(np.int64) + int(offset)).astype(dtype)
    return (values + offset).astype(dtype)


def error(image: np.ndarray, where: np.ndarray | bool = True) -> float:
    """Return the root of the mean squared error in widths of the scene."""
    factor, offset = UNITS[image.dtype.name]
    values = (image.astype(np.float64) - offset) / factor
    return float(np.sqrt(np.mean((values - SCENE) ** 2, where=where)))


@every_type
def test_every_type_is_denoised_and_comes_back(photo: Denoiser, name: str, order: str) -> None:
    noisy = in_type(np.dtype(name).newbyteorder(order).str)
    result = photo(noisy)
    assert result.dtype == noisy.dtype
    assert error(result) < 0.5 * error(noisy)
    stack = photo.batch(noisy[np.newaxis, ..., np.newaxis])
    assert error(stack[0, ..., 0]) < 0.5 * error(noisy)


def test_bool_is_decided_by_the_middle(photo: Denoiser) -> None:
    flipped = np.random.default_rng(1).random(SCENE.shape) < 0.03
    clean = SCENE > 0.5
    result = photo(clean ^ flipped, sigma=0.3)
    assert result.dtype == bool
    assert (result != clean).sum() < 0.6 * flipped.sum()


def test_edges_of_a_bool_image_are_no_noise(
    photo: Denoiser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clean disc had very strong, coarse noise of 58/255, of which 47/255 were left."""
    y, x = np.mgrid[:256, :256]
    disc = np.hypot(x - 128, y - 128) < 60
    found = photo.denoise(disc)
    np.testing.assert_array_equal(found.image, disc)
    assert (found.noise.sigma, found.noise.kinds, found.notes) == (None, (), ())
    flipped = photo.denoise(disc ^ (np.random.default_rng(0).random(disc.shape) < 0.03))
    assert (found.noise.sigma, flipped.noise.kinds) == (None, ("impulses",))
    assert (flipped.image != disc).mean() < 0.003
    zarr.save_array(tmp_path / "a.zarr", disc)
    assert main(["denoise", str(tmp_path / "a.zarr"), "-o", str(tmp_path / "b.zarr")]) == 0
    assert "noise not measured" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "offset"), [("uint64", 2**60), ("int64", -(2**62))])
def test_whole_numbers_that_no_float_holds(photo: Denoiser, name: str, offset: int) -> None:
    """Rounded to multiples of 256, results were worse than the input."""
    noisy = np.rint(1000 * NOISY).astype(np.int64)
    result = photo(noisy.astype(name) + np.array(offset, name)) - np.array(offset, name)
    wrong = [each.astype(np.int64) - 1000 * SCENE for each in (result, photo(noisy), noisy)]
    far, near, before = (float(np.sqrt(np.mean(each**2))) for each in wrong)
    assert far < 1.1 * near < 0.5 * before


@pytest.mark.parametrize(("name", "offset"), [("uint64", 2**63 + 9), ("int64", -(2**63))])
def test_whole_numbers_too_close_for_their_size_are_named(photo, name: str, offset: int) -> None:
    noisy = np.rint(50 * NOISY).clip(0, 50).astype(name) + np.array(offset, name)
    result = photo.denoise(noisy)
    np.testing.assert_array_equal(result.image, noisy)
    assert result.notes == (
        "The values lie within 2,048 of each other, too close for numbers of their size, so "
        "nothing was removed; subtract the smallest one first.",
    )
    assert photo.denoise(np.full((32, 32), 2**40, name)).notes == ()


@pytest.mark.parametrize("offset", [2**40, 2**63 + 5])
def test_a_large_offset_changes_no_number(photo: Denoiser, offset: int) -> None:
    """The noise was measured as 0; at the larger one, results were worse than the input."""
    y, x = np.mgrid[:96, :96]
    clean = 1000 + 20 * x + 300 * np.sin(y / 9)
    noisy = np.rint(clean + np.random.default_rng(0).normal(0, 100, clean.shape)).astype(np.uint64)
    far = noisy + np.uint64(offset)
    plain, moved = (measure_noise(each).counts["sigma"] for each in (noisy, far))
    assert moved == pytest.approx(plain, rel=0.01) == pytest.approx(100, rel=0.05)
    result = photo(far) - np.uint64(offset)
    assert np.sqrt(np.mean((result.astype(np.int64) - clean) ** 2)) < 20
    notes = photo.denoise(far, DenoiseOptions(dtype="float32")).notes
    assert re.search("float32 holds .* has lost detail; omit `dtype`", " ".join(notes))
    assert "lost" not in " ".join(photo.denoise(noisy, DenoiseOptions(dtype="float32")).notes)


def test_numbers_of_64_bits_have_notes_that_can_be_read(photo) -> None:
    """Black equalled white, and a level such as 2.55e-13/255 was proposed."""
    rng, clean = np.random.default_rng(0), np.kron(SCENE[::8, ::8], np.ones((8, 8)))
    noisy = np.rint(4e4 * clean + rng.normal(0, 3000, clean.shape)).clip(0)
    notes = " ".join(photo.denoise(noisy.astype(np.uint64) + np.uint64(2**60)).notes)
    black, white = (int(each) for each in re.findall(r"\d{19}", notes))
    assert black < 2**60 + 5000 < 2**60 + 35000 < white
    assert "e-" not in notes


@pytest.mark.parametrize("black", [-94.5, -0.5, 0.5])
def test_black_with_a_fraction_is_that_of_every_whole_number(photo: Denoiser, black: float) -> None:
    counts = np.rint(20 * NOISY)
    results = [photo(counts.astype(name), range=(black, 20.0)) for name in ("int32", "int64")]
    np.testing.assert_array_equal(*results)


def test_results_with_fractions_on_request(photo: Denoiser) -> None:
    noisy = in_type("uint16")
    options = quietpixel.DenoiseOptions(dtype="float32")
    result = photo.denoise(noisy, options).image
    assert result.dtype == np.float32
    np.testing.assert_array_equal(np.rint(result), photo(noisy))
    assert (result != np.rint(result)).mean() > 0.9
    out = np.empty(noisy.shape, np.float32)
    photo.denoise(noisy, options, out=out)
    np.testing.assert_array_equal(out, result)
    with pytest.raises(UnknownNameError, match="Unknown dtype 'float33': did you mean 'float32'"):
        quietpixel.DenoiseOptions(dtype="float33")


@every_type
def test_every_type_of_tiff_is_denoised(tmp_path: Path, name: str, order: str) -> None:
    noisy = in_type(name)
    tifffile.imwrite(tmp_path / "a.tif", noisy, byteorder=order)
    assert main(["denoise", str(tmp_path / "a.tif"), "--model", "photo"]) == 0
    result = tifffile.imread(tmp_path / "a-clean.tif")
    assert result.dtype == noisy.dtype
    assert error(result) < 0.5 * error(noisy)


def test_half_floats_in_separate_planes_are_read(tmp_path: Path) -> None:
    planes = np.random.default_rng(2).random((3, 8, 9)).astype(np.float16)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pages[0], np.moveaxis(planes, 0, -1))
    assert [note for note in picture.notes if "(planar configuration 1)" in note]
    write_picture(picture, tmp_path / "b.tif")
    np.testing.assert_array_equal(read_picture(tmp_path / "b.tif").pages[0], picture.pages[0])


@pytest.mark.parametrize("metadata", [{}, {"axes": "TSYX", "dose": [3, 8, 9]}])
def test_the_shape_that_tifffile_describes_follows_the_samples(tmp_path: Path, metadata) -> None:
    """It named planes that the result no longer had, of which tifffile warned."""
    planes = np.random.default_rng(2).integers(0, 256, (2, 3, 8, 9), np.uint8)
    options = {"photometric": "rgb", "planarconfig": "separate", "metadata": metadata}
    tifffile.imwrite(tmp_path / "a.tif", planes, **options)
    write_picture(read_picture(tmp_path / "a.tif"), tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        described = json.loads(file.pages[0].description)
        np.testing.assert_array_equal(file.asarray(), np.moveaxis(planes, 1, -1))
    assert described["shape"] == [2, 8, 9, 3]
    assert described.get("axes", "TYXS") == "TYXS"
    assert described.get("dose", [3, 8, 9]) == [3, 8, 9]


def test_a_command_writes_floats_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy = in_type("uint16")
    stack = {"metadata": {"axes": "ZYX"}, "imagej": True}
    tifffile.imwrite(tmp_path / "a.tif", np.stack([noisy, noisy]), **stack)
    assert main(["denoise", str(tmp_path / "a.tif"), "--dtype", "float32"]) == 0
    result = tifffile.imread(tmp_path / "a-clean.tif")
    assert (result.dtype, result.shape) == (np.float32, (2, *noisy.shape))
    assert (result != np.rint(result)).mean() > 0.9
    write_picture(quietpixel.files.Picture.from_pixels(noisy), tmp_path / "b.png")
    assert main(["denoise", str(tmp_path / "b.png"), "--dtype", "float32"]) == 2
    assert "png cannot hold floating-point pixels; choose tiff" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["uint16", "float32"])
def test_masked_values_come_back_from_stacks_and_blocks(photo: Denoiser, name: str) -> None:
    noisy = in_type(name)
    spoiled = np.where(HOLES, noisy.max() * 50 % 60000, noisy).astype(name)
    masked = np.ma.MaskedArray(spoiled, HOLES)
    plain = error(photo(noisy), ~HOLES)
    stack = photo.batch(np.ma.stack([masked, masked])[..., np.newaxis])
    blocks = dask.array.from_array(masked, chunks=48, asarray=False)
    low, high = (UNITS[name][0] * end + UNITS[name][1] for end in (0, 1))
    lazy = quietpixel.cluster.denoise(blocks, "photo", range=(low, high)).compute()
    for result in (stack[0, ..., 0], lazy):
        assert isinstance(result, np.ma.MaskedArray)
        np.testing.assert_array_equal(result.mask, HOLES)
        np.testing.assert_array_equal(result.data[HOLES], spoiled[HOLES])
        assert error(result.data, ~HOLES) < 1.1 * plain


def test_blocks_of_the_other_byte_order_come_back_in_it(photo: Denoiser) -> None:
    noisy = in_type(">u2")
    lazy = quietpixel.denoise(dask.array.from_array(noisy, chunks=48), "photo", precision="f32")
    assert lazy.dtype == lazy.compute().dtype == noisy.dtype
    assert error(lazy.compute()) < 1.1 * error(photo(noisy))


def test_nan_comes_back_from_files_and_blocks(photo: Denoiser, tmp_path: Path) -> None:
    noisy = in_type("float32")
    holes = np.where(HOLES, np.nan, noisy)
    tifffile.imwrite(tmp_path / "a.tif", holes)
    assert main(["denoise", str(tmp_path / "a.tif"), "--model", "photo"]) == 0
    blocks = dask.array.from_array(holes, chunks=48)
    lazy = quietpixel.cluster.denoise(blocks, "photo", range=(0, 1e-6)).compute()
    for result in (tifffile.imread(tmp_path / "a-clean.tif"), lazy):
        np.testing.assert_array_equal(np.isnan(result), HOLES)
        assert error(result, ~HOLES) < 1.1 * error(photo(noisy), ~HOLES)


def test_holes_do_not_count_as_noise() -> None:
    noisy = in_type("float32")
    wanted = quietpixel.measure_noise(noisy).sigma
    holes = np.where(HOLES, np.nan, noisy)
    masked = np.ma.MaskedArray(np.where(HOLES, 1.0, noisy), HOLES)
    for image in (holes, masked):
        assert quietpixel.measure_noise(image).sigma == pytest.approx(wanted, rel=0.05)
        assert Denoiser("photo").estimate_sigma(image) < 0.12


def test_the_noise_of_a_row_is_refused() -> None:
    with pytest.raises(ImageError, match=r"must be \(H, W, C\) and at least 24 x 24 pixels"):
        measure_noise(np.zeros(50))
