"""Folder runs on real workers: whole, with bad files, resumed, and with workers that fail."""

import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from quietpixel.batch.lock import lock_folders
from quietpixel.cluster.task_pool import AHEAD, LEAST, TaskPool
from quietpixel.cluster.workers import connect

from ..dng import make_mosaic, with_preview
from ..waiting import PATIENCE, wait_until
from .conftest import finish


def fill(folder: Path, count: int, side: int = 40) -> Path:
    """Fill a folder and one below it with pictures of noise."""
    (folder / "below").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (side, side + number), np.uint8)
        place = folder / "below" if number % 2 else folder
        Image.fromarray(pixels).save(place / f"picture-{number}.png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.png")
        if path.is_file()
    }


def test_a_local_cluster_does_what_one_process_does(start, run, tmp_path) -> None:
    source = fill(tmp_path / "in", 24)
    (source / "bad.png").write_bytes(b"only words")
    words = [source, "--recursive"]
    alone = run(*words, "-o", tmp_path / "alone", model="blur", code=1)
    shown = ["--workers", 2, "--json", tmp_path / "report.json"]
    out, err = finish(start(*words, "-o", tmp_path / "out", *shown, model="blur"), code=1)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    assert "2 workers, 2 threads at tcp://127.0.0.1:" in err
    assert "dashboard: http://127.0.0.1:" in err
    assert out.count(" -> ") == 24
    assert err.splitlines()[-2] == alone.splitlines()[-2]  # the failure
    assert err.splitlines()[-1].startswith("24 of 25 images are done, ")
    reported = json.loads((tmp_path / "report.json").read_text())["files"]
    assert sorted(each["status"] for each in reported) == ["done"] * 24 + ["failed"]
    assert {each["source"] for each in reported} == {str(path) for path in source.rglob("*.png")}
    err = run(*words, "-o", tmp_path / "out", "--workers", 2, model="blur", code=1)
    assert "24 of 25 images were done before." in err
    assert "workers" not in err  # nothing is left to do, so none is started


def test_raw_files_are_developed_by_the_workers_and_kept(run, machines, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    content = with_preview(make_mosaic())
    for name in ("a.dng", "b.tif"):  # whatever they are called
        (tmp_path / "in" / name).write_bytes(content)
    (tmp_path / "in" / "c.tga").write_bytes(b"?")
    words = [tmp_path / "in", "--scheduler", machines.address]
    err = run(*words, "--in-place", code=2)
    assert err.count("cannot be replaced because Camera RAW files are only read") == 2
    err = run(*words, "-o", tmp_path / "out", code=1)
    assert "2 of 3 images are done" in err
    for name in ("a.tif", "b.tif"):
        assert tifffile.imread(tmp_path / "out" / name).shape == (24, 32, 3)
    for name in ("a.dng", "b.tif"):
        assert (tmp_path / "in" / name).read_bytes() == content


def test_a_scheduler_that_is_there_is_used(start, run, machines, tmp_path, monkeypatch) -> None:
    source = fill(tmp_path / "in", 20)
    words = [source, "--recursive", "-o", tmp_path / "out"]
    err = run(*words, "--scheduler", machines.address)
    assert f"thread at {machines.address}; dashboard: " in err
    assert len(contents(tmp_path / "out")) == 20
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", machines.address)
    words[-1] = tmp_path / "again"
    err = run(*words)
    assert f"at {machines.address}" in err
    assert contents(tmp_path / "again") == contents(tmp_path / "out")
    out, _ = start("-").communicate((source / "picture-0.png").read_bytes(), timeout=PATIENCE)
    assert out.startswith(b"\x89PNG")  # a stream stays in this process


def test_in_place_on_a_cluster(run, machines, tmp_path) -> None:
    source = fill(tmp_path / "in", 6)
    before = contents(source)
    words = [source, "--recursive", "--in-place", "--scheduler", machines.address]
    run(*words)
    for name, data in contents(source).items():
        assert data != before[name]
    assert "6 of 6 images were done before." in run(*words)


@pytest.mark.slow
def test_two_clients_do_not_denoise_an_image_twice(start, machines, tmp_path) -> None:
    source = fill(tmp_path / "in", 60)
    words = [source, "--recursive", "--in-place", "--scheduler", machines.address]
    clients = [start(*words) for _ in range(2)]
    said = [client.communicate(timeout=PATIENCE)[1].decode() for client in clients]
    check_halved_once(source, 60, side=40)
    assert [client.returncode for client in clients] == [0, 0], said
    assert "60 of 60 images were done before." in "".join(said)


def test_a_client_waits_for_another_run(start, machines, tmp_path) -> None:
    source = fill(tmp_path / "in", 2)
    with lock_folders([source]):
        client = start(source, "--in-place", "--scheduler", machines.address)
        assert any(line.startswith(b"Waiting for another run: ") for line in client.stderr)
    finish(client)


def test_a_folder_that_workers_do_not_see_is_said(machines, tmp_path, models) -> None:
    from quietpixel.errors import ClusterError

    with connect(scheduler=machines.address) as cluster:
        cluster.client.wait_for_workers(1, timeout=PATIENCE)
        cluster.check_folders([tmp_path])
        with pytest.raises(ClusterError, match=r"The worker tcp://.* does not see the folder"):
            cluster.check_folders([tmp_path / "elsewhere"])


def test_a_killed_worker_costs_nothing(start, own_machines, tmp_path) -> None:
    """In place, where denoising twice would show."""
    source = fill(tmp_path / "in", 60, side=300)
    first = own_machines.add_worker()
    process = start(source, "--recursive", "--in-place", "--scheduler", own_machines.address)
    ledger = source / ".quietpixel-done.jsonl"
    wait_until(lambda: process.stdout.peek(1), process)
    assert ledger.exists()
    own_machines.add_worker()  # joins late
    first.kill()
    _, err = finish(process)
    assert "60 of 60 images are done" in err
    check_halved_once(source, 60, side=300)


def check_halved_once(folder: Path, count: int, side: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        wanted = rng.integers(0, 256, (side, side + number), np.uint8)
        (path,) = folder.rglob(f"picture-{number}.png")
        half = np.rint(wanted * (np.float32(1) / 255) * np.float32(0.5) * np.float32(255))
        assert np.array_equal(np.asarray(Image.open(path)), half.astype(np.uint8))


DIES_WHEN_ASKED = """
from distributed import worker

answer = worker.Worker.get_data

async def die(self, comm, keys, **options):
    if any("denoise_items" in key for key in keys):
        os.kill(os.getpid(), 9)
    return await answer(self, comm, keys, **options)  # what the tasks share

worker.Worker.get_data = die
"""


@pytest.mark.slow
def test_random_kills_of_workers_lose_nothing(start, own_machines, tmp_path) -> None:
    """In place, where denoising twice would show: 25 kills at random moments.

    A third of the workers die sooner, when the client asks for their first result.
    """
    rng, kills, number = random.Random(0), 0, 0
    alive = [own_machines.add_worker()]

    def three_work() -> bool:
        alive[:] = [worker for worker in alive if worker.is_alive()]
        while len(alive) < 3:
            alive.append(own_machines.add_worker(before=rng.choice(["", "", DIES_WHEN_ASKED])))
        # On a busy machine, workers would be killed faster than they start.
        return own_machines.connected >= 2

    while kills < 25:
        source = fill(tmp_path / str(number), 60, side=300)
        words = [source, "--recursive", "--in-place", "--scheduler", own_machines.address]
        process = start(*words)
        wait_until(lambda process=process: process.stdout.peek(1), process)
        while process.poll() is None and kills < 25:
            wait_until(lambda p=process: three_work() or p.poll() is not None)
            time.sleep(rng.uniform(0, 0.8))
            killed = rng.choice(alive)
            killed.kill()
            killed.join()
            kills += process.poll() is None
        alive.append(own_machines.add_worker())
        # A task that three workers died of is not tried again by the same run.
        process.communicate(timeout=PATIENCE)
        assert process.returncode in (0, 1)
        if process.returncode:
            finish(start(*words))
        check_halved_once(source, 60, side=300)
        number += 1


@pytest.mark.slow
def test_a_lost_scheduler_is_said_and_the_next_run_goes_on(
    start, run, mortal_machines, tmp_path, machines
) -> None:
    source = fill(tmp_path / "in", 60, side=300)
    mortal_machines.add_worker()
    words = [source, "--recursive", "-o", tmp_path / "out"]
    report = tmp_path / "report.json"
    process = start(*words, "--scheduler", mortal_machines.address, "--json", report)
    wait_until(lambda: len(contents(tmp_path / "out")) > 1, process)
    mortal_machines.scheduler.kill()
    mortal_machines.workers[0].kill()
    _, err = finish(process, code=2)
    assert f"The scheduler {mortal_machines.address} was lost during the work" in err
    assert " of 60 images are left; run the same command again" in err
    assert json.loads(report.read_text())["interrupted"]
    written = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*.png")}
    err = run(*words, "--scheduler", machines.address)
    assert f"{len(written)} of 60 images were done before." in err
    assert len(contents(tmp_path / "out")) == 60
    assert {path: path.stat().st_ino for path in written} == written


def test_the_first_worker_may_come_late(start, own_machines, tmp_path) -> None:
    source = fill(tmp_path / "in", 4)
    line = [source, "--recursive", "-o", tmp_path / "out", "--scheduler", own_machines.address]
    process = start(*line)
    reported = [process.stderr.readline().decode() for _ in range(2)]
    assert reported[0].startswith("0 workers, 0 threads at ")
    assert reported[1] == "There is no worker yet; waiting for one.\n"
    own_machines.add_worker()
    _, err = finish(process)
    assert "waiting for one" not in err  # progress may be, where it takes long
    assert err.splitlines()[-1].startswith("4 of 4 images are done")


def test_ctrl_c_ends_a_local_cluster(start, tmp_path) -> None:
    source = fill(tmp_path / "in", 60, side=500)
    words = [source, "--recursive", "-o", tmp_path / "out"]
    process = start(*words, "--workers", 1, start_new_session=True)
    wait_until(lambda: process.stdout.peek(1), process)
    process.send_signal(signal.SIGINT)
    _, err = finish(process, code=130)
    assert err.endswith("quietpixel: interrupted\n")
    done = len(contents(tmp_path / "out"))
    assert f"{60 - done} of 60 images are left; run the same command again" in err
    wait_until(lambda: not list(tmp_path.rglob("*.part")))


NO_PACKAGE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'quietpixel':
            raise ModuleNotFoundError("No module named 'quietpixel'", name='quietpixel')
sys.meta_path.insert(0, Refuse())
"""
OTHER_VERSION = "import quietpixel; quietpixel.__version__ = '0.0.1'\n"


@pytest.mark.parametrize(
    ("before", "words"),
    [(NO_PACKAGE, "does not have quietpixel"), (OTHER_VERSION, "has quietpixel 0.0.1")],
)
def test_workers_that_cannot_do_it_are_said(run, own_machines, tmp_path, before, words) -> None:
    source = fill(tmp_path / "in", 4)
    own_machines.add_worker(before=before)
    own_machines.wait_for_workers()
    line = [source, "--recursive", "-o", tmp_path / "out", "--scheduler", own_machines.address]
    err = run(*line, code=2)
    reported = err.splitlines()[-1]
    assert reported.startswith("quietpixel: The worker tcp://127.0.0.1:")
    assert words in reported
    assert "install quietpixel " in reported
    assert not contents(tmp_path / "out")


@pytest.mark.slow
def test_the_first_worker_to_come_may_be_unfit(start, own_machines, tmp_path) -> None:
    source = fill(tmp_path / "in", 4)
    line = [source, "--recursive", "-o", tmp_path / "out", "--scheduler", own_machines.address]
    process = start(*line)
    for _ in range(2):
        process.stderr.readline()
    own_machines.add_worker(before=NO_PACKAGE)
    _, err = finish(process, code=2)
    assert err.splitlines()[-1].startswith("quietpixel: The worker tcp://127.0.0.1:")
    assert "does not have quietpixel; install quietpixel " in err


def test_an_unfit_worker_beside_a_good_one_gets_nothing(run, own_machines, tmp_path) -> None:
    source = fill(tmp_path / "in", 40)
    own_machines.add_worker(before=NO_PACKAGE)
    own_machines.add_worker()
    own_machines.wait_for_workers()
    line = [source, "--recursive", "-o", tmp_path / "out", "--scheduler", own_machines.address]
    err = run(*line)
    assert "40 of 40 images are done" in err
    assert err.count("does not have quietpixel") <= 1


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are Unix's")
def test_a_full_disk_on_one_worker(run, own_machines, tmp_path) -> None:
    source = fill(tmp_path / "in", 40)
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    )
    own_machines.add_worker(before=limit)
    own_machines.add_worker()
    own_machines.wait_for_workers()
    line = [source, "--recursive", "-o", tmp_path / "out", "--scheduler", own_machines.address]
    err = run(*line)
    assert "40 of 40 images are done" in err
    assert len(contents(tmp_path / "out")) == 40
    assert not list(tmp_path.rglob("*.part"))


def test_a_picture_that_kills_workers_is_a_failure_of_its_own() -> None:
    from quietpixel.batch.denoise import Settings
    from quietpixel.cluster.files import Item, _Run
    from quietpixel.cluster.task_pool import WorkerDiedError
    from quietpixel.files import Job

    class Nobody:
        def lost_workers(self):
            return frozenset()

        def again(self, task):
            self.tasks.append(task)

    pool = Nobody()
    pool.tasks = []
    run = _Run(Nobody(), pool, Settings(), None)
    items = tuple(
        Item(Job(Path("/a") / name, Path("/b") / name), Job(Path(name), Path("x")), None)
        for name in ("1.png", "2.png")
    )
    died = WorkerDiedError("each worker that took it died")
    assert list(run.settle(items, died)) == []
    assert pool.tasks == [(items[0],), (items[1],)]
    (outcome,) = run.settle((items[0],), died)
    assert outcome.error == "1.png: each worker that took it died."


def test_wrong_words_are_refused(models, tmp_path, capsys, monkeypatch) -> None:
    from quietpixel.cli.main import main

    monkeypatch.setattr("quietpixel.cluster.workers.CONNECT_SECONDS", 0.5)
    source = fill(tmp_path / "in", 1)
    words = ["denoise", "--model", str(models["halver"]), "-o", str(tmp_path / "out")]
    for address in ("tcp://127.0.0.1:9", "nonsense://", "localhost"):
        assert main([*words, str(source), "--scheduler", address]) == 2
        assert f"No scheduler answers at '{address}' (" in capsys.readouterr().err
    assert main([*words, "-", "--workers", "2"]) == 2
    assert "omit --workers and --scheduler" in capsys.readouterr().err


@pytest.mark.parametrize("words", [{}, {"workers": 1, "scheduler": "tcp://a:1"}, {"workers": 0}])
def test_one_kind_of_cluster_is_asked_for(words) -> None:
    from quietpixel.errors import ArgumentError

    reported = "of at least 1; got 0" if words == {"workers": 0} else "must be given, and not both"
    with pytest.raises(ArgumentError, match=reported), connect(**words):
        pass


def test_a_result_that_an_earlier_attempt_left_is_not_made_again(tmp_path, models) -> None:
    """As after a worker that died between putting a result in place and telling so."""
    from quietpixel.batch.denoise import Settings
    from quietpixel.cluster.files import Item, denoise_items, stamp
    from quietpixel.cluster.worker_model import pack_model
    from quietpixel.files import Job
    from quietpixel.inference.options import DenoiseOptions

    source = fill(tmp_path / "in", 1) / "picture-0.png"
    job = Job(source, source)
    work = pack_model(DenoiseOptions(model=models["halver"])), Settings(overwrite=True)
    item = Item(job, job, stamp(source))
    (first,) = denoise_items([item], work)
    assert (first.outcome.error, first.found) == ("", False)
    once = source.read_bytes()
    (second,) = denoise_items([item], work)
    assert second.found
    assert source.read_bytes() == once


@pytest.mark.parametrize("case", ["worker lost", "to be replaced", "somebody else's"])
def test_what_was_found_is_judged(case) -> None:
    from quietpixel.batch.denoise import Settings
    from quietpixel.batch.pipeline import Outcome
    from quietpixel.cluster.files import Answer, Item, _Run
    from quietpixel.files import Job

    class Nobody:
        lost = frozenset()

        def lost_workers(self):
            return self.lost

        def again(self, task, **options):
            self.tasks = [task]

    cluster, pool = Nobody(), Nobody()
    run = _Run(cluster, pool, Settings(overwrite=case == "to be replaced"), None)
    job = Job(Path("/a/1.png"), Path("/b/1.png"))
    item = Item(job, job, None)
    if case == "worker lost":
        cluster.lost = frozenset({"tcp://1.2.3.4:5"})
    outcomes = list(run.settle((item,), [Answer(Outcome(job), found=True)]))
    if case == "to be replaced":
        assert outcomes == []
        assert pool.tasks[0][0].job == job
    else:
        reported = "" if case == "worker lost" else "'/b/1.png' was put there by another program"
        assert outcomes[0].error.startswith(reported)
        assert bool(outcomes[0].error) == bool(reported)


def test_the_number_of_tasks_is_bounded(machines) -> None:
    most, results = 0, []
    with connect(scheduler=machines.address) as cluster:
        pool = TaskPool(cluster, divmod, 7)

        def few_are_held() -> bool:
            return machines.tasks <= LEAST + 1

        for task, result in pool.run(iter(range(200))):
            most = max(most, len(pool._pending))
            results.append((task, result))
            if len(results) == 150:
                wait_until(few_are_held)  # the scheduler forgets released tasks a moment later
        wait_until(few_are_held)
    assert sorted(results) == [(number, divmod(number, 7)) for number in range(200)]
    assert most <= LEAST


def test_a_result_that_dies_with_its_worker_is_computed_again(run, own_machines, tmp_path) -> None:
    """The worker is killed by the question for its first result, so after the end of the task."""
    source = fill(tmp_path / "in", 20)
    mortal = own_machines.add_worker(before=DIES_WHEN_ASKED)
    own_machines.add_worker()
    own_machines.wait_for_workers()
    words = [source, "--recursive", "--in-place", "--scheduler", own_machines.address]
    assert "20 of 20 images are done" in run(*words)
    check_halved_once(source, 20, side=40)
    mortal.join(PATIENCE)
    assert mortal.exitcode == -9


SOONER = """
from quietpixel.cli.main import main
from quietpixel.cluster import workers

workers.SILENT_SECONDS = 4
raise SystemExit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
def test_a_stopped_worker_is_passed_over(start, own_machines, tmp_path) -> None:
    source = fill(tmp_path / "in", 30, side=300)
    stopped, _ = own_machines.add_worker(), own_machines.add_worker()
    own_machines.wait_for_workers()
    words = [source, "--recursive", "--in-place", "--scheduler", own_machines.address]
    process = start(*words, command=[sys.executable, "-c", SOONER])
    wait_until(lambda: process.stdout.peek(1), process)
    os.kill(stopped.pid, signal.SIGSTOP)
    _, err = finish(process)
    assert len(re.findall(r"The worker tcp://.* does not respond and is removed\.\n", err)) == 1
    assert "30 of 30 images are done" in err
    check_halved_once(source, 30, side=300)


def test_a_dashboard_is_named_only_where_there_is_one(run, machines, tmp_path) -> None:
    words = ["--in-place", "--scheduler", machines.address]
    assert f" at {machines.address}; dashboard: none.\n" in run(fill(tmp_path / "in", 2), *words)


def test_every_worker_gets_of_the_first_tasks(own_machines) -> None:
    """Without a choice, the scheduler gives all to the worker that holds what they share."""
    own_machines.add_worker()
    own_machines.add_worker()
    slowly = "(__import__('time').sleep(0.3), __import__('distributed').get_worker().address)[1]"
    with connect(scheduler=own_machines.address) as cluster:
        wait_until(lambda: len(cluster.threads(now=True)) == 2)
        tasks = iter([slowly] * (2 * AHEAD))
        done = Counter(worker for _, worker in TaskPool(cluster, eval, {}).run(tasks))
    assert sorted(done.values()) == [AHEAD, AHEAD]
