"""Ctrl-C and SIGTERM end the command cleanly at any stage, without finishing the work first."""

import contextlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="other signals")

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
COUNT = 40
"""Images of a folder run, enough to be interrupted after the third."""
SOON = 1.0
"""Seconds of the processor after a signal; by the clock, a busy machine would be measured."""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Give a PNG of 23 megapixels, which takes seconds to read, compute and write."""
    path = tmp_path_factory.mktemp("large") / "large.png"
    block = np.random.default_rng(0).integers(0, 256, (600, 600), np.uint8)
    Image.fromarray(np.tile(block, (8, 8))).save(path, compress_level=1)
    return path


def end(process, number, is_working=lambda: True):
    """Send a signal to a process that is working; return its messages."""
    process.send_signal(signal.SIGSTOP)  # it must not finish while this test looks
    if process.poll() is not None or not is_working():
        process.kill()
        pytest.skip("this machine was faster than the signal")
    before = sum(os.times()[2:4]) + seconds_used(process)
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == CODES[number], err.decode()
    assert b"Traceback" not in err
    assert sum(os.times()[2:4]) - before < SOON
    return err.decode()


def seconds_used(process) -> float:
    """Return what a running process has used of the processor; 0 where the system hides it."""
    path = Path(f"/proc/{process.pid}/stat")
    words = path.read_text().rpartition(")")[2].split() if path.exists() else [0] * 13
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")


def unfinished(folder):
    return list(folder.rglob("*.part"))


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (0.0, signal.SIGINT),
        (0.1, signal.SIGTERM),
        pytest.param(0.0, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(0.2, signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_within_one_large_image(start, large, tmp_path, number, moment) -> None:
    """Interrupt at several moments; the output folder appears before the first picture is read."""
    out = tmp_path / "out"
    process = start(large.parent, "-o", out)
    wait_until(out.exists, process)
    time.sleep(moment)
    err = end(process, number)
    assert err.splitlines()[-1] == "quietpixel: interrupted"
    assert not (out / large.name).exists()
    assert not unfinished(tmp_path)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_while_a_large_image_is_written(start, large, tmp_path, number) -> None:
    target = tmp_path / "out.png"
    process = start(large, "-o", target, "--json", tmp_path / "report.json")
    wait_until(lambda: unfinished(tmp_path) or target.exists(), process)
    for path in unfinished(tmp_path):
        with contextlib.suppress(FileNotFoundError):  # it is finished by now
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, "others could read it"
    end(process, number, lambda: not target.exists())
    assert not unfinished(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["interrupted"]
    if target.exists():  # the signal came while the file got its name: it is whole
        with Image.open(target) as image:
            image.load()
    else:
        assert [each["status"] for each in report["files"]] == ["left"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_in_a_folder_run_that_says_what_was_done(start, fill, tmp_path, number) -> None:
    fill(tmp_path / "in", COUNT, side=500)
    out = tmp_path / "out"
    words = [tmp_path / "in", "--recursive", "-o", out, "--json", tmp_path / "report.json"]
    process = start(*words)
    wait_until(lambda: len(list(out.rglob("*.png"))) > 2, process)
    err = end(process, number)
    assert err.splitlines()[-1] == "quietpixel: interrupted"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["interrupted"]
    assert len(report["files"]) == COUNT
    done = {each["target"] for each in report["files"] if each["status"] == "done"}
    assert done == {str(path) for path in out.rglob("*.png")}
    left = COUNT - len(done)
    assert f"{left} of {COUNT} images are left; run the same command again" in err
    assert not unfinished(tmp_path)
    if number != signal.SIGINT:  # the ledger does not know which signal it was
        return
    again = start(*words)
    _, err = again.communicate(timeout=PATIENCE)
    assert f"{len(done)} of {COUNT} images were done before." in err.decode()
    assert again.returncode == 0


def test_a_closed_terminal_ends_it_with_a_report(start, fill, tmp_path) -> None:
    fill(tmp_path / "in", COUNT, side=500)
    process = start(tmp_path / "in", "-o", tmp_path / "out", "--json", tmp_path / "report.json")
    wait_until(lambda: len(list((tmp_path / "out").rglob("*.png"))) > 2, process)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 129
    assert err.decode().splitlines()[-1] == "quietpixel: interrupted"
    assert json.loads((tmp_path / "report.json").read_text())["interrupted"]


IMPORT = """
import os, runpy, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["MODULE"]:
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.meta_path.insert(0, Interrupt())
runpy.run_module("quietpixel", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("number", "module"),
    [
        (signal.SIGINT, "signal"),
        (signal.SIGINT, "click"),
        (signal.SIGTERM, "click"),
        (signal.SIGHUP, "click"),
        (signal.SIGINT, "quietpixel.cli.denoise"),
        (signal.SIGINT, "importlib.metadata"),  # by click, to print the version
    ],
)
def test_while_it_is_being_imported(number, module) -> None:
    words = ["--version"] if module == "importlib.metadata" else ["denoise", "--help"]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *words],
        env=os.environ | {"SIGNAL": str(int(number)), "MODULE": module},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + number, b"quietpixel: interrupted\n")


def test_nothing_is_imported_before_signals_are_handled() -> None:
    """An import takes milliseconds, in which Ctrl-C would give a traceback."""
    code = (
        "import sys, signal; before = {*sys.modules}; import quietpixel.__main__;"
        "print(*sorted({*sys.modules} - before))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["quietpixel", "quietpixel.__main__"]


def test_closed_streams_and_little_memory_are_a_sentence(start, tmp_path) -> None:
    Image.fromarray(np.full((5, 6), 200, np.uint8)).save(tmp_path / "a.png")
    closed = start("-", "-o", "-", stdin=None, preexec_fn=lambda: os.close(0))
    _, err = closed.communicate(timeout=PATIENCE)
    assert err == b"quietpixel: '-' cannot be used because the stream is closed; give a file.\n"
    assert closed.returncode == 2

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (500_000 * 1024,) * 2)

    small = start(tmp_path / "a.png", preexec_fn=limit)
    _, err = small.communicate(timeout=PATIENCE)
    assert small.returncode == 2
    assert err.startswith(b"quietpixel: There is not enough memory; ")
    assert err.count(b"\n") == 1


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)])
def test_images_are_denoised_without_standard_streams(start, tmp_path, closed) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((5, 6), 200, np.uint8)).save(tmp_path / name)
    streams = {("stdin", "stdout", "stderr")[number]: None for number in closed}
    process = start(
        tmp_path / "a.png",
        tmp_path / "b.png",
        **streams,
        preexec_fn=lambda: [os.close(number) for number in closed],
    )
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    for name in ("a-clean.png", "b-clean.png"):
        assert (np.asarray(Image.open(tmp_path / name)) == 100).all()


@pytest.mark.parametrize("number", CODES)
def test_while_it_waits_for_a_pipe(start, number) -> None:
    process = start("-")
    pipe = process.stdin.fileno()
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, bytes(4096))

    def is_reading() -> bool:
        with contextlib.suppress(BlockingIOError):
            return os.write(pipe, b"0") == 1
        return False

    wait_until(is_reading, process)
    end(process, number)
