"""A real scheduler and real worker processes, started once for the module that asks."""

import json
import multiprocessing
import os
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster
from onnx import helper

from quietpixel.card import Card
from quietpixel.cli.main import main

from ..tiny_models import write_halver, write_model, write_sigma
from ..waiting import PATIENCE, wait_until

COMMAND = [sys.executable, "-m", "quietpixel"]
WORKER = """
import os, sys
os.chdir({folder!r})
for stream in (1, 2):
    os.dup2(os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
sys.argv[1:] = {words!r}
{before}
from distributed.cli.dask_worker import main; main()
"""
SCHEDULER = "from distributed.cli.dask_scheduler import main; main()"
# One process imports Dask and forks: a worker connects after 0.14 s of CPU time, not 0.37. It
# imports neither quietpixel, which some tests take away, nor OpenVINO, which starts a thread.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["distributed.cli.dask_worker"])


def write_blur(path: Path, *, channels: int = 1, halo: int = 3, divisor: int = 2) -> Path:
    """Write a model that halves, doubles and blurs with zero padding: phase and border show."""
    rng = np.random.default_rng(3)
    size = 2 * (halo - 1) + 1
    kernel = rng.random((channels, channels, size, size)).astype(np.float32)
    kernel /= kernel.sum(axis=(1, 2, 3), keepdims=True)
    eye = np.zeros((channels, channels, divisor, divisor), np.float32)
    for channel in range(channels):
        eye[channel, channel] = 1
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "mean"], ["small"], strides=[divisor] * 2),
        helper.make_node("ConvTranspose", ["small", "ones"], ["large"], strides=[divisor] * 2),
        helper.make_node("Conv", ["large", "kernel"], ["sum"], pads=[halo - 1] * 4),
        helper.make_node("Transpose", ["sum"], ["denoised"], perm=[0, 2, 3, 1]),
    ]
    weights = {"mean": eye / divisor**2, "ones": eye, "kernel": kernel}
    made = Card(name="blur", architecture="blur", channels=channels, divisor=divisor, halo=halo)
    return write_model(path, nodes, weights, card=made)


def write_level(path: Path) -> Path:
    """Write a model that gives back the image plus the noise level that it gets."""
    made = Card(name="level", architecture="level", channels=1, halo=0, sigma_input=True)
    nodes = [helper.make_node("Add", ["image", "sigma"], ["denoised"])]
    return write_model(path, nodes, {}, card=made, sigma=True)


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "blind": write_sigma(folder / "blind.onnx", blind=True),
        "blur": write_blur(folder / "blur.onnx"),
        "colour": write_blur(folder / "colour.onnx", channels=3),
        "halver": write_halver(folder / "halver.onnx"),
        "level": write_level(folder / "level.onnx"),
    }


@pytest.fixture(autouse=True, scope="session")
def no_models_of_the_user(tmp_path_factory):
    """Keep the models, the cache and the cluster of whoever runs the tests out of them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    patch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    yield
    patch.undo()


class Machines:
    """A scheduler and workers, each a process that can be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.workers: list[BaseProcess] = []
        self.address = self._start_scheduler()

    def _start_scheduler(self) -> str:
        found = self._folder / "scheduler.json"
        words = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(found)]
        line = [sys.executable, "-c", SCHEDULER, *words, "--no-dashboard", "--no-show"]
        with (self._folder / "log").open("ab") as log:
            self.scheduler = subprocess.Popen(line, stdout=log, stderr=log, cwd=self._folder)
        wait_until(lambda: found.exists() and found.read_text().endswith("}"), self.scheduler)
        return str(json.loads(found.read_text())["address"])

    def add_worker(self, *, before: str = "") -> BaseProcess:
        words = [self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        words += ["--memory-limit", "0", "--death-timeout", str(PATIENCE)]
        code = WORKER.format(folder=str(self._folder), words=words, before=before)
        self.workers.append(FORKS.Process(target=exec, args=(code, {}), daemon=True))
        self.workers[-1].start()
        return self.workers[-1]

    def end(self) -> None:
        for process in self.workers:
            process.kill()
            process.join()
        self._end_scheduler()

    def _end_scheduler(self) -> None:
        self.scheduler.kill()
        self.scheduler.wait()


class WorkerMachines(Machines):
    """Worker processes of a scheduler in this one: a process more would take two seconds."""

    def _start_scheduler(self) -> str:
        self._cluster = LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", host="127.0.0.1",
            dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},
        )  # fmt: skip
        return str(self._cluster.scheduler_address)

    @property
    def connected(self) -> int:
        """How many workers the scheduler knows."""
        return len(self._cluster.scheduler.workers)

    def wait_for_workers(self) -> None:
        """Wait until all that were started are connected, those that cannot be used included."""
        wait_until(lambda: len(self._cluster.scheduler.workers) == len(self.workers))

    @property
    def tasks(self) -> int:
        """How many tasks the scheduler knows."""
        return len(self._cluster.scheduler.tasks)

    def _end_scheduler(self) -> None:
        self._cluster.close()


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Give a scheduler with one worker for the tests of a module that leave both alive."""
    made = WorkerMachines(tmp_path_factory.mktemp("machines"))
    made.add_worker()
    yield made
    made.end()


@pytest.fixture
def own_machines(tmp_path_factory):
    """Give a scheduler without workers, for one test that breaks them."""
    made = WorkerMachines(tmp_path_factory.mktemp("machines"))
    yield made
    made.end()


@pytest.fixture
def mortal_machines(tmp_path_factory):
    """Give a scheduler without workers that can be killed."""
    made = Machines(tmp_path_factory.mktemp("machines"))
    yield made
    made.end()


@pytest.fixture
def run(models, capfd):
    """Run `quietpixel denoise` with words in this process; return its standard error."""

    def call(*words, model="halver", code=0):
        line = ["denoise", "--model", str(models[model]), *map(str, words)]
        capfd.readouterr()
        assert main(line) == code, capfd.readouterr().err
        return capfd.readouterr().err

    return call


@pytest.fixture
def start(models):
    """Start `quietpixel denoise` with words."""

    def begin(*words, model="halver", command=COMMAND, **options):
        line = [*command, "denoise", "--model", str(models[model]), *map(str, words)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(line, env=dict(os.environ), **(pipes | options))

    return begin


def finish(process, code=0):
    """Wait for the end; return what was said."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err.decode()
    assert b"Traceback" not in err, err.decode()
    return out.decode(), err.decode()
