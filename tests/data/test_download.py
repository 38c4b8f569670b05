import gzip
import sys

import pytest

from quietpixel.data.idx import decode_idx, download
from quietpixel.errors import DataError, MissingDependencyError

from ..waiting import PATIENCE

NAME = "t10k-images-idx3-ubyte.gz"


@pytest.fixture
def fetch(tmp_path):
    """Download the test images of the tiny set from the given mirrors."""

    def call(*addresses, check=check, timeout=PATIENCE):
        return download(
            [address + NAME for address in addresses],
            tmp_path / "new" / NAME,
            check=check,
            timeout=timeout,
        )

    return call


def check(path):
    array = decode_idx(path)
    if not array.any():
        raise ValueError("is black")


def leftovers(tmp_path):
    return [path.name for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_comes_from_the_first_mirror(fetch, make_mirror, tmp_path):
    first, second = make_mirror(), make_mirror()
    path = fetch(first.address, second.address)
    assert decode_idx(path).shape == (4, 5, 6)
    assert (first.asked, second.asked) == ([NAME], [])
    assert leftovers(tmp_path) == [NAME]


FAULTS = {
    "missing": "404 Not Found",
    "cut": "the connection was lost",
    "wrong": "the downloaded file is black",
    "page": "the downloaded file is not an IDX file",
    "slow": "no data for 1 seconds",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_second_mirror_stands_in_for_a_faulty_first(fault, fetch, make_mirror, tmp_path):
    first, second = make_mirror(fault), make_mirror()
    timeout = 1 if fault == "slow" else PATIENCE
    assert decode_idx(fetch(first.address, second.address, timeout=timeout)).any()
    assert (first.asked, second.asked) == ([NAME], [NAME])
    assert leftovers(tmp_path) == [NAME]


@pytest.mark.parametrize("fault", FAULTS)
def test_no_good_mirror_leaves_nothing_and_says_what_each_did(fault, fetch, make_mirror, tmp_path):
    first, second = make_mirror(fault), make_mirror("missing")
    with pytest.raises(DataError, match=FAULTS[fault]) as caught:
        fetch(first.address, second.address, timeout=1 if fault == "slow" else PATIENCE)
    for words in (NAME, "404 Not Found", "`data_dir`", "QUIETPIXEL_DATA", "127.0.0.1"):
        assert words in str(caught.value)
    assert leftovers(tmp_path) == []


def test_no_network(fetch, closed_address, tmp_path):
    with pytest.raises(DataError, match=r"no connection; .*no connection"):
        fetch(closed_address, closed_address)
    assert leftovers(tmp_path) == []


def test_an_interruption_leaves_nothing(fetch, make_mirror, tmp_path):
    def interrupt(path):
        assert leftovers(tmp_path) == [path.name]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(make_mirror().address, check=interrupt)
    assert leftovers(tmp_path) == []


def test_a_good_file_is_replaced_only_by_a_good_one(fetch, make_mirror, tmp_path):
    path = tmp_path / "new" / NAME
    path.parent.mkdir()
    path.write_bytes(b"what was here before")
    with pytest.raises(DataError):
        fetch(make_mirror("cut").address)
    assert path.read_bytes() == b"what was here before"
    fetch(make_mirror().address)
    assert gzip.decompress(path.read_bytes())


def test_a_place_that_cannot_be_written(fetch, make_mirror, tmp_path):
    (tmp_path / "new").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"cannot be written \(File exists\)"):
        fetch(make_mirror().address)


def test_a_missing_pooch_is_named(fetch, closed_address, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependencyError, match=r"needs pooch.*quietpixel\[train\]"):
        fetch(closed_address)
