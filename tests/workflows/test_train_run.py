from pathlib import Path

import numpy as np
import pytest

import quietpixel
from quietpixel.files import Picture, write_picture
from quietpixel.workflows import calibrate

pytestmark = pytest.mark.usefixtures("eager")

TINY = {
    "options": {"filters": (4, 6), "blocks": (0, 1), "output": "residual"},
    "epochs": 1,
    "steps": 2,
    "batch": 2,
    "patch": 16,
    "channels": 1,
    "start": "nothing",
    "workers": 0,
}


def put(path: Path, seed: int, sigma: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    clean = np.kron(np.random.default_rng(seed).random((6, 6)), np.ones((8, 8)))
    noisy = clean + sigma * np.random.default_rng((seed, 1)).standard_normal(clean.shape)
    pixels = np.clip(255 * noisy, 0, 255).astype(np.uint8)
    write_picture(Picture.from_pixels(pixels), path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in range(6):
        put(tmp_path / "data" / "noisy" / f"{number}.png", number, 0.1)
        put(tmp_path / "data" / "clean" / f"{number}.png", number, 0.0)
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("side", "words"),
    [
        pytest.param("", {}, id="pairs", marks=pytest.mark.slow),
        pytest.param("clean", {"noise": "gaussian:0..0.2"}, id="clean pictures"),
    ],
)
def test_a_run_with_clean_pictures_ends_calibrated(
    data, tmp_path, monkeypatch, side, words
) -> None:
    monkeypatch.setattr(calibrate, "SQUARES", 20)  # 640 take 12 s
    run = quietpixel.train(str(data / side), run=tmp_path / "run", **TINY, **words)
    measured = quietpixel.read_card(run / "model.onnx").uncertainty
    assert measured["share"] == 0.9
    assert measured["images"] >= 1
    assert "Error bars" in (run / "report.html").read_text()
    image = np.full((20, 20), 0.5, np.float32)
    assert quietpixel.uncertainty(image, image, run).min() > 0


@pytest.mark.slow
def test_a_run_without_clean_pictures_has_no_error_bars(data, tmp_path) -> None:
    words = {**TINY, "target": "none"}
    run = quietpixel.train(str(data / "noisy"), run=tmp_path / "run", **words)
    assert quietpixel.read_card(run / "model.onnx").uncertainty == {}
    assert "Error bars" not in (run / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
def test_a_named_set_measures_its_coverage(tmp_path) -> None:
    small = {"model": "bottleneck", "options": {"filters": (4, 8)}, "batch": 64}
    run = quietpixel.train("digits", run=tmp_path / "run", epochs=1, **small)
    measured = quietpixel.read_card(run / "model.onnx").uncertainty
    assert measured["coverage"] == pytest.approx(0.9, abs=0.02)
    assert "of pixels of held-out images" in (run / "report.html").read_text()
