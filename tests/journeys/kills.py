"""Random kills of folder runs, runs in place and simultaneous runs; nothing is lost or done twice.

    python -m tests.journeys.kills COUNT [--seed 0]

The model halves every value, so each image shows how often it was denoised: a result that was
denoised twice has a quarter of the values. A run is killed (SIGKILL) at a random moment, again and
again, until it is finished by the last one, which nobody kills.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from quietpixel.batch import pipeline, plan  # noqa: F401  (loaded once, before processes are forked)
from quietpixel.cli.main import main as quietpixel
from quietpixel.inference.engine import import_openvino

from ..tiny_models import write_halver

IMAGES = 12
KILLS = 5
"""Kills of one folder, before the run that finishes it."""
MODES = {
    "folder": ("-o", "OUT"),
    "in place": ("--in-place",),
    "backup": ("--in-place", "--backup", ".orig"),
    "simultaneous": ("--in-place",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.monotonic()
    for name, count in sorted(run(given.count, given.seed).items()):
        print(f"{name}: {count}")
    print(f"seconds: {time.monotonic() - start:.0f}")


def run(count: int, seed: int) -> Counter[str]:
    """Kill `count` runs; return how many of which kind, and what became of the images.

    Raises
    ------
    AssertionError
        If an image was lost, damaged or denoised twice, or a run could not be finished.
    """
    rng, totals = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("CACHE", "DATA"):
            os.environ[f"XDG_{kind}_HOME"] = f"{folder}/{kind.lower()}"
        import_openvino()
        model = write_halver(Path(folder) / "halver.onnx")
        seconds = measure(Path(folder) / "first", model)
        number = 0
        while totals["kills"] < count:
            mode = list(MODES)[number % len(MODES)]
            place = Path(folder) / str(number)
            totals += kill_and_finish(place, model, mode, rng, seconds)
            number += 1
    return totals


def fill(folder: Path) -> dict[str, np.ndarray]:
    """Write images of even values; return them by name."""
    rng, images = np.random.default_rng(0), {}
    folder.mkdir(parents=True)
    for number in range(IMAGES):
        pixels = 4 * rng.integers(1, 60, (24, 32)).astype(np.uint8)
        images[f"{number:02}.png"] = pixels
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return images


def begin(folder: Path, model: Path, mode: str) -> int:
    """Start a run in a process of its own, without the time for starting Python."""
    words = [word.replace("OUT", str(folder / "out")) for word in MODES[mode]]
    process = os.fork()
    if process == 0:
        code = 99
        try:
            silent = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(silent, descriptor)
            line = ["denoise", str(folder / "in"), *words, "--model", str(model)]
            code = quietpixel([*line, "--precision", "f32", "--threads", "1"])
        finally:
            os._exit(code)
    return process


def finish(process: int) -> int:
    """Wait for a process and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def measure(folder: Path, model: Path) -> float:
    """Return how long an undisturbed run takes."""
    times = []
    for number in range(3):
        fill(folder / str(number) / "in")
        start = time.monotonic()
        assert finish(begin(folder / str(number), model, "folder")) == 0
        times.append(time.monotonic() - start)
    return min(times)


def kill_and_finish(
    folder: Path, model: Path, mode: str, rng: random.Random, seconds: float
) -> Counter[str]:
    """Kill runs on one folder, then finish it; check all images after each."""
    images, totals = fill(folder / "in"), Counter[str]()
    for _ in range(KILLS):
        processes = [begin(folder, model, mode)]
        if mode == "simultaneous":  # but not in step, or both would read the originals
            time.sleep(rng.uniform(0, seconds / 2))
            processes.append(begin(folder, model, mode))
        time.sleep(rng.uniform(0, seconds))
        os.kill(processes[0], signal.SIGKILL)
        late = finish(processes[0]) >= 0
        for other in processes[1:]:
            # The other one waits for the lock, and takes over from the killed one.
            if rng.random() < 0.5:
                os.kill(other, signal.SIGKILL)
            finish(other)
        totals += Counter({"kills": 1, f"kills, {mode}": 1, "of them after the end": int(late)})
        check(folder, images, mode, finished=False)
    code = finish(begin(folder, model, mode))
    assert code in (0, 2), f"the last run ended with {code}"  # 2: all images are results by now
    check(folder, images, mode, finished=True)
    return totals + Counter({"images": len(images), "images denoised once": len(images)})


def check(folder: Path, images: dict[str, np.ndarray], mode: str, *, finished: bool) -> None:
    """Check that each image is whole, and denoised at most once, or exactly once in the end."""
    for name, pixels in images.items():
        source, result = folder / "in" / name, folder / "out" / name
        if mode == "folder":
            assert np.array_equal(read(source), pixels), f"{source} was touched"
        else:
            result = source
            backup = source.with_name(f"{name}.orig")
            if mode == "backup" and (finished or backup.exists()):
                assert np.array_equal(read(backup), pixels), f"{backup} is no original"
        if not result.exists():
            assert mode == "folder", f"{result} is lost"
            assert not finished, f"{result} was not made"
            continue
        found = read(result)
        untouched = mode != "folder" and not finished and np.array_equal(found, pixels)
        assert untouched or np.array_equal(found, pixels // 2), f"{result} is wrong"
    if finished:
        left = [path for path in folder.rglob(".quietpixel-*") if path.suffix in (".part", "")]
        assert not [path for path in left if path.name.endswith("lock") or path.suffix], left


def read(path: Path) -> np.ndarray:
    """Return pixels as a second reader sees them; a file cut short is an error."""
    return np.asarray(Image.open(path))


if __name__ == "__main__":
    sys.exit(main())
