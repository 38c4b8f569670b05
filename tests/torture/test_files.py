"""Every bad or odd file gives a right picture or one clear sentence, and no half file."""

import re
import subprocess
import sys

import numpy as np
import pytest
from torture_factory import CASES

from quietpixel.errors import QuietpixelError
from quietpixel.files import read_picture, write_picture

MOST = 50_000_000


def test_there_are_at_least_forty_kinds():
    assert len([name for name in CASES if "-cut-at-" not in name]) >= 40


def test_each_gives_a_picture_or_a_sentence(torture_case, tmp_path, capfd):
    path = tmp_path / f"odd{torture_case.ending}"
    path.write_bytes(torture_case.make())
    picture, error = attempt(path)
    if error is not None:
        check_outcome(torture_case, "error", error)
        check_sentence(error, path.name)
    else:
        check_outcome(torture_case, "picture", picture)
        check_round_trip(picture, path.with_name(f"clean{path.suffix}"))
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def attempt(source):
    """Return the picture or the message of the error; any other error fails the test."""
    try:
        return read_picture(source, max_pixels=MOST), None
    except QuietpixelError as error:
        return None, str(error)


def check_outcome(case, outcome, what):
    assert case.outcome in (outcome, "either"), what


def check_sentence(text, name):
    assert name in text
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) < 400
    assert not re.search(r"Traceback|vips|Error\(", text), text


def check_round_trip(picture, target):
    lossy = picture.format == "jpeg"
    if picture.format == target.suffix[1:] or not lossy:
        write_picture(picture, target)
    else:
        write_picture(picture, target, format=picture.format)
    again = read_picture(target)
    assert len(again.pages) == len(picture.pages)
    assert again.metadata.icc == picture.metadata.icc or target.suffix == ".jpg"
    if picture.format in ("png", "tiff", "bmp", "pnm") and target.suffix != ".jpg":
        for old, new in zip(picture.pages, again.pages, strict=True):
            np.testing.assert_array_equal(old, new)


def test_bytes_and_files_are_treated_alike(torture_case):
    picture, error = attempt(torture_case.make())
    check_outcome(torture_case, "error" if error else "picture", error or picture)
    assert error is None or error.startswith("The data cannot be read: ")


FULL_DISK = """
import resource, signal, sys
import numpy as np
from quietpixel.errors import FileError
from quietpixel.files import Picture, write_picture
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
for ending in ("jpg", "png", "tif", "webp", "avif", "gif", "bmp", "ppm"):
    try:
        write_picture(Picture.from_pixels(pixels), sys.argv[1] + "/a." + ending)
    except FileError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes")
def test_a_full_disk_leaves_nothing(tmp_path):
    """A limit on the size of files stands in for a full disk: the same write fails the same way."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 8
    assert all(line.endswith("is allowed here; nothing was left behind.") for line in lines)
    assert list(tmp_path.iterdir()) == []
