"""Folder runs survive kills at random moments."""

import os

import pytest

from . import kills


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts processes by forking")
@pytest.mark.parametrize("count", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_random_kills_lose_nothing_and_denoise_nothing_twice(count, monkeypatch) -> None:
    for kind in ("CACHE", "DATA"):  # set by the script
        monkeypatch.setenv(f"XDG_{kind}_HOME", "")
    totals = kills.run(count, seed=count)
    assert totals["kills"] >= count
    assert totals["images denoised once"] == totals["images"] > 0
    # Most kills come before the end, or the test shows nothing.
    assert totals["of them after the end"] < 0.6 * totals["kills"]
