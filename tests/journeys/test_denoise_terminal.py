"""Output in a terminal: a progress bar with speed and time left, removed at the end."""

import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from ..waiting import PATIENCE

pty = pytest.importorskip("pty")


@pytest.fixture
def in_terminal(start):
    """Run the command with a terminal as its standard error; return code, output, screen."""

    def run(*words, interrupt_at=None, **options):
        ours, theirs = pty.openpty()
        process = start(*words, stderr=theirs, stdin=subprocess.DEVNULL, **options)
        os.close(theirs)
        screen = bytearray()

        def read():
            while True:
                try:
                    data = os.read(ours, 4096)
                except OSError:  # the other side is closed
                    return
                if not data:
                    return
                screen.extend(data)
                if interrupt_at and interrupt_at in screen and process.poll() is None:
                    process.send_signal(signal.SIGINT)

        reader = threading.Thread(target=read)
        reader.start()
        out, _ = process.communicate(timeout=PATIENCE)
        reader.join(PATIENCE)
        os.close(ours)
        return process.returncode, out.decode(), screen.decode()

    return run


def plain(screen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)


def test_a_bar_shows_count_speed_and_time_left(in_terminal, fill, tmp_path) -> None:
    fill(tmp_path / "in", 12, side=600)
    code, out, screen = in_terminal(tmp_path / "in", "--recursive", "-o", tmp_path / "out")
    assert code == 0, screen
    assert re.search(r"\d+/12  \d+\.\d megapixels/s  \d+ s left", plain(screen))
    assert "━" in screen
    assert plain(screen).strip().splitlines()[-1].startswith("12 of 12 images are done, 4.4 mega")
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h") > 0  # the cursor comes back
    assert out == ""


def test_failures_are_counted_and_named_at_the_end(in_terminal, fill, tmp_path) -> None:
    fill(tmp_path / "in", 6, side=300)
    whole = tmp_path / "in" / "picture-0.png"
    (tmp_path / "in" / "aa.png").write_bytes(whole.read_bytes()[:2000])
    code, _, screen = in_terminal(tmp_path / "in", "--recursive", "-o", tmp_path / "out")
    assert code == 1
    *_, failure, last = plain(screen).strip().splitlines()
    assert failure.startswith("quietpixel: ")
    assert "aa.png' cannot be read: the file is damaged" in failure
    assert last.startswith("6 of 7 images are done, ")
    assert "1 failed" in plain(screen)


def test_one_quick_file_needs_no_bar(in_terminal, fill, tmp_path) -> None:
    fill(tmp_path / "in", 1)
    picture = tmp_path / "in" / "picture-0.png"
    code, out, screen = in_terminal(picture, "-o", tmp_path / "out.png")
    assert (code, screen) == (0, "")
    assert out.startswith(f"{picture} -> ")


SLOW = """
import time
from quietpixel.cli.main import main
from quietpixel.inference import planes

run = planes.run
planes.run = lambda *words: (time.sleep(2), run(*words))[1]
raise SystemExit(main())
"""


def test_one_slow_file_gets_a_bar_and_a_line(in_terminal, fill, tmp_path) -> None:
    fill(tmp_path / "in", 1, side=320)
    picture, target = tmp_path / "in" / "picture-0.png", tmp_path / "out.png"
    code, out, screen = in_terminal(picture, "-o", target, command=[sys.executable, "-c", SLOW])
    assert code == 0, screen
    assert "\x1b[?25l" in screen
    line = rf"{re.escape(f'{picture} -> {target}')}  0\.1 MP  \d+\.\d s  .*  model .*\n"
    assert re.fullmatch(line, out)


def test_an_interrupted_bar_gives_the_cursor_back(in_terminal, fill, tmp_path) -> None:
    fill(tmp_path / "in", 40, side=600)
    words = [tmp_path / "in", "--recursive", "-o", tmp_path / "out"]
    code, _, screen = in_terminal(*words, interrupt_at=b"megapixels/s")
    assert code == 130
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h") > 0
    left, last = plain(screen).strip().splitlines()[-2:]
    again = "; run the same command again to continue."
    assert re.search(rf"\d+ of 40 images are left{again}$", left)
    assert last == "quietpixel: interrupted"
