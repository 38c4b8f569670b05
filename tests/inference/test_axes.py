"""Arrays and stacks of any number of dimensions and channels, and arrays of other libraries."""

from pathlib import Path

import dask.array
import numpy as np
import pytest
import tifffile
import xarray

import quietpixel
from quietpixel import Denoiser
from quietpixel.cli.main import main
from quietpixel.errors import ArgumentError, ImageError, UnknownNameError

SIDE = 96
SHAPES = 0.5 + 0.4 * np.sin(np.add.outer(np.arange(SIDE), 2 * np.arange(SIDE)) / 15)
OTHER = 0.5 + 0.4 * np.cos(np.subtract.outer(2 * np.arange(SIDE), np.arange(SIDE)) / 9)


def photons(clean: np.ndarray, peak: float, seed: int) -> np.ndarray:
    return (100 + np.random.default_rng(seed).poisson(peak * clean)).astype(np.uint16)


BRIGHT = np.stack([photons(SHAPES, 4000, seed) for seed in (0, 1)])
DIM = np.stack([photons(OTHER, 60, seed) for seed in (2, 3)])
STACK = np.stack([BRIGHT, DIM], axis=1)[:, np.newaxis]
"""Two frames, one slice, two channels: (T, Z, C, Y, X)."""


@pytest.fixture(scope="module")
def photo() -> Denoiser:
    return Denoiser("photo", precision="f32")


@pytest.fixture(scope="module")
def expected(photo: Denoiser) -> np.ndarray:
    """Return the stack with each channel denoised on its own intensity scale."""
    channels = []
    for frames in (BRIGHT, DIM):
        scale = photo.find_scale(list(frames))
        channels.append([photo.denoise(frame, scale=scale).image for frame in frames])
    return np.stack(channels, axis=1)[:, np.newaxis]


def rmse(image: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image.astype(float) - truth) ** 2)))


@pytest.mark.parametrize("order", ["tzcyx", "cztyx", "yxtzc", "xytcz"])
def test_each_plane_is_an_image_and_each_channel_has_a_scale(
    photo: Denoiser, expected: np.ndarray, order: str
) -> None:
    view = np.einsum(f"tzcyx->{order}", STACK)
    channels = "separate" if order.endswith("c") else "auto"
    result = photo.denoise(view, quietpixel.DenoiseOptions(axes=order, channels=channels))
    wanted = np.einsum(f"tzcyx->{order}", expected)
    if order.startswith("x"):  # the model sees the planes turned
        assert rmse(result.image, wanted) < 0.5 * rmse(view, wanted)
    else:
        np.testing.assert_array_equal(result.image, wanted)
    scales = [note for note in result.notes if "Intensity scale" in note]
    assert [note[:10] for note in scales] == ["Channel 1:", "Channel 2:"]


def test_in_place_and_into_another_array(photo: Denoiser, expected: np.ndarray) -> None:
    options = quietpixel.DenoiseOptions(axes="tzcyx")
    place, work = np.empty_like(STACK), STACK.copy()
    photo.denoise(STACK, options, out=place)
    photo.denoise(work, options, out=work)
    np.testing.assert_array_equal(place, expected)
    np.testing.assert_array_equal(work, expected)


def test_a_lost_frame_comes_back_as_it_is(photo: Denoiser) -> None:
    frames = BRIGHT.astype(np.float32)
    frames[1] = np.nan
    result = photo(frames, axes="tyx")
    assert np.isnan(result[1]).all()
    np.testing.assert_array_equal(result[0], photo(frames[0]))


def test_five_channels(photo: Denoiser) -> None:
    five = np.stack([photons(SHAPES, 30 * 3**n, n) for n in range(5)])
    result = photo(five, axes="cyx")
    for channel, denoised in zip(five, result, strict=True):
        np.testing.assert_array_equal(denoised, photo(channel))
    last = photo(np.moveaxis(five, 0, -1), axes="yxc")
    np.testing.assert_array_equal(np.moveaxis(last, -1, 0), result)


def test_samples_first_are_colours(photo: Denoiser) -> None:
    colour = np.stack([SHAPES, 0.8 * SHAPES, 0.5 * SHAPES + 0.2], axis=-1)
    noisy = colour + 0.1 * np.random.default_rng(5).standard_normal(colour.shape)
    result = photo(np.moveaxis(noisy, -1, 0), axes="syx")
    np.testing.assert_allclose(np.moveaxis(result, 0, -1), photo(noisy), atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_an_empty_channel_stays_empty(photo: Denoiser, tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(6)
    top = 200 if dtype == "uint8" else 3000
    clean = np.stack([SHAPES, np.zeros_like(SHAPES), OTHER], axis=-1) * top
    noisy = np.clip(clean + 0.05 * top * rng.standard_normal(clean.shape), 0, None)
    noisy[..., 1] = np.abs(0.2 * rng.standard_normal(SHAPES.shape)) > 0.45
    noisy = noisy.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", noisy, photometric="rgb")
    assert main(["denoise", str(tmp_path / "a.tif"), "--model", "photo"]) == 0
    for result in (photo(noisy), tifffile.imread(tmp_path / "a-clean.tif")):
        # One pixel of 0 may round to 1; a leak of the colours left seven times the noise.
        assert rmse(result[..., 1], 0) < 1.01 * rmse(noisy[..., 1], 0)
        assert rmse(result, clean) < 0.6 * rmse(noisy, clean)


def test_colours_or_channels_on_request(photo: Denoiser, tmp_path: Path) -> None:
    clean = np.stack([SHAPES, 0.2 * SHAPES, 0.1 + 0.1 * OTHER + 0.1 * SHAPES], axis=-1)
    noisy = 1000 * (clean + 0.05 * np.random.default_rng(7).standard_normal(clean.shape)) + 200
    noisy = noisy.astype(np.uint16)
    apart = np.stack([photo(noisy[..., n]) for n in range(3)], axis=-1)
    together = photo(noisy)
    assert rmse(together, apart) > 1
    tifffile.imwrite(tmp_path / "a.tif", noisy, photometric="rgb")
    for word, wanted in (("separate", apart), ("rgb", together), ("auto", together)):
        np.testing.assert_array_equal(photo(noisy, channels=word), wanted)
        target = tmp_path / f"{word}.tif"
        words = ["denoise", str(tmp_path / "a.tif"), "-o", str(target), "--precision", "f32"]
        assert main([*words, "--model", "photo", "--channels", word]) == 0
        np.testing.assert_array_equal(tifffile.imread(target), wanted)


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_channels_of_a_stack_have_scales_of_their_own(
    expected: np.ndarray, tmp_path: Path, kind: str
) -> None:
    name = "a.ome.tif" if kind == "ome" else "a.tif"
    axes = "TZCYX"
    tifffile.imwrite(tmp_path / name, STACK, metadata={"axes": axes}, imagej=kind == "imagej")
    words = ["denoise", str(tmp_path / name), "-o", str(tmp_path / "b.tif")]
    assert main([*words, "--model", "photo", "--precision", "f32"]) == 0
    result = tifffile.imread(tmp_path / "b.tif").reshape(STACK.shape)
    np.testing.assert_array_equal(result, expected)


def test_axes_of_a_plain_stack_are_given(
    expected: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0], photometric="minisblack")
    words = ["denoise", str(tmp_path / "a.tif"), "--model", "photo", "--overwrite"]
    assert main([*words, "--axes", "cyx", "--precision", "f32"]) == 0
    result = tifffile.imread(tmp_path / "a-clean.tif")
    assert rmse(result, expected[0, 0]) < 0.5
    assert main([*words, "--axes", "tcyx"]) == 2
    assert "its 2 pages cannot be split into the axes 'tcyx'" in capsys.readouterr().err


def test_dask_and_xarray_in_the_same_kind_out() -> None:
    options = {"model": "photo", "precision": "f32"}
    lazy = dask.array.from_array(STACK, chunks=(1, 1, 1, 48, 48))
    expected = quietpixel.denoise(STACK, axes="tzcyx", **options)
    result = quietpixel.denoise(lazy, axes="tzcyx", **options)
    assert isinstance(result, dask.array.Array)
    assert (result.shape, result.dtype) == (STACK.shape, STACK.dtype)
    assert rmse(result.compute(), expected) < 1
    names = ("time", "z", "channel", "y", "x")
    for data in (STACK, lazy):
        named = xarray.DataArray(data, dims=names, attrs={"unit": "counts"})
        denoised = quietpixel.denoise(named, **options)
        assert isinstance(denoised, xarray.DataArray)
        assert (denoised.dims, denoised.attrs) == (names, named.attrs)
        assert type(denoised.data) is type(data)
        assert rmse(denoised.to_numpy(), expected) < 1


def test_a_dataset_of_variables_is_refused() -> None:
    with pytest.raises(ImageError, match=r"one array; got a Dataset.*such as dataset\['NAME'\]"):
        quietpixel.denoise(xarray.Dataset({"a": (("y", "x"), SHAPES)}))


def test_lazy_colours_are_those_of_an_array(photo: Denoiser) -> None:
    colour = np.stack([SHAPES, 0.8 * SHAPES, 0.5 * SHAPES + 0.2], axis=-1) * 800
    noisy = colour + 40 * np.random.default_rng(8).standard_normal(colour.shape) + 200
    noisy = noisy.astype(np.uint16)
    lazy = dask.array.from_array(noisy, chunks=48)
    result = quietpixel.denoise(lazy, model="photo", precision="f32").compute()
    assert rmse(result, photo(noisy)) < 1
    first = dask.array.from_array(np.moveaxis(noisy, -1, 0), chunks=48)
    result = quietpixel.denoise(first, model="photo", axes="syx", precision="f32").compute()
    assert rmse(np.moveaxis(result, 0, -1), photo(noisy)) < 1


@pytest.mark.parametrize(
    ("shape", "options", "kind", "words"),
    [
        ((3, 4, 5, 6), {}, ImageError, "`axes` must be given for an image that is neither"),
        ((3, 40, 50), {}, ImageError, r"got shape \(3, 40, 50\). Try 'zyx', 'cyx' or 'tczyx'"),
        ((3, 4, 5), {"axes": "zy"}, ArgumentError, "`axes` must name each dimension"),
        ((3, 4, 5), {"axes": "zyz"}, ArgumentError, "`axes` must name each dimension"),
        ((3, 4, 5), {"axes": "tzc"}, ArgumentError, "y and x among them"),
        ((5, 4, 5), {"axes": "syx"}, ArgumentError, "s only one of size 1 to 4"),
        ((0, 4, 5), {"axes": "zyx"}, ImageError, "at least one pixel"),
        ((4, 5), {"channels": "rbg"}, UnknownNameError, "Unknown channels 'rbg'"),
    ],
)
def test_what_cannot_be_is_refused(
    photo: Denoiser, shape: tuple[int, ...], options: dict, kind: type, words: str
) -> None:
    with pytest.raises(kind, match=words):
        photo(np.zeros(shape, np.uint8), **options)


def test_axes_that_contradict_the_names_of_dimensions_are_refused() -> None:
    image = xarray.DataArray(np.zeros((3, 40, 48), np.float32), dims=("time", "y", "x"))
    with pytest.raises(ArgumentError, match=r"`axes` contradicts the names .*\(time, y, x\)"):
        quietpixel.denoise(image, axes="yxt", model="photo-gray")
    assert quietpixel.denoise(image, axes="zyx", model="photo-gray").dims == image.dims
