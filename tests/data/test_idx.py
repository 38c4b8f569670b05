import gzip
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from quietpixel.data import idx
from quietpixel.data.idx import read_idx
from quietpixel.errors import DataError

HEADER = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4) for n in (2, 3, 4))
GOOD = HEADER + bytes(range(24))
PACKED = gzip.compress(GOOD, mtime=0)


@given(array=arrays(np.uint8, array_shapes(max_dims=4)), packed=st.booleans())
def test_every_array_comes_back(array, packed, tmp_path_factory):
    sizes = b"".join(n.to_bytes(4) for n in array.shape)
    content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
    path = tmp_path_factory.mktemp("idx") / "array"
    path.write_bytes(gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(read_idx(path), array)


FAULTS = {
    "empty": (b"", "is empty"),
    "text": (b"train on these digits, please", "is not an IDX file of bytes.*got 74 72 61 69"),
    "one byte": (b"\0", "is not an IDX file of bytes.*got 00"),
    "integers": (bytes([0, 0, 12, 1]) + bytes(8), "is not an IDX file of bytes"),
    "half a header": (HEADER[:9], "is cut off within its header"),
    "no content": (HEADER, "is cut off: it declares 24 bytes and holds 0"),
    "cut": (GOOD[:-5], "is cut off: it declares 24 bytes and holds 19"),
    "too long": (GOOD + b"\0", "goes on after the 24 bytes"),
    "huge": (bytes([0, 0, 8, 2]) + b"\xff" * 8, "and more than 1,073,741,824 are not unpacked"),
    "cut gzip": (PACKED[: len(PACKED) // 2], "is cut off: its gzip data ends too early"),
    "gzip without its end": (PACKED[:-3], "is cut off: its gzip data ends too early"),
    "gzip header only": (PACKED[:2], "is cut off: its gzip data ends too early"),
    "wrong gzip sum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "has damaged gzip data"),
    "damaged gzip": (PACKED[:10] + b"\xff" * 20 + PACKED[30:], "has damaged gzip data"),
    "empty gzip": (gzip.compress(b""), "is not an IDX file of bytes.*got nothing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_file_is_named_with_the_three_ways_to_get_it(fault, tmp_path):
    content, message = FAULTS[fault]
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    for words in (str(path), "`data_dir`", "QUIETPIXEL_DATA", "downloads it", "\n"):
        assert (words in str(caught.value)) == (words != "\n")


@pytest.mark.parametrize("position", range(len(PACKED)))
def test_no_damaged_byte_ends_in_another_error(position, tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(PACKED[:position] + bytes([PACKED[position] ^ 0x55]) + PACKED[position + 1 :])
    try:
        array = read_idx(path)
    except DataError:
        return
    np.testing.assert_array_equal(array.ravel(), np.arange(24))  # a byte that does not matter


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"'.*nowhere' does not exist\. Pass a folder"):
        read_idx(tmp_path / "nowhere")


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)


def test_the_sum_is_that_of_the_uncompressed_content(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(PACKED)
    assert read_idx(path, md5=hashlib.md5(GOOD).hexdigest()).shape == (2, 3, 4)
    with pytest.raises(DataError, match=r"must be 0000; got [0-9a-f]{32}"):
        read_idx(path, md5="0000")


def test_the_limit_is_above_the_sets_that_have_names():
    assert idx.LARGEST > 60_000 * 28 * 28
