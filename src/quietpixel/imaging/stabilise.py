"""Photon noise made equally strong everywhere, and the unbiased way back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import Array

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PhotonNoise:
    """Noise of variance ``gain * (clean - offset) + read_noise**2``, in the units of an image.

    Parameters
    ----------
    gain
        Units for each photon, above 0.
    read_noise
        Standard deviation in the dark.
    offset
        The value without light.

    References
    ----------
    M. Mäkitalo, A. Foi, "Optimal inversion of the generalized Anscombe transformation for
    Poisson-Gaussian noise", IEEE TIP 22(1), 2013.

    Examples
    --------
    >>> noise = PhotonNoise(gain=2.0, read_noise=3.0, offset=100.0)
    >>> clean = np.array([150.0, 1000.0])
    >>> counts = 100 + 2 * np.random.default_rng(0).poisson((clean - 100) / 2, (40000, 2))
    >>> counts = counts + 3 * np.random.default_rng(1).standard_normal(counts.shape)
    >>> stable = noise.stabilise(counts)
    >>> stable.std(axis=0).round(1).tolist(), noise.restore(stable.mean(axis=0)).round().tolist()
    ([1.0, 1.0], [150.0, 1000.0])
    """

    gain: float
    read_noise: float
    offset: float

    def stabilise(self, values: Array) -> FloatArray:
        """Return values whose noise has a standard deviation of 1."""
        photons = (values.astype(np.float64) - self.offset) / self.gain
        variance = (self.read_noise / self.gain) ** 2
        return np.asarray(2 * np.sqrt(np.maximum(photons + 0.375 + variance, 0)))

    def restore(self, stable: Array) -> FloatArray:
        """Return the values whose noisy versions have these means after `stabilise`."""
        variance = (self.read_noise / self.gain) ** 2
        # The series has a pole at 0. Values below the offset are kept where read noise allows them:
        # the offset may be estimated too high, from places that are not quite dark.
        root = np.maximum(stable.astype(np.float64), 2 * np.sqrt(0.375))
        inverse, part = 1 / root, np.sqrt(1.5)
        series = inverse * (part / 4 + inverse * (5 / 8 * part * inverse - 11 / 8))
        photons = np.square(root) / 4 + series - 1 / 8 - variance
        return np.asarray(photons * self.gain + self.offset)

    def describe(self) -> str:
        """Return a sentence."""
        return (
            f"Photon noise was made equally strong everywhere (gain {self.gain:.3g}, read noise "
            f"{self.read_noise:.3g}, offset {self.offset:.4g})."
        )
