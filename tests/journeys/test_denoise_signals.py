"""Ctrl-C and SIGTERM end the command cleanly within a second at any stage."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(os.name == "nt", reason="other signals")

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
SOON = 1.5
"""A second, and half a one for a machine that is busy with other work."""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Give a PNG of 23 megapixels, which takes seconds to read, compute and write."""
    path = tmp_path_factory.mktemp("large") / "large.png"
    block = np.random.default_rng(0).integers(0, 256, (600, 600), np.uint8)
    Image.fromarray(np.tile(block, (8, 8))).save(path, compress_level=1)
    return path


def end(process, number):
    """Send a signal; return its messages and the seconds until the end."""
    begin = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    seconds = time.monotonic() - begin
    assert process.returncode == CODES[number], err.decode()
    assert b"Traceback" not in err
    return err.decode(), seconds


def wait_until(condition, process):
    """Wait for a condition; the process must still be running then."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()
    assert process.poll() is None


def unfinished(folder):
    return list(folder.rglob("*.part"))


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("moment", [0.0, 0.1, 0.2])
def test_within_one_large_image(start, large, tmp_path, number, moment) -> None:
    """Interrupt at several moments; the output folder appears before the first picture is read."""
    out = tmp_path / "out"
    process = start(large.parent, "-o", out)
    wait_until(out.exists, process)
    time.sleep(moment)
    if process.poll() is not None:
        pytest.skip("this machine was faster than the signal")
    err, seconds = end(process, number)
    assert seconds < SOON
    assert err.splitlines()[-1] == "quietpixel: interrupted"
    assert not (out / large.name).exists()
    assert not unfinished(tmp_path)


@pytest.mark.parametrize("number", CODES)
def test_while_a_large_image_is_written(start, large, tmp_path, number) -> None:
    target = tmp_path / "out.png"
    process = start(large, "-o", target, "--json", tmp_path / "report.json")
    wait_until(lambda: unfinished(tmp_path) or target.exists(), process)
    _, seconds = end(process, number)
    assert seconds < SOON
    assert not unfinished(tmp_path)
    assert not target.exists()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["interrupted"]
    assert [each["status"] for each in report["files"]] == ["left"]


@pytest.mark.parametrize("number", CODES)
def test_in_a_folder_run_that_says_what_was_done(start, fill, tmp_path, number) -> None:
    fill(tmp_path / "in", 60, side=500)
    out = tmp_path / "out"
    words = [tmp_path / "in", "--recursive", "-o", out, "--json", tmp_path / "report.json"]
    process = start(*words)
    wait_until(lambda: len(list(out.rglob("*.png"))) > 2, process)
    err, seconds = end(process, number)
    assert seconds < SOON
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["interrupted"]
    assert len(report["files"]) == 60
    done = {each["target"] for each in report["files"] if each["status"] == "done"}
    assert done == {str(path) for path in out.rglob("*.png")}
    left = 60 - len(done)
    assert f"{left} of 60 images are left." in err
    assert not unfinished(tmp_path)
    again = start(*words)
    _, err = again.communicate(timeout=60)
    assert f"{len(done)} of 60 images were done before." in err.decode()
    assert again.returncode == 0


def test_a_closed_terminal_ends_it_with_a_report(start, fill, tmp_path) -> None:
    fill(tmp_path / "in", 60, side=500)
    process = start(tmp_path / "in", "-o", tmp_path / "out", "--json", tmp_path / "report.json")
    wait_until(lambda: len(list((tmp_path / "out").rglob("*.png"))) > 2, process)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 129
    assert err.decode().splitlines()[-1] == "quietpixel: interrupted"
    assert json.loads((tmp_path / "report.json").read_text())["interrupted"]


IMPORT = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
runpy.run_module("quietpixel", run_name="__main__")
"""


def test_while_it_is_being_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, "--version"], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, b"quietpixel: interrupted\n")


def test_closed_streams_and_little_memory_are_a_sentence(start, tmp_path) -> None:
    Image.fromarray(np.full((5, 6), 200, np.uint8)).save(tmp_path / "a.png")
    closed = start("-", "-o", "-", stdin=None, preexec_fn=lambda: os.close(0))
    _, err = closed.communicate(timeout=60)
    assert err == b"quietpixel: '-' cannot be used because the stream is closed; give a file.\n"
    assert closed.returncode == 2

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (500_000 * 1024,) * 2)

    small = start(tmp_path / "a.png", preexec_fn=limit)
    _, err = small.communicate(timeout=60)
    assert small.returncode in (0, 2)
    assert b"Traceback" not in err
    assert err.count(b"\n") <= 1


@pytest.mark.parametrize("number", CODES)
def test_while_it_waits_for_a_pipe(start, number) -> None:
    process = start("-")
    time.sleep(1.0)
    _, seconds = end(process, number)
    assert seconds < SOON
