"""Folder runs survive kills at random moments."""

import os

import pytest

from . import kills


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts processes by forking")
def test_random_kills_lose_nothing_and_denoise_nothing_twice(monkeypatch) -> None:
    for kind in ("CACHE", "DATA"):  # set by the script
        monkeypatch.setenv(f"XDG_{kind}_HOME", "")
    totals = kills.run(100, seed=0)
    assert totals["kills"] >= 100
    assert totals["images denoised once"] == totals["images"] > 0
    # Most kills come before the end, or the test shows nothing.
    assert totals["of them after the end"] < 0.6 * totals["kills"]
