import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quietpixel.errors import ArgumentError
from quietpixel.reports.charts import noise_chart
from quietpixel.workflows.measure_noise import measure_noise


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
    assert list(entry) == ["file", "sigma", "gain", "read_noise", "kind"]
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


def test_an_empty_folder_is_said(quietpixel, tmp_path) -> None:
    outcome = quietpixel("noise", tmp_path)
    assert outcome.code == 2
    assert "holds no images to measure" in outcome.err


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
        noise_chart({str(i): measure_noise(noisy) for i in range(61)})
