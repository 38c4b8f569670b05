"""Tiling proved three ways: identity, tiled = whole, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quietpixel.errors import ArgumentError
from quietpixel.imaging.tiling import Grid, plan_grid, reflect_indices, round_up, spread_runs

from ..tiles import run_tiles

SIDES = st.integers(1, 40)


def stencil(halo, divisor=1):
    """A zero-padded weighted sum over the neighbours, then means over cells of the divisor."""
    weights = np.random.default_rng(halo).random((2 * halo + 1, 2 * halo + 1))

    def run(image):
        height, width = image.shape[:2]
        assert not height % divisor
        assert not width % divisor
        framed = np.pad(image, ((halo, halo), (halo, halo), (0, 0)))
        total = np.zeros_like(image)
        for (row, column), weight in np.ndenumerate(weights):
            total += weight * framed[row : row + height, column : column + width]
        cells = total.reshape(height // divisor, divisor, width // divisor, divisor, -1)
        return (
            cells.mean((1, 3), keepdims=True)
            .repeat(divisor, 1)
            .repeat(divisor, 3)
            .reshape(image.shape)
        )

    return run


def whole(function, image, divisor):
    height, width = (round_up(side, divisor) for side in image.shape[:2])
    rows = reflect_indices(0, height, image.shape[0])
    columns = reflect_indices(0, width, image.shape[1])
    return function(image[rows][:, columns])[: image.shape[0], : image.shape[1]]


@given(SIDES, SIDES, st.integers(0, 3), st.sampled_from([1, 2, 3, 4]), st.integers(1, 9))
def test_tiled_equals_whole(height, width, halo, divisor, extra):
    image = np.random.default_rng(height * 41 + width).random((height, width, 2))
    reach = halo + divisor - 1  # the cells of the divisor look that much further
    function = stencil(halo, divisor)
    tile = 2 * round_up(reach, divisor) + extra * divisor
    tiled = run_tiles(function, image, Grid(image.shape[:2], (tile, tile), reach, divisor))
    np.testing.assert_allclose(tiled, whole(function, image, divisor), atol=1e-9)


@pytest.mark.parametrize(
    ("halo", "divisor", "margin"), [(3, 2, 4), (2, 3, 3), (5, 4, 8), (4, 4, 4)]
)
def test_margins_and_starts_are_multiples_of_the_divisor(halo, divisor, margin):
    grid = Grid((97, 61), tile=(24, 36), halo=halo, divisor=divisor)
    assert grid.margin == margin
    assert {tile.rows.start % divisor for tile in grid.tiles()} == {0}
    for tile in grid.tiles():
        for span, length in ((tile.rows, 97), (tile.columns, 61)):
            assert span.keep_start == 0 or span.keep_start - span.start >= margin
            assert span.keep_stop == length or span.stop - span.keep_stop >= margin


@given(SIDES, SIDES, st.integers(0, 5), st.sampled_from([1, 2, 8]), st.integers(1, 2000))
def test_identity_and_each_pixel_once(height, width, halo, divisor, pixels):
    image = np.arange(height * width).reshape(height, width, 1)
    grid = plan_grid((height, width), pixels=pixels, halo=halo, divisor=divisor)
    seen = np.zeros((height, width, 1), int)
    result = np.full_like(image, -1)
    for tile in grid.tiles():
        part = tile.read(image)
        assert not (np.array(part.shape[:2]) % divisor).any()
        place = tile.rows.outer, tile.columns.outer
        result[place] = part[tile.rows.inner, tile.columns.inner]
        seen[place] += 1
    assert (seen == 1).all()
    assert np.array_equal(result, image)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 40), st.integers(0, 4))
def test_plan_keeps_to_the_budget_unless_the_halo_forbids(height, width, halo, halvings):
    divisor, pixels = 2**halvings, 300**2
    grid = plan_grid((height, width), pixels=pixels, halo=halo, divisor=divisor)
    assert grid.tile[0] * grid.tile[1] <= pixels


def test_all_tiles_have_one_size():
    grid = plan_grid((1000, 1300), pixels=200**2, halo=12, divisor=4)
    assert (
        len({(t.rows.stop - t.rows.start, t.columns.stop - t.columns.start) for t in grid.tiles()})
        == 1
    )


def test_large_image_wastes_little():
    grid = plan_grid((10000, 10000), pixels=512**2, halo=20, divisor=4)
    computed = sum(1 for _ in grid.tiles()) * grid.tile[0] * grid.tile[1]
    assert computed < 1.25 * 10000**2


def test_too_small_a_halo_shows():
    image = np.random.default_rng(0).random((30, 30, 1))
    tiled = run_tiles(stencil(3), image, Grid((30, 30), (9, 9), halo=2))
    assert np.abs(tiled - whole(stencil(3), image, 1)).max() > 1e-3


def test_reflection_continues_any_length():
    for length in range(1, 6):
        expected = np.pad(np.arange(length), 13, mode="reflect" if length > 1 else "edge")
        assert np.array_equal(reflect_indices(-13, length + 13, length), expected)


def test_tile_off_the_divisor_is_refused():
    with pytest.raises(ArgumentError, match=r"`tile` must be a multiple of 16 .* got 250. Try 256"):
        Grid((500, 500), (250, 250), halo=3, divisor=16)


def test_tile_within_the_halo_is_refused():
    with pytest.raises(ArgumentError, match=r"`tile` must be at least 17 .* got 10. Try 17"):
        Grid((50, 50), (10, 10), halo=8)


def test_tile_may_differ_by_side():
    grid = Grid((10, 4), tile=(8, 4), halo=2)
    assert [t.rows.outer for t in grid.tiles()] == [slice(0, 6), slice(6, 10)]


@pytest.mark.parametrize("length", [769, 1000, 4001])
def test_runs_keep_the_grid_of_jpeg_and_reach_both_ends(length):
    runs = spread_runs(length, 256, 3, align=8).reshape(3, 256)
    assert (runs[:, 0] % 8 == 0).all()
    assert (np.diff(runs, axis=1) == 1).all()
    assert runs[0, 0] == 0
    assert length - 8 <= runs[-1, -1] + 1 <= length


@pytest.mark.parametrize("length", [1, 300, 768])
def test_runs_that_would_meet_are_the_whole_side(length):
    assert np.array_equal(spread_runs(length, 256, 3, align=8), np.arange(length))
