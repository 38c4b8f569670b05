"""A run ends with the same weights however often it was cut off."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import keras
import numpy as np
import pytest

from quietpixel.data import Split
from quietpixel.data.batches import Batches
from quietpixel.data.samplers import NoisySampler
from quietpixel.errors import ArgumentError, FileError, TrainingError, UnknownNameError
from quietpixel.noise.laws import Gaussian
from quietpixel.training import trainer
from quietpixel.training.devices import choose_precision, processor_flags
from quietpixel.training.named_recipes import named_recipe
from quietpixel.training.progress import Progress
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.trainer import RunOptions, run_recipe

QUICK = {"options": {"filters": [4, 8]}, "epochs": 3, "batch": 64}

pytestmark = pytest.mark.usefixtures("few_digits")

SCRIPT = """
import sys
from pathlib import Path
from quietpixel.data import registry
choose = registry.choose_rows
registry.choose_rows = lambda labels: {
    split: rows[: 256 if split == "train" else 64] for split, rows in choose(labels).items()
}
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.trainer import RunOptions, run_recipe
folder = RunFolder(Path(sys.argv[1]))
report = RunOptions(on_progress=lambda p: print(p.epoch, p.step, flush=True))
run_recipe(folder.read_recipe(), folder, report)
"""


def run(folder: Path, name: str = "tuned", **changes: object) -> RunFolder:
    recipe = named_recipe(name, **{**QUICK, **changes})
    where = RunFolder(folder)
    where.start(recipe)
    run_recipe(recipe, where)
    return where


def weights_of(folder: RunFolder) -> list[np.ndarray]:
    return keras.models.load_model(folder.keras_model).get_weights()


def assert_same(one: RunFolder, other: RunFolder) -> None:
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("both_ways")
def test_a_run_folder_holds_all_of_the_run(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", epochs=1)
    assert {path.name for path in folder.path.iterdir()} == {
        "recipe.json", "environment.json", "history.csv", "model.keras", "model.onnx",
    }  # fmt: skip
    assert folder.read_recipe().epochs == 1
    (row,) = folder.read_history()
    assert row["epoch"] == 1
    assert 0 < row["validation_loss"] < 1


@pytest.mark.usefixtures("both_ways", "no_export")
@pytest.mark.parametrize("name", [pytest.param("classic", marks=pytest.mark.slow), "tuned"])
def test_a_resumed_run_ends_like_an_undisturbed_one(tmp_path: Path, name: str) -> None:
    changes = {"averaging": 0.9} if name == "tuned" else {}
    whole = run(tmp_path / "whole", name, epochs=2, **changes)
    cut = RunFolder(tmp_path / "cut")
    cut.start(whole.read_recipe())
    interrupt_in_second_epoch = iter([False] * 5 + [True])

    def stop(progress: Progress) -> None:
        if progress.step and next(interrupt_in_second_epoch, False):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(cut.read_recipe(), cut, RunOptions(on_progress=stop))
    run_recipe(cut.read_recipe(), cut)
    assert_same(whole, cut)
    assert [r["validation_loss"] for r in whole.read_history()] == [
        r["validation_loss"] for r in cut.read_history()
    ]


@pytest.mark.usefixtures("both_ways", "no_export")
def test_a_run_that_watches_for_plateaus_is_interrupted_in_its_first_epoch(tmp_path: Path) -> None:
    """Keras knows no best value there, which ended in a TypeError, and nothing was kept."""
    folder = RunFolder(tmp_path / "run")
    folder.start(named_recipe("tuned", **{**QUICK, "batch": 16, "schedule": "plateau"}))

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(folder.read_recipe(), folder, RunOptions(on_progress=stop))
    assert len(folder.read_history()) == 1


@pytest.mark.slow
def test_a_full_disk_is_reported_and_the_run_continues_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole", epochs=2)
    cut = RunFolder(tmp_path / "cut")
    cut.start(whole.read_recipe())
    write_whole, room = Path.write_bytes, iter([True, False])

    def write(path: Path, data: bytes) -> int:
        if path.name == ".partial-checkpoint.npz" and not next(room):
            write_whole(path, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_whole(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write)
        with pytest.raises(FileError) as raised:
            run_recipe(cut.read_recipe(), cut)
    assert str(raised.value) == (
        f"'{cut.checkpoint}' was not written because the disk is full; nothing was left behind."
    )
    assert not list(cut.path.glob(".partial-*"))
    run_recipe(cut.read_recipe(), cut)
    assert_same(whole, cut)


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    """The process that is killed has as few digits as this one, see `few_digits`."""
    whole = run(tmp_path / "whole")
    cut = RunFolder(tmp_path / "cut")
    cut.start(whole.read_recipe())
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, cut.path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.split() == ["2", "2"]:
            os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not cut.keras_model.exists()
    assert len(cut.read_history()) == 1
    run_recipe(cut.read_recipe(), cut)
    assert_same(whole, cut)


def test_fresh_noise_differs_between_epochs_and_frozen_noise_does_not() -> None:
    images = np.zeros((4, 8, 8, 1), np.uint8)
    fresh = NoisySampler(images, Gaussian(0.5), batch=4, seed=0)
    frozen = NoisySampler(images, Gaussian(0.5), batch=4, seed=0, fresh=False)

    def sums(sampler: NoisySampler, epoch: int) -> np.ndarray:
        return np.sort(sampler.make(epoch, 0)[0].sum(axis=(1, 2, 3)))

    assert np.array_equal(sums(fresh, 1), sums(fresh, 1))
    assert not np.array_equal(sums(fresh, 0), sums(fresh, 1))
    assert np.array_equal(sums(frozen, 0), sums(frozen, 1))


def test_each_epoch_of_fit_sees_its_own_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    good = NoisySampler.make
    monkeypatch.setattr(
        NoisySampler,
        "make",
        lambda self, epoch, index: (seen.append(epoch), good(self, epoch, index))[1],
    )
    sampler = NoisySampler(np.zeros((8, 4, 4, 1), np.uint8), Gaussian(0.5), batch=4, seed=0)
    batches = Batches(sampler, first_epoch=5)
    model = keras.Sequential([keras.layers.Conv2D(1, 1)])
    model.compile("adam", "mse")
    model.fit(batches, epochs=7, initial_epoch=5, shuffle=False, verbose=0)
    assert [epoch for epoch in seen if epoch == 6] == [6, 6]
    assert set(seen) == {5, 6}


@pytest.mark.usefixtures("both_ways", "no_export")
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = NoisySampler.make

    def poisoned(self: NoisySampler, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        noisy, clean = good(self, epoch, index)
        # The target, because some processors make 0 of the ReLU of NaN in bfloat16.
        return noisy, (clean * math.nan if epoch == 1 else clean)

    monkeypatch.setattr(NoisySampler, "make", poisoned)
    with pytest.raises(TrainingError, match=r"loss became nan at step 1; the last good model"):
        run(tmp_path / "run")
    assert all(np.isfinite(w).all() for w in weights_of(RunFolder(tmp_path / "run")))


@pytest.mark.usefixtures("both_ways", "no_export")
def test_training_never_opens_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def load(name: str, split: str, **options: object) -> Split:
        opened.append(split)
        return Split(np.zeros((32, 28, 28, 1), np.uint8), None, name, split)

    monkeypatch.setattr(trainer, "load_split", load)
    run(tmp_path / "run", epochs=1, batch=32)
    assert set(opened) == {"train", "validation"}


@pytest.mark.usefixtures("both_ways", "no_export")
def test_progress_has_rate_and_time_left(tmp_path: Path) -> None:
    reports: list[Progress] = []
    folder = RunFolder(tmp_path / "run")
    recipe = named_recipe("tuned", **{**QUICK, "epochs": 2})
    folder.start(recipe)
    run_recipe(recipe, folder, RunOptions(on_progress=reports.append))
    assert "float32" in reports[0].message or "bfloat16" in reports[0].message
    steps = [p for p in reports if p.steps]
    assert steps[-1].epoch == steps[-1].epochs == 2
    assert steps[-1].step == steps[-1].steps
    assert steps[-1].seconds_left == 0
    assert steps[-1].images_per_second > 0
    assert math.isnan(steps[0].images_per_second)  # it compiles the model: a rate would mislead
    assert math.isnan(steps[0].seconds_left)
    assert steps[0].validation_loss is None
    assert len(steps) == 2 * steps[0].steps
    rows = folder.read_history()
    last = [step for step in steps if step.step == step.steps]
    assert [step.validation_loss for step in last] == [row["validation_loss"] for row in rows]


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.start(Recipe())
    with pytest.raises(TrainingError, match="already holds a run; continue it with `resume`"):
        folder.start(Recipe())


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").start(Recipe())


def test_resuming_nothing_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no run to resume"):
        RunFolder(tmp_path).read_recipe()
    (tmp_path / "recipe.json").write_text("[")
    with pytest.raises(
        TrainingError, match=r"recipe of this run, recipe.json, cannot be read .*; start another"
    ):
        RunFolder(tmp_path).read_recipe()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"epochs": 0}, ArgumentError, "`epochs` must be a whole number of at least 1; got 0"),
        ({"batch": 0}, ArgumentError, "`batch` must be a whole number of at least 1; got 0"),
        ({"seed": -1}, ArgumentError, "`seed` must be a whole number of at least 0; got -1"),
        ({"epochs": 1.5}, ArgumentError, "`epochs` must be a whole number of at least 1; got 1.5"),
        ({"steps": True}, ArgumentError, "`steps` must be a whole number of at least 1; got True"),
        ({"warmup": -1}, ArgumentError, "`warmup` must be a finite number of at least 0; got -1"),
        ({"learning_rate": np.inf}, ArgumentError, "`learning_rate` must be a finite number"),
        ({"minutes": np.nan}, ArgumentError, "`minutes` must be a finite number; got nan"),
        ({"learning_rate": 0}, ArgumentError, "`learning_rate` must be more than 0; got 0"),
        ({"averaging": 1.0}, ArgumentError, r"`averaging` must lie in \[0, 1\); got 1.0"),
        ({"schedule": "cosin"}, UnknownNameError, "did you mean 'cosine'"),
        ({"epoch": 3}, UnknownNameError, "Unknown recipe field 'epoch': did you mean 'epochs'"),
    ],
)
def test_wrong_recipes_are_refused(
    changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        named_recipe("tuned", **changes)
    with pytest.raises(UnknownNameError, match="did you mean 'classic'"):
        named_recipe("clasic")


def test_numbers_of_numpy_go_to_json_and_back() -> None:
    """A loop over numpy.arange(3) as `seed` ended in a TypeError of JSON."""
    numbers = {"seed": np.int64(3), "learning_rate": np.float32(0.5), "minutes": Fraction(3, 2)}
    options = {"code": np.int64(8), "filters": (np.int64(16), 32)}
    recipe = Recipe(**numbers, options=options)
    again = Recipe.from_json(recipe.to_json())
    assert (again.seed, again.learning_rate, again.minutes) == (3, 0.5, 1.5)
    assert again.options == {"code": 8, "filters": [16, 32]}
    assert recipe.options == {"code": 8, "filters": (16, 32)}


def test_a_seed_may_be_larger_than_any_float() -> None:
    assert named_recipe("tuned", seed=10**400).seed == 10**400


def test_recipes_go_to_json_and_back() -> None:
    recipe = named_recipe("classic", options={"code": 8})
    assert Recipe.from_json(recipe.to_json()) == recipe


RECIPE_0_1 = """{"name": "photo-polish", "data": "photos/train", "noise":
"gaussian:0..55/255,clip=no|camera:0.02", "model": "unet", "options": {"filters": [16, 48, 96, 128],
"blocks": [1, 2, 1, 1], "output": "residual", "sigma": true}, "optimizer": "convolution-muon",
"learning_rate": 0.001, "loss": "negative_psnr", "schedule": "cosine", "warmup": 0.5, "averaging":
0.0, "fresh_noise": true, "epochs": 400, "batch": 8, "seed": 0, "precision": "mixed_bfloat16",
"minutes": 40.0, "clip_norm": 1.0, "patch": 96, "steps": 200, "channels": 3, "plain": 0.1, "soft":
0.3, "shrunk": 0.25, "woven": 0.2, "target": "clean", "pairs": "", "method": "", "structure": "",
"start": "c4"}"""


def test_a_recipe_of_version_0_1_is_read() -> None:
    recipe = Recipe.from_json(RECIPE_0_1)
    fractions = (recipe.clean_fraction, recipe.blur_fraction, recipe.downscale_fraction)
    assert (*fractions, recipe.pattern_fraction) == (0.1, 0.3, 0.25, 0.2)
    assert (recipe.name, recipe.minutes, recipe.gray_fraction) == ("photo-polish", 40.0, 0.0)
    in_card = json.loads(RECIPE_0_1) | {"epochs_done": 33}
    assert Recipe.from_dict(in_card) == recipe
    assert json.loads(recipe.to_json())["blur_fraction"] == 0.3
    assert named_recipe("photo", plain=0.5, woven=None).clean_fraction == 0.5
    with pytest.raises(ArgumentError, match=r"`pattern_fraction` must lie in \[0, 1\]; got 2"):
        Recipe.from_dict({"woven": 2})


def test_options_of_a_recipe_are_for_its_own_model() -> None:
    assert named_recipe("photo", model="bottleneck").options == {}
    assert named_recipe("photo", model="unet").options["sigma"]


def test_the_tuned_bottleneck_has_no_dropout_unless_it_is_asked_for() -> None:
    assert named_recipe("tuned").options == {"dropout": 0.0}
    assert named_recipe("tuned", options={"dropout": 0.2}).options == {"dropout": 0.2}
    unet = named_recipe("tuned", model="unet")
    assert (unet.options["output"], unet.optimizer) == ("sigmoid", "convolution-muon")
    assert named_recipe("tuned", model="unet", optimizer="muon").optimizer == "muon"


def test_bfloat16_is_chosen_only_where_the_processor_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags\t\t: fpu avx512f avx512_bf16\n")
    assert "avx512_bf16" in processor_flags(info)
    module = "quietpixel.training.devices.processor_flags"
    monkeypatch.setattr(module, lambda: {"avx2"})
    assert choose_precision("auto") == "float32"
    monkeypatch.setattr(module, lambda: {"amx_bf16"})
    assert choose_precision("auto") == "mixed_bfloat16"
    assert choose_precision("float32") == "float32"


@pytest.mark.usefixtures("both_ways")
def test_mixed_precision_trains_and_exports_in_float32(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", epochs=1, precision="mixed_bfloat16")
    assert folder.onnx_model.exists()
