"""On what a run computes, and how it is spread over several devices."""

import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np

from quietpixel.errors import ArgumentError

PART = "a batch of {batch} is spread over them"
WHOLE = "only the first is used, as {reason}"


def use_devices(batch: int, wanted: int | None = None) -> str:
    """Spread training over accelerators that Keras sees, and say in words what is used.

    Each device holds the whole model and works on its part of every batch (Keras' data parallel
    distribution), which the JAX backend can do.

    Parameters
    ----------
    batch
        Images in a step; it must be a multiple of the number of devices to be spread.
    wanted
        How many devices; None takes all, and only the first where it cannot be spread.

    Raises
    ------
    ArgumentError
        If so many as are wanted are not there, or the batch cannot be spread over them.
    """
    found = list_devices()
    if wanted is not None and not 1 <= wanted <= len(found):
        raise ArgumentError(
            f"`devices` must be from 1 to {len(found)} because Keras with "
            f"{keras.backend.backend()} sees {describe(found)}; got {wanted}."
        )
    devices = found[:wanted]
    if len(devices) < 2:
        return describe(devices)
    reason = _find_obstacle(len(devices), batch)
    if reason and wanted is not None:
        raise ArgumentError(f"`devices` cannot be {wanted} because {reason}.")
    if reason:
        return f"{describe(devices)}; {WHOLE.format(reason=reason)}"
    distribution = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    return f"{describe(devices)}; {PART.format(batch=batch)}"


def part_evenly(images: Any, batch: int) -> tuple[Any, int]:
    """Return arrays of as many images as can be parted evenly among the devices, and their batch.

    Parameters
    ----------
    images
        Arrays (N, ...), nested in any way, such as inputs and targets to validate by.
    batch
        How many images are to be computed at a time, about.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return images, batch
    parts = int(np.size(distribution.device_mesh.devices))
    count = len(keras.tree.flatten(images)[0])
    size = max(parts, min(batch, count) // parts * parts)
    whole = max(count // size * size, parts)
    return keras.tree.map_structure(lambda array: array[:whole], images), size


def release() -> None:
    """End the spreading, so that what follows computes on one device."""
    if keras.distribution.distribution() is not None:
        keras.distribution.set_distribution(None)


def list_devices() -> list[str]:
    """Return the accelerators that Keras sees, or else the processor, such as ``"gpu:0"``."""
    try:
        return [str(name) for name in keras.distribution.list_devices()]
    except (AttributeError, NotImplementedError, RuntimeError):
        return ["cpu:0"]  # a backend that has no list computes on what it finds itself


def describe(devices: list[str]) -> str:
    """Return devices as people count them.

    Examples
    --------
    >>> describe(["cpu:0"]), describe(["gpu:0", "gpu:1"])
    ('the processor', '2 devices (gpu:0, gpu:1)')
    """
    if all(name.startswith("cpu") for name in devices) and len(devices) == 1:
        return "the processor"
    return devices[0] if len(devices) == 1 else f"{len(devices)} devices ({', '.join(devices)})"


def _find_obstacle(devices: int, batch: int) -> str:
    if keras.backend.backend() != "jax":
        return (
            f"Keras with {keras.backend.backend()} cannot spread a model here; set "
            "KERAS_BACKEND=jax to use all"
        )
    if batch % devices:
        return f"a batch of {batch} cannot be parted among {devices}"
    return ""


BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_precision(wanted: str) -> str:
    """Return the Keras dtype policy for `wanted` (``"auto"`` or a policy's name).

    ``"auto"`` is ``"mixed_bfloat16"`` where the processor multiplies in bfloat16, and
    ``"float32"`` elsewhere.
    """
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if BFLOAT16_FLAGS & processor_flags() else "float32"


def processor_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Return the processor's feature words, empty where the system does not tell."""
    if platform.system() != "Linux" or not path.exists():
        return set()
    lines = path.read_text(errors="replace").splitlines()
    return {word for line in lines if line.startswith("flags") for word in line.split()[2:]}
