"""Runs the benchmarks, keeps what each measured, and writes the page of results.

    python benchmarks/run_all.py [--quick] [--data FOLDER] [--records FOLDER] [--only NAME ...]
                                 [--before CHECKOUT]

FOLDER (default: the variable QUIETPIXEL_DATA) may hold ``mnist``, ``photos/test/set12`` (and
``bsd68``, ``cbsd68``), ``photos/real/polyu``, ``rivals`` (weights of FFDNet and DnCNN),
``documents`` and ``microscopy`` (``w2s``, ``hagen2021``); a benchmark whose data are missing is
named and skipped. ``--only`` runs some of them. ``--before`` names a checkout of an earlier
version, to which speed, kinds of noise and service are compared. The exit code is 1 if a benchmark
failed.

Each benchmark that succeeds replaces its record, ``benchmarks/results/NAME.json``; then
``benchmarks/RESULTS.md`` is written from all records (`results_page.py`). ``--quick`` uses few
images and small ones, about five minutes on two idle cores, and keeps all in ``build/bench``.
Other work on the machine disturbs times; a load above one when a benchmark starts is recorded.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from results_page import HERE, RECORDS, write_page


@dataclass(frozen=True)
class Job:
    """One benchmark: the name of its record, the words after `python`, and the data it needs."""

    name: str
    words: tuple[str, ...]
    needs: Path | None = None

    def lacks_data(self) -> bool:
        return self.needs is not None and not self.needs.exists()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=os.environ.get("QUIETPIXEL_DATA") or None)
    parser.add_argument("--records", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    data = given.data and given.data.resolve()
    quick = HERE.parent / "build" / "bench" / "results"
    records = given.records or (quick if given.quick else RECORDS)
    records.mkdir(parents=True, exist_ok=True)
    failed, found = [], list(jobs(data, given.before, quick=given.quick))
    if unknown := set(given.only or ()) - {job.name for job in found}:
        parser.error(f"no benchmark is named {', '.join(unknown)}")
    for job in found:
        if given.only and job.name not in given.only:
            continue
        if job.lacks_data():
            print(f"\nSkipping {job.name}: '{job.needs}' is missing; --data names the folder.")
        elif not run(job, records, {"FOLDER": data, "BEFORE": given.before}):
            failed.append(job.name)
    write_page(records, records.parent / "RESULTS.md")
    print(f"\nFailed: {', '.join(failed) or 'none'}. Written to {records.parent / 'RESULTS.md'}.")
    return bool(failed)


def run(job: Job, records: Path, places: Mapping[str, Path | None]) -> bool:
    """Run a benchmark, complete and keep its record, and return whether it succeeded."""
    print(f"\n== {job.name}: python {shlex.join(job.words)}", flush=True)
    path = records / f"{job.name}.json"
    unfinished = path.with_suffix(".new")
    machine, start = describe_machine(), time.monotonic()
    words = [sys.executable, *job.words, "--json", str(unfinished.resolve())]
    done = subprocess.run(words, cwd=HERE.parent, check=False).returncode == 0
    seconds = round(time.monotonic() - start)
    print(f"{seconds} s{'' if done else ', FAILED'}", flush=True)
    if done:
        record = json.loads(unfinished.read_text(encoding="utf-8"))
        record |= {"command": show_command(job, places), "date": f"{date.today()}",
                   "seconds": seconds, "machine": machine}  # fmt: skip
        unfinished.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
        unfinished.replace(path)
    return done


def show_command(job: Job, places: Mapping[str, Path | None]) -> str:
    """Return the command with names in place of absolute paths."""
    command = f"python {shlex.join(job.words)}"
    for name, place in places.items():
        command = command.replace(str(place), name) if place else command
    return command


def describe_machine() -> str:
    """Return cores, processor, Python, and the load if there is any."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):  # only Linux has this file
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = f", load {load:.1f}" if load >= 1 else ""
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}{busy}"


def jobs(data: Path | None, before: Path | None = None, *, quick: bool) -> Iterator[Job]:
    """Yield the benchmarks in order."""
    earlier = ("--before", str(before)) if before else ()
    folder = data or Path("FOLDER")
    photos, mnist = folder / "photos", folder / "mnist"
    tests, pairs = photos / "test", photos / "real" / "polyu"
    classical = ("median", "wavelet") if quick else ("median", "bilateral", "wavelet", "tv", "nlm")
    few = ("--megapixels", "3", "--small", "20", "--repeats", "1") if quick else ()
    sizes = ("1", "5", "20") if quick else ("1", "12", "50", "100")
    count = ("--count", "300") if quick else ()
    some = ("--sigmas", "25", "--count", "3") if quick else ()
    gray = ("photo", "photo-gray", "gaussian-gray")
    yield script("speed", "speed.py", "photo", *few, *earlier)
    yield script("matrix", "matrix_rate.py", "photo")
    yield script("memory", "memory.py", "photo", "--kinds", "jpeg", "--megapixels", *sizes)
    yield script("mnist", "quality.py", "mnist", "mnist-unet", "mnist-bottleneck", *classical,
                 "--noise", "gaussian:0.5", "--data-dir", str(folder), *count,
                 needs=mnist)  # fmt: skip
    for name, models in (("set12", gray), ("bsd68", gray), ("cbsd68", ("photo",))):
        if not quick or name == "set12":
            others = outside(slow=name == "set12")
            yield script(name, "quality.py", str(tests / name), *models, *others,
                         *(classical if quick else ("tv", "nlm")), *some,
                         *(() if name == "cbsd68" else ("--channels", "1")),
                         needs=tests / name)  # fmt: skip
    if quick:
        return
    yield script("beside", "quality.py", str(tests / "bsd68"), *gray, *outside(slow=True), "tv",
                 "nlm", "--sigmas", "25", "--count", "6", "--precision", "auto", "--channels", "1",
                 needs=tests / "bsd68")  # fmt: skip
    known = (folder / "rivals" / name for name in ("FFDNet_color.mat", "CDnCNN_B.mat"))
    rivals = [str(path) for path in known if path.exists()]
    beside = ("--rivals", *rivals) if rivals else ()
    yield script("beside-colour", "quality.py", str(tests / "cbsd68"), "photo",
                 *outside(slow=True), "tv", "nlm", "--sigmas", "25", "--count", "3",
                 "--precision", "auto", *beside, needs=tests / "cbsd68")  # fmt: skip
    yield script("kinds", "kinds_of_noise.py", "photo", str(tests / "cbsd68"), *earlier,
                 needs=tests / "cbsd68")  # fmt: skip
    yield script("polyu", "quality.py", str(pairs), "photo", "--pairs", "*_real.*=*_mean.*",
                 needs=pairs)  # fmt: skip
    # Without BM3D, which would take an hour for all kinds of noise.
    yield script("files", "file_quality.py", str(tests / "cbsd68"), "--pairs", str(pairs),
                 "--methods", "wavelet,nlm", *beside, needs=pairs)  # fmt: skip
    learned = ("--train", "3")
    for name, more in {
        "documents": (), "microscopy/w2s": learned, "microscopy/hagen2021": learned,
    }.items():  # fmt: skip
        yield script(name.split("/")[-1], "pairs_quality.py", str(folder / name), "photo",
                     "--classical", "--last", "20", *more, needs=folder / name)  # fmt: skip
    yield script("training", "time_to_quality.py", str(mnist), "--epochs", "6", "--batch", "64",
                 "--optimizer", "convolution-muon", needs=mnist)  # fmt: skip
    if importlib.util.find_spec("fastapi"):
        yield script("service", "service.py", "photo", *earlier)
        if importlib.util.find_spec("playwright"):
            yield script("page", "page.py", "photo", "--megapixels", "1", "12", "24", "50")


def outside(*, slow: bool) -> tuple[str, ...]:
    """Return the methods of packages that happen to be installed, BM3D only if `slow`."""
    found = {"opencv-nlm": "cv2"} | ({"bm3d": "bm3d"} if slow else {})
    return tuple(name for name, module in found.items() if importlib.util.find_spec(module))


def script(name: str, file: str, *words: str, needs: Path | None = None) -> Job:
    return Job(name, (f"benchmarks/{file}", *words), needs)


if __name__ == "__main__":
    sys.exit(main())
