"""`quietpixel evaluate`: tables, JSON, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quietpixel import Denoiser

pytestmark = pytest.mark.usefixtures("few_digits")


def test_several_models_and_levels_make_tables(quietpixel, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    file = tmp_path / "results.json"
    done = quietpixel(
        "evaluate", "mnist-unet", "median", "digits", "--sigmas", "25/255,0.3", "--count", 4,
        "--json", file, "--report", tmp_path / "page.html",
    )  # fmt: skip
    assert done.code == 0
    assert "4 images of digits (test) in gray, seed 0" in done.out
    assert done.out.count("\nmnist-unet  ") == 2
    assert "Classical methods are tuned on digits (validation)." in done.out
    read = json.loads(file.read_text())
    assert [table["noise"][:14] for table in read["tables"]] == ["gaussian:0.098", "gaussian:0.3,c"]
    assert (tmp_path / "page.html").exists()


def test_a_model_of_other_images_does_not_lose_without_a_word(quietpixel, tmp_path: Path) -> None:
    words = ["--noise", "gaussian:0.5", "--count", 20, "--report", tmp_path / "page.html"]
    done = quietpixel("evaluate", "mnist-unet", "median", "digits", *words)
    psnr = {line.split()[0]: float(line.split()[1]) for line in done.out.splitlines()[4:7]}
    assert psnr["mnist-unet"] < psnr["median"]
    assert "mnist-unet was trained on mnist; it does worse on other images" in done.out
    page = (tmp_path / "page.html").read_text()
    assert "<dt>Trained on other images</dt><dd>mnist-unet (mnist)</dd>" in page
    assert "was trained on" not in quietpixel("evaluate", "photo", "digits", "--count", 2).out


def test_one_model_has_the_form_of_several(quietpixel) -> None:
    done = quietpixel("evaluate", "mnist-bottleneck", "digits", "--json", "-")
    read = json.loads(done.out)
    assert list(read)[:7] == ["model", "data", "split", "noise", "seed", "count", "methods"]
    later = ["channels", "tuned_on", "trained_noise", "trained_elsewhere", "tables"]
    assert list(read)[7:] == later
    assert [row["name"] for row in read["methods"]] == ["mnist-bottleneck", "noisy"]
    assert (read["split"], read["noise"], read["count"]) == ("test", "gaussian:0.5", 64)


def test_a_photo_model_on_a_folder_names_its_law(quietpixel, tmp_path: Path) -> None:
    levels = np.tile(np.linspace(20, 230, 64), (48, 1)).astype(np.uint8)
    Image.fromarray(np.stack([levels] * 3, axis=-1)).save(tmp_path / "a.png")
    done = quietpixel("evaluate", "photo", tmp_path)
    assert (done.code, done.out.splitlines()[2]) == (0, "gaussian:37.5/255,clip=no")
    law = Denoiser("photo").card.noise
    assert "*gaussian:0..75/255" in law
    assert f"The noise is derived from the law of the model, {law}." in done.out


def test_clean_images_that_are_noisy_are_noticed(quietpixel, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(128, 20, (64, 64))
    Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "a.png")
    outcome = quietpixel("evaluate", "median", tmp_path, "--noise", "gaussian:0.1")
    assert outcome.code == 0, outcome.err
    assert "taken to be clean and have noise of about 20 of 255 themselves, and results" in (
        outcome.err
    )


def test_images_that_are_left_out_are_named(quietpixel, tmp_path: Path) -> None:
    levels = np.tile(np.linspace(20, 230, 64), (48, 1)).astype(np.uint8)
    for side in ("noisy", "clean"):
        (tmp_path / side).mkdir()
        Image.fromarray(levels).save(tmp_path / side / "a.png")
        (tmp_path / side / f"{side}.tga").touch()
    Image.fromarray(levels).save(tmp_path / "clean" / "b.png")
    done = quietpixel("evaluate", "noisy", tmp_path)
    assert done.code == 0
    unread = "'clean/clean.tga', 'noisy/noisy.tga'"
    assert f"Skipping images that cannot be read here: {unread}." in done.err
    assert "Skipping images without a partner: 'clean/b.png'." in done.err


def test_levels_beyond_the_scale_come_with_a_suggestion(quietpixel) -> None:
    done = quietpixel("evaluate", "noisy", "digits", "--sigmas", "25")
    assert (done.code, done.out) == (2, "")
    assert "got 25. Try 25/255." in done.err


def test_noise_and_levels_together_are_refused(quietpixel) -> None:
    words = ["--sigmas", "0.1", "--noise", "gaussian:0.1"]
    done = quietpixel("evaluate", "noisy", "digits", *words)
    assert done.code == 2
    assert "give one of them" in done.err


def test_unknown_names_are_refused(quietpixel) -> None:
    done = quietpixel("evaluate", "mnist-unit", "median", "digits", "--noise", "gaussian:0.1")
    assert done.code == 2
    assert "did you mean 'mnist-unet'" in done.err


def test_a_table_is_as_wide_as_the_terminal(quietpixel, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    outcome = quietpixel("evaluate", "median", "digits", "--noise", "gaussian:0.1", "--count", 3)
    lines = outcome.out.splitlines()
    heads = [line for line in lines if line.startswith("method ")]
    assert len(heads) > 1
    assert max(map(len, lines)) <= 60
    assert " ".join(heads).count("SSIM") == 1
    assert sum(line.startswith("median ") for line in lines) == len(heads)
    monkeypatch.setenv("COLUMNS", "300")
    outcome = quietpixel("evaluate", "median", "digits", "--noise", "gaussian:0.1", "--count", 3)
    assert outcome.out.count("method ") == 1
