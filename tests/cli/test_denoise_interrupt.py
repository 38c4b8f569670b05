"""Work beside the main thread: its answer and its errors come back; signals end it."""

import subprocess
import sys
import threading

import pytest

from quietpixel.cli.denoise import run_interruptibly
from quietpixel.errors import FileError, ModelError
from quietpixel.inference import denoiser

from ..waiting import PATIENCE

CODE = """
import os, signal, sys, threading, time
from quietpixel.cli.denoise import run_interruptibly

def work():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.{signal})).start()
    time.sleep(600)

def last_words():
    print("last words", flush=True)
    {last}

run_interruptibly(work, last_words)
"""


def nothing() -> None:
    pytest.fail("there was no signal")


def test_answers_come_back_from_another_thread() -> None:
    threads = []

    def work() -> int:
        threads.append(threading.current_thread())
        return 7

    assert run_interruptibly(work, nothing) == 7
    assert threads != [threading.main_thread()]


def test_errors_come_back() -> None:
    def work() -> int:
        raise FileError("gone")

    with pytest.raises(FileError, match="gone"):
        run_interruptibly(work, nothing)


def test_it_may_be_called_beside_the_main_thread() -> None:
    answers = []
    thread = threading.Thread(target=lambda: answers.append(run_interruptibly(lambda: 5, nothing)))
    thread.start()
    thread.join(PATIENCE)
    assert answers == [5]


def test_the_process_waits_for_a_model_that_is_being_opened(quietpixel, tmp_path, monkeypatch):
    """Ended inside OpenVINO, as threads of daemons are, it aborted: of two bad files, about one."""
    opening, opened = [], threading.Event()

    def open_engine(*_: object, **__: object) -> None:
        opening.append(threading.current_thread())
        opened.set()
        raise ModelError("none")

    monkeypatch.setattr(denoiser, "open_engine", open_engine)
    (tmp_path / "bad.png").write_text("no image")
    assert quietpixel("denoise", tmp_path / "bad.png").code == 2
    assert opened.wait(PATIENCE)
    assert [thread.daemon for thread in opening] == [False]


@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("last", ["pass", "time.sleep(600)", "raise OSError('full')"])
def test_signals_end_work_that_does_not_look(signal, code, last) -> None:
    """Also where the last words hang or fail."""
    text = CODE.format(signal=signal, last=last)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == code
    assert done.stdout == "last words\n"
    full = ["quietpixel: full"] if "OSError" in last else []
    assert done.stderr.splitlines() == [*full, "quietpixel: interrupted"]
