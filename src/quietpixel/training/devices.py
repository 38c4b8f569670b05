"""Device selection, and training on several devices."""

import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np

from quietpixel.errors import ArgumentError, check_number


def use_devices(batch: int, wanted: int | None = None) -> str:
    """Distribute training over the accelerators that Keras sees; return the devices in words.

    Each device holds the model and computes its part of every batch (data parallel distribution),
    which Keras supports with the JAX backend.

    Parameters
    ----------
    batch
        Images in a step, a multiple of the number of devices.
    wanted
        Number of devices; None uses all, or only the first if training cannot be distributed.

    Raises
    ------
    ArgumentError
        If there are fewer devices than wanted, or the batch cannot be distributed over them.
    """
    found = list_devices()
    if wanted is not None:
        check_number("devices", wanted)
    if wanted is not None and not 1 <= wanted <= len(found):
        raise ArgumentError(
            f"`devices` must be from 1 to {len(found)} because Keras with "
            f"{keras.backend.backend()} sees {describe(found)}; got {wanted}."
        )
    devices = found[:wanted]
    if len(devices) < 2:
        return describe(devices)
    reason = ""
    if keras.backend.backend() != "jax":
        reason = (
            f"Keras with {keras.backend.backend()} cannot distribute training; set "
            "KERAS_BACKEND=jax to use all"
        )
    elif batch % len(devices):
        reason = f"a batch of {batch} cannot be divided among {len(devices)}"
    if reason and wanted is not None:
        raise ArgumentError(f"`devices` cannot be {wanted} because {reason}.")
    if reason:
        return f"{describe(devices)}; only the first is used, as {reason}"
    # Batches are made whole here, so Keras must not shard the data set.
    distribution = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    return f"{describe(devices)}; a batch of {batch} is distributed over them"


def part_evenly(images: Any, batch: int) -> tuple[Any, int]:
    """Return arrays of as many images as the devices can share evenly, and their batch size.

    Parameters
    ----------
    images
        Nested arrays (N, ...), such as validation inputs and targets.
    batch
        Approximate number of images to compute at a time.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return images, batch
    parts = int(np.size(distribution.device_mesh.devices))
    count = len(keras.tree.flatten(images)[0])
    # Every device must get equally many images, in the last batch too.
    size = max(parts, min(batch, count) // parts * parts)
    whole = max(count // size * size, parts)
    return keras.tree.map_structure(lambda array: array[:whole], images), size


def release() -> None:
    """End the distribution, so that later models compute on one device."""
    if keras.distribution.distribution() is not None:
        keras.distribution.set_distribution(None)


def list_devices() -> list[str]:
    """Return the accelerators that Keras sees, such as ``"gpu:0"``, or else the processor."""
    try:
        return [str(name) for name in keras.distribution.list_devices()]
    except (AttributeError, NotImplementedError, RuntimeError):
        return ["cpu:0"]  # this backend chooses its device itself


def describe(devices: list[str]) -> str:
    """Return the devices in words.

    Parameters
    ----------
    devices
        Names of devices.

    Examples
    --------
    >>> describe(["cpu:0"]), describe(["gpu:0", "gpu:1"])
    ('the processor', '2 devices (gpu:0, gpu:1)')
    """
    if all(name.startswith("cpu") for name in devices) and len(devices) == 1:
        return "the processor"
    return devices[0] if len(devices) == 1 else f"{len(devices)} devices ({', '.join(devices)})"


BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_precision(wanted: str) -> str:
    """Return the Keras dtype policy.

    Parameters
    ----------
    wanted
        Name of a policy, or ``"auto"``: ``"mixed_bfloat16"`` if the processor multiplies in
        bfloat16, else ``"float32"``.
    """
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if BFLOAT16_FLAGS & processor_flags() else "float32"


def processor_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Return the feature flags of the processor; empty if the system does not list them."""
    if platform.system() != "Linux" or not path.exists():
        return set()
    lines = path.read_text(errors="replace").splitlines()
    return {word for line in lines if line.startswith("flags") for word in line.split()[2:]}
