"""The evaluator: any number of methods on the same noisy images, with all metrics."""

import contextlib
import json
import math
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import Images
from quietpixel.card import Card
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.evaluation.image_pairs import DenoiseBatch, ImagePairs
from quietpixel.evaluation.metrics import METRICS
from quietpixel.imaging.metrics import bootstrap_interval
from quietpixel.noise.laws import NoiseLaw

Interval = tuple[float, float]

NOISY = "noisy"
"""Name of the method that returns the noisy images unchanged."""
WORST = 10
"""Number of images listed on which the first method is worst."""
STATUS = Path("/proc/self/status")
CHILD = """
import pickle, sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path[:] = pickle.loads((folder / "path").read_bytes())
import numpy as np
from quietpixel.evaluation.evaluator import read_peak
pickle.loads((folder / "method").read_bytes())(np.load(folder / "noisy.npy"))
(folder / "peak").write_text(str(read_peak()))
"""


@dataclass(frozen=True)
class Method:
    """A method to evaluate.

    Parameters
    ----------
    name
        Its name in tables.
    run
        Denoises a batch; None evaluates the noisy images themselves.
    parameters
        Its parameters, as text.
    size
        Size of its file in bytes, if it has one.
    limit
        Number of images, from the first on, that it is evaluated on; None for all.
    """

    name: str
    run: DenoiseBatch | None
    parameters: str = ""
    size: int | None = None
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """The results of one method at one noise.

    Parameters
    ----------
    name, parameters, size
        As for a `Method`.
    count
        Number of images that the method was evaluated on.
    means
        Mean over the images of each metric in `quietpixel.evaluation.metrics.METRICS`; None if an
        image is too small for the metric.
    intervals
        95 % confidence intervals of these means, by bootstrap.
    images_per_second, megapixels_per_second
        Speed after warm-up; None for the noisy images.
    memory
        Peak resident memory in bytes of a process that runs only this method, on the largest
        batch; see `measure_peak`.
    psnr
        PSNR of each image in order, in dB.
    """

    name: str
    parameters: str
    size: int | None
    count: int
    means: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None]
    images_per_second: float | None
    megapixels_per_second: float | None
    memory: int | None = None
    psnr: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference between two methods on the same images.

    Parameters
    ----------
    name, than
        Two methods; `mean` is that of `name` minus that of `than`.
    measure
        A key of `quietpixel.evaluation.metrics.METRICS`.
    mean, interval
        Mean of the differences and its 95 % confidence interval, by a bootstrap of the pairs. If
        the interval does not contain 0, the methods differ on images like these.
    """

    name: str
    than: str
    measure: str
    mean: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Table:
    """The results of all methods at one noise.

    Parameters
    ----------
    noise
        The law as text; empty for pairs, whose noise is their own.
    rows
        One for each method, in the order given.
    differences
        Each method compared with the first one.
    worst
        Indices of the images on which the first method has the lowest PSNR, the worst first; at
        most ten.
    """

    noise: str
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    worst: tuple[int, ...] = ()


class Score(SimpleNamespace):
    """The results of one method, flat: a summary of a `Row`.

    Attributes
    ----------
    name, images_per_second, count, parameters
        As for a `Row`.
    mse, psnr, ssim, ...
        Mean of each metric in `quietpixel.evaluation.metrics.METRICS`.
    mse_interval, psnr_interval, ssim_interval, ...
        95 % confidence intervals of these means.
    """


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The results of one or more methods on one data set, at one noise or more.

    Parameters
    ----------
    data
        Name of the data set, or path of the folder.
    split
        Part of a named set, such as ``"test"``; empty for a folder.
    count, channels
        Number of images, and 1 for gray or 3 for RGB.
    seed
        Seed of the noise.
    tuned_on
        Images that the classical methods were tuned on; empty if there were none.
    trained_noise
        The law that the first model was trained for, if `noise` was derived from it; else empty.
    trained_elsewhere
        The named set that a model was trained on, by the model's name, where it is not `data`.
    tables
        One for each noise.
    """

    data: str
    split: str = ""
    count: int
    channels: int
    seed: int
    tuned_on: str = ""
    trained_noise: str = ""
    trained_elsewhere: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[Table, ...]

    @property
    def model(self) -> str:
        """Name of the first method."""
        return self.tables[0].rows[0].name

    @property
    def noise(self) -> str:
        """Noise law of the first table, as text."""
        return self.tables[0].noise

    @property
    def methods(self) -> tuple[Score, ...]:
        """The rows of the first table, in short form."""
        return tuple(Score(**_summarize(row)) for row in self.tables[0].rows)

    def to_json(self) -> str:
        """Return the evaluation as JSON; a number that is not finite becomes ``null``.

        ``model``, ``noise`` and ``methods`` summarize the first of the ``tables``.
        """
        # The keys of version 0.1 come first: scripts that read them keep working.
        words = ("model", "data", "split", "noise", "seed", "count")
        facts = {word: getattr(self, word) for word in words}
        facts["methods"] = [_summarize(row) for row in self.tables[0].rows]
        facts |= asdict(self)
        return json.dumps(_without_infinity(facts), indent=2, allow_nan=False)


@dataclass(frozen=True)
class Comparison:
    """An evaluation with all that a report shows of it.

    Parameters
    ----------
    evaluation
        The results.
    pairs
        The images.
    runs
        For each table, the methods and the noise law.
    labels
        Labels of the images, for samples and the error by label; None omits these.
    card
        Card of the model, if there is only one.
    """

    evaluation: Evaluation
    pairs: ImagePairs
    runs: Sequence[tuple[Sequence[Method], NoiseLaw | None]]
    labels: NDArray[Any] | None = None
    card: Card | None = None


def evaluate_methods(
    methods: Sequence[Method],
    pairs: ImagePairs,
    law: NoiseLaw | None,
    *,
    seed: int = 0,
    measure_memory: bool = True,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Table:
    """Evaluate methods on the same whole images; their output is clipped to [0, 1].

    Parameters
    ----------
    methods
        At least one; the others are compared with the first.
    pairs
        The images.
    law, seed
        The noise that is added, and its seed; the noise is clipped only if the law says so.
    measure_memory
        Whether each method runs once more in a process of its own, to measure its memory.
    on_progress
        Called with the number of images that are done, and of all.

    Raises
    ------
    ArgumentError
        If there is no image or no method.
    ImageError
        If a method returns another shape, or values that are not finite.

    Examples
    --------
    >>> from quietpixel.noise.laws import Gaussian
    >>> pairs = ImagePairs.from_arrays(np.full((4, 32, 32, 1), 0.5, np.float32))
    >>> methods = [Method("mean", lambda x: x * 0 + 0.5), Method("noisy", None)]
    >>> table = evaluate_methods(methods, pairs, Gaussian(0.1, clip=False))
    >>> [round(row.means["mse"], 3) for row in table.rows]
    [0.0, 0.01]
    """
    if not methods or not pairs.count:
        raise ArgumentError("An evaluation needs at least one method and one image; got none.")
    runs = [_Run(method) for method in methods]
    done = 0
    # All methods take a batch in turn, so that each image is decoded and made noisy once.
    for clean, noisy in pairs.batches(law, seed=seed):
        for each in runs:
            each.add(clean, noisy)
        done += len(clean)
        on_progress(done, pairs.count)
    first, others = runs[0], runs[1:]
    return Table(
        noise="" if law is None else str(law),
        rows=tuple(each.to_row(seed, measure_memory=measure_memory) for each in runs),
        differences=tuple(found for each in others for found in _compare(each, first, seed)),
        # Stable, so that equal images come in the same order everywhere.
        worst=tuple(np.argsort(first.values("psnr"), kind="stable")[:WORST].tolist()),
    )


class _Run:
    """Collects the results of one method, batch by batch."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self._count, self._seconds, self._pixels = 0, 0.0, 0
        self._largest = np.empty(0, np.float32)
        self._values: dict[str, list[float]] = {name: [] for name in METRICS}

    def add(self, clean: Images, noisy: Images) -> None:
        """Denoise a batch and compute all metrics of each image."""
        if self.method.limit is not None:
            left = self.method.limit - self._count
            clean, noisy = clean[:left], noisy[:left]
        if not len(noisy):
            return
        # As a viewer or an 8-bit file would clip it.
        denoised = np.clip(self._denoise(noisy), 0, 1)
        self._count += len(noisy)
        for pair in zip(clean, denoised, strict=True):
            for name, metric in METRICS.items():
                self._values[name].append(metric(*pair))

    def _denoise(self, noisy: Images) -> Images:
        run = self.method.run
        if run is None:
            return noisy
        if not self._count:
            run(noisy)  # loading and compiling belong to the first call, which is not timed
        # The peak of the memory belongs to the largest batch.
        if noisy.size > self._largest.size:
            self._largest = noisy
        start = time.perf_counter()
        result = run(noisy)
        self._seconds += time.perf_counter() - start
        self._pixels += noisy[..., 0].size
        # Methods of other packages return float64, whose metrics would differ in the last digits.
        denoised = np.asarray(result, np.float32)
        if denoised.shape != noisy.shape:
            raise ImageError(
                "`run` of a method must return images of the shape that it gets, to be compared "
                f"with the clean ones; got {denoised.shape} for {noisy.shape}."
            )
        if not np.isfinite(denoised).all():
            raise ImageError(
                "`run` of a method must return finite values; it returned NaN or infinity. "
                "Check its weights and its input."
            )
        return denoised

    def values(self, metric: str) -> NDArray[np.float64]:
        """Return a metric of each image: float64 (N,), NaN for an image that is too small."""
        return np.array(self._values[metric])

    def to_row(self, seed: int, *, measure_memory: bool) -> Row:
        """Return the means, their intervals, speed and memory."""
        method = self.method
        means = {name: _mean(self.values(name), seed) for name in METRICS}
        # A fast method on a small image can take less than the resolution of a clock.
        seconds = max(self._seconds, 1e-9) if method.run else None
        memory = measure_peak(method.run, self._largest) if method.run and measure_memory else None
        return Row(
            name=method.name,
            parameters=method.parameters,
            size=method.size,
            count=self._count,
            means={name: mean for name, (mean, _) in means.items()},
            intervals={name: interval for name, (_, interval) in means.items()},
            images_per_second=seconds and self._count / seconds,
            megapixels_per_second=seconds and self._pixels / 1e6 / seconds,
            memory=memory,
            psnr=tuple(self._values["psnr"]),
        )


def _compare(run: _Run, first: _Run, seed: int) -> Iterator[Difference]:
    """Yield the differences in all metrics that are finite on the images of both methods."""
    for metric in METRICS:
        values, others = run.values(metric), first.values(metric)
        # A method with a limit is compared on its own images, paired: a difference of means over
        # different images would be mostly that of the images.
        common = min(len(values), len(others))
        with np.errstate(invalid="ignore"):  # infinity minus infinity, of two exact results
            differences = values[:common] - others[:common]
        if np.isfinite(differences).all():
            yield Difference(
                name=run.method.name,
                than=first.method.name,
                measure=metric,
                mean=float(differences.mean()),
                interval=bootstrap_interval(differences, seed=seed),
            )


def _mean(values: NDArray[np.float64], seed: int) -> tuple[float | None, Interval | None]:
    """Return the mean and its interval, or None for a metric that some image is too small for."""
    # Not the mean over the other images: methods are compared on the same ones.
    if np.isnan(values).any():
        return None, None
    if not np.isfinite(values).all():  # an exact result, whose PSNR has no spread
        return float(values.mean()), (math.inf, math.inf)
    return float(values.mean()), bootstrap_interval(values, seed=seed)


def _summarize(row: Row) -> dict[str, Any]:
    intervals = {f"{name}_interval": interval for name, interval in row.intervals.items()}
    others = {word: getattr(row, word) for word in ("images_per_second", "count", "parameters")}
    return {"name": row.name, **row.means, **intervals, **others}


def _without_infinity(value: Any) -> Any:
    """Return nested values with None for each number that is not finite: JSON has none."""
    if isinstance(value, dict):
        return {key: _without_infinity(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinity(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def measure_peak(method: DenoiseBatch, noisy: Images) -> int | None:
    """Return the peak resident memory in bytes of a process that runs `method` once.

    It counts everything: Python, libraries, the model, `noisy` and the result.

    Parameters
    ----------
    method
        Sent to the process by pickle.
    noisy
        Images (N, H, W, C).

    Returns
    -------
    int or None
        None if the system does not report it, if `method` cannot be pickled (such as a function
        defined inside another), or if it fails there.
    """
    if not STATUS.exists():
        return None
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(OSError):
        folder = Path(name)
        try:
            (folder / "method").write_bytes(pickle.dumps(method))
        except (pickle.PicklingError, AttributeError, TypeError):
            return None
        # The same modules, also those of a checkout or an editable installation.
        (folder / "path").write_bytes(pickle.dumps(sys.path))
        np.save(folder / "noisy.npy", noisy)
        # Not a fork: that would count the memory of this process too.
        subprocess.run([sys.executable, "-c", CHILD, name], capture_output=True, check=False)
        # A method that fails there leaves no file, which is the OSError suppressed above.
        peak = (folder / "peak").read_text()
        return int(peak) if peak.isdecimal() else None
    return None


def read_peak() -> int | None:
    """Return the peak resident memory of this process in bytes, as Linux reports it.

    References
    ----------
    proc_pid_status(5): ``VmHWM``, which starts anew with each program.
    """
    with contextlib.suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
