"""Each example runs as a user would run it, on little data."""

import ast
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quietpixel.files import Picture, write_picture

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = EXAMPLES / "autoencoder_step_by_step.ipynb"
PAGES = EXAMPLES / "scanned_pages.ipynb"
MICROSCOPE = EXAMPLES / "microscope_without_clean.ipynb"
TESTED = {"clean_array.py", "clean_folder.py", "compare_methods.py", "microscope.py"}


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def write_cells(folder: Path, count: int, side: int = 64) -> None:
    folder.mkdir()
    rows, columns = np.mgrid[:side, :side]
    for number in range(count):
        rng = np.random.default_rng(number)
        blob = np.exp(-((rows - 30) ** 2 + (columns - 20 - number) ** 2) / 90)
        pixels = 60 + 120 * blob[..., None] + rng.normal(0, 12, (side, side, 1))
        write_picture(
            Picture.from_pixels(pixels.clip(0, 255).astype(np.uint8)), folder / f"{number}.png"
        )


def code_cells(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def execute(notebook: Path) -> tuple[dict[str, Any], list[bytes]]:
    """Run the cells as a notebook would; return their names and the pictures shown."""
    names: dict[str, Any] = {}
    shown = []
    for cell in code_cells(notebook):
        tree = ast.parse(cell)
        last = tree.body[-1]
        if isinstance(last, ast.Expr):
            tree.body.pop()
        exec(compile(tree, str(notebook), "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), str(notebook), "eval"), names))
    pngs = [each._repr_png_() for each in shown if hasattr(each, "_repr_png_")]
    assert all(png.startswith(b"\x89PNG") for png in pngs)
    return names, pngs


def test_every_script_and_notebook_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == TESTED
    assert set(EXAMPLES.glob("*.ipynb")) == {NOTEBOOK, PAGES, MICROSCOPE}


@pytest.mark.slow
def test_the_notebook_builds_an_autoencoder_that_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHS", "3")
    names, pngs = execute(NOTEBOOK)
    losses = [epoch["validation_loss"] for epoch in names["history"]]
    assert losses[-1] < losses[0] < 0.2
    assert names["errors"]["16 numbers"] < names["errors"]["noisy"]
    assert names["codes"].shape == (299, 16)
    assert len(pngs) == 7


def test_an_array_is_cleaned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "clean_array.py")
    noisy, denoised, half = (float(n) for n in re.findall(r"([\d.]+) dB", capsys.readouterr().out))
    assert denoised > half > noisy


def test_a_folder_is_cleaned_where_there_is_noise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_cells(tmp_path / "in", 1)
    calm = Picture.from_pixels(np.full((40, 40, 1), 90, np.uint8))
    write_picture(calm, tmp_path / "in" / "calm.png")
    run(monkeypatch, "clean_folder.py", tmp_path / "in", tmp_path / "out", "mnist-unet")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0.png"]
    assert re.search("calm.png: sigma 0.[0-4] of 255, left unchanged", capsys.readouterr().out)


def test_methods_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "compare_methods.py", 5)
    printed = capsys.readouterr().out
    assert printed.count("dB") == 6
    assert "noisy differs from mnist-unet" in printed


@pytest.mark.slow
def test_a_microscope_gets_a_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_cells(tmp_path / "in", 6)
    run(monkeypatch, "microscope.py", tmp_path / "in", tmp_path / "run", 0.02)
    assert (tmp_path / "run" / "model.onnx").exists()
    assert "noise: white" in capsys.readouterr().out


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let notebooks train on a few small images in a temporary folder."""
    for name, value in {"EPOCHS": "2", "STEPS": "20", "PAGES": "6", "IMAGES": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_notebook_of_scanned_pages_cleans_a_page() -> None:
    names, pngs = execute(PAGES)
    assert len(pngs) == 2
    assert names["errors"]["model"] < 0.95 * names["errors"]["scan"]
    assert names["errors"].keys() == {"scan", "model", "median", "tv"}
    assert (names["after"].dtype, names["after"].shape) == (np.uint16, (288, 224, 1))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_notebook_of_a_microscope_learns_from_noise_alone() -> None:
    names, pngs = execute(MICROSCOPE)
    assert len(pngs) == 2
    assert names["found"].kind == "white"
    assert names["quality"]["denoised"] > names["quality"]["shot"] + 3
    assert not (names["work"] / "shots" / "clean").exists()
