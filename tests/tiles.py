"""A function computed tile by tile, as inference does it."""

from collections.abc import Callable

import numpy as np

from quietpixel.imaging.tiling import Grid


def run_tiles(
    function: Callable[[np.ndarray], np.ndarray], image: np.ndarray, grid: Grid
) -> np.ndarray:
    tiles = list(grid.tiles())
    results = [function(tile.read(image)) for tile in tiles]
    target = np.empty(image.shape[:2] + results[0].shape[2:], results[0].dtype)
    for tile, result in zip(tiles, results, strict=True):
        kept = result[tile.rows.inner, tile.columns.inner]
        target[tile.rows.outer, tile.columns.outer] = kept
    return target
