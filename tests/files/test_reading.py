"""What reading asks and says before it takes memory."""

import base64
import contextlib
import gc
import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from quietpixel.errors import FileError, ImageError
from quietpixel.files import (
    atomic,
    check_readable,
    read_picture,
    turn_page,
    vips,
    write_picture,
)


@pytest.mark.parametrize(
    ("kind", "mode", "size"),
    [
        ("PNG", "L", 35), ("PNG", "RGBA", 140), ("JPEG", "RGB", 105), ("JPEG", "CMYK", 245),
        ("BMP", "RGB", 140), ("PPM", "L", 140), ("GIF", "L", 105),
    ],
)  # fmt: skip
def test_the_bytes_of_the_pixels_are_announced_once(kind, mode, size):
    stream = io.BytesIO()
    Image.new(mode, (7, 5)).save(stream, kind)
    asked = []
    picture = read_picture(stream.getvalue(), reserve=asked.append)
    assert len(asked) == 1
    assert asked[0] >= sum(page.nbytes for page in picture.pages)
    if kind not in ("BMP", "PPM", "GIF"):  # these state their depth later
        assert asked == [size]


def test_all_pages_are_announced_together():
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((4, 5, 7), np.uint16), photometric="minisblack")
    asked = []
    read_picture(stream.getvalue(), reserve=asked.append)
    assert asked == [4 * 5 * 7 * 2]


def test_what_is_refused_is_not_announced():
    stream = io.BytesIO()
    Image.new("L", (7, 5)).save(stream, "PNG")
    asked = []
    with pytest.raises(ImageError, match="declares 7 x 5 pixels"):
        read_picture(stream.getvalue(), max_pixels=34, reserve=asked.append)
    assert asked == []


def test_first_bytes_tell_as_much_as_reading(tmp_path):
    path = tmp_path / "a.png"
    for content in (None, b"", b"words", b"%PDF-1.4"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(FileError) as whole:
            read_picture(path)
        with pytest.raises(FileError) as first:
            check_readable(path)
        assert str(first.value) == str(whole.value)
    Image.new("L", (7, 5)).save(path)
    check_readable(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_back_undoes_turning(orientation):
    page = np.arange(12).reshape(3, 4)
    there = turn_page(page, orientation)
    assert np.array_equal(turn_page(there, orientation, back=True), page)


def test_after_giving_up_only_the_last_words_are_written(tmp_path, monkeypatch):
    """One thread writes; another gives up, says its last words, and nothing else is left."""
    monkeypatch.setattr(atomic, "_last_writers", set())
    started, given_up = threading.Event(), threading.Event()
    errors = []

    def write():
        try:
            with atomic.atomic_file(tmp_path / "half.txt") as file:
                file.write(b"half")
                started.set()
                given_up.wait(5)
        except FileError as error:
            errors.append(error)
        try:
            with atomic.atomic_file(tmp_path / "late.txt"):
                pass
        except FileError as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert started.wait(5)
    atomic.abandon()
    assert list(tmp_path.iterdir()) == []
    given_up.set()
    thread.join(5)
    with atomic.atomic_file(tmp_path / "done.json") as file:
        file.write(b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["done.json"]
    assert len(errors) == 2
    assert "'late.txt' was not written because the process is ending" in str(errors[1]).replace(
        f"{tmp_path}/", ""
    )


def test_a_file_that_is_open_as_text_is_named(tmp_path):
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 2 1 255 ab")
    with path.open() as file, pytest.raises(FileError, match="open as text; open it as binary"):
        read_picture(file)


@pytest.mark.parametrize("readers", [1, 6])
def test_warnings_of_one_image_do_not_reach_another(readers):
    """Whole JPEGs with a harmless warning, read after ones that are cut short, and next to them."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "jpeg")
    plain = stream.getvalue()
    scan = plain.index(b"\xff\xda")
    odd, cut = plain[:scan] + bytes(5) + plain[scan:], plain[: len(plain) // 2]
    found: dict[bytes, set[object]] = {plain: set(), odd: set(), cut: set()}

    def read(data: bytes) -> None:
        try:
            found[data].add(read_picture(data).notes)
        except FileError:
            found[data].add("refused")

    with ThreadPoolExecutor(readers) as pool:
        list(pool.map(read, 50 * [plain, odd, cut]))
    warning = "The decoder warned: VipsJpeg: Corrupt JPEG data: 5 extraneous bytes before marker "
    assert found == {plain: {()}, odd: {(f"{warning}0xda.",)}, cut: {"refused"}}


def test_warnings_of_a_profile_that_is_written_do_not_reach_a_reader():
    stream, begun, written = io.BytesIO(), threading.Event(), threading.Event()
    Image.new("CMYK", (9, 7)).save(stream, "jpeg", icc_profile=bytes(300))
    picture = read_picture(stream.getvalue())

    def read() -> vips.Warnings:
        with vips.working(), vips.collect_warnings() as found:
            begun.set()
            assert written.wait(30)
        return found

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        assert begun.wait(30)
        write_picture(picture, io.BytesIO(), format="jpeg")
        written.set()
        found = reader.result()
    assert found.shared  # so that it reads once more, alone
    assert "corrupt profile" in found


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (bytes(128) + b"DICM", "a DICOM image; quietpixel is not for medical images"),
    ],
)
def test_files_of_scientific_programs_are_named_with_what_to_do(head: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words):
        read_picture(head + bytes(600))


def test_channels_of_no_samples_are_channels_of_one():
    text = (
        '<OME><Pixels DimensionOrder="XYCZT" SizeC="2" SizeZ="1" SizeT="1">'
        '<Channel SamplesPerPixel="0"/></Pixels></OME>'
    )
    stream = io.BytesIO()
    stack = np.zeros((2, 20, 30), np.uint8)
    tifffile.imwrite(stream, stack, description=text, metadata=None, photometric="minisblack")
    assert read_picture(stream.getvalue()).channels == (0, 1)


ARITHMETIC = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywt"
    "QFdBRkxOUlNSMj5aYVpQYEpRUk//yQALCAAgADABAREA/8wABgAQEAX/2gAIAQEAAD8A/wCx8ext/WSP2xfy4bYB/wAd"
    "/wD4FUkmhqaV6UCq0sK1n9AyEVDgFzBE/wAVN5gvOkj/2Q=="
)
"""A ramp, 3 x + 2 y, that libjpeg-turbo wrote with arithmetic coding (SOF9)."""


def make_damaged_jpeg() -> bytes:
    """Return a JPEG that has a warning, and then an error."""
    stream = io.BytesIO()
    Image.new("RGB", (9, 7)).save(stream, "jpeg")
    content = bytearray(stream.getvalue())
    at = content.rfind(b"\xff\xdb")
    content[at + 4] = 3  # a table that no channel uses
    return bytes(content[:at] + b"between" + content[at:])


def test_nothing_is_printed_when_the_process_ends(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(make_damaged_jpeg())
    line = "import sys; from quietpixel.files import read_picture as read; read(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", line, path], capture_output=True, text=True, check=False
    )
    assert "extraneous bytes before marker 0xdb); get a whole copy" in done.stderr
    assert "WARNING" not in done.stderr


def test_a_damaged_image_is_freed_with_its_error():
    """In a cycle it would wait for the collector, which may run where libvips must not warn."""
    damaged = make_damaged_jpeg()
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(FileError):
            read_picture(damaged)
            pytest.fail("it was read")
        assert not [each for each in gc.get_objects() if isinstance(each, pyvips.Image)]
    finally:
        gc.enable()


def test_a_jpeg_with_arithmetic_coding_is_read():
    picture = read_picture(base64.b64decode(ARITHMETIC))
    ramp = np.add.outer(2 * np.arange(32), 3 * np.arange(48))
    assert np.abs(picture.pages[0][..., 0].astype(int) - ramp).max() <= 3
    assert (picture.encoding.quality, picture.lost) == (60, ())


@pytest.mark.skipif(os.name == "nt", reason="no colons in names there")
def test_a_name_with_colons_is_that_of_a_file(tmp_path):
    for name in ("::b.png", "a.png", "a.png::b.png"):
        Image.new("L", (len(name), 5)).save(tmp_path / name, "png")
    for name in ("::b.png", "a.png::b.png"):
        assert read_picture(tmp_path / name).size == (len(name), 5)


def test_a_part_of_a_file_without_named_images_is_refused(tmp_path):
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="it is PNG, whose images have no names; got '::2'"):
        read_picture(f"{tmp_path / 'a.png'}::2")
