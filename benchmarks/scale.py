"""Cost and gain of a cluster: workers, many files, large images, and the overhead of Dask.

    python benchmarks/scale.py [MODEL] [--parts workers files stack plan pixels]
                               [--files 10 100 1000] [--megapixels 1 16 64] [--side 1024]
                               [--repeats 3] [--most-gb 2]

MODEL is a bundled name, a run folder or an .onnx file. All data are generated on a local disk, and
each figure is the best of --repeats; other work on the machine disturbs them.

- workers: the same pictures by one process with one thread, and by 1 and 2 workers of one thread
  each; the goal is 1.85 times for 2 workers. The process is held to one core where the system can
  do that, since it would read and write on a second one while it computes on the first.
- files: small pictures by 2 workers, with the seconds for each picture, the share of the same
  number of tasks that do nothing (Dask) and of the ledger, and the processor time for each picture,
  which other work on the machine does not change: of this process with the scheduler, and of the
  workers.
- stack: the same small pictures as planes of one Zarr.
- plan: memory that this process keeps for each file, and what the ledger keeps on the disk.
- pixels: one gray Zarr by 2 workers, with the seconds and the processor time (here and in workers)
  for each megapixel and the most resident memory of a worker. --megapixels 10000 makes 10
  gigapixels, which takes 20 GB of disk at most.

Prints Markdown tables and ends with 1 if a goal that was measured is missed.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.batch.denoise import Settings
from quietpixel.batch.ledger import Ledger
from quietpixel.batch.pipeline import run_jobs as run_here
from quietpixel.batch.plan import make_plan, preflight_jobs
from quietpixel.cluster import connect
from quietpixel.cluster.files import run_jobs
from quietpixel.cluster.large_image import denoise_image
from quietpixel.cluster.task_pool import TaskPool
from quietpixel.cluster.worker_model import pack_model
from quietpixel.files import Job, Picture, write_picture
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.options import DenoiseOptions

SMALL = 28
"""Side of the pictures in the row of many files."""
GOAL = 1.85
"""Times that 2 workers must be as fast as one process of one thread."""


def main() -> int:
    words = parse()
    good = True
    with tempfile.TemporaryDirectory(prefix="quietpixel-scale-") as name:
        folder = Path(name)
        for part in words.parts:
            good = globals()[f"measure_{part}"](words, folder / part) and good
    return 0 if good else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="mnist-unet")
    parts = ["workers", "files", "stack", "plan", "pixels"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--files", nargs="+", type=int, default=[10, 100, 1000])
    parser.add_argument("--megapixels", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--side", type=int, default=1024, help="of the pictures for the workers")
    parser.add_argument("--count", type=int, default=24, help="of the pictures for the workers")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most-gb", type=float, default=2.0, help="for each worker")
    return parser.parse_args()


def make_pictures(folder: Path, count: int, side: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"{number:06}.png" for number in range(count)]
    for path in paths:
        if not path.exists():
            pixels = rng.integers(0, 256, (side, side), np.uint8)
            write_picture(Picture.from_pixels(pixels), path)
    return paths


def jobs_of(paths: list[Path], out: Path) -> list[Job]:
    return [Job(path, out / path.name) for path in paths]


def exhaust(outcomes: Iterator[Any]) -> None:
    for outcome in outcomes:
        assert not outcome.error, outcome.error


def best_of(repeats: int, folder: Path, work: Callable[[Path], None]) -> float:
    """Return the shortest time; each repeat writes into a new folder."""
    seconds = []
    for number in range(repeats):
        out = folder / f"{time.monotonic_ns()}-{number}"
        out.mkdir(parents=True)
        begin = time.perf_counter()
        work(out)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def measure_workers(words: argparse.Namespace, folder: Path) -> bool:
    paths = make_pictures(folder / "in", words.count, words.side)
    settings = Settings(overwrite=True)
    with one_core():
        denoiser = Denoiser(words.model, threads=1)
        exhaust(run_here(denoiser, jobs_of(paths[:4], folder / "warm-here"), settings))
        rows = {
            "1 process": best_of(
                words.repeats,
                folder,
                lambda out: exhaust(run_here(denoiser, jobs_of(paths, out), settings)),
            )
        }
    packed = pack_model(DenoiseOptions(model=words.model, threads=1))
    for workers in (1, 2):
        with connect(workers=workers) as cluster:
            warm = folder / "warm"
            exhaust(run_jobs(cluster, packed, jobs_of(paths[: 4 * workers], warm), settings))
            rows[f"{workers} worker{'s' * (workers > 1)}"] = best_of(
                words.repeats,
                folder,
                lambda out, cluster=cluster: exhaust(
                    run_jobs(cluster, packed, jobs_of(paths, out), settings)
                ),
            )
    megapixels = words.count * words.side**2 / 1e6
    print(f"\n{words.count} pictures of {words.side}x{words.side}, one thread each:\n")
    print("| who | seconds | megapixels/s | times 1 process |\n|---|---|---|---|")
    for name, seconds in rows.items():
        ratio = rows["1 process"] / seconds
        print(f"| {name} | {seconds:.2f} | {megapixels / seconds:.2f} | {ratio:.2f} |")
    return rows["1 process"] / rows["2 workers"] >= GOAL


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Hold this thread, and those that begin meanwhile, to one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def measure_files(words: argparse.Namespace, folder: Path) -> bool:
    print(f"\nPictures of {SMALL}x{SMALL} by 2 workers, from the plan's jobs to the last result:\n")
    print("| files | seconds | ms/file | Dask | ledger | CPU ms here | CPU ms of workers |")
    print("|---|---|---|---|---|---|---|")
    packed = pack_model(DenoiseOptions(model=words.model, threads=1))
    with connect(workers=2) as cluster:
        warm = make_pictures(folder / "warm", 32, SMALL)
        exhaust(run_jobs(cluster, packed, jobs_of(warm, folder / "warmed"), Settings()))
        for count in words.files:
            paths = make_pictures(folder / str(count), count, SMALL)

            def whole(out: Path, paths: list[Path] = paths) -> None:
                ledger = Ledger([out], "settings")
                jobs = jobs_of(paths, out)
                exhaust(run_jobs(cluster, packed, jobs, Settings(), ledger=ledger))

            def empty(out: Path, count: int = count) -> None:
                pool: TaskPool[int] = TaskPool(cluster, divmod, 3)
                for _ in pool.run(iter(range(-(-count // 16)))):
                    pass

            def lines(out: Path, paths: list[Path] = paths) -> None:
                ledger = Ledger([out], "settings")
                for job in jobs_of(paths, out):
                    ledger.begin(job)

            seconds, dask, kept = (
                best_of(words.repeats, folder, work) for work in (whole, empty, lines)
            )
            before = processor_seconds(cluster)
            best_of(1, folder, whole)
            here, there = (b - a for a, b in zip(before, processor_seconds(cluster), strict=True))
            print(
                f"| {count} | {seconds:.2f} | {1000 * seconds / count:.2f} | "
                f"{dask / seconds:.1%} | {kept / seconds:.1%} | "
                f"{1000 * here / count:.2f} | {1000 * there / count:.2f} |"
            )
    return True


def processor_seconds(cluster: Any) -> tuple[float, float]:
    """Return what this process (with the scheduler in it) and all workers have used so far."""
    workers = cluster.client.run(time.process_time).values()
    return time.process_time(), sum(workers)


def measure_stack(words: argparse.Namespace, folder: Path) -> bool:
    """Measure the same small pictures as planes of one Zarr, in this process."""
    import zarr

    folder.mkdir(parents=True)
    count = max(words.files)
    pixels = np.random.default_rng(0).integers(0, 256, (count, SMALL, SMALL), np.uint8)
    chunks = (min(count, 1000), SMALL, SMALL)
    zarr.create_array(str(folder / "in.zarr"), data=pixels, chunks=chunks)
    options = DenoiseOptions(model=words.model, threads=1)
    before = time.process_time()
    denoise_image(str(folder / "in.zarr"), str(folder / "out.zarr"), options)
    each = 1000 * (time.process_time() - before) / count
    print(f"\n{count} planes of {SMALL}x{SMALL} in one Zarr: {each:.2f} ms of processor time each.")
    return True


def measure_plan(words: argparse.Namespace, folder: Path) -> bool:
    """Measure what this process keeps of each file before any work, and the ledger's line."""
    count = max(words.files)
    (folder / "in").mkdir(parents=True)
    for number in range(count):
        (folder / "in" / f"{number:08}.png").touch()
    tracemalloc.start()
    plan = make_plan([folder / "in"], f"{folder}/out/")
    findings = preflight_jobs(plan.jobs)
    kept = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    (folder / "out").mkdir()
    ledger = Ledger([folder / "out"], "0" * 32)
    for finding in findings[:100]:
        ledger.begin(finding.job)
    line = sum(path.stat().st_size for path in (folder / "out").iterdir()) / len(findings[:100])
    print(f"\nOf each file: {kept:.0f} bytes of memory here, {line:.0f} bytes in the ledger.")
    return True


def make_zarr(path: Path, megapixels: int) -> None:
    import zarr

    width = min(100_000, int((megapixels * 1e6) ** 0.5))
    height = int(megapixels * 1e6 / width)
    array = zarr.create_array(
        str(path), shape=(height, width), chunks=(1024, 1024), dtype="uint8", overwrite=True
    )
    rng = np.random.default_rng(0)
    for top in range(0, height, 1024):
        rows = min(1024, height - top)
        strip = rng.integers(0, 256, (rows, min(width, 4096)), np.uint8)
        array[top : top + rows] = np.tile(strip, (1, -(-width // strip.shape[1])))[:, :width]


def measure_pixels(words: argparse.Namespace, folder: Path) -> bool:
    print("\nOne gray Zarr of 8 bits by 2 workers:\n")
    print("| megapixels | seconds | s/megapixel | CPU s here | CPU s of workers | GB of a worker |")
    print("|---|---|---|---|---|---|")
    most = 0.0
    folder.mkdir(parents=True)
    for megapixels in words.megapixels:
        make_zarr(folder / "in.zarr", megapixels)
        with connect(workers=2) as cluster:
            before = processor_seconds(cluster)
            begin = time.perf_counter()
            threads = max((os.cpu_count() or 2) // 2, 1)
            options = DenoiseOptions(model=words.model, threads=threads)
            source, target = str(folder / "in.zarr"), str(folder / "out.zarr")
            denoise_image(source, target, options, overwrite=True, cluster=cluster)
            seconds = time.perf_counter() - begin
            after = processor_seconds(cluster)
            held = max(cluster.client.run(eval, _RESIDENT).values()) / 1e9
        most = max(most, held)
        here, there = ((b - a) / megapixels for a, b in zip(before, after, strict=True))
        print(
            f"| {megapixels} | {seconds:.1f} | {seconds / megapixels:.3f} | {here:.3f} | "
            f"{there:.3f} | {held:.2f} |",
            flush=True,
        )
    return most <= words.most_gb


_RESIDENT = "__import__('resource').getrusage(__import__('resource').RUSAGE_SELF).ru_maxrss * 1024"

if __name__ == "__main__":
    sys.exit(main())
