"""What a run computes on is said, and several devices share the work where Keras can spread it."""

import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from quietpixel.training import devices
from quietpixel.training.devices import part_evenly, use_devices

SCRIPT = """
import keras
import numpy as np
from quietpixel.training.devices import part_evenly, use_devices
print(use_devices(8))
model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same")])
model.compile("adam", "mse")
images = np.random.default_rng(0).random((16, 8, 8, 1)).astype("float32")
model.fit(images, images, batch_size=8, epochs=1, verbose=0)
print(len(model.trainable_variables[0].value.sharding.device_set))
"""


def test_one_processor_is_said() -> None:
    assert use_devices(8) == "the processor"


def test_why_several_devices_are_not_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_devices", lambda: ["gpu:0", "gpu:1"])
    text = use_devices(8)
    assert text.startswith("2 devices (gpu:0, gpu:1); only the first is used, as Keras with ")
    assert "KERAS_BACKEND=jax" in text
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert use_devices(9).endswith("a batch of 9 cannot be parted among 2")


def test_what_validates_is_parted_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy, clean = np.zeros((39, 2)), np.ones((39, 2))
    assert part_evenly((noisy, clean), 20)[1] == 20
    monkeypatch.setattr(devices, "list_devices", lambda: ["gpu:0", "gpu:1", "gpu:2"])
    monkeypatch.setattr(keras.distribution, "distribution", object)
    ((one, level), other), size = part_evenly(((noisy, noisy), clean), 20)
    assert (len(one), len(level), len(other), size) == (36, 36, 36, 18)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_a_batch_is_spread_over_two_devices() -> None:
    flags = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | flags,
    )
    assert done.returncode == 0, done.stderr
    said, count = done.stdout.splitlines()
    assert said == "2 devices (cpu:0, cpu:1); a batch of 8 is spread over them"
    assert count == "2"
