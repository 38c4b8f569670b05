"""Images larger than memory: what one machine gives, metadata kept, runs continued after a stop."""

import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from distributed.comm import CommClosedError

import quietpixel
from quietpixel.batch.lock import lock_folders
from quietpixel.cli.main import main
from quietpixel.cluster import large_image
from quietpixel.cluster.blocks import Field, cut
from quietpixel.cluster.large_image import denoise_image
from quietpixel.cluster.workers import connect
from quietpixel.errors import ArgumentError, ClusterError, FileError, ImageError, ModelError
from quietpixel.files import MARK
from quietpixel.imaging.axes import Axes
from quietpixel.imaging.tiling import plan_grid
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.level import Noise
from quietpixel.inference.options import DenoiseOptions

from ..tiles import run_tiles
from .conftest import finish

EXACT = DenoiseOptions(precision="f32")


def denoise(source, target, model, options=None, **more):
    options = replace(options or DenoiseOptions(), model=model)
    return denoise_image(source, target, options, **more)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Cut even small images into several parts."""
    monkeypatch.setattr(
        large_image, "cut", lambda *words, **options: cut(*words, **options, pixels=9000)
    )


@pytest.fixture
def blur(models):
    return Denoiser(models["blur"], precision="f32")


def noise(shape, dtype="uint16", white=4000):
    return (np.random.default_rng(0).random(shape) * white).astype(dtype)


def put(path, pixels, **options):
    array = zarr.create_array(str(path), shape=pixels.shape, dtype=pixels.dtype, **options)
    array[...] = pixels
    return str(path)


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_blocks_keep_what_the_whole_gives() -> None:
    """Every cut of every size, with a function that sees its halo, phase and border."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        halo, divisor = int(rng.integers(0, 9)), int(rng.choice([1, 2, 4, 8]))
        shape = tuple(map(int, rng.integers(1, 70, 2)))
        image = rng.random((*shape, 1))
        field = Field(shape, halo, divisor)
        whole = see(padded(image, divisor), halo, divisor)[: shape[0], : shape[1]]
        top, left = (int(rng.integers(0, side)) for side in shape)
        bottom, right = (
            int(rng.integers(a + 1, b + 1)) for a, b in zip((top, left), shape, strict=True)
        )
        block = field.block(slice(top, bottom), slice(left, right))
        region = image[block.rows.start : block.rows.stop, block.columns.start : block.columns.stop]
        pixels = int(rng.integers(1, 900))
        grid = plan_grid(region.shape[:2], pixels=pixels, halo=halo, divisor=divisor)
        result = run_tiles(partial(see, halo=halo, divisor=divisor), region, grid)
        kept = result[block.rows.inner, block.columns.inner]
        assert np.array_equal(kept, whole[top:bottom, left:right])


def padded(image, divisor):
    beyond = [(0, -side % divisor) for side in image.shape[:2]]
    mode = "reflect" if min(image.shape[:2]) > 1 else "symmetric"
    for axis in (0, 1):
        each = [(0, 0)] * 3
        each[axis] = beyond[axis]
        mode = "reflect" if image.shape[axis] > 1 else "edge"
        image = np.pad(image, each, mode=mode)
    return image


def see(part, halo, divisor):
    """Add the pixels `halo` away, with zeros beyond the border, and the phase."""
    assert not any(side % divisor for side in part.shape[:2])
    framed = np.pad(part, ((halo, halo), (halo, halo), (0, 0)))
    height, width = part.shape[:2]
    total = part + 2 * framed[:height, :width] + 3 * framed[2 * halo :, 2 * halo :]
    return total + (np.arange(height) % divisor)[:, None, None]


@pytest.mark.parametrize(
    ("shape", "unit", "axes"),
    [((50, 70), (7, 9), Axes(0, 1)), ((3, 20, 30, 3), (2, 8, 8, 1), Axes(1, 2, 3))],
)
def test_parts_cover_all_once_and_share_no_piece(shape, unit, axes) -> None:
    count = np.zeros(shape, int)
    for part in cut(shape, unit, axes, pixels=500):
        count[part.where] += 1
        assert all(span[0] % side == 0 for span, side in zip(part.spans, unit, strict=True))
    assert (count == 1).all()


@pytest.mark.parametrize("form", [2, 3])
def test_zarr_of_both_versions(tmp_path, models, blur, form) -> None:
    pixels = noise((201, 170))
    more = {"shards": (60, 50)} if form == 3 else {}
    source = put(
        tmp_path / "a.zarr", pixels, chunks=(30, 25), zarr_format=form, attributes={"by": ["me"]},
        **more,
    )  # fmt: skip
    shares = []
    done = denoise(
        source, str(tmp_path / "b.zarr"), models["blur"], EXACT, on_progress=shares.append
    )
    before, after = zarr.open(source, mode="r"), zarr.open(str(tmp_path / "b.zarr"), mode="r")
    assert np.array_equal(after[...], blur(pixels))
    marked = dict(before.attrs) | {MARK: True}
    assert after.metadata == replace(before.metadata, attributes=marked)
    assert after.attrs.asdict() == {"by": ["me"], MARK: True}
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert len(shares) > 4
    assert done.megapixels == pixels.size / 1e6
    assert done.notes == ("Intensity scale: black 0, white 4095 of 65535.",)
    assert not hidden(tmp_path)


@pytest.mark.parametrize("values", [(0, 1), (0, 1.5), (0, 100), (0, 30000), (-20, 20)])
def test_black_and_white_of_floats_are_those_of_one_machine(tmp_path, models, blur, values) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(*values, (130, 120)).astype("float32")
    pixels[5, 5] = values[1]
    source = put(tmp_path / "a.zarr", pixels, chunks=(50, 50))
    denoise(source, str(tmp_path / "b.zarr"), models["blur"], EXACT)
    assert np.array_equal(zarr.open(str(tmp_path / "b.zarr"), mode="r")[...], blur(pixels))


@pytest.mark.parametrize("dtype", ["uint16", "float32", "uint32"])
def test_a_hot_pixel_does_not_set_white(tmp_path, models, blur, dtype) -> None:
    """Nor does a sample of a Dask array, where the brightest part is small."""
    pixels = noise((200, 180)).astype(dtype) // 8
    pixels[150:170, 150:170] *= 7
    pixels[5, 5] = 60000
    expected = blur(pixels)
    source = put(tmp_path / "a.zarr", pixels, chunks=(50, 50))
    denoise(source, str(tmp_path / "b.zarr"), models["blur"], EXACT)
    assert np.array_equal(zarr.open(str(tmp_path / "b.zarr"), mode="r")[...], expected)
    lazy = quietpixel.denoise(
        dask.array.from_array(pixels, (50, 50)), models["blur"], precision="f32"
    )
    assert np.array_equal(lazy.compute(), expected)


def write_ome(path, pixels, form=2):
    group = zarr.open_group(str(path), mode="w", zarr_format=form)
    factors = (1, 2, 4)
    for number, factor in enumerate(factors):
        put(
            path / str(number),
            pixels[..., ::factor, ::factor],
            chunks=(1, 2, 40, 40),
            zarr_format=form,
        )
    image = {
        "axes": [{"name": name} for name in "czyx"],
        "datasets": [
            {
                "path": str(n),
                "coordinateTransformations": [{"type": "scale", "scale": [1, 1, f, f]}],
            }
            for n, f in enumerate(factors)
        ],
    }
    images = {"multiscales": [image]}
    group.attrs.update({"ome": images} if form == 3 else images | {"omero": {"channels": []}})
    (path / "labels").mkdir()
    (path / "labels" / "note").write_text("kept")
    return str(path)


@pytest.mark.parametrize("form", [2, 3])
def test_an_ome_zarr_keeps_its_metadata_and_gets_its_pyramid(tmp_path, models, blur, form) -> None:
    pixels = noise((2, 3, 101, 90), white=250)
    source = write_ome(tmp_path / "a.zarr", pixels, form)
    denoise(source, str(tmp_path / "b.zarr"), models["blur"], EXACT)
    before, after = zarr.open(source, mode="r"), zarr.open(str(tmp_path / "b.zarr"), mode="r")
    assert after.attrs.asdict() == before.attrs.asdict() | {MARK: True}
    assert (tmp_path / "b.zarr" / "labels" / "note").read_text() == "kept"
    wanted = np.stack([np.stack([blur(plane, range=(0, 255)) for plane in z]) for z in pixels])
    assert np.array_equal(after["0"][...], wanted)
    half = wanted[..., :100, :90].astype(float).reshape(2, 3, 50, 2, 45, 2).mean((3, 5))
    assert np.array_equal(after["1"][..., :50, :], np.rint(half))
    assert after["1"].shape == (2, 3, 51, 45)
    assert after["2"].metadata == before["2"].metadata
    assert np.ptp(after["2"][...]) > 0


def test_a_tiled_tiff_and_its_metadata(tmp_path, models, blur) -> None:
    pixels = noise((201, 170))
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(
        source, pixels, tile=(64, 48), compression="zlib", bigtiff=True, description="mine",
        resolution=(300, 200), iccprofile=b"profile", software="camera", metadata=None,
    )  # fmt: skip
    denoise(str(source), str(target), models["blur"], EXACT)
    with tifffile.TiffFile(target) as file:
        page = file.pages[0]
        assert np.array_equal(file.asarray(), blur(pixels))
        assert (page.tile, page.compression, file.is_bigtiff) == ((64, 48), 8, True)
        assert page.description == "mine"
        assert page.tags["XResolution"].value == (300, 1)
        assert page.tags["Software"].value == "camera"
        assert page.tags[34675].value == b"profile"
    assert not hidden(tmp_path)


@pytest.mark.parametrize("kind", ["below", "behind", "rgb below"])
def test_the_levels_of_a_tiff_are_made_anew(tmp_path, models, blur, kind) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    shape = {"below": (3, 201, 170), "behind": (201, 170), "rgb below": (201, 170, 3)}[kind]
    pixels, step = noise(shape), slice(None, None, 2)
    small = pixels[step, step] if kind != "below" else pixels[:, step, step]
    options = {"tile": (64, 48), "metadata": None}
    options["photometric"] = "rgb" if kind.startswith("rgb") else "minisblack"
    with tifffile.TiffWriter(source) as writer:
        writer.write(pixels, subifds=1 if "below" in kind else None, **options)
        writer.write(small, subfiletype=1, **options)
    denoise(str(source), str(target), models["blur"], EXACT)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        old, new = (file.series[0].levels for file in (before, after))
        assert [level.shape for level in new] == [level.shape for level in old]
        assert len(after.pages) == len(before.pages)
        largest, copy = (level.asarray() for level in new)
    if kind == "below":
        wanted = np.stack([blur(plane, range=(0, 4000)) for plane in pixels])
        half, copy = wanted[:, :200].reshape(3, 100, 2, 85, 2).mean((2, 4)), copy[:, :100]
    else:
        wanted, copy = blur(pixels, range=(0, 4000)), copy[:100]
        half = wanted[:200].reshape(100, 2, 85, 2, -1).mean((1, 3)).reshape(copy.shape)
    np.testing.assert_allclose(largest, wanted, atol=1)
    np.testing.assert_allclose(copy, half, atol=1)


@pytest.mark.parametrize("kind", ["rgb", "gray with alpha", "strips", "ome"])
def test_other_tiffs(tmp_path, models, blur, kind) -> None:
    source, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    if kind == "rgb":
        pixels = noise((90, 85, 3), "uint8", 255)
        tifffile.imwrite(source, pixels, photometric="rgb", tile=(32, 48), ome=False)
    elif kind == "gray with alpha":
        pixels = noise((90, 85, 2), "uint8", 255)
        pixels[30:60, 30:60, 1] = 0
        options = {"photometric": "minisblack", "planarconfig": "contig", "ome": False}
        tifffile.imwrite(source, pixels, extrasamples=["unassalpha"], metadata=None, **options)
    elif kind == "strips":
        pixels = noise((700, 33), "float32", 1)
        tifffile.imwrite(source, pixels, rowsperstrip=10, ome=False)
    else:
        pixels = noise((2, 3, 50, 60), "uint8", 255)
        tifffile.imwrite(source, pixels, metadata={"axes": "TCYX"})
    denoise(str(source), str(target), models["blur"], EXACT)
    planes = pixels.reshape(-1, *pixels.shape[-2:]) if kind == "ome" else pixels[None]
    wanted = np.stack([blur(plane) for plane in planes]).reshape(pixels.shape)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        assert np.array_equal(after.asarray(), wanted)
        assert after.ome_metadata == before.ome_metadata
        assert after.series[0].axes == before.series[0].axes


def test_the_noise_level_is_estimated_of_each_plane(tmp_path, models) -> None:
    pixels = noise((2, 100, 90), "float32", 1)
    pixels[1] *= 0.1
    source = put(tmp_path / "a.zarr", pixels, chunks=(1, 50, 50), dimension_names=list("tyx"))
    options = DenoiseOptions(law="none")
    done = denoise(source, str(tmp_path / "b.zarr"), models["level"], options)
    denoiser = Denoiser(models["level"])
    scale = denoiser.find_scale(list(pixels), options)
    results = [denoiser.denoise(plane, options, scale=scale) for plane in pixels]
    assert done.findings.model == results[0].model
    assert [each.source for each in done.findings.noise] == ["estimated", "estimated"]
    levels = [each.noise.sigma for each in results]
    assert [each.sigma for each in done.findings.noise] == pytest.approx(levels)
    wanted = np.stack([result.image for result in results])
    assert np.array_equal(zarr.open(str(tmp_path / "b.zarr"), mode="r")[...], wanted)


@pytest.mark.parametrize("chunks", [(1, 1, 50, 50), (2, 3, 50, 50)])
def test_each_channel_has_a_scale_of_its_own(tmp_path, models, chunks) -> None:
    """On one scale, dark channels kept their noise, and one value everywhere became many."""
    pixels = noise((2, 3, 100, 90))
    pixels[:, 1] = 500 + pixels[:, 1] // 40
    pixels[:, 2] = 90
    source = put(tmp_path / "a.zarr", pixels, chunks=chunks, dimension_names=list("zcyx"))
    done = denoise(source, str(tmp_path / "b.zarr"), models["level"])
    wanted = Denoiser(models["level"]).denoise(pixels, DenoiseOptions(axes="zcyx"))
    result = zarr.open(str(tmp_path / "b.zarr"), mode="r")[...]
    assert np.array_equal(result, wanted.image)
    assert (result[:, 1] != pixels[:, 1]).mean() > 0.5
    assert done.notes[0].startswith("Channel 1: Intensity scale: black ")
    assert {each for each in done.notes if "scale" in each} <= set(wanted.notes)


def test_one_value_everywhere_stays(tmp_path) -> None:
    """Of 65535, 90 is so dark that the model made 67 to 135 of it."""
    source = put(tmp_path / "a.zarr", np.full((60, 60), 90, np.uint16), chunks=(60, 60))
    denoise(source, str(tmp_path / "b.zarr"), "photo")
    assert np.unique(zarr.open(str(tmp_path / "b.zarr"), mode="r")[...]).tolist() == [90]


def test_a_level_given_to_a_blind_model_limits_what_is_taken_away(tmp_path, models) -> None:
    pixels = noise((2, 100, 90), "float32", 1)
    pixels[1] *= 0.1
    source = put(tmp_path / "a.zarr", pixels, chunks=(1, 50, 50), dimension_names=list("tyx"))
    options = DenoiseOptions(sigma=0.05, range=(0, 1))
    done = denoise(source, str(tmp_path / "b.zarr"), models["blind"], options)
    denoiser = Denoiser(models["blind"])
    wanted = np.stack([denoiser.denoise(plane, options).image for plane in pixels])
    assert np.ptp(wanted - pixels, axis=0).min() > 0  # a share for each plane
    assert np.array_equal(zarr.open(str(tmp_path / "b.zarr"), mode="r")[...], wanted)
    assert done.findings.noise == (Noise(0.05, "given"),)


def test_the_scale_of_counts_is_estimated_as_on_one_machine(tmp_path, models) -> None:
    pixels = (100 + 300 * noise((100, 90), "float32", 1)).astype(np.uint16)
    pixels[20, 30] = 65535
    source = put(tmp_path / "a.zarr", pixels, chunks=(50, 50))
    done = denoise(source, str(tmp_path / "b.zarr"), models["level"])
    found = Denoiser(models["level"]).denoise(pixels)
    result = zarr.open(str(tmp_path / "b.zarr"), mode="r")[...]
    assert np.array_equal(result, found.image)
    assert result[20, 30] == 65535
    assert done.notes[0] == found.notes[-1]
    assert done.findings.noise[0].source == "estimated"


def test_interrupted_work_goes_on_at_the_part(tmp_path, models, blur) -> None:
    pixels = noise((301, 270), "uint8", 255)
    source, target = put(tmp_path / "a.zarr", pixels, chunks=(50, 50)), str(tmp_path / "b.zarr")

    class StopError(Exception):
        pass

    def stop(share):
        if share > 0.5:
            raise StopError

    with pytest.raises(StopError):
        denoise(source, target, models["blur"], EXACT, on_progress=stop)
    assert not (tmp_path / "b.zarr").exists()
    (work,) = hidden(tmp_path)
    done = sorted((tmp_path / work / "done").iterdir())
    assert done
    times = {path: path.stat().st_mtime_ns for path in done}
    chunks = {
        path: path.stat().st_mtime_ns for path in (tmp_path / work).rglob("c/*/*") if path.is_file()
    }
    with pytest.raises(StopError):
        denoise(source, target, models["blur"], EXACT, on_progress=stop)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert {path: path.stat().st_mtime_ns for path in chunks} == chunks  # nothing written twice
    other = DenoiseOptions(precision="f32", threads=1, memory="100MB")
    result = denoise(source, target, models["blur"], other)  # no matter for the result
    assert any("parts were done before." in note for note in result.notes)
    assert np.array_equal(zarr.open(target, mode="r")[...], blur(pixels))
    assert not hidden(tmp_path)


def test_other_settings_begin_again(tmp_path, models) -> None:
    pixels = noise((100, 90), "uint8", 255)
    source, target = put(tmp_path / "a.zarr", pixels, chunks=(50, 50)), str(tmp_path / "b.zarr")

    def stop(share):
        if share > 0:
            raise KeyError

    with pytest.raises(KeyError):
        denoise(source, target, models["blur"], EXACT, on_progress=stop)
    assert not denoise(source, target, models["halver"], EXACT).notes
    assert abs(zarr.open(target, mode="r")[...] - pixels / 2).max() <= 1


def test_an_image_that_changed_is_opened_anew(tmp_path, models) -> None:
    target = str(tmp_path / "b.zarr")
    for side in (40, 60):
        pixels = noise((side, side), "uint8", 255)
        source = put(tmp_path / "a.zarr", pixels, chunks=(20, 20), overwrite=True)
        denoise(source, target, models["halver"], overwrite=True)
        assert abs(zarr.open(target, mode="r")[...] - pixels / 2).max() <= 1


def test_urls(models, blur) -> None:
    pixels = noise((60, 50), "uint8", 255)
    array = zarr.create_array("memory://a.zarr", shape=(60, 50), dtype="uint8", chunks=(30, 30))
    array[...] = pixels
    denoise("memory://a.zarr", "memory://out/b.zarr", models["blur"], EXACT)
    assert np.array_equal(zarr.open("memory://out/b.zarr", mode="r")[...], blur(pixels))
    with pytest.raises(FileError, match=r"'nonsense://a' cannot be reached .* fsspec needs a"):
        denoise("nonsense://a", "memory://c", models["blur"])


def test_on_real_workers(tmp_path, models, blur, machines) -> None:
    pixels = noise((301, 270))
    source = put(tmp_path / "a.zarr", pixels, chunks=(50, 50))
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(64, 64))
    with connect(scheduler=machines.address) as cluster:
        for name in ("b.zarr", "b.tif"):
            before = source if name == "b.zarr" else str(tmp_path / "a.tif")
            denoise(before, str(tmp_path / name), models["blur"], EXACT, cluster=cluster)
    assert np.array_equal(zarr.open(str(tmp_path / "b.zarr"), mode="r")[...], blur(pixels))
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), blur(pixels))


def test_a_result_that_the_scheduler_no_longer_sends(tmp_path, models, machines) -> None:
    """The connection may break before the client knows that the scheduler is gone."""

    async def gather(*_, **__):
        raise CommClosedError("in <TCP>: Stream is closed")

    source = put(tmp_path / "a.zarr", noise((60, 50), "uint8", 255), chunks=(50, 50))
    with connect(scheduler=machines.address) as cluster:
        cluster.client.gather = gather
        with pytest.raises(ClusterError, match="was lost during the work; finished work is kept"):
            denoise(source, str(tmp_path / "b.zarr"), models["blur"], EXACT, cluster=cluster)


def test_a_killed_worker_and_a_late_one(tmp_path, models, blur, own_machines) -> None:
    pixels = noise((301, 270), "uint8", 255)
    source, target = put(tmp_path / "a.zarr", pixels, chunks=(50, 50)), str(tmp_path / "b.zarr")
    first = own_machines.add_worker()

    def kill(share):
        if share > 0 and first.is_alive():
            own_machines.add_worker()
            first.kill()
            first.join()

    with connect(scheduler=own_machines.address) as cluster:
        denoise(source, target, models["blur"], EXACT, cluster=cluster, on_progress=kill)
    assert np.array_equal(zarr.open(target, mode="r")[...], blur(pixels))


def test_a_lost_scheduler(tmp_path, models, blur, mortal_machines) -> None:
    pixels = noise((301, 270), "uint8", 255)
    source, target = put(tmp_path / "a.zarr", pixels, chunks=(50, 50)), str(tmp_path / "b.zarr")
    mortal_machines.add_worker()

    def kill(share):
        if share > 0:
            mortal_machines.scheduler.kill()
            mortal_machines.scheduler.wait()

    with (
        pytest.raises(ClusterError, match="was lost during the work; finished work is kept"),
        connect(scheduler=mortal_machines.address) as cluster,
    ):
        denoise(source, target, models["blur"], EXACT, cluster=cluster, on_progress=kill)
    assert not (tmp_path / "b.zarr").exists()
    result = denoise(source, target, models["blur"], EXACT)
    assert any("were done before" in note for note in result.notes)
    assert np.array_equal(zarr.open(target, mode="r")[...], blur(pixels))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="other signals")
@pytest.mark.parametrize("words", [(), pytest.param(("--workers", 2), marks=pytest.mark.slow)])
def test_a_killed_command_is_finished_by_the_next(start, tmp_path, models, words) -> None:
    """With parts as users have them: 8 megapixels each."""
    pixels = np.tile(noise((64, 6000), "uint8", 255), (94, 1))
    source, target = put(tmp_path / "a.zarr", pixels, chunks=(512, 512)), tmp_path / "a-clean.zarr"
    line = [source, *words, "--precision", "f32"]
    whole = Denoiser(models["blur"], precision="f32")(pixels)
    for number in (signal.SIGKILL, signal.SIGINT):
        before = len(list(tmp_path.glob(".quietpixel-*/done/*")))
        process = start(*line, model="blur")
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob(".quietpixel-*/done/*"))) == before:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        assert not target.exists()
    assert process.returncode == 130
    assert "Finished parts are kept; run the same command again to continue." in err.decode()
    _, err = finish(start(*line, model="blur"))
    assert "parts were done before." in err
    assert np.array_equal(zarr.open(str(target), mode="r")[...], whole)
    assert not hidden(tmp_path)


def test_the_command(tmp_path, models, capsys) -> None:
    pixels = noise((100, 90), "uint8", 255)
    source = put(tmp_path / "a.zarr", pixels, chunks=(50, 50))
    words = ["denoise", source, "--model", str(models["halver"])]
    assert main([*words, "--dry-run"]) == 0
    assert main([*words, "--json", str(tmp_path / "report.json")]) == 0
    assert f"{source} -> {tmp_path / 'a-clean.zarr'}" in capsys.readouterr().out
    assert abs(zarr.open(str(tmp_path / "a-clean.zarr"), mode="r")[...] - pixels / 2).max() <= 1
    assert '"status": "done"' in (tmp_path / "report.json").read_text()
    assert main(words) == 2
    assert "already exists; choose another name, or use --overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert main([*words, "-o", f"{tmp_path}/new/"]) == 0
    assert (tmp_path / "new" / "a.zarr" / "zarr.json").exists()
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    line = ["denoise", str(tmp_path / "a.tif"), "--model", str(models["halver"])]
    assert main([*line, "--max-pixels", "100"]) == 0
    assert abs(tifffile.imread(tmp_path / "a-clean.tif") - pixels / 2).max() <= 1
    assert not hidden(tmp_path)


@pytest.mark.parametrize("kind", ["zarr", "group", "tif"])
def test_a_result_is_known_and_not_denoised_twice(tmp_path, models, capsys, kind) -> None:
    source = tmp_path / ("a.tif" if kind == "tif" else "a.zarr")
    pixels = noise((100, 90), "uint8", 255)
    if kind == "tif":
        tifffile.imwrite(source, pixels)
    elif kind == "zarr":
        put(source, pixels, chunks=(50, 50))
    else:
        zarr.open_group(str(source), mode="w").create_array("0", data=pixels, chunks=(50, 50))
        axes = [{"name": "y"}, {"name": "x"}]
        scales = [{"axes": axes, "datasets": [{"path": "0"}]}]
        zarr.open_group(str(source), mode="a").attrs["ome"] = {"multiscales": scales}
    words = ["--model", str(models["halver"]), "--max-pixels", "100"]
    assert main(["denoise", str(source), "-o", str(tmp_path / f"b{source.suffix}"), *words]) == 0
    # Known wherever it lies, and whatever it is called.
    moved = tmp_path / "new" / f"other{source.suffix}"
    moved.parent.mkdir()
    (tmp_path / f"b{source.suffix}").rename(moved)
    capsys.readouterr()
    for more in ([], ["--dry-run"]):
        assert main(["denoise", str(moved), *words, *more]) == 2
        assert f"'{moved}' is a result of quietpixel" in capsys.readouterr().err
    assert [path.name for path in moved.parent.iterdir()] == [moved.name]
    assert main(["denoise", str(moved), *words, "--again"]) == 0


def test_a_result_without_an_effect_is_no_result(tmp_path, models) -> None:
    source, target = tmp_path / "a.zarr", tmp_path / "b.zarr"
    put(source, noise((100, 90), "uint8", 255), chunks=(50, 50))
    words = ["--model", str(models["halver"]), "--strength", "0"]
    assert main(["denoise", str(source), "-o", str(target), *words]) == 0
    assert main(["denoise", str(target), *words]) == 0


def test_a_locked_folder_is_waited_for(tmp_path, models, capsys) -> None:
    source = put(tmp_path / "a.zarr", noise((100, 90), "uint8", 255), chunks=(50, 50))
    with lock_folders([tmp_path]):
        words = ["denoise", source, "--model", str(models["halver"])]
        run = threading.Thread(target=main, args=(words,))
        run.start()
        run.join(0.5)
        assert run.is_alive()
        assert hidden(tmp_path) == [".quietpixel-lock"]
    run.join(30)
    assert (tmp_path / "a-clean.zarr").exists()
    assert "Waiting for another run: process" in capsys.readouterr().err
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    "case",
    [
        (["--in-place"], "--in-place cannot be used with"),
        (["--axes", "xy"], "--axes must end with y and x"),
        (["-o", "b.tif"], "must be of the same kind; got '"),
        (["--sigma", "0.1"], "does not take a noise level"),
        (["--model", "mnist-bottleneck"], "cannot denoise in blocks"),
    ],
)
def test_wrong_words(tmp_path, models, capsys, case) -> None:
    words, reported = case
    source = put(tmp_path / "a.zarr", noise((40, 40), "uint8", 255), chunks=(20, 20))
    model = [] if "--model" in words else ["--model", str(models["halver"])]
    assert main(["denoise", source, *model, *words]) == 2
    assert reported in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_wrong_images(tmp_path, models) -> None:
    target, model = str(tmp_path / "out.zarr"), models["blur"]
    with pytest.raises(FileError, match="does not exist"):
        denoise(str(tmp_path / "gone.zarr"), target, model)
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(FileError, match="it is not a Zarr array or group"):
        denoise(str(tmp_path / "empty.zarr"), target, model)
    (tmp_path / "words.tif").write_bytes(b"only words")
    with pytest.raises(FileError, match="cannot be read as a TIFF"):
        denoise(str(tmp_path / "words.tif"), str(tmp_path / "out.tif"), model)
    zarr.open_group(str(tmp_path / "group.zarr"), mode="w").create_group("well")
    with pytest.raises(ImageError, match=r"is a group and not one image; it holds well"):
        denoise(str(tmp_path / "group.zarr"), target, model)
    tifffile.imwrite(tmp_path / "apart.tif", noise((3, 40, 40), "uint8", 255), photometric="rgb")
    with pytest.raises(ImageError, match="keeps each colour in a plane of its own"):
        denoise(str(tmp_path / "apart.tif"), str(tmp_path / "out.tif"), model)
    source = put(tmp_path / "a.zarr", noise((40, 40), "uint8", 255), chunks=(20, 20))
    with pytest.raises(ArgumentError, match="cannot be replaced while it is read"):
        denoise(source, source, model)
    with pytest.raises(FileError, match="is a folder with other things"):
        denoise(source, str(tmp_path), model, overwrite=True)
    with pytest.raises(ModelError, match="cannot denoise in blocks"):
        denoise(source, target, "mnist-bottleneck")
    bad = put(tmp_path / "bad.zarr", np.full((40, 40), np.nan, "float32"), chunks=(20, 20))
    with pytest.raises(ImageError, match="holds no finite value"):
        denoise(bad, target, model)


@pytest.mark.parametrize("kind", ["tif", "zarr"])
@pytest.mark.parametrize("model", ["halver", "blind"])  # which takes a level
def test_a_damaged_image_is_one_line(tmp_path, models, capsys, kind, model) -> None:
    pixels, source = noise((100, 90), "uint8", 255), tmp_path / f"a.{kind}"
    if kind == "tif":
        tifffile.imwrite(source, pixels, tile=(16, 16), compression="zlib")
        source.write_bytes(source.read_bytes()[:5000])
    else:
        put(source, pixels, chunks=(50, 50))
        (source / "c" / "1" / "1").write_bytes(b"no chunk")
    words = ["denoise", str(source), "--max-pixels", "100", "--model", str(models[model])]
    assert main(words) == 2
    assert "A part of the image cannot be decoded (" in capsys.readouterr().err
    assert not (tmp_path / f"a-clean.{kind}").exists()


def test_a_mixture_is_refused(tmp_path, models, capsys) -> None:
    source = put(tmp_path / "a.zarr", noise((40, 40), "uint8", 255), chunks=(20, 20))
    assert main(["denoise", source, "x.png", "--model", str(models["blur"])]) == 2
    assert "use two separate calls" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_on_workers(start, tmp_path) -> None:
    pixels = noise((200, 190), "uint8", 255)
    source = put(tmp_path / "a.zarr", pixels, chunks=(50, 50))
    out, err = finish(start(source, "--workers", 2))
    assert "2 workers, 2 threads at tcp://" in err
    assert " -> " in out
    assert abs(zarr.open(str(tmp_path / "a-clean.zarr"), mode="r")[...] - pixels / 2).max() <= 1


def test_blocks_need_a_halo(models, tmp_path) -> None:
    source = put(tmp_path / "in.zarr", noise((28, 28)), chunks=(28, 28))
    with pytest.raises(ModelError, match="cannot denoise in blocks"):
        denoise(source, str(tmp_path / "out.zarr"), "mnist-bottleneck")
    # A halo of 0 is one: each pixel depends on itself alone.
    denoise(source, str(tmp_path / "out.zarr"), models["halver"])
