"""Speed of the engine, of the real command, of a folder run and of a cold start.

    python benchmarks/speed.py [MODEL] [--megapixels 12] [--small 200] [--repeats 5] [--json FILE]
                               [--pictures FOLDER] [--before CHECKOUT]

MODEL is a bundled name, a run folder or an .onnx file. Pictures are made here: smooth waves with
noise, as JPEG of quality 92. The command runs in a process of its own, with compiled models kept in
a folder made for this run; its time is split into start (all that is no picture: interpreter,
libraries, compiling), read, compute and write, and the engine's part of compute is measured inside
that process. Times are medians of --repeats runs, of three fifths as many for the folder.
--pictures names a folder of clean pictures on which the loss by bfloat16 is measured
(noise of 25/255, seeded). --before names a checkout of an earlier version: its commands, with its
own model of that name, run in turn with these, and the last column has the ratio of the medians
(below 1: faster now). Other work on the machine disturbs all of it.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import Record

from quietpixel import Denoiser
from quietpixel.files import Picture, list_images, read_picture, write_picture
from quietpixel.imaging.metrics import psnr
from quietpixel.inference.engine import open_engine
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import find_model

Numbers = dict[str, Any]

COMMAND = """
import sys, threading, time
from quietpixel.cli.main import main
from quietpixel.inference import engine
lock, callers, since, spent = threading.Lock(), 0, (0, 0), [0, 0]
def timed(call):
    # Pictures are prepared in threads, which wait for one engine: time is counted once for all.
    def run(self, batch, sigma=None):
        global callers, since
        with lock:
            callers += 1
            if callers == 1:
                since = time.perf_counter(), time.process_time()
        try:
            return call(self, batch, sigma)
        finally:
            with lock:
                callers -= 1
                if callers == 0:
                    now = time.perf_counter(), time.process_time()
                    spent[:] = (total + end - start for total, end, start in zip(spent, now, since))
    return run
for kind in engine.ENGINES.values():
    kind.__call__ = timed(kind.__call__)
code = main()
print("engine", *spent, file=sys.stderr)
sys.exit(code)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="mnist-unet")
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--small", type=int, default=200, help="pictures of 640 x 480 in a folder")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    record = Record()
    record.table("what", "measured", *(["time, of that before"] if given.before else []))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        os.environ["PYTHONDONTWRITEBYTECODE"] = ""  # as where a package is installed
        bench = Bench(given, Path(folder), record)
        bench.time_engine()
        bench.time_start()
        bench.time_large(given.megapixels)
        bench.time_folder(given.small)
        if given.pictures:
            bench.measure_loss(given.pictures)
    record.save(given.json)


class Bench:
    """One model, a folder to work in, how often each thing is timed, and what is measured."""

    def __init__(self, given: argparse.Namespace, folder: Path, record: Record) -> None:
        self.model, self.folder, self.repeats = find_model(given.model), folder, given.repeats
        self.name, self.before, self.record = given.model, given.before, record
        self.channels = read_card(self.model).channels

    def report(self, what: str, measured: str, ratio: float | None = None) -> None:
        last = ["" if ratio is None else f"{ratio:.2f}"] if self.before else []
        self.record.row(what, measured, *last)

    def time_engine(self) -> None:
        """Time the engine alone on tiles of 512 x 1024 in each precision that it has."""
        batch = make_pixels(512, 1024, self.channels)[None].astype(np.float32) / np.float32(255)
        for precision in sorted({open_engine(self.model).precision, "f32"}):
            engine = open_engine(self.model, precision=precision)
            level = np.full((*batch.shape[:3], 1), 15 / 255, np.float32)
            inputs = (batch, level) if engine.card.sigma_input else (batch,)
            engine(*inputs)
            seconds = min(
                clock(lambda engine=engine, inputs=inputs: engine(*inputs))
                for _ in range(4 * self.repeats)
            )
            speed = batch[..., 0].size / 1e6 / seconds
            self.report(f"engine alone, {precision}", f"{speed:.2f} megapixels/s")

    def time_start(self) -> None:
        """Time the command on a picture of 64 x 64: model not compiled yet, then compiled."""
        source = self.write("small.png", 64, 64)
        first = self.run(source, "-o", self.folder / "small-first.png")["wall"]
        runs, ratio = self.repeat(self.repeats, source, "small-{}.png")
        median = statistics.median(run["wall"] for run in runs)
        self.report("cold start, model not compiled before", f"{first:.2f} s")
        self.report("cold start, model compiled before", f"{median:.2f} s", ratio)

    def time_large(self, megapixels: float) -> None:
        """Time the command on one JPEG and report where the time goes."""
        height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
        source = self.write("large.jpg", height, height * 4 // 3)
        runs, ratio = self.repeat(self.repeats, source, "large-{}.jpg")
        middle = sorted(runs, key=lambda run: run["wall"])[len(runs) // 2]
        size, speed = middle["megapixels"], middle["megapixels"] / middle["wall"]
        taken = f"{middle['wall']:.2f} s, {speed:.2f} megapixels/s"
        self.report(f"command, JPEG of {size:.1f} megapixels", taken, ratio)
        shares = (
            f"{part} {middle[part] / middle['wall']:.1%}"
            for part in ("start", "read", "compute", "write", "engine")
        )
        self.report("of it (the engine is a part of compute)", ", ".join(shares))
        part = middle["engine_cpu"] / middle["cpu"]
        self.report("processor time", f"{middle['cpu']:.2f} s, {part:.1%} of it in the engine")

    def time_folder(self, count: int) -> None:
        """Time a folder run over small JPEGs."""
        for number in range(count):
            self.write(f"many/picture-{number}.jpg", 480, 640, seed=number)
        runs, ratio = self.repeat(max(self.repeats * 3 // 5, 1), self.folder / "many", "many-{}")
        middle = sorted(runs, key=lambda run: run["wall"])[len(runs) // 2]
        speed = middle["megapixels"] / middle["wall"]
        text = f"{middle['wall']:.2f} s, {speed:.2f} megapixels/s"
        self.report(f"folder of {count} JPEGs of 640 x 480", text, ratio)
        self.report("share of the engine there", f"{middle['engine'] / middle['wall']:.1%}")

    def repeat(self, count: int, source: Path, target: str) -> tuple[list[Numbers], float | None]:
        """Run the command so often, in turn with the earlier version, and return the ratio too."""
        if self.before:  # it compiles its model once, too
            self.run_before(source, "-o", self.folder / f"before-{target.format('first')}")
        runs, earlier = [], []
        for number in range(count):
            runs.append(self.run(source, "-o", self.folder / target.format(number)))
            if self.before:
                place = self.folder / f"before-{target.format(number)}"
                earlier.append(self.run_before(source, "-o", place))
        now = statistics.median(run["wall"] for run in runs)
        return runs, now / statistics.median(earlier) if earlier else None

    def run_before(self, source: Path, *words: object) -> float:
        """Run the command of the earlier version; return its seconds."""
        line = [sys.executable, "-m", "quietpixel", "denoise", source, *words, "--model", self.name]
        env = os.environ | {"PYTHONPATH": str(self.before.resolve() / "src")}
        start = time.perf_counter()
        subprocess.run(list(map(str, line)), env=env, capture_output=True, check=True)
        return time.perf_counter() - start

    def measure_loss(self, pictures: Path) -> None:
        """Report the mean PSNR in float32 less that in the automatic precision."""
        exact, quick = Denoiser(self.model, precision="f32"), Denoiser(self.model)
        losses = []
        for index, path in enumerate(list_images(pictures).images):
            picture = read_picture(path)
            clean = picture.pages[0].astype(np.float32) / np.float32(picture.maximum)
            rng = np.random.default_rng(index)
            noisy = clean + rng.normal(0, 25 / 255, clean.shape).astype(np.float32)
            scores = [psnr(clean, np.clip(each(noisy), 0, 1)) for each in (exact, quick)]
            losses.append(scores[0] - scores[1])
        self.report(
            f"lost by {quick.precision} on {len(losses)} images", f"{np.mean(losses):.4f} dB"
        )

    def write(self, name: str, height: int, width: int, seed: int = 0) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = make_pixels(height, width, self.channels, seed)
        write_picture(Picture.from_pixels(pixels), path, quality=92)
        return path

    def run(self, source: Path, *words: object) -> Numbers:
        """Run the command once; return the seconds of each part."""
        written = self.folder / "report.json"
        line = [sys.executable, "-c", COMMAND, "denoise", str(source), *map(str, words)]
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*line, "--model", str(self.model), "--json", str(written)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        if done.returncode:
            raise SystemExit(done.stderr)
        files = json.loads(written.read_text())["files"]
        parts = {
            name: sum(file[f"{name}_seconds"] for file in files)
            for name in ("read", "compute", "write")
        }
        engine = next(line for line in done.stderr.splitlines() if line.startswith("engine "))
        return {
            "wall": wall, "start": wall - sum(parts.values()), **parts,
            "engine": float(engine.split()[1]), "engine_cpu": float(engine.split()[2]), "cpu": cpu,
            "megapixels": sum(file["megapixels"] for file in files),
        }  # fmt: skip


def make_pixels(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Return waves with noise, uint8 (H, W, C)."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(height)[:, None] / 97) * np.cos(np.arange(width) / 131)
    tints = np.linspace(0.25, 0.4, channels)
    noise = rng.standard_normal((height, width, channels), np.float32) * np.float32(0.06)
    return (np.clip(0.5 + waves[..., None] * tints + noise, 0, 1) * 255).astype(np.uint8)


def clock(work: Any) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
