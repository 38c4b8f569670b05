"""Runs all benchmarks and collects their output on one page.

    python benchmarks/run_all.py [--quick] [--data FOLDER] [--out FILE]

FOLDER (default: the variable QUIETPIXEL_DATA) may hold ``mnist``, ``photos/test/set12`` (and
``bsd68``, ``cbsd68``), ``photos/real/polyu``, ``rivals`` (weights of FFDNet and DnCNN),
``documents`` and ``microscopy/w2s``; a benchmark
whose data are missing is named and skipped. ``--quick`` uses few images and small pictures, about
five minutes on two idle cores. Other work on the machine disturbs times, so the load is reported.
The exit code is 1 if a benchmark failed.

The output goes to FILE (default: ``build/bench/results.md``), plots next to it. After a complete
run without failures or skipped data, it also replaces the section between two marks in
``benchmarks/RESULTS.md``, with plots in ``benchmarks/plots``; the text outside the marks is written
by hand and stays.
"""

import argparse
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quietpixel.inference.model_store import bundled_models

HERE = Path(__file__).parent
COMMAND = ("-m", "quietpixel")
BEGIN = "<!-- Written by `make bench` from here on: do not edit. -->"
END = "<!-- Up to here. -->"


@dataclass(frozen=True)
class Job:
    """One benchmark: its title, the words after `python`, and the data it cannot do without."""

    title: str
    words: tuple[str, ...]
    needs: Path | None = None

    def lacks_data(self) -> bool:
        return self.needs is not None and not self.needs.exists()

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
    if given.data is not None:
        given.data = given.data.resolve()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    failed, skipped = [], []
    with given.out.open("w", encoding="utf-8") as page:
        write(page, f"# Benchmarks{', quick' if given.quick else ''}\n\n{machine()}")
        for job in jobs(given.data, given.out.parent / "plots", quick=given.quick):
            if job.lacks_data():
                skipped.append(job.title)
            if not run(job, page):
                failed.append(job.title)
    print(f"\nFailed: {', '.join(failed) or 'none'}. Kept in {given.out}.")
    if not (failed or skipped or given.quick):
        publish(given.out, HERE / "RESULTS.md", hidden=given.data)
    return bool(failed)


def publish(out: Path, results: Path, *, hidden: Path) -> None:
    """Put the page of a run between the marks of `results`, and its plots next to it.

    The absolute path `hidden` of the data on this machine is replaced by FOLDER.
    """
    text = results.read_text(encoding="utf-8") if results.exists() else ""
    page = out.read_text(encoding="utf-8").replace(str(hidden), "FOLDER")
    write_atomically(results, put_between_marks(text, page))
    if (out.parent / "plots").is_dir():
        shutil.copytree(out.parent / "plots", results.parent / "plots", dirs_exist_ok=True)
    print(f"Put into {results} too.")


def put_between_marks(text: str, page: str) -> str:
    """Return `text` with `page` between its marks, which are put at the end if there are none."""
    lower = page.strip().replace("\n#", "\n##").removeprefix("# ")
    made = f"{BEGIN}\n\n## {lower}\n\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    if not begin:
        return f"{text.rstrip()}\n\n{made}".lstrip()
    _, end, after = rest.partition(END + "\n")
    if not end:
        raise SystemExit(f"RESULTS.md has {BEGIN!r} without {END!r}; nothing was put into it.")
    return before + made + after


def write_atomically(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def jobs(data: Path | None, plots: Path, *, quick: bool) -> Iterator[Job]:
    """Yield the benchmarks in order."""
    folder = data or Path("FOLDER")
    models = bundled_models()
    photo = "photo" if "photo" in models else "mnist-unet"
    few = ("--megapixels", "3", "--small", "20", "--repeats", "1") if quick else ()
    sizes = ("1", "5", "20") if quick else ("1", "12", "50", "100")
    drawn = ("--plots", str(plots))
    yield script("Speed", "speed.py", photo, *few)
    yield script("Share of the matrix rate", "matrix_rate.py", photo)
    yield script("Memory", "memory.py", photo, "--kinds", "jpeg",
                 "--megapixels", *sizes, *drawn)  # fmt: skip
    count = ("--count", "300") if quick else ()
    rivals = ("median", "wavelet") if quick else ("median", "bilateral", "wavelet", "tv", "nlm")
    yield evaluate("MNIST", folder / "mnist", "mnist-unet", "mnist-bottleneck", *rivals,
                   "mnist", "--data-dir", str(folder), *count)  # fmt: skip
    some = ("--sigmas", "25", "--count", "3") if quick else ()
    tests = folder / "photos" / "test"
    gray = ("photo-gray", "gaussian-gray")
    for name, (model, *more) in (("set12", gray), ("bsd68", gray), ("cbsd68", ("photo",))):
        if model in models and not (quick and name != "set12"):
            others = outside(slow=name == "set12")
            words = (*more, *others, *(rivals if quick else ("tv", "nlm")), *drawn)
            yield script(name, "quality.py", str(tests / name), model, *words, *some,
                         needs=tests / name)  # fmt: skip
    if quick:
        return
    if "photo-gray" in models:
        yield script("Speed beside other methods", "quality.py", str(tests / "bsd68"), *gray,
                     *outside(slow=True), "tv", "nlm", "--sigmas", "25", "--count", "6",
                     "--precision", "auto", needs=tests / "bsd68")  # fmt: skip
    pairs = folder / "photos" / "real" / "polyu"
    if "photo" in models:
        yield script("PolyU pairs", "quality.py", str(pairs), "photo",
                     "--pairs", "*_real.*=*_mean.*", *drawn, needs=pairs)  # fmt: skip
        known = ("FFDNet_color.mat", "CDnCNN_B.mat")
        weights = [str(path) for name in known if (path := folder / "rivals" / name).exists()]
        real = ("--pairs", str(pairs)) if pairs.exists() else ()
        yield script("Files", "file_quality.py", str(tests / "cbsd68"), *real, "--rivals", *weights,
                     *drawn, needs=tests / "cbsd68")  # fmt: skip
    model = ("photo-gray",) if "photo-gray" in models else ()
    for name in ("documents", "microscopy/w2s"):
        yield script(name, "pairs_quality.py", str(folder / name), *model, "--classical",
                     "--last", "20", *drawn, needs=folder / name)  # fmt: skip
    yield script("Training", "time_to_quality.py", str(folder / "mnist"), needs=folder / "mnist")
    if importlib.util.find_spec("fastapi"):
        yield script("Service", "service.py", photo)
        if importlib.util.find_spec("playwright"):
            yield script("Page", "page.py", photo)


def outside(*, slow: bool) -> tuple[str, ...]:
    """Return the methods of packages that happen to be installed, BM3D only if `slow`."""
    found = {"opencv-nlm": "cv2"} | ({"bm3d": "bm3d"} if slow else {})
    return tuple(name for name, module in found.items() if importlib.util.find_spec(module))


def script(title: str, name: str, *words: str, needs: Path | None = None) -> Job:
    return Job(title, (f"benchmarks/{name}", *words), needs)


def evaluate(title: str, needs: Path, *words: str) -> Job:
    return Job(title, (*COMMAND, "evaluate", *words), needs)


def run(job: Job, page: object) -> bool:
    """Run a benchmark, show and keep what it prints, and return whether it went well."""
    write(page, f"\n## {job.title}\n\n`{job.shown()}`\n")
    if job.lacks_data():
        write(
            page,
            f"Skipped because '{job.needs}' is missing; give the folder of the data with --data.",
        )
        return True
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *job.words], cwd=HERE.parent, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    quoted = job.words[:2] == COMMAND
    write(page, "```text" if quoted else "")
    for line in process.stdout:
        write(page, line.rstrip())
    if quoted:
        write(page, "```")
    code = process.wait()
    write(page, f"\n{time.monotonic() - start:.0f} s{f', FAILED with {code}' if code else ''}.")
    return code == 0


def machine() -> str:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {python}, load {load:.1f}."


def write(page: object, text: str) -> None:
    for place in (sys.stdout, page):
        print(text, file=place, flush=True)  # type: ignore[call-overload]


if __name__ == "__main__":
    sys.exit(main())
