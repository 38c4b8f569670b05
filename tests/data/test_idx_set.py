import gzip

import numpy as np
import pytest

from quietpixel.data import idx
from quietpixel.errors import DataError


def labels_of(split):
    return split.labels.tolist()


def test_the_split_is_fixed_and_without_overlap(make_set, fill_folder, tmp_path):
    tiny, folder = make_set(), fill_folder(tmp_path / "sets")
    parts = {name: tiny(name, folder) for name in ("train", "validation", "test")}
    assert {name: labels_of(part) for name, part in parts.items()} == {
        "train": [0, 1, 2, 3, 4, 5],
        "validation": [6, 7],
        "test": [0, 1, 2, 3],
    }
    assert parts["train"].images.shape == (6, 5, 6, 1)
    assert parts["train"].labels.dtype == np.int64


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["", "tiny"])
def test_files_are_found_in_a_folder(packed, place, make_set, fill_folder, tmp_path):
    fill_folder(tmp_path / "sets" / place, packed=packed)
    assert len(make_set()("test", tmp_path / "sets")) == 4


def test_files_are_found_in_the_folder_of_the_environment(
    make_set, fill_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("QUIETPIXEL_DATA", str(fill_folder(tmp_path / "sets")))
    assert len(make_set()("test", None)) == 4


def test_the_argument_comes_before_the_environment(make_set, fill_folder, tmp_path, monkeypatch):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "t10k-labels-idx1-ubyte").write_bytes(b"")
    good = fill_folder(tmp_path / "good")
    monkeypatch.setenv("QUIETPIXEL_DATA", str(tmp_path / "bad"))
    assert len(make_set()("test", good)) == 4
    monkeypatch.setenv("QUIETPIXEL_DATA", str(good))
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte', wanted for 'tiny', is empty"):
        make_set()("test", tmp_path / "bad")


def test_a_folder_without_the_set_leads_to_a_download_and_then_to_the_cache(
    make_set, make_mirror, tmp_path, cache
):
    mirror = make_mirror()
    tiny = make_set(mirror.address)
    assert len(tiny("test", tmp_path)) == 4
    assert len(tiny("test", tmp_path)) == 4
    assert mirror.asked == ["t10k-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"]
    assert (cache / "tiny" / "t10k-images-idx3-ubyte.gz").is_file()


def test_a_damaged_file_in_the_cache_is_fetched_again(make_set, make_mirror, fill_folder, cache):
    fill_folder(cache / "tiny")
    path = cache / "tiny" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    mirror = make_mirror()
    assert len(make_set(mirror.address)("test", None)) == 4
    assert mirror.asked == ["t10k-images-idx3-ubyte.gz"]


def test_a_mirror_with_other_content_is_passed_over(make_set, make_mirror):
    wrong, good = make_mirror("wrong"), make_mirror()
    assert make_set(wrong.address, good.address)("test", None).images.any()
    with pytest.raises(DataError, match="the downloaded file is another file than the published"):
        make_set(wrong.address)("train", None)


def test_a_folder_with_another_set_is_refused(make_set, fill_folder, tmp_path):
    folder = fill_folder(tmp_path / "sets")
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])))
    with pytest.raises(DataError, match="the MD5 sum of its uncompressed content must be"):
        make_set()("test", folder)


@pytest.mark.parametrize("source", ["data_dir", "QUIETPIXEL_DATA"])
def test_a_folder_that_is_none_is_refused(source, make_set, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    for name, fault in {"nowhere": "does not exist", "file": "is not a folder"}.items():
        monkeypatch.setenv("QUIETPIXEL_DATA", str(tmp_path / name))
        with pytest.raises(
            DataError, match=f"`{source}` must name a folder.*{name}', which {fault}"
        ):
            make_set()("test", tmp_path / name if source == "data_dir" else None)


def test_no_network_and_no_folder(make_set, closed_address):
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        make_set(closed_address)("test", None)
    for words in ("t10k-labels-idx1-ubyte.gz", "`data_dir`", "QUIETPIXEL_DATA", "its cache"):
        assert words in str(caught.value)


def test_the_cache_is_the_users_own(monkeypatch):
    monkeypatch.undo()
    assert idx.cache_folder().parts[-2:] == ("quietpixel", "data")
