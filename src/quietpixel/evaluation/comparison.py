"""Several methods on the same noisy images: means, and intervals of what lies between them."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ArgumentError
from quietpixel.evaluation.benchmark import NOISY, Method, check_denoised, without_infinity
from quietpixel.evaluation.memory_use import measure_peak
from quietpixel.evaluation.metrics import MEASURES
from quietpixel.evaluation.trials import Trials
from quietpixel.imaging.metrics import bootstrap_interval
from quietpixel.noise.parser import NoiseLaw

Values = dict[str, NDArray[np.float64]]
Interval = tuple[float, float]

WORST = 10
"""So many images on which the first method is worst are named."""


@dataclass(frozen=True)
class Contestant:
    """A method that is judged.

    Parameters
    ----------
    name
        How it is called in tables.
    method
        From noisy images (N, H, W, C) to denoised ones; None judges the noisy images themselves.
    parameters
        With what it runs, as text.
    size
        Bytes of its file, if it has one.
    """

    name: str
    method: Method | None
    parameters: str = ""
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """How well one method did at one noise.

    Parameters
    ----------
    name, parameters, size
        As for a `Contestant`.
    means
        The mean over the images of each measure in `quietpixel.evaluation.metrics.MEASURES`; None
        where images are too small for one.
    intervals
        Where these means lie with 95 % confidence, by bootstrap.
    megapixels_per_second
        Speed after warm-up; None for the noisy images.
    memory
        The most bytes that a process of its own kept resident, running the method on the largest
        batch; see `quietpixel.evaluation.memory_use.measure_peak`.
    psnr
        That of each image in order, in dB.
    """

    name: str
    parameters: str
    size: int | None
    means: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None]
    megapixels_per_second: float | None
    memory: int | None = None
    psnr: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What lies between two methods on the same images, as a mean of differences.

    Parameters
    ----------
    name, than
        Two methods; `mean` is that of `name` less that of `than`.
    measure
        One of `quietpixel.evaluation.metrics.MEASURES`.
    mean, interval
        The mean difference, and where it lies with 95 % confidence by a bootstrap of the pairs. An
        interval without 0 tells the methods apart on images like these.
    """

    name: str
    than: str
    measure: str
    mean: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Table:
    """All methods at one noise.

    Parameters
    ----------
    noise
        The law as text, or empty for pairs, whose noise is their own.
    rows
        One for each method, in the order given.
    differences
        Each method against the first one.
    worst
        The images, counted from 0, on which the first method has the least PSNR, the worst first;
        ten at most.
    """

    noise: str
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    worst: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several methods on one data set, at one noise or more.

    Parameters
    ----------
    data, count, channels
        What was judged on, how many images, and 1 for gray or 3 for RGB.
    seed
        Seed of the noise.
    tuned_on
        By which images the classical methods chose their parameters; empty if there were none.
    tables
        One for each noise.
    """

    data: str
    count: int
    channels: int
    seed: int
    tuned_on: str
    tables: tuple[Table, ...] = field(default=())

    def to_json(self) -> str:
        """Return the comparison as JSON; a number that is not finite becomes ``null``."""
        return json.dumps(without_infinity(asdict(self)), indent=2, allow_nan=False)


def compare_methods(
    contestants: Sequence[Contestant],
    trials: Trials,
    law: NoiseLaw | None,
    *,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda name: None,
) -> Table:
    """Judge methods on the same images, whole, their output clipped to [0, 1].

    Parameters
    ----------
    contestants
        At least one; differences are to the first.
    trials
        The images.
    law, seed
        The noise that is added, and its seed; the noise is clipped only if the law says so.
    on_progress
        Called with how far it is, in words.

    Raises
    ------
    ArgumentError
        If there is no image or no method.
    ImageError
        If a method returns another shape, or values that are not finite.

    Examples
    --------
    >>> from quietpixel.noise.parser import Gaussian
    >>> trials = Trials(4, lambda index: (np.full((32, 32, 1), 0.5, np.float32), None))
    >>> methods = [Contestant("mean", lambda x: x * 0 + 0.5), Contestant("noisy", None)]
    >>> table = compare_methods(methods, trials, Gaussian(0.1, clip=False))
    >>> [round(row.means["mse"], 3) for row in table.rows]
    [0.0, 0.01]
    """
    if not contestants or not trials.count:
        raise ArgumentError("A comparison needs at least one method and one image; got none.")
    scores = [_Scores(contestant) for contestant in contestants]
    done = 0
    for clean, noisy in trials.batches(law, seed=seed):
        for each in scores:
            each.add(clean, noisy)
        done += len(clean)
        on_progress(f"{done} of {trials.count} images")
    first = scores[0]
    return Table(
        noise="" if law is None else str(law),
        rows=tuple(each.to_row(seed) for each in scores),
        differences=tuple(
            difference for each in scores[1:] for difference in _differ(each, first, seed)
        ),
        worst=tuple(np.argsort(first.values["psnr"], kind="stable")[:WORST].tolist()),
    )


class _Scores:
    """Collects the numbers of one method, image by image."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self._seconds, self._pixels = 0.0, 0
        self._largest = np.empty(0, np.float32)
        self._values: dict[str, list[float]] = {name: [] for name in MEASURES}

    def add(self, clean: NDArray[np.float32], noisy: NDArray[np.float32]) -> None:
        """Run the method on a batch and judge what comes out."""
        denoised = np.clip(self._run(noisy), 0, 1)
        for pair in zip(clean, denoised, strict=True):
            for name, measure in MEASURES.items():
                self._values[name].append(measure(*pair))

    def _run(self, noisy: NDArray[np.float32]) -> NDArray[np.float32]:
        method = self.contestant.method
        if method is None:
            return noisy
        if not self._pixels:
            method(noisy)  # its time is not counted
        if noisy.size > self._largest.size:
            self._largest = noisy
        start = time.perf_counter()
        result = method(noisy)
        self._seconds += time.perf_counter() - start
        denoised = np.asarray(result, np.float32)
        self._pixels += noisy[..., 0].size
        check_denoised(denoised, noisy)
        return denoised

    @property
    def values(self) -> Values:
        """The numbers of each image by measure, NaN where it was too small."""
        return {name: np.array(numbers) for name, numbers in self._values.items()}

    def to_row(self, seed: int) -> Row:
        """Return the means, with their intervals."""
        values = self.values
        method = self.contestant.method
        speed = self._pixels / 1e6 / max(self._seconds, 1e-9) if self._pixels else None
        return Row(
            name=self.contestant.name,
            parameters=self.contestant.parameters,
            size=self.contestant.size,
            means={name: _mean(numbers) for name, numbers in values.items()},
            intervals={name: _interval(numbers, seed) for name, numbers in values.items()},
            megapixels_per_second=speed,
            memory=method and measure_peak(method, self._largest),
            psnr=tuple(values["psnr"].tolist()),
        )


def _differ(scores: _Scores, first: _Scores, seed: int) -> list[Difference]:
    """Return the differences of all measures that both methods have on all images."""
    found = []
    for measure, numbers in scores.values.items():
        with np.errstate(invalid="ignore"):  # infinity less infinity, of two exact results
            between = numbers - first.values[measure]
        if np.isfinite(between).all():
            found.append(
                Difference(
                    name=scores.contestant.name,
                    than=first.contestant.name,
                    measure=measure,
                    mean=float(between.mean()),
                    interval=bootstrap_interval(between, seed=seed),
                )
            )
    return found


def _mean(numbers: NDArray[np.float64]) -> float | None:
    return None if np.isnan(numbers).any() else float(numbers.mean())


def _interval(numbers: NDArray[np.float64], seed: int) -> Interval | None:
    if np.isnan(numbers).any():
        return None
    if not np.isfinite(numbers).all():
        return math.inf, math.inf
    return bootstrap_interval(numbers, seed=seed)


def noisy_contestant() -> Contestant:
    """Return the noisy images as they are, as the row that each comparison shows."""
    return Contestant(NOISY, None)
