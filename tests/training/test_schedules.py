"""The learning rate of runs by the clock, relative to the highest, at points worked out by hand."""

import pytest

from quietpixel.training.callbacks import rate_at, trapezoid


@pytest.mark.parametrize(
    ("share", "rate"), [(0, 0), (0.01, 0.5), (0.02, 1), (0.265, 0.8536), (0.51, 0.5), (1, 0)]
)
def test_cosine(share: float, rate: float) -> None:
    assert rate_at(share) == pytest.approx(rate, abs=1e-4)


@pytest.mark.parametrize(
    ("share", "rate"), [(0, 0), (0.01, 0.5), (0.02, 1), (0.8, 1), (0.85, 0.75), (0.9, 0.5), (1, 0)]
)
def test_trapezoid(share: float, rate: float) -> None:
    assert trapezoid(share) == pytest.approx(rate, abs=1e-9)
