"""Batches are the same however many processes make them, and no process outlives the run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from quietpixel.data.batches import Batches
from quietpixel.data.image_cache import ImageCache, SkippedFiles
from quietpixel.data.patches import PatchSampler, PatchSampling
from quietpixel.data.samplers import AHEAD, BatchPool
from quietpixel.data.tasks import AddNoise
from quietpixel.errors import DataError, TrainingError
from quietpixel.files import Picture, write_picture
from quietpixel.noise.parser import parse_noise

from ..waiting import wait_until

SCRIPT = """
import os, sys
from pathlib import Path
import numpy as np
from quietpixel.data.samplers import BatchPool, NoisySampler
from quietpixel.noise.parser import parse_noise
images = np.zeros((8, 4, 4, 1), np.uint8)
pool = BatchPool(NoisySampler(images, parse_noise("gaussian:0.1"), batch=4, seed=0), 1)
pool.get(0, 0)
print(*pool._executor._processes, flush=True)
sys.stdin.read()
"""


def make_sampler(folder: Path, messages: list[str] | None = None, count: int = 4) -> PatchSampler:
    scenes = []
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (24, 20, 3), np.uint8)
        write_picture(Picture.from_pixels(pixels), folder / f"{i}.png", overwrite=True)
        scenes.append((folder / f"{i}.png",))
    skipped = SkippedFiles(print if messages is None else messages.append)
    source = ImageCache(scenes, np.full(count, 480), channels=3, skipped=skipped)
    task = AddNoise(parse_noise("gaussian:0.1,clip=no"), blur_fraction=0.5)
    return PatchSampler(source, task, PatchSampling(patch=16, batch=3, steps=3, seed=0))


def run_epochs(batches: Batches) -> list[np.ndarray]:
    made = []
    for _ in range(2):
        batches.on_epoch_begin()
        made += [part for index in range(len(batches)) for part in batches[index]]
    return made


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(process: int) -> None:
    try:
        wait_until(lambda: not is_running(process))
    except AssertionError:
        os.kill(process, signal.SIGKILL)
        raise


def test_batches_are_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    made = []
    for workers in (0, 2):
        with Batches(make_sampler(tmp_path), workers=workers) as batches:
            batches[0]  # Keras reads a batch before the first epoch
            made.append(run_epochs(batches))
    for one, two in zip(*made, strict=True):
        np.testing.assert_array_equal(one, two)
    assert len({part.tobytes() for part in made[0]}) == len(made[0]) == 12


def test_requests_ahead_are_bounded_and_in_order(tmp_path: Path) -> None:
    pool = BatchPool(make_sampler(tmp_path), 1)
    pool.get(0, 1)
    assert list(pool._pending) == [1, 2, 3]
    second = pool._pending[2]
    pool.get(0, 2)
    assert list(pool._pending) == [2, 3, 4]
    assert pool._pending[2] is second
    assert len(pool._pending) == AHEAD + 1
    pool.close()


def test_files_that_workers_skip_are_reported_once_by_the_parent(tmp_path: Path) -> None:
    messages: list[str] = []
    sampler = make_sampler(tmp_path, messages)
    (tmp_path / "1.png").write_bytes(b"no image")
    with Batches(sampler, workers=2) as batches:
        run_epochs(batches)
    assert len(messages) == 1
    assert "1.png" in messages[0]
    assert list(sampler.source.skipped.names) == [str(tmp_path / "1.png")]


def test_an_error_in_a_worker_arrives_as_it_is(tmp_path: Path) -> None:
    sampler = make_sampler(tmp_path, [], count=1)
    (tmp_path / "0.png").write_bytes(b"no image")
    with Batches(sampler, workers=1) as batches, pytest.raises(DataError, match="in a row"):
        batches[0]
    assert isinstance(batches.error, DataError)


def test_a_worker_that_dies_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with Batches(make_sampler(tmp_path), workers=1) as batches:
        batches[0]
        (worker,) = batches._pool._executor._processes
        os.kill(worker, signal.SIGKILL)
        wait_for_end(worker)
        with pytest.raises(TrainingError, match="train with fewer `workers`, or with 0"):
            batches[2]


def test_closing_ends_the_workers_and_ctrl_c_does_not(tmp_path: Path) -> None:
    with Batches(make_sampler(tmp_path), workers=1) as batches:
        batches[0]
        (worker,) = batches._pool._executor._processes
        for future in batches._pool._pending.values():
            future.result()
        os.kill(worker, signal.SIGINT)
        time.sleep(0.5)
        batches.epoch = 5  # no batch of which was requested before
        batches[0]
        assert list(batches._pool._executor._processes) == [worker]
    wait_for_end(worker)
    with pytest.raises(TrainingError, match="closed"):
        batches[2]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_when_their_parent_is_gone() -> None:
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.kill()
    wait_for_end(worker)


def test_workers_load_no_keras() -> None:
    code = (
        "import sys, quietpixel.data.samplers, quietpixel.data.patches, quietpixel.data.tasks, "
        "quietpixel.training.teacher; "
        "print(sorted({'keras', 'tensorflow', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
