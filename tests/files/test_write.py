"""Writing: the format that is chosen, what it cannot hold, and files that appear whole."""

import contextlib
import io
import os
import random
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, FileError, ImageError, UnknownNameError
from quietpixel.files import (
    Picture,
    atomic_file,
    check_writable,
    choose_format,
    read_picture,
    remove_leftovers,
    vips,
    write_picture,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PICTURE = Picture.from_pixels(PIXELS)


def is_temporary(path: Path) -> bool:
    return path.name.startswith(".quietpixel-") and path.suffix == ".part"


def test_the_suffix_decides_the_format(tmp_path):
    for name in ("a.png", "a.tif", "a.webp", "a.bmp", "a.ppm"):
        write_picture(PICTURE, tmp_path / name)
        again = read_picture(tmp_path / name)
        assert again.notes == ()
        np.testing.assert_array_equal(again.pages[0], PIXELS)


def test_a_suffix_that_lied_may_go_on_lying(tmp_path):
    write_picture(PICTURE, tmp_path / "photo.jpg", format="png")
    picture = read_picture(tmp_path / "photo.jpg")
    assert picture.notes == ("The name promises jpeg, but the file is png.",)
    assert choose_format(picture, tmp_path / "photo-clean.jpg") == "png"
    assert choose_format(picture, tmp_path / "photo-clean.webp") == "webp"
    assert choose_format(picture, tmp_path / "photo-clean") == "png"
    assert choose_format(picture, io.BytesIO()) == "png"


def test_an_ending_of_no_format_is_refused_unless_the_source_had_it(tmp_path):
    with pytest.raises(FileError, match=r"no format that quietpixel writes has the suffix \.svg; "):
        write_picture(PICTURE, tmp_path / "photo.svg")
    assert list(tmp_path.iterdir()) == []
    assert write_picture(PICTURE, tmp_path / "photo.xyz", format="png") == ()
    assert choose_format(read_picture(tmp_path / "photo.xyz"), tmp_path / "b.xyz") == "png"


@pytest.mark.parametrize(
    ("pixels", "format", "words"),
    [
        (np.zeros((2, 2, 4), np.uint8), "jpeg", "cannot hold transparency; choose png"),
        (np.zeros((2, 2), np.float32), "png", "cannot hold floating-point pixels; choose tiff"),
        (np.zeros((2, 2), np.int32), "png", "cannot hold pixels of type int32; choose tiff"),
        (np.zeros((1, 20000), np.uint8), "webp", "cannot hold 20000 x 1 pixels"),
        (np.zeros((2, 2, 4), np.float32), "pnm", "with transparency"),
    ],
)
def test_what_a_format_cannot_hold_is_said_first(pixels, format, words, tmp_path):
    with pytest.raises(ImageError, match=words):
        write_picture(Picture.from_pixels(pixels), tmp_path / "a", format=format)
    assert list(tmp_path.iterdir()) == []


def test_pages_need_tiff():
    stack = Picture((PIXELS, PIXELS))
    with pytest.raises(ImageError, match="2 pages; choose tiff"):
        check_writable(stack, "a.png")
    assert check_writable(stack, "a.tif") == "tiff"


def test_sixteen_bits_become_eight_only_where_asked_and_said(tmp_path):
    deep = Picture.from_pixels(np.full((4, 4, 3), 65535, np.uint16))
    notes = write_picture(deep, tmp_path / "a.jpg")
    assert notes == ("The 16 bits of each sample became 8, because jpeg holds no more.",)
    assert read_picture(tmp_path / "a.jpg").pages[0].min() >= 254


def test_unknown_format_and_wrong_quality():
    with pytest.raises(UnknownNameError, match="did you mean 'jpeg'"):
        write_picture(PICTURE, io.BytesIO(), format="jepg")
    with pytest.raises(ArgumentError, match="`quality` must be between 1 and 100"):
        write_picture(PICTURE, io.BytesIO(), format="jpeg", quality=0)


def test_quality_given_wins():
    stream = io.BytesIO()
    write_picture(PICTURE, stream, format="jpeg", quality=42)
    assert read_picture(stream.getvalue()).encoding.quality == 42


def test_nothing_is_overwritten_unless_asked(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"precious")
    with pytest.raises(FileError, match="already exists"):
        write_picture(PICTURE, target)
    assert target.read_bytes() == b"precious"
    write_picture(PICTURE, target, overwrite=True)
    np.testing.assert_array_equal(read_picture(target).pages[0], PIXELS)


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    target = tmp_path / "a.txt"
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(FileError, match="already exists"))
        stack.enter_context(atomic_file(target)).write(b"new")
        target.write_bytes(b"precious")
    assert target.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [target]


def test_permissions_and_time_of_the_source_are_kept(tmp_path):
    source = tmp_path / "a.png"
    write_picture(PICTURE, source)
    source.chmod(0o640)
    os.utime(source, ns=(10**18, 10**18 + 7))
    write_picture(PICTURE, tmp_path / "b.png", like=source)
    status = (tmp_path / "b.png").stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_mtime_ns == 10**18 + 7


@pytest.mark.skipif(os.name == "nt", reason="Unix permissions")
def test_an_unfinished_file_is_readable_by_its_owner_only(tmp_path):
    source = tmp_path / "a.png"
    source.touch(0o600)
    for like, mode in ((source, 0o600), (None, 0o666 & ~_umask())):
        target = tmp_path / f"{mode}.png"
        with atomic_file(target, like=like):
            (unfinished,) = filter(is_temporary, tmp_path.iterdir())
            assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
        assert stat.S_IMODE(target.stat().st_mode) == mode


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def test_too_little_memory_for_an_encoder_is_named(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise vips.VipsError("unable to call pngsave", "glib: Error creating thread: unavailable")

    monkeypatch.setattr(vips, "from_array", lambda *_: SimpleNamespace(pngsave_target=fail))
    with pytest.raises(FileError, match="was not written because there is not enough memory;"):
        write_picture(PICTURE, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/a.png", "file/a.png", "x" * 300 + ".png"])
def test_a_place_that_cannot_be_written_is_named(name, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="was not written because"):
        write_picture(PICTURE, tmp_path / name)


def test_a_folder_as_target(tmp_path):
    with pytest.raises(FileError, match="is a folder"):
        write_picture(PICTURE, tmp_path, format="png")


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="writing is not allowed there"):
        write_picture(PICTURE, tmp_path / "a.png")


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff", "exr", "fits", "hdf5"])
def test_a_pipe_gets_the_same_bytes_as_a_file(tmp_path, name):
    picture = Picture.from_pixels(np.ones((9, 8), np.float32 if name == "exr" else np.uint8))
    parts, path = [], tmp_path / f"a.{name}"
    pipe = SimpleNamespace(write=parts.append, flush=lambda: None)
    write_picture(picture, pipe, format=name)
    write_picture(picture, path, format=name)
    assert b"".join(map(bytes, parts)) == path.read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "webp", "bmp"])
def test_a_stream_that_is_full(name):
    with (
        pytest.raises(FileError, match="not written to the stream: No space left"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        write_picture(PICTURE, full, format=name)


def test_missing_file_folder_and_device(tmp_path):
    with pytest.raises(FileError, match="cannot be read: No such file"):
        read_picture(tmp_path / "missing.png")
    with pytest.raises(FileError, match="it is a folder"):
        read_picture(tmp_path)
    with pytest.raises(FileError, match="not an ordinary file"):
        read_picture("/dev/zero")


@pytest.mark.parametrize("name", ["ö ü.png", "a[page=1].png", "-a.png", "日本.png", "a\nb.png"])
def test_odd_file_names(name, tmp_path):
    write_picture(PICTURE, tmp_path / name)
    np.testing.assert_array_equal(read_picture(tmp_path / name).pages[0], PIXELS)


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_a_file_name_that_is_no_text(tmp_path):
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe.png"))
    write_picture(PICTURE, path)
    np.testing.assert_array_equal(read_picture(path).pages[0], PIXELS)


WRITER = """
import sys
import numpy as np
from quietpixel.files import Picture, write_picture
pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
sys.stdout.write("go"); sys.stdout.flush()
while True:
    for name in ("a.png", "a.tif", "a.jpg"):
        write_picture(Picture.from_pixels(pixels), sys.argv[1] + "/" + name, overwrite=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_a_killed_writer_leaves_whole_files_and_hidden_ones(tmp_path, kills):
    rng = random.Random(kills)
    for _ in range(kills):
        with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=-1) as writer:
            writer.stdout.read(2)
            time.sleep(rng.uniform(0, 0.3))
            assert all(map(is_temporary, remove_leftovers(tmp_path)))
            writer.send_signal(signal.SIGKILL)
        for path in tmp_path.iterdir():
            assert is_temporary(path) or read_picture(path).size == (300, 300)
    (tmp_path / ".quietpixel-0123456789abcdef.part").write_bytes(b"half")
    assert remove_leftovers(tmp_path)
    assert not any(map(is_temporary, tmp_path.iterdir()))


def test_what_is_being_written_is_no_leftover(tmp_path):
    with atomic_file(tmp_path / "a.txt") as file:
        file.write(b"x")
        assert remove_leftovers(tmp_path) == ()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_with_pixels_wants_the_same_shape_dtype_and_count():
    with pytest.raises(ImageError, match=r"expected uint8 \(20, 30, 3\), got float32"):
        PICTURE.with_pixels([PIXELS.astype(np.float32)])
    with pytest.raises(ImageError, match="which has 1; got 2"):
        PICTURE.with_pixels([PIXELS, PIXELS])
    with pytest.raises(ImageError, match="1 to 4 channels"):
        Picture.from_pixels(np.zeros((2, 2, 5)))


@pytest.mark.parametrize("name", ["webp", "gif", "png"])
def test_an_animation_is_not_held_while_it_is_written(tmp_path, name):
    """Its pixels lie in a file, but its compressed frames were held five times."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 64, 96, 3), np.uint8)
    first = Picture.from_pixels(noise[0], format=name)
    encoding = replace(first.encoding, delays=(50,) * len(noise))
    picture = replace(first, pages=tuple(noise), encoding=encoding)
    target = tmp_path / f"a.{name}"
    two = replace(picture, pages=tuple(noise[:2]), encoding=replace(encoding, delays=(50, 50)))
    write_picture(two, tmp_path / f"first.{name}")  # imports and caches
    tracemalloc.start()
    write_picture(picture, target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * target.stat().st_size
