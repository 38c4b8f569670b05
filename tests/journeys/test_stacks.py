"""Stacks of scientific images, from the file through training or denoising."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

import quietpixel
from quietpixel.cli.main import main
from quietpixel.errors import DataError

from ..tiny_models import write_sigma

SMALL: dict = {
    "target": "none", "method": "neighbours", "start": "nothing", "epochs": 1, "steps": 2,
    "batch": 4, "patch": 32, "channels": 1,
    "options": {"filters": (4, 6), "blocks": (0, 0), "output": "residual"},
}  # fmt: skip
STACK = {"photometric": "minisblack"}


@pytest.mark.usefixtures("eager", "no_report")
@pytest.mark.parametrize(
    ("dtype", "mean", "first"),
    [("uint16", 3000, "constant"), ("int16", -3000, "noisy")],
    ids=["a constant first page", "negative values"],
)
def test_every_page_is_trained_on_with_its_negative_values(
    tmp_path: Path, dtype: str, mean: int, first: str
) -> None:
    pages = mean + 900 * np.random.default_rng(0).standard_normal((6, 48, 48))
    if first == "constant":
        pages[0] = mean
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", pages.astype(dtype), **STACK)
    run = quietpixel.train(str(tmp_path / "in"), run=tmp_path / "run", **SMALL)
    with (run / "history.csv").open() as file:
        (row,) = csv.DictReader(file)
    # Neighbours differ by noise of 900, where the content is 6,000 wide or less.
    assert float(row["loss"]) > 0.01


@pytest.mark.usefixtures("eager", "no_report", "no_export")
def test_constant_images_are_not_trained_on(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((3, 48, 48), 700, np.uint16), **STACK)
    with pytest.raises(DataError, match="nothing left to train on"):
        quietpixel.train(str(tmp_path), run=tmp_path / "run", **SMALL)


def test_a_stack_that_grows_brighter_has_one_scale(tmp_path: Path) -> None:
    """The model adds its noise level, as a share of the scale."""
    model = write_sigma(tmp_path / "adder.onnx")
    scene = np.kron(np.linspace(0, 1, 24).reshape(4, 6), np.ones((8, 8)))
    pages = np.stack([factor * (1000 + 500 * scene) for factor in (1, 2, 4)]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pages, **STACK)
    words = ["denoise", tmp_path / "a.tif", "--model", model, "--sigma", "0.1"]
    assert main([*map(str, words)]) == 0
    added = tifffile.imread(tmp_path / "a-clean.tif").astype(float) - pages
    np.testing.assert_allclose(added.mean(axis=(1, 2)), added[0].mean(), rtol=0.01)
    assert added.mean() > 100
