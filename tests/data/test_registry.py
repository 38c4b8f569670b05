import os
import subprocess
import sys

import numpy as np
import pytest

from quietpixel.data import Split, load_split, named_sets, registry
from quietpixel.errors import UnknownNameError

FOLDER = os.environ.get("QUIETPIXEL_DATA")


def test_a_misspelt_set_is_named_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="did you mean 'mnist'") as caught:
        load_split("mnits", "train")
    assert all(name in str(caught.value) for name in named_sets())


def test_a_misspelt_split_is_named_before_anything_is_loaded():
    with pytest.raises(UnknownNameError, match="Unknown split 'tset': did you mean 'test'"):
        load_split("mnist", "tset")


def test_a_folder_may_be_given_as_text(make_set, fill_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.LOADERS, "tiny", make_set())
    split = load_split("tiny", "train", data_dir=str(fill_folder(tmp_path / "tiny")))
    assert isinstance(split, Split)
    assert (split.name, split.split, len(split)) == ("tiny", "train", 6)


@pytest.mark.parametrize("idx_set", [registry.MNIST, registry.FASHION_MNIST], ids=lambda s: s.name)
def test_a_published_set_has_two_mirrors_and_four_sums(idx_set):
    assert registry.LOADERS[idx_set.name] is idx_set
    assert len(idx_set.mirrors) == 2
    assert all(mirror.endswith("/") for mirror in idx_set.mirrors)
    assert sorted(map(len, idx_set.sums.values())) == [32] * 4


def test_importing_is_cheap():
    heavy = {"pooch", "requests", "sklearn", "scipy", "keras", "tensorflow"}
    code = f"import sys, quietpixel.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(FOLDER is None, reason="QUIETPIXEL_DATA names no folder with the real files")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_files(name):
    counts = {"train": 55_000, "validation": 5_000, "test": 10_000}
    for split, count in counts.items():
        part = load_split(name, split, data_dir=FOLDER)
        assert part.images.shape == (count, 28, 28, 1)
        assert set(np.unique(part.labels)) == set(range(10))
