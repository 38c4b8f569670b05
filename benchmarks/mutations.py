"""Wrong lines that a fast test must notice: a list, and the script that tries each of them.

    python benchmarks/mutations.py [WORD]

Each mutation replaces one piece of a line in a copy of the source and runs one test there, which
must fail. WORD limits the list to the mutations whose file or test holds it. The exit code is 1 if
a test still passes, or if a line has changed so that its mutation no longer applies.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT = 300
"""Seconds for one test: a wrong line may make it wait for ever, which is no clear failure."""


@dataclass(frozen=True)
class Mutation:
    """One wrong edit.

    Parameters
    ----------
    file
        Path below ``src/quietpixel``.
    old, new
        The text that is replaced, once in the file, and what takes its place.
    test
        A test file or node id that must fail.
    """

    file: str
    old: str
    new: str
    test: str

    def apply(self, source: Path) -> None:
        """Make the edit in a copy of the source; ValueError if `old` is not there exactly once."""
        path = source / "quietpixel" / self.file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} holds {text.count(self.old)} times: {self.old}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


GOLDEN = "tests/test_golden.py"
STRENGTH = "tests/imaging/test_strength.py"
TILING = "tests/imaging/test_tiling.py"
MUTATIONS = [
    # Metrics and the scale of intensities.
    Mutation("imaging/strength.py", "[0.2126, 0.7152,", "[0.7152, 0.2126,", GOLDEN),
    Mutation("imaging/strength.py", "noisy + strength *", "noisy + (1 - strength) *", STRENGTH),
    Mutation("imaging/metrics.py", "sigma=1.5", "sigma=2.5", "tests/imaging/test_metrics.py"),
    Mutation("imaging/metrics.py", "0.975]", "0.95]", "tests/imaging/test_metrics.py"),
    # Tiles.
    Mutation("imaging/tiling.py", "else stop - self.margin", "else stop", TILING),
    Mutation(
        "imaging/tiling.py", "return round_up(self.halo, self.divisor)", "return self.halo", TILING
    ),
    Mutation("imaging/tiling.py", "np.minimum(places, period - places)", "places % length", TILING),
    # Transparency.
    Mutation(
        "imaging/defects.py",
        "known = np.where(shown, image[cell], 0)",
        "known = image[cell] * shown",
        "tests/imaging/test_fill.py",
    ),
    # What was taken away.
    Mutation(
        "imaging/residual.py",
        "taken * (detail - detail.mean())) / scale",
        "taken * taken) / scale",
        "tests/imaging/test_residual.py",
    ),
    # Noise laws.
    Mutation("noise/laws.py", "if self._clips else noisy", "if not self._clips else noisy", GOLDEN),
    Mutation(
        "noise/laws.py",
        "(2 * rng.random(clean.shape, np.float32) - 1)",
        "rng.random(clean.shape, np.float32)",
        GOLDEN,
    ),
    Mutation("noise/laws.py", "draw >= 1 - self.amount / 2", "draw >= 1 - self.amount", GOLDEN),
    Mutation(
        "noise/laws.py",
        "(lit - black) / np.float32(self.peak)",
        "(lit - black) * np.float32(self.peak)",
        "tests/noise/test_parser.py",
    ),
    # Files.
    Mutation("files/picture.py", " + white // 2)", ")", GOLDEN),
    Mutation(
        "files/jpeg.py", "if metadata.resolution:", "if False:", "tests/files/test_formats.py"
    ),
    Mutation(
        "files/image_format.py",
        "if total > self.max_pixels:",
        "if total > 2 * self.max_pixels:",
        "tests/files/test_formats.py",
    ),
    Mutation(
        "files/tiff.py",
        '"predictor": predictor}',
        '"predictor": "none"}',
        GOLDEN,
    ),
    Mutation(
        "files/write.py",
        "5: 1, 6: 3, 7: 3, 8: 1",
        "5: 1, 6: 1, 7: 3, 8: 3",
        GOLDEN,
    ),
    # The scale of intensities and error bars.
    Mutation(
        "imaging/intensity_scale.py",
        "4095, 65535) if largest <= s)",
        "4095, 65535) if largest < s)",
        "tests/inference/test_arrays.py",
    ),
    Mutation(
        "imaging/uncertainty.py",
        "NEAR) - mean**2",
        "NEAR) + mean**2",
        "tests/imaging/test_uncertainty.py",
    ),
    # The mean over images; values beyond the range.
    Mutation(
        "evaluation/evaluator.py",
        "return float(values.mean()), bootstrap_interval(values, seed=seed)",
        "return float(-10 * np.log10(np.mean(10 ** (-values / 10)))), (0.0, 0.0)",
        GOLDEN,
    ),
    Mutation("inference/job.py", "else ~job.hidden[place]", "else job.hidden[place]", GOLDEN),
    # Patterns that repeat are no stripes.
    Mutation(
        "imaging/defects.py",
        "np.abs(repeats).max() > REPEATING",
        "np.abs(repeats).max() < -REPEATING",
        "tests/imaging/test_defects.py",
    ),
    # One image: transparency, flips and turns, levels above the one found.
    Mutation(
        "inference/repair.py",
        "hidden = values[..., -1:] == 0",
        "hidden = values[..., -1:] < 0",
        GOLDEN,
    ),
    Mutation(
        "inference/engine.py",
        "back[:, ::-1] if flip else back",
        "back",
        "tests/inference/test_views.py",
    ),
    Mutation("inference/job.py", "level * np.float32(factor)", "level", GOLDEN),
    # Text and order of noise laws; noise level.
    Mutation(
        "noise/parser.py", "float(above) / (", "float(above) * (", "tests/noise/test_parser.py"
    ),
    Mutation(
        "noise/parser.py",
        "default_rng((seed, epoch, index))",
        "default_rng((seed, index))",
        "tests/data/test_patches.py",
    ),
    Mutation(
        "noise/laws.py",
        "return self.laws[-1]._clips",
        "return self.laws[0]._clips",
        "tests/noise/test_parser.py",
    ),
    Mutation(
        "noise/estimate.py",
        "np.sqrt(max(means[last], 0.0))",
        "max(means[last], 0.0)",
        "tests/noise/test_estimate.py",
    ),
    # Data, models, training.
    Mutation("data/split.py", "np.float32(255)", "np.float32(256)", "tests/data/test_split.py"),
    Mutation(
        "models/receptive_field.py",
        "(spread - left) * reach.scale",
        "(spread - left)",
        "tests/models/test_receptive_field.py",
    ),
    Mutation("training/losses.py", "axis=(1, 2, 3)", "axis=None", "tests/training/test_losses.py"),
    Mutation(
        "training/callbacks.py",
        "min(share / WARMUP, 1.0, (1 - share) / DECAY)",
        "min(share / WARMUP, 1.0)",
        "tests/training/test_schedules.py",
    ),
    Mutation(
        "training/callbacks.py",
        'if logs["val_loss"] < self.best_loss',
        'if logs["val_loss"] > self.best_loss',
        "tests/training/test_training.py",
    ),
    Mutation(
        "models/export.py",
        "if not difference <= TOLERANCE",
        "if False",
        "tests/models/test_export.py",
    ),
    # Existing files; the ledger.
    Mutation(
        "files/atomic.py",
        "S_IMODE(status.st_mode) & 0o777",
        "S_IMODE(status.st_mode) & 0o700",
        "tests/files/test_write.py",
    ),
    Mutation(
        "batch/ledger.py",
        'line["result"] == self._content(job.target).digest',
        "True",
        "tests/cli/test_denoise_again.py",
    ),
    # Limits of the service.
    Mutation(
        "web/request_queue.py",
        "self.waiting >= self._limit",
        "not self.waiting",
        "tests/web/test_request_queue.py",
    ),
    Mutation(
        "web/request_queue.py",
        "self.bytes + count > self._limit",
        "count > self._limit",
        "tests/web/test_request_queue.py",
    ),
    Mutation("web/options.py", "and not self.open", "and self.open", "tests/web/test_options.py"),
    Mutation("web/middleware.py", ' or method != "GET"', "", "tests/web/test_middleware.py"),
    # What error bars and levels rest on.
    Mutation(
        "imaging/brightness.py",
        "both = before + after",
        "both = before",
        "tests/imaging/test_brightness.py",
    ),
    Mutation(
        "imaging/familiarity.py",
        "limit *= MARGIN",
        "limit /= MARGIN",
        "tests/imaging/test_familiarity.py",
    ),
    Mutation(
        "imaging/stabilise.py",
        "inverse - 11 / 8",
        "inverse + 11 / 8",
        "tests/imaging/test_stabilise.py",
    ),
    Mutation("imaging/tiling.py", "// align * align", "", TILING),
    Mutation("imaging/tiling.py", "if length <= run * count:", "if False:", TILING),
    Mutation(
        "imaging/defects.py",
        "places + step * inner",
        "places + step",
        "tests/imaging/test_defects.py",
    ),
    Mutation(
        "imaging/defects.py",
        "low, high = around[1], around[6]",
        "low, high = around[0], around[7]",
        "tests/imaging/test_defects.py",
    ),
    Mutation(
        "imaging/defects.py",
        "sparse and (_lies_in_lines(found) or",
        "sparse and (",
        "tests/imaging/test_defects.py",
    ),
    Mutation(
        "imaging/defects.py",
        "count > DENSE * found.size and _avoid_each_other(found)",
        "False",
        "tests/imaging/test_defects.py",
    ),
    Mutation(
        "imaging/defects.py",
        "np.maximum(*lines)",
        "np.minimum(*lines)",
        "tests/imaging/test_defects.py",
    ),
    Mutation(
        "imaging/defects.py",
        " or _stands_still(image):",
        ":",
        "tests/imaging/test_defects.py",
    ),
    Mutation(
        "imaging/defects.py",
        "steps = steps[:, steps.any(axis=0)]",
        "",
        "tests/imaging/test_defects.py",
    ),
    Mutation(
        "noise/drawings.py",
        "    return not _is_noise(values, black, found)",
        "    return True",
        "tests/noise/test_level.py",
    ),
    Mutation(
        "noise/drawings.py",
        "exact >= EXACT and _share",
        "_share",
        "tests/noise/test_level.py",
    ),
    Mutation(
        "noise/drawings.py",
        "return 1.0 if _recurs(cells, values) else most",
        "return most",
        "tests/noise/test_level.py",
    ),
    Mutation(
        "noise/drawings.py",
        "some &= _sum_patches(between",
        "_sum_patches(between",
        "tests/noise/test_level.py",
    ),
    Mutation(
        "imaging/defects.py",
        "np.abs(frequency - first) < 0.15",
        "np.abs(frequency - first) > 0.15",
        "tests/imaging/test_defects.py",
    ),
    Mutation(
        "imaging/intensity_scale.py",
        "if count <= HOT_SHARE * bright.size and",
        "if",
        "tests/inference/test_arrays.py",
    ),
    # Arrays, levels and engines.
    Mutation(
        "inference/arrays.py",
        "            np.rint(values, out=values)\n",
        "",
        "tests/inference/test_arrays.py",
    ),
    Mutation(
        "inference/arrays.py",
        "    result = np.where(total >= float(bounds.max), bounds.max, result)\n",
        "",
        "tests/inference/test_arrays.py",
    ),
    Mutation(
        "inference/planes.py",
        "max(levels) > MOST_APART * min(levels)",
        "max(levels) > 99 * MOST_APART * min(levels)",
        "tests/inference/test_repair.py",
    ),
    Mutation(
        "inference/planes.py",
        "job, level=shared_level(scale, job.layout, options)",
        "job, level=job.level",
        "tests/inference/test_repair.py",
    ),
    Mutation(
        "inference/job.py",
        "while waiting and waiting[0][0].rows.keep_stop <= unread",
        "while waiting",
        "tests/inference/test_views.py",
    ),
    Mutation(
        "inference/engine.py",
        "result = result.mean(axis=3, keepdims=True)",
        "result = result[..., :1]",
        "tests/inference/test_engine.py",
    ),
    Mutation(
        "inference/tile_plan.py",
        "halo = card.halo + margin",
        "halo = card.halo",
        "tests/inference/test_repair.py",
    ),
    Mutation(
        "inference/denoiser.py",
        "photons if own else scale.photons for x in images",
        "photons for x in images",
        "tests/inference/test_photons.py",
    ),
    Mutation(
        "inference/photon_law.py",
        "if middle > TEXTURED:",
        "if middle > 100 * TEXTURED:",
        "tests/inference/test_photons.py",
    ),
    Mutation(
        "inference/photon_law.py",
        " and found.typed < MOSTLY_TYPED",
        "",
        "tests/inference/test_photons.py",
    ),
    Mutation(
        "inference/coarse_noise.py",
        "change = share * (copy[tuple(seen)] - coarse)",
        "change = share * copy[tuple(seen)]",
        "tests/inference/test_coarse_noise.py",
    ),
    Mutation(
        "imaging/uncertainty.py",
        "np.where(coarse, 2, shared)",
        "np.where(coarse, 1, shared)",
        "tests/imaging/test_uncertainty.py",
    ),
    # Files.
    Mutation(
        "files/write.py",
        "orientation = 14 - orientation",
        "pass",
        "tests/files/test_reading.py",
    ),
    Mutation(
        "files/jpeg.py",
        "max(quality, 96 if low else 98)",
        "quality or 98",
        "tests/cli/test_denoise_content.py",
    ),
    # Training.
    Mutation(
        "training/in_memory.py",
        "np.random.set_state(states[1])",
        "pass",
        "tests/test_sklearn.py",
    ),
    Mutation(
        "training/run_folder.py",
        "if self.recipe.exists():",
        "if False:",
        "tests/training/test_training.py::test_a_folder_with_a_run_is_not_overwritten",
    ),
]


def copy_source(folder: Path) -> Path:
    """Copy the code into `folder`; models stay where they are, behind a link."""
    source = folder / "src"
    ignored = shutil.ignore_patterns("__pycache__", "weights")
    shutil.copytree(ROOT / "src", source, ignore=ignored)
    (source / "quietpixel" / "weights").symlink_to(ROOT / "src" / "quietpixel" / "weights")
    return source


def run_test(test: str, source: Path) -> subprocess.CompletedProcess[str]:
    """Run a test against the source in another folder."""
    options = ["-x", "-q", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, test]
    paths = {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | paths,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


def is_caught(mutation: Mutation, source: Path) -> bool:
    """Return whether the test fails on the mutated source; the source is restored afterwards.

    Pytest's exit code 1 stands for failed tests; an error of collection or usage has another code
    and proves nothing.
    """
    path = source / "quietpixel" / mutation.file
    before = path.read_text(encoding="utf-8") if path.exists() else None
    mutation.apply(source)
    try:
        return run_test(mutation.test, source).returncode == 1
    finally:
        if before is not None:
            path.write_text(before, encoding="utf-8")


def main(words: list[str]) -> int:
    wanted = [
        each for each in MUTATIONS if all(word in f"{each.file} {each.test}" for word in words)
    ]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="quietpixel-mutations-") as folder:
        source = copy_source(Path(folder))
        for each in wanted:
            try:
                verdict = "caught" if is_caught(each, source) else "MISSED"
            except ValueError as error:
                verdict = f"STALE ({error})"
            except subprocess.TimeoutExpired:
                verdict = f"MISSED (no end within {TIMEOUT} s)"
            missed += verdict != "caught"
            print(f"{verdict}: {each.file}: {each.old.strip()} -> {each.new.strip()}", flush=True)
    print(f"{len(wanted) - missed} of {len(wanted)} wrong lines are caught.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
