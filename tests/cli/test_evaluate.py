"""`quietpixel evaluate` with several models: tables, JSON, and what it refuses."""

import json
from pathlib import Path


def test_several_models_and_strengths_make_tables(quietpixel, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    done = quietpixel(
        "evaluate", "mnist-unet", "median", "digits", "--sigmas", "25/255,0.3", "--count", 4,
        "--json", told, "--report", tmp_path / "page.html",
    )  # fmt: skip
    assert done.code == 0
    assert "4 images of digits in gray, seed 0" in done.out
    assert done.out.count("mnist-unet") == 2
    assert "Classical methods are tuned on digits (validation)." in done.out
    read = json.loads(told.read_text())
    assert [table["noise"][:14] for table in read["tables"]] == ["gaussian:0.098", "gaussian:0.3,c"]
    assert (tmp_path / "page.html").exists()


def test_one_model_keeps_its_form(quietpixel) -> None:
    done = quietpixel("evaluate", "mnist-bottleneck", "digits", "--json", "-")
    read = json.loads(done.out)
    assert list(read) == ["model", "data", "split", "noise", "seed", "count", "methods"]
    assert read["methods"][0]["name"] == "mnist-bottleneck"


def test_strengths_beyond_the_scale_say_what_was_meant(quietpixel) -> None:
    done = quietpixel("evaluate", "noisy", "digits", "--sigmas", "25")
    assert (done.code, done.out) == (2, "")
    assert "got 25. Try 25/255." in done.err


def test_noise_and_strengths_together_are_refused(quietpixel) -> None:
    words = ["--sigmas", "0.1", "--noise", "gaussian:0.1"]
    done = quietpixel("evaluate", "noisy", "digits", *words)
    assert done.code == 2
    assert "give one of them" in done.err


def test_unknown_names_are_told(quietpixel) -> None:
    done = quietpixel("evaluate", "mnist-unit", "median", "digits", "--noise", "gaussian:0.1")
    assert done.code == 2
    assert "did you mean 'mnist-unet'" in done.err
