import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from PIL.ImageCms import ImageCmsProfile, createProfile
from scipy.ndimage import gaussian_filter

from quietpixel import parse_noise
from quietpixel.containers import denoise, measure_noise
from quietpixel.data.image_folder import Layout
from quietpixel.errors import ArgumentError, ImageError, TooLargeError
from quietpixel.reports.charts import noise_chart
from quietpixel.training.folder_data import measure_folder


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """Give a gray picture with noise of 20/255."""
    rng = np.random.default_rng(0)
    values = np.tile(np.linspace(70, 180, 120), (90, 1)) + 20 * rng.standard_normal((90, 120))
    path = tmp_path / "noisy.png"
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(path)
    return path


def test_a_table_says_sigma_and_the_law(quietpixel, noisy) -> None:
    outcome = quietpixel("noise", noisy)
    assert outcome.code == 0, outcome.err
    head, row = outcome.out.splitlines()
    assert head.split()[:2] == ["file", "sigma"]
    assert row.startswith(str(noisy))
    assert float(row.split()[2]) == pytest.approx(20, rel=0.1)
    assert "gaussian:0.0" in row


def test_json_is_a_list_of_the_promised_keys(quietpixel, noisy, tmp_path) -> None:
    target = tmp_path / "noise.json"
    assert quietpixel("noise", noisy, "--json", target).code == 0
    (entry,) = json.loads(target.read_text())
    assert list(entry)[:5] == ["file", "sigma", "gain", "read_noise", "kind"]
    assert (entry["black"], entry["white"], entry["warning"]) == (0, 255, None)
    assert entry["file"] == str(noisy)
    assert entry["sigma"] == pytest.approx(20 / 255, rel=0.1)
    assert entry["kind"] == "white"
    assert json.loads(quietpixel("noise", noisy, "--json", "-").out) == [entry]


def test_a_plot_is_a_picture(quietpixel, noisy, tmp_path) -> None:
    target = tmp_path / "noise.png"
    assert quietpixel("noise", noisy, noisy, "--plot", target).code == 0
    assert np.asarray(Image.open(target)).std() > 0


def test_a_folder_stands_for_its_images(quietpixel, noisy) -> None:
    assert str(noisy) in quietpixel("noise", noisy.parent).out


def test_an_empty_folder_is_said(quietpixel, tmp_path, noisy) -> None:
    (tmp_path / "empty").mkdir()
    outcome = quietpixel("noise", tmp_path / "empty")
    assert outcome.code == 2
    assert "holds no images to measure" in outcome.err
    outcome = quietpixel("noise", tmp_path / "empty", noisy)
    assert (outcome.code, str(noisy) in outcome.out) == (1, True)
    assert "holds no images to measure" in outcome.err


def test_a_zarr_is_measured_like_a_file(quietpixel, noisy, tmp_path) -> None:
    values = np.asarray(Image.open(noisy))
    zarr.save_array(tmp_path / "a.zarr", values)
    np.save(tmp_path / "a.npy", values)
    outcome = quietpixel("noise", tmp_path / "a.zarr", tmp_path / "a.npy", "--json", "-")
    stored, plain = json.loads(outcome.out)
    assert outcome.code == 0
    assert stored | {"file": ""} == plain | {"file": ""}


def test_each_channel_has_a_line(quietpixel, tmp_path) -> None:
    rng = np.random.default_rng(0)
    stack = np.stack([np.full((2, 64, 64), 900), np.full((2, 64, 64), 500)], axis=1)
    stack = stack + rng.normal(0, 1, stack.shape) * [[[[40]], [[10]]]]
    paths = [tmp_path / "a.ome.tif", tmp_path / "a.ome.zarr"]
    tifffile.imwrite(paths[0], stack.astype(np.uint16), metadata={"axes": "ZCYX"}, ome=True)
    group = zarr.open_group(paths[1], mode="w", zarr_format=2)
    group.create_array("0", data=stack.astype(np.uint16))
    group.attrs["multiscales"] = [{"axes": list("zcyx"), "datasets": [{"path": "0"}]}]
    for path in paths:
        measures = json.loads(quietpixel("noise", path, "--json", "-").out)
        names = [f"{path}, channel {number}" for number in (1, 2)]
        assert [each["file"] for each in measures] == names
        sigmas = [each["counts"]["sigma"] for each in measures]
        np.testing.assert_allclose(sigmas, [40, 10], rtol=0.05)
        with pytest.raises(ImageError, match="`image` must have one channel"):
            measure_noise(path)
    assert measure_noise(stack[:, 0], axes="zyx").counts["sigma"] == pytest.approx(40, rel=0.05)
    with pytest.raises(ImageError, match=r"`image` must have one channel .* got 2"):
        measure_noise(stack, axes="zcyx")
    np.save(tmp_path / "a.npy", stack)
    zarr.save_array(tmp_path / "b.zarr", stack)
    for name in ("a.npy", "b.zarr"):
        words = ("noise", tmp_path / name, "--axes", "zcyx", "--json", "-")
        sigmas = [each["counts"]["sigma"] for each in json.loads(quietpixel(*words).out)]
        np.testing.assert_allclose(sigmas, [40, 10], rtol=0.05)


def test_what_holds_for_many_files_is_said_once(quietpixel, noisy) -> None:
    soft = gaussian_filter(np.random.default_rng(1).normal(120, 40, (90, 120)), 1)
    for number in range(5):
        Image.fromarray(soft.astype(np.uint8)).save(noisy.with_name(f"soft-{number}.png"))
    out = quietpixel("noise", noisy.parent).out
    names = ", ".join(str(noisy.with_name(f"soft-{number}.png")) for number in range(3))
    assert f"\n{names} and 2 more: the noise of neighbouring pixels is correlated" in out
    assert out.count("is correlated") == 1


@pytest.mark.parametrize("function", [denoise, measure_noise])
def test_python_takes_the_limit_that_its_message_names(noisy, function) -> None:
    pixels = math.prod(np.asarray(Image.open(noisy)).shape[:2])
    with pytest.raises(TooLargeError, match="or raise `max_pixels`"):
        function(noisy, max_pixels=pixels - 1)
    function(noisy, max_pixels=pixels)


def test_a_bad_file_does_not_stop_the_others(quietpixel, noisy, tmp_path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"words")
    outcome = quietpixel("noise", bad, noisy)
    assert outcome.code == 1
    assert outcome.err.count("bad.png") == 1
    assert str(noisy) in outcome.out
    alone = quietpixel("noise", bad)
    assert alone.code == 2
    assert alone.err.count("\n") == 1


def test_an_image_that_is_too_small_is_named(quietpixel, gray, noisy) -> None:
    outcome = quietpixel("noise", gray, noisy)
    assert outcome.code == 1
    assert f"{gray}: " in outcome.err
    assert "at least 24 x 24 pixels" in outcome.err


def test_an_option_that_the_command_lacks_is_no_remedy(quietpixel, noisy, tmp_path) -> None:
    huge = tmp_path / "huge.pgm"
    huge.write_bytes(b"P5 30000 30000 255\n")
    for words in ([huge], [huge, noisy]):
        outcome = quietpixel("noise", *words)
        assert "at most 500,000,000 are read" in outcome.err
        assert outcome.err.endswith("make it smaller.\n")


def test_pages_depths_and_colours_are_measured(tmp_path) -> None:
    rng = np.random.default_rng(0)
    deep = (32768 + 3000 * rng.standard_normal((64, 64))).astype(np.uint16)
    assert measure_noise(deep).sigma == pytest.approx(3000 / 65535, rel=0.1)
    alpha = rng.normal(128, 10, (64, 64, 4)).astype(np.uint8)
    alpha[..., 3] = 255
    assert measure_noise(alpha).sigma == pytest.approx(10 / 255, rel=0.1)
    pages = [Image.fromarray(rng.normal(128, 10, (64, 64)).astype(np.uint8)) for _ in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    assert measure_noise(tmp_path / "stack.tif").sigma == pytest.approx(10 / 255, rel=0.1)


def test_a_plot_has_room_for_so_many(noisy) -> None:
    with pytest.raises(ArgumentError, match="room for 1 to 60 images; got 61"):
        noise_chart(dict.fromkeys(map(str, range(61)), measure_noise(noisy)))


SIDE = 384
Y, X = np.mgrid[:SIDE, :SIDE]
WAVES = np.sin(Y / 20 + X / 40) + np.cos(X / 31 - Y / 50)
CLEAN = np.clip(WAVES / 3 + 1 / 3, 0, 1)
"""Values in [0, 1], a quarter of them dark."""


def write_counts(path: Path, gain: float, read: float, offset: int, photons: float) -> None:
    rng = np.random.default_rng(1)
    light = gain * rng.poisson(photons * CLEAN)
    counts = offset + light + read * rng.standard_normal(CLEAN.shape)
    tifffile.imwrite(path, np.rint(counts).astype(np.uint16))


@pytest.mark.parametrize(
    "camera",
    # The last one uses 8 bits of its 16.
    [(1.5, 5, 100, 300), (0.5, 12, 2000, 5000), (1.5, 20, 500, 2000), (1, 4, 40, 150)],
)
def test_offset_gain_and_read_noise_are_fitted_in_counts(
    quietpixel, tmp_path: Path, camera: tuple[float, float, int, float]
) -> None:
    (gain, read, offset, photons), path = camera, tmp_path / "counts.tif"
    write_counts(path, gain, read, offset, photons)
    outcome = quietpixel("noise", path)
    assert f"{path}: in its units, offset " in outcome.out
    assert "the table has black 0 as 0 and white" in outcome.out
    (entry,) = json.loads(quietpixel("noise", path, "--json", "-").out)
    counts = entry["counts"]
    assert counts["gain"] == pytest.approx(gain, rel=0.1)
    assert counts["read_noise"] == pytest.approx(read, rel=0.2)
    assert counts["offset"] == pytest.approx(offset, abs=0.5 * read)
    assert (entry["kind"], entry["black"]) == ("white", 0)
    # The law is that of the noise at every brightness.
    law = parse_noise(entry["law"])
    clean = ((offset + gain * photons * CLEAN) / entry["white"]).astype(np.float32)
    _, variance = law.propagate(clean, np.zeros_like(clean))
    expected = gain**2 * photons * CLEAN + read**2
    np.testing.assert_allclose(variance * entry["white"] ** 2, expected, rtol=0.2)


def test_an_offset_hides_neither_gain_nor_read_noise(quietpixel, tmp_path: Path) -> None:
    """White is 65535, because the image uses all of its 16 bits."""
    path, report = tmp_path / "counts.tif", tmp_path / "noise.json"
    write_counts(path, 100, 700, 5000, 550)
    quietpixel("noise", path, "--json", report)
    (entry,) = json.loads(report.read_text())
    assert 65535 * entry["gain"] == pytest.approx(100, rel=0.1)
    assert 65535 * entry["read_noise"] == pytest.approx(700, rel=0.2)


def test_the_value_without_light_is_given(quietpixel, tmp_path: Path) -> None:
    path = tmp_path / "counts.tif"
    write_counts(path, 1.5, 5, 100, 300)
    words = ("noise", path, "--range", "100,1000", "--json", "-")
    (entry,) = json.loads(quietpixel(*words).out)
    assert (entry["black"], entry["white"], entry["offset"]) == (100, 1000, 0)
    assert entry["counts"]["offset"] == 100
    assert entry["counts"]["gain"] == pytest.approx(1.5, rel=0.1)


def test_white_and_black_that_a_file_declares_are_those_of_the_law(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = (120 + 20 * rng.standard_normal((64, 64))).clip(0, 255).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 64 64 1000\n" + values.tobytes())
    assert measure_noise(tmp_path / "a.pgm").white == 1000
    profile = ImageCmsProfile(createProfile("sRGB")).tobytes()
    tifffile.imwrite(tmp_path / "a.tif", 9 * values.astype(np.uint16), iccprofile=profile)
    assert measure_noise(tmp_path / "a.tif").offset == 0
    tifffile.imwrite(tmp_path / "a.tif", 9 * values.astype(np.uint16))
    assert measure_noise(tmp_path / "a.tif").offset > 0


@pytest.mark.parametrize("offset", [200, 1000])
def test_training_measures_the_law_of_counts(tmp_path: Path, offset: int) -> None:
    for number in range(2):
        write_counts(tmp_path / f"{number}.tif", 1.5, 5, offset, 300)
    layout = Layout("noisy", tuple((path,) for path in sorted(tmp_path.iterdir())))
    law = measure_folder(layout, 1).law
    white = 1023 if offset == 200 else 4095
    clean = np.array([offset, offset + 450], np.float32) / white
    _, variance = law.propagate(clean, np.zeros_like(clean))
    np.testing.assert_allclose(variance * white**2, [25, 1.5 * 450 + 25], rtol=0.2)


def write_gray(path: Path, image: np.ndarray, **options: int) -> Path:
    pixels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_outliers_are_named(quietpixel, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    noisy = 0.2 + 0.6 * CLEAN + 0.03 * rng.standard_normal(CLEAN.shape)
    hit = rng.random(CLEAN.shape)
    salted = np.where(hit < 0.01, 0, np.where(hit > 0.99, 1, noisy))
    path = write_gray(tmp_path / "salt.png", salted)
    assert re.search("single outlying pixels, [01].* % dark", quietpixel("noise", path).out)
    (entry,) = json.loads(quietpixel("noise", path, "--json", "-").out)
    assert entry["kind"] == "impulses"
    assert entry["sigma"] == pytest.approx(0.03, rel=0.1)
    assert parse_noise(entry["law"].split("+")[-1]).amount == pytest.approx(0.02, rel=0.25)
    hot = write_gray(tmp_path / "hot.png", np.where(hit > 0.99, 1, noisy))
    (entry,) = json.loads(quietpixel("noise", hot, "--json", "-").out)
    assert (entry["kind"], "salt" in entry["law"]) == ("impulses", False)
    assert entry["outliers"] == pytest.approx([0, 0.01], abs=0.001)


@pytest.mark.parametrize("offset", [0, 100])
def test_few_photons_are_no_outliers(offset: int) -> None:
    counts = offset + 3 * np.random.default_rng(1).poisson(CLEAN)
    measure = measure_noise(counts.astype(np.uint16))
    assert (measure.kind, measure.outliers) == ("white", (0, 0))
    assert measure.counts["gain"] == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_one_value_everywhere_has_no_noise(dtype: str) -> None:
    """It was called correlated, with the remedies for JPEG."""
    measure = measure_noise(np.full((64, 64), 3, dtype))
    assert (measure.kind, measure.warning) == ("white", None)
    assert measure.sigma == pytest.approx(0, abs=1e-6)


def test_speckle_is_named(quietpixel, tmp_path: Path) -> None:
    clean = 0.1 + 0.6 * CLEAN
    noisy = clean * (1 + 0.15 * np.random.default_rng(3).standard_normal(CLEAN.shape))
    path = write_gray(tmp_path / "speckle.png", noisy)
    assert "speckle, a standard deviation of 1" in quietpixel("noise", path).out
    (entry,) = json.loads(quietpixel("noise", path, "--json", "-").out)
    assert entry["kind"] == "speckle"
    assert parse_noise(entry["law"]).sigma == pytest.approx(0.15, rel=0.1)


def test_noise_behind_a_jpeg_is_warned_about(quietpixel, tmp_path: Path) -> None:
    noisy = 0.2 + 0.6 * CLEAN + 0.05 * np.random.default_rng(4).standard_normal(CLEAN.shape)
    path = write_gray(tmp_path / "a.jpg", noisy, quality=60)
    outcome = quietpixel("noise", path)
    assert "its level is a lower bound, and a law of white noise would be too weak" in outcome.out
    (entry,) = json.loads(quietpixel("noise", path, "--json", "-").out)
    assert (entry["kind"], entry["law"]) == ("correlated", None)
