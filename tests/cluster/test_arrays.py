"""Lazy arrays: equal to the whole on one machine to the last bit, whatever the blocks are."""

import subprocess
import sys

import dask
import dask.array
import numpy as np
import pytest

import quietpixel
from quietpixel.cluster import denoise
from quietpixel.errors import ArgumentError, ImageError, UnknownNameError
from quietpixel.inference.denoiser import Denoiser


@pytest.fixture(autouse=True)
def in_threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


CASES = [
    ("float32", "blur", (601, 530), (256, 300), None),
    ("uint8", "blur", (601, 530), (256, 300), None),
    ("uint16", "blur", (2, 2, 270, 299), (1, 2, 100, 100), "tzyx"),
    ("float32", "level", (2, 2, 270, 299), (1, 2, 100, 100), "tzyx"),
    ("float32", "blur", (300, 401, 3), (200, 200, 1), None),
    ("float32", "blur", (517, 9), (100, 9), "yx"),
    ("float32", "level", (1, 1), (1, 1), "yx"),
    ("uint8", "blur", (3, 20, 21), (2, 20, 21), "cyx"),
    ("float32", "blur", (530, 300, 2), (512, 150, 2), "yxc"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_lazy_equals_whole_to_the_last_bit(models, case) -> None:
    dtype, model, shape, chunks, axes = case
    white = np.iinfo(dtype).max if dtype != "float32" else 1
    array = (np.random.default_rng(0).random(shape) * white).astype(dtype)
    lazy = denoise(
        dask.array.from_array(array, chunks=chunks), models[model], axes=axes, precision="f32"
    )
    assert (lazy.shape, lazy.dtype) == (array.shape, array.dtype)
    whole = Denoiser(models[model], precision="f32")
    nominal = (0, white)  # a lazy array is not read to find its scale or photon noise
    assert np.array_equal(lazy.compute(), whole(array, axes=axes, range=nominal, law="none"))


@pytest.mark.parametrize("memory", ["512MB", "100KB"])
def test_blocks_larger_than_a_tile_are_cut(models, memory) -> None:
    array = np.random.default_rng(1).random((150, 139), np.float32)
    lazy = denoise(
        dask.array.from_array(array, chunks=-1), models["blur"], precision="f32", memory=memory
    )
    assert np.array_equal(lazy.compute(), Denoiser(models["blur"], precision="f32")(array))


def test_nothing_is_computed_until_asked(models) -> None:
    def explode(block):
        raise AssertionError

    array = dask.array.zeros((600, 600), chunks=300, dtype="float32").map_blocks(
        explode, dtype="float32", meta=np.empty((0, 0), "float32")
    )
    lazy = denoise(array, models["blur"])
    with pytest.raises(AssertionError):
        lazy.compute()


def test_it_composes(models) -> None:
    array = dask.array.random.default_rng(0).random((2, 600, 600), chunks=(1, 300, 300))
    lazy = denoise(array.astype("float32"), models["blur"], axes="tyx")[:, 10:20, 290:310].mean()
    assert 0 < float(lazy.compute()) < 1


def test_the_model_is_opened_once(models, monkeypatch) -> None:
    from quietpixel.cluster import worker_model

    opened = []
    kind = worker_model.BlockDenoiser
    really = kind.from_options
    monkeypatch.setattr(kind, "from_options", lambda options: opened.append(1) or really(options))
    worker_model._open.cache_clear()
    array = dask.array.zeros((1200, 600), chunks=300, dtype="float32")
    denoise(array, models["halver"]).compute()
    assert opened == [1]


def test_a_dense_model_takes_planes_of_its_size() -> None:
    array = np.random.default_rng(0).random((3, 28, 28), np.float32)
    lazy = denoise(dask.array.from_array(array, chunks=(2, 14, 14)), "mnist-bottleneck", axes="zyx")
    whole = Denoiser("mnist-bottleneck")
    assert np.allclose(lazy.compute(), np.stack([whole(plane) for plane in array]), atol=1e-6)
    with pytest.raises(ImageError, match="must be 28x28"):
        denoise(dask.array.zeros((30, 28), dtype="float32"), "mnist-bottleneck")


def test_range_and_strength_are_those_of_one_machine(models) -> None:
    array = np.random.default_rng(0).integers(0, 4096, (300, 290), np.uint16)
    options = {"range": (0, 4095), "strength": 0.5}
    lazy = denoise(
        dask.array.from_array(array, chunks=100), models["blur"], precision="f32", **options
    )
    whole = Denoiser(models["blur"], precision="f32")(array, **options)
    assert np.array_equal(lazy.compute(), whole)
    same = denoise(dask.array.from_array(array, chunks=100), models["blur"], strength=0)
    assert np.array_equal(same.compute(), array)


@pytest.mark.parametrize(
    "case",
    [
        ((5,), "uint8", {}, ImageError, "2 or more dimensions"),
        ((0, 5), "uint8", {}, ImageError, "at least one pixel"),
        ((5, 5), "complex64", {}, ImageError, "must hold bool, integers of 8 to 64 bits"),
        ((5, 5), "uint8", {"axes": "xy"}, ArgumentError, "`axes` must end with y and x"),
        ((2, 5, 5), "uint8", {"axes": "yx"}, ArgumentError, "`axes` must name each dimension"),
        ((5, 5), "uint8", {"sigma": 0.1}, ArgumentError, "does not take a noise level"),
        ((5, 5), "uint8", {"strength": 2}, ArgumentError, "strength"),
        ((5, 5), "uint8", {"quality": "bst"}, UnknownNameError, "quality 'bst'"),
        ((5, 5), "uint8", {"memory": "none"}, ArgumentError, "`memory` must be a size"),
        ((5, 5), "uint8", {"streams": 2}, ArgumentError, "`streams` is not an option"),
        ((5, 5), "uint8", {"engine": "openvin"}, UnknownNameError, "engine 'openvin'"),
    ],
)
def test_wrong_arguments_are_reported_at_once(models, case) -> None:
    shape, dtype, options, kind, words = case
    with pytest.raises(kind, match=words):
        denoise(dask.array.zeros(shape, dtype=dtype), models["blur"], **options)


def test_an_array_of_numpy_is_refused(models) -> None:
    with pytest.raises(ImageError, match="must be a Dask array; got ndarray"):
        denoise(np.zeros((5, 5)), models["blur"])


def test_a_map_of_levels_is_refused(models) -> None:
    array = dask.array.zeros((5, 5), dtype="float32")
    with pytest.raises(ArgumentError, match="a number or 'auto' here"):
        denoise(array, models["level"], sigma=np.zeros((5, 5)))


def test_unknown_sizes_are_refused(models) -> None:
    array = dask.array.zeros((5, 5), dtype="float32")
    with pytest.raises(ImageError, match="compute_chunk_sizes"):
        denoise(array[array[:, 0] == 0], models["blur"])


def test_the_name_is_public_and_cheap() -> None:
    assert quietpixel.cluster.denoise is denoise
    with pytest.raises(AttributeError, match=r"No quietpixel\.cluster attribute denoize"):
        _ = quietpixel.cluster.denoize
    code = "import sys, quietpixel.cluster; print({'dask', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"set()"


def test_what_is_missing_is_said(monkeypatch) -> None:
    from quietpixel.cluster.optional_imports import need
    from quietpixel.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingDependencyError, match=r"package zarr, which.*pip install 'quiet"):
        need("zarr")


def test_strengths_act_in_blocks_as_in_the_whole(models) -> None:
    image = np.random.default_rng(0).random((300, 600, 3), np.float32)
    lazy = dask.array.from_array(image, chunks=(300, 300, 3))
    words = {"sigma": 0.1, "strength": 1.5, "colour_strength": 0.5}
    blocks = denoise(lazy, models["level"], axes="yxc", precision="f32", **words).compute()
    whole = Denoiser(models["level"], precision="f32")(image, **words)
    np.testing.assert_allclose(blocks, whole, atol=1e-6)


def test_planes_share_a_level_unless_theirs_differ(models) -> None:
    rng = np.random.default_rng(3)
    sigmas = np.array([0.05, 0.055, 0.06])[:, None, None]
    stack = (0.5 + sigmas * rng.standard_normal((3, 300, 290))).astype(np.float32)
    different = np.concatenate([stack[:2], 0.5 + 4 * (stack[2:] - 0.5)])
    whole = Denoiser(models["level"], precision="f32")
    for array, count in ((stack, 1), (different, 3)):
        lazy = dask.array.from_array(array, chunks=(1, 100, 290))
        result = denoise(lazy, models["level"], axes="zyx", precision="f32").compute()
        assert np.array_equal(result, whole(array, axes="zyx", range=(0, 1), law="none"))
        levels = (result - array).mean(axis=(1, 2))
        assert len(set(levels.round(4))) == count


def test_a_level_given_to_a_blind_model_limits_what_is_taken_away(models) -> None:
    array = np.random.default_rng(0).random((300, 290), np.float32)
    lazy = denoise(dask.array.from_array(array, chunks=256), models["blind"], sigma=0.1)
    whole = Denoiser(models["blind"])(array, sigma=0.1, range=(0, 1))
    assert np.array_equal(lazy.compute(), whole)


def test_a_level_of_a_lazy_array_counts_the_bits_in_use(models) -> None:
    array = np.random.default_rng(0).integers(100, 900, (2, 300, 290), np.uint16)
    array[1, 290, 280:290] = 4000  # the only place that shows that these are 12 bits
    lazy = dask.array.from_array(array, chunks=(1, 100, 100))
    options = {"sigma": 0.1, "axes": "zyx", "precision": "f32"}
    result = quietpixel.denoise(lazy, models["level"], **options).compute()
    whole = quietpixel.denoise(array, models["level"], **options)
    # Blocks keep all values of the type.
    np.testing.assert_allclose(result.clip(0, 4095).astype(int), whole.astype(int), atol=1)
    assert whole[0].max() > 1023
    assert result[0, 0, 0] - array[0, 0, 0] == pytest.approx(0.1 * 4095, abs=1)
