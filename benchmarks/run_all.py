"""Runs the benchmarks one after the other, and keeps what they print in one page.

    python benchmarks/run_all.py [--quick] [--data FOLDER] [--out build/bench/results.md]

FOLDER (left out: that of the variable QUIETPIXEL_DATA) holds ``mnist``, ``photos/test/set12`` (and
``bsd68``, ``cbsd68``), ``photos/real/polyu``, ``documents`` and ``microscopy/w2s``, as far as they
are there; a benchmark whose data are missing is named and left out. ``--quick`` takes few images
and small pictures: about five minutes on two cores that are free. What other work on the machine
does disturbs all times; the load is told. Ends with 1 if one of them failed.
"""

import argparse
import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quietpixel.inference.store import bundled_models

HERE = Path(__file__).parent
COMMAND = ("-c", "import sys; from quietpixel.cli.main import main; sys.exit(main())")
SIGMAS = "15/255,25/255,50/255"


@dataclass(frozen=True)
class Job:
    """One benchmark: its title, the words after `python`, and the data it cannot do without."""

    title: str
    words: tuple[str, ...]
    needs: Path | None = None

    def shown(self) -> str:
        words = self.words[len(COMMAND) :] if self.words[:2] == COMMAND else self.words
        start = "quietpixel" if self.words[:2] == COMMAND else "python"
        return shlex.join([start, *words])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=os.environ.get("QUIETPIXEL_DATA") or None)
    parser.add_argument("--out", type=Path, default=Path("build/bench/results.md"))
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    failed = []
    with given.out.open("w", encoding="utf-8") as page:
        tell(page, f"# Benchmarks{', the quick ones' if given.quick else ''}\n\n{machine()}")
        for job in jobs(given.data, quick=given.quick):
            if not run(job, page):
                failed.append(job.title)
        tell(page, f"\nFailed: {', '.join(failed) or 'none'}. Kept in {given.out}.")
    return bool(failed)


def jobs(data: Path | None, *, quick: bool) -> Iterator[Job]:
    """Yield the benchmarks in order."""
    folder = data or Path("FOLDER")
    models = bundled_models()
    photo = "photo" if "photo" in models else "mnist-unet"
    few = ("--megapixels", "3", "--small", "20", "--repeats", "1") if quick else ()
    size = "20" if quick else "100"
    yield script("Speed", "speed.py", photo, *few)
    yield script("Memory", "memory.py", photo, "--megapixels", size)
    count = ("--count", "300") if quick else ()
    rivals = ("median", "wavelet") if quick else ("median", "bilateral", "wavelet", "tv", "nlm")
    yield evaluate("MNIST", folder / "mnist", "mnist-unet", "mnist-bottleneck", *rivals,
                   "mnist", "--data-dir", str(folder), *count)  # fmt: skip
    for name, model in (("set12", "photo-gray"), ("bsd68", "photo-gray"), ("cbsd68", "photo")):
        test = folder / "photos" / "test" / name
        if model in models and not (quick and name != "set12"):
            yield evaluate(name, test, model, *outside(), *(rivals if quick else ("tv", "nlm")),
                           str(test), *strengths(quick=quick))  # fmt: skip
    if quick:
        return
    pairs = folder / "photos" / "real" / "polyu"
    if "photo" in models:
        yield evaluate("PolyU pairs", pairs, "photo", str(pairs), "--pairs", "*_real.*=*_mean.*",
                       "--precision", "f32")  # fmt: skip
    for name in ("documents", "microscopy/w2s"):
        yield script(name, "pairs_quality.py", str(folder / name), "--classical", "--last", "20",
                     needs=folder / name)  # fmt: skip
    yield script("Training", "time_to_quality.py", str(folder / "mnist"), needs=folder / "mnist")
    if importlib.util.find_spec("fastapi"):
        yield script("Service", "service.py", photo)


def outside() -> tuple[str, ...]:
    """Return the methods of packages that happen to be installed."""
    found = {"opencv-nlm": "cv2", "bm3d": "bm3d"}
    return tuple(name for name, module in found.items() if importlib.util.find_spec(module))


def strengths(*, quick: bool) -> tuple[str, ...]:
    some = ("--sigmas", "25/255", "--count", "3") if quick else ("--sigmas", SIGMAS)
    return (*some, "--precision", "f32")


def script(title: str, name: str, *words: str, needs: Path | None = None) -> Job:
    return Job(title, (f"benchmarks/{name}", *words), needs)


def evaluate(title: str, needs: Path, *words: str) -> Job:
    return Job(title, (*COMMAND, "evaluate", *words), needs)


def run(job: Job, page: object) -> bool:
    """Run a benchmark, show and keep what it prints, and return whether it went well."""
    tell(page, f"\n## {job.title}\n\n`{job.shown()}`\n")
    if job.needs is not None and not job.needs.exists():
        tell(page, f"Left out, because '{job.needs}' is missing; say where the data are: --data.")
        return True
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *job.words], cwd=HERE.parent, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    quoted = job.words[:2] == COMMAND
    tell(page, "```text" if quoted else "")
    for line in process.stdout:
        tell(page, line.rstrip())
    if quoted:
        tell(page, "```")
    code = process.wait()
    tell(page, f"\n{time.monotonic() - start:.0f} s{f', FAILED with {code}' if code else ''}.")
    return code == 0


def machine() -> str:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {python}, load {load:.1f}."


def tell(page: object, text: str) -> None:
    for place in (sys.stdout, page):
        print(text, file=place, flush=True)  # type: ignore[call-overload]


if __name__ == "__main__":
    sys.exit(main())
