"""Learning from noisy images alone: quietpixel beside CAREamics, with the same processor time.

    python benchmarks/peers.py FOLDER [--seconds 180] [--seeds 3] [--images N] [--methods NAME ...]
                               [--python PYTHON] [--json FILE]

FOLDER holds ``noisy/`` and ``clean/`` gray images of one size with the same names; only the noisy
ones are learned from, and the same are denoised. ``quietpixel`` starts from a bundled model, as its
command does, ``quietpixel-scratch`` from random weights, as CAREamics does (0.3, N2V and N2V2, with
the settings of the example in its documentation: patches of 64 pixels, batches of 32). PYTHON is an
interpreter that has CAREamics, where this one has not. Each run is a process of its own. SECONDS of
processor time, of all threads, are for the training; the table has those of the whole process, with
imports and the images themselves. PSNR in dB, mean over images.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

OURS = {"quietpixel": None, "quietpixel-scratch": "nothing"}
"""What each starts from."""
METHODS = (*OURS, "n2v", "n2v2")
EPOCHS = 10_000
"""More than there is time for."""


def learn_with_quietpixel(
    noisy: Any, seconds: float, seed: int, folder: Path, *, start: str | None
) -> Any:
    """Return the denoised images; training stops after `seconds` of processor time."""
    # `minutes` counts by this clock, so it counts processor time.
    time.perf_counter = time.process_time
    import quietpixel

    np.save(folder / "noisy.npy", noisy)
    run = quietpixel.train(
        str(folder / "noisy.npy"), target="none", start=start, workers=0, seed=seed,
        minutes=seconds / 60, run=folder / "run",
    )  # fmt: skip
    denoiser = quietpixel.Denoiser(run, precision="f32")
    return np.stack([denoiser(image) for image in noisy])


def learn_with_careamics(
    noisy: Any, seconds: float, seed: int, folder: Path, *, version2: bool
) -> Any:
    """Return the denoised images; training stops after `seconds` of processor time."""
    from careamics import CAREamist
    from careamics.config import create_advanced_n2v_config
    from lightning.pytorch import Callback

    class StopByProcessorTime(Callback):
        def on_train_start(self, trainer: Any, module: Any) -> None:
            self.started = time.process_time()

        def on_train_batch_end(self, trainer: Any, *unused: Any) -> None:
            trainer.should_stop = time.process_time() - self.started > seconds

    # Without workers, whose time the process would not see; it takes no seed of 0.
    settings = create_advanced_n2v_config(
        experiment_name="peer", data_type="array", axes="SYX", patch_size=[64, 64], batch_size=32,
        num_epochs=EPOCHS, use_n2v2=version2, seed=seed + 1, num_workers=0,
    )  # fmt: skip
    careamist = CAREamist(settings, work_dir=folder, callbacks=[StopByProcessorTime()])
    careamist.train(train_data=noisy)
    denoised, _ = careamist.predict(noisy, batch_size=1)
    return np.concatenate([np.asarray(each).reshape(-1, *noisy.shape[1:]) for each in denoised])


def run_child(method: str, noisy: Path, result: Path, seconds: float, seed: int) -> None:
    images = np.load(noisy)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if method in OURS:
            start = OURS[method]
            denoised = learn_with_quietpixel(images, seconds, seed, place, start=start)
        else:
            version2 = method == "n2v2"
            denoised = learn_with_careamics(images, seconds, seed, place, version2=version2)
    np.save(result, denoised)


def measure(
    python: str, method: str, noisy: Path, seconds: float, seed: int
) -> tuple[Any, float] | None:
    """Return the denoised images of a process and its processor time; None without the package."""
    package = "quietpixel" if method in OURS else "careamics"
    if subprocess.run(
        [python, "-c", f"import importlib.util as u; u.find_spec('{package}') or 1 / 0"],
        capture_output=True,
        check=False,
    ).returncode:
        return None
    result = noisy.with_name("denoised.npy")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [python, __file__, "--child", method, noisy, result, f"{seconds}", f"{seed}"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{method} ended with an error:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return np.load(result), used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, nargs="+", default=[180.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, help="use the first N by name")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    from pairs_quality import read
    from record import Record

    from quietpixel.imaging.metrics import psnr

    pairs, record = read(given.folder, None)[: given.images], Record()
    record.table(f"method, on {len(pairs)} images", "seed", "for training, s", "in all, s", "PSNR")
    noisy = np.stack([each[..., 0] for each, _ in pairs])
    clean = [each[..., 0] for _, each in pairs]
    record.row("noisy", "", "", "", f"{np.mean(list(map(psnr, clean, noisy))):.2f}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noisy.npy"
        np.save(path, noisy)
        for method in given.methods:
            python = sys.executable if method in OURS else given.python
            for seconds in given.seconds:
                for seed in range(given.seeds):
                    found = measure(python, method, path, seconds, seed)
                    if found is None:
                        record.note(
                            f"Skipping {method}: {python} lacks its package; install it "
                            "(pip install careamics), or name an interpreter with --python."
                        )
                        break
                    quality = np.mean(list(map(psnr, clean, found[0].clip(0, 1))))
                    record.row(
                        method, f"{seed}", f"{seconds:g}", f"{found[1]:.0f}", f"{quality:.2f}"
                    )
    record.save(given.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        method, noisy, result, seconds, seed = sys.argv[2:]
        run_child(method, Path(noisy), Path(result), float(seconds), int(seed))
    else:
        main()
