"""`train` and `evaluate` from Python, on the digits, with small models."""

import json
from pathlib import Path

import numpy as np
import pytest

import quietpixel
from quietpixel.errors import ArgumentError, ModelError, TrainingError, UnknownNameError
from quietpixel.files import Picture, write_picture

pytestmark = pytest.mark.usefixtures("eager", "few_squares", "few_digits", "shared_export")

SMALL = {"options": {"filters": [4, 8]}, "batch": 64}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "run"
    return quietpixel.train("digits", epochs=1, code=5, run=folder, **SMALL)


def test_a_run_shows_itself(run: Path) -> None:
    files = {path.name for path in run.iterdir()}
    assert {"model.onnx", "model.keras", "report.html", "samples.png", "history.csv"} <= files
    page = (run / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page.replace('src="data:image/png', "")
    assert "of pixels of held-out images" in page
    card = quietpixel.read_card(run / "model.onnx")
    assert card.training["options"]["code"] == 5
    assert card.uncertainty["coverage"] == pytest.approx(0.9, abs=0.05)


def test_the_code_is_remembered_by_the_recipe(run: Path) -> None:
    assert json.loads((run / "recipe.json").read_text())["options"]["code"] == 5


def test_evaluation_is_seeded_and_the_model_comes_first(run: Path, tmp_path: Path) -> None:
    first = quietpixel.evaluate(run, "digits", report=tmp_path / "report.html")
    again = quietpixel.evaluate(run, "digits")
    other = quietpixel.evaluate(run, "digits", seed=1)
    assert first.methods[0].mse == again.methods[0].mse != other.methods[0].mse
    assert [row.name for row in first.methods] == [str(run), "noisy"]
    facts = json.loads(first.to_json())
    assert (facts["split"], facts["noise"], facts["count"]) == ("test", "gaussian:0.5", 64)
    assert set(facts["methods"][0]) >= {
        "name", "mse", "psnr", "ssim", "mse_interval", "images_per_second",
    }  # fmt: skip
    low, high = facts["methods"][0]["mse_interval"]
    assert low < facts["methods"][0]["mse"] < high
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_the_noisy_row_is_the_error_of_the_noise_itself(run: Path) -> None:
    evaluation = quietpixel.evaluate(run, "digits", noise="gaussian:0.1,clip=no")
    assert evaluation.methods[1].mse < 0.1**2
    unclipped = quietpixel.evaluate(run, "digits", noise="uniform:0")
    assert unclipped.methods[1].mse == 0


def test_a_trained_model_denoises_arrays(run: Path) -> None:
    image = np.zeros((28, 28), np.uint8)
    denoised = quietpixel.Denoiser(run)(image)
    assert denoised.shape == image.shape
    assert denoised.dtype == np.uint8


def test_resume_needs_a_run() -> None:
    with pytest.raises(ArgumentError, match="`resume` needs `run`"):
        quietpixel.train("digits", resume=True)


def test_unknown_words_are_reported(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        quietpixel.train("digit", run=tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(UnknownNameError, match="did you mean 'unet'"):
        quietpixel.train("digits", model="unett", run=tmp_path / "b")
    with pytest.raises(UnknownNameError, match="did you mean 'gaussian'"):
        quietpixel.evaluate(run, "digits", noise="gausian:0.5")
    with pytest.raises((ModelError, UnknownNameError)):
        quietpixel.evaluate(tmp_path, "digits")


@pytest.mark.slow
def test_a_folder_of_pictures_trains_and_shows_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        picture = Picture.from_pixels(rng.integers(0, 256, (100, 110, 3), np.uint8))
        write_picture(picture, tmp_path / "photos" / f"{number}.png")
    small = {"filters": (4, 6), "blocks": (0, 1), "output": "residual"}
    run = quietpixel.train(
        str(tmp_path / "photos"),
        epochs=1,
        run=tmp_path / "run",
        options=small,
        steps=2,
        batch=2,
        channels=3,
        workers=0,
    )
    assert (run / "report.html").exists()
    image = rng.random((37, 41, 3), np.float32)
    assert quietpixel.Denoiser(run)(image).shape == image.shape


def test_a_run_that_is_interrupted_in_its_first_epoch_keeps_its_model_and_can_resume(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = tmp_path / "run"

    def interrupt(progress: object) -> None:
        if progress.step == 2 and not progress.task:
            for resume in (True, False):
                with pytest.raises(TrainingError, match="Another process is training in"):
                    quietpixel.train(run=run, resume=resume)
            raise KeyboardInterrupt

    words = {**SMALL, "epochs": 2, "code": 3, "noise": "gaussian:0.3"}
    with pytest.raises(KeyboardInterrupt):
        quietpixel.train("digits", run=run, on_progress=interrupt, **words)
    names = {path.name for path in run.iterdir()}
    assert {"model.onnx", "report.html", "checkpoint.npz"} <= names
    assert ".lock" not in names
    request.getfixturevalue("no_report")
    assert quietpixel.train(run=run, resume=True, workers=0, **words) == run
    assert quietpixel.read_card(run / "model.onnx").training["epochs_done"] == 2
    with pytest.raises(TrainingError, match="is finished, so there is nothing to continue"):
        quietpixel.train("digits", run=run, resume=True)


@pytest.mark.usefixtures("no_report", "no_export")
def test_a_run_is_not_continued_with_other_settings(tmp_path: Path) -> None:
    def interrupt(progress: object) -> None:
        if progress.step == 2 and not progress.task:
            raise KeyboardInterrupt

    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        quietpixel.train("digits", run=run, on_progress=interrupt, epochs=2, code=3, **SMALL)
    wrong = {"epochs": 5, "code": 4, "noise": "gaussian:0.4", "seed": 1, "recipe": "wide"}
    wrong |= {"minutes": 3, "start": "mnist-unet", "blocks": (1, 1), "plain": 0.5, "data": "mnist"}
    for name, value in wrong.items():
        with pytest.raises(ArgumentError, match=f"`{name}` cannot change when a run is continued"):
            quietpixel.train(**{"run": run, "resume": True, name: value})


def test_a_run_that_diverges_in_its_first_epoch_says_that_there_is_no_model(tmp_path: Path) -> None:
    words = {**SMALL, "model": "unet", "options": {"filters": (4, 6), "blocks": (0, 0)}}
    words["options"]["output"] = "residual"
    with pytest.raises(TrainingError, match=r"became .*; there is no model to keep yet"):
        quietpixel.train(
            "digits", epochs=1, run=tmp_path / "run", learning_rate=1e30, optimizer="adam", **words
        )
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_interrupted_before_its_first_step_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quietpixel.train("digits", run=tmp_path / "run", on_progress=interrupt, **SMALL)
    assert not (tmp_path / "run").exists()
