"""Device selection, and training on several devices."""

import os
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from quietpixel.errors import ArgumentError
from quietpixel.training import devices
from quietpixel.training.devices import part_evenly, use_devices

SCRIPT = """
import sys
import keras
import numpy as np
from quietpixel.training.devices import use_devices
keras.utils.set_random_seed(0)
print(use_devices(8, int(sys.argv[1])))
model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same")])
model.compile("adam", "mse")
images = np.random.default_rng(0).random((16, 8, 8, 1)).astype("float32")
losses = model.fit(images, images, batch_size=8, epochs=3, verbose=0, shuffle=False).history["loss"]
print(len(model.trainable_variables[0].value.sharding.device_set))
print(losses[-1])
"""


def test_one_processor_is_described() -> None:
    assert use_devices(8) == "the processor"


def test_the_reason_for_unused_devices_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_devices", lambda: ["gpu:0", "gpu:1"])
    text = use_devices(8)
    assert text.startswith("2 devices (gpu:0, gpu:1); only the first is used, as Keras with ")
    assert "KERAS_BACKEND=jax" in text
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert use_devices(9).endswith("a batch of 9 cannot be divided among 2")


def test_validation_images_are_divided_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy, clean = np.zeros((39, 2)), np.ones((39, 2))
    assert part_evenly((noisy, clean), 20)[1] == 20
    mesh = SimpleNamespace(devices=np.arange(3))
    monkeypatch.setattr(
        keras.distribution, "distribution", lambda: SimpleNamespace(device_mesh=mesh)
    )
    ((one, level), other), size = part_evenly(((noisy, noisy), clean), 20)
    assert (len(one), len(level), len(other), size) == (36, 36, 36, 18)


def test_requested_devices_must_exist_and_be_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert use_devices(8, 1) == "the processor"
    with pytest.raises(ArgumentError, match=r"`devices` must be from 1 to 1 because.*got 2"):
        use_devices(8, 2)
    monkeypatch.setattr(devices, "list_devices", lambda: ["gpu:0", "gpu:1"])
    assert use_devices(8, 1) == "gpu:0"
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ArgumentError, match="cannot be 2 because a batch of 9"):
        use_devices(9, 2)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_two_devices_reach_the_loss_of_one() -> None:
    one, two = run_on(1), run_on(2)
    assert one[:2] == ["the processor", "1"]
    assert two[:2] == ["2 devices (cpu:0, cpu:1); a batch of 8 is distributed over them", "2"]
    assert float(two[2]) == pytest.approx(float(one[2]), rel=1e-5)


def run_on(count: int) -> list[str]:
    flags = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(count)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | flags,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
