"""FFDNet and DnCNN from weight files that the user has, computed by OpenVINO as rivals.

The authors publish the weights without a licence, so they are neither shipped nor fetched. A file
is that of the MatConvNet code: ``FFDNet_color.mat``, ``FFDNet_gray.mat``, ``CDnCNN_B.mat`` or
another of the same layers (3 x 3 convolutions, padding 1, ReLU between them).
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from quietpixel.evaluation.methods import METHODS, Classical
from quietpixel.inference.engine import import_openvino

Array = NDArray[np.float32]


@dataclass(frozen=True)
class RivalNetwork:
    """A network called on an image (H, W, C) in [0, 1] with the noise's deviation.

    In bfloat16, FFDNet takes 0.43 of the time and loses 0.3 dB at 40 dB, because it returns the
    image itself and not a difference.
    """

    path: Path
    precision: str = "f32"
    takes_level: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "takes_level", self.path.stem.startswith("FFDNet"))

    @property
    def channels(self) -> int:
        """1 (gray) or 3 (RGB): the outputs of the last convolution, four of each for FFDNet."""
        return len(self._kernels[-1][1]) // (4 if self.takes_level else 1)

    def __call__(self, image: Array, sigma: float) -> Array:
        maps = np.moveaxis(image, 2, 0).astype(np.float32)
        if not self.takes_level:
            return np.moveaxis(maps - self._run(maps), 0, 2)
        height, width = maps.shape[1:]
        even = np.pad(maps, ((0, 0), (0, height % 2), (0, width % 2)), mode="symmetric")
        halves = split(even)
        plane = np.full((1, *halves.shape[1:]), sigma, np.float32)
        joined = join(self._run(np.concatenate([halves, plane])))
        return np.moveaxis(joined[:, :height, :width], 0, 2)

    def _run(self, maps: Array) -> Array:
        result: Array = self._model(maps[np.newaxis])[0][0]
        return result

    @cached_property
    def _kernels(self) -> list[tuple[Array, Array]]:
        return read_kernels(self.path)

    @cached_property
    def _model(self) -> Any:
        openvino = import_openvino()
        from openvino import opset13 as ops

        kernels = self._kernels
        image = ops.parameter([1, kernels[0][0].shape[1], -1, -1], np.float32)
        value = image
        for number, (kernel, bias) in enumerate(kernels):
            value = ops.convolution(value, ops.constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1])
            value = ops.add(value, ops.constant(bias.reshape(1, -1, 1, 1)))
            value = value if number == len(kernels) - 1 else ops.relu(value)
        model = openvino.Model([value], [image], "rival")
        settings = {} if self.precision == "auto" else {"INFERENCE_PRECISION_HINT": self.precision}
        return openvino.Core().compile_model(model, "CPU", settings)


def add_methods(paths: list[Path], precision: str) -> list[str]:
    """Make networks methods of `quietpixel.compare`, given the noise's deviation; return names."""
    for path in paths:

        @dataclass(frozen=True, kw_only=True)
        class Network(Classical):
            grid: ClassVar = {"sigma": (1.0,)}
            network: ClassVar = RivalNetwork(path, precision)
            sigma: float = 0.1

            def filter(self, image: Any) -> Any:
                return self.network(image.reshape(*image.shape[:2], -1), self.sigma)

        METHODS[path.stem] = Network
    return [path.stem for path in paths]


def read_kernels(path: Path) -> list[tuple[Array, Array]]:
    """Return kernel (outputs, inputs, 3, 3) and bias of each convolution."""
    kernels = []
    with h5py.File(path) as file:
        for place in file["net"]["layers"][:, 0]:
            layer = file[place]
            if bytes(np.array(layer["type"], np.uint8).ravel()) != b"conv":
                continue
            kernel, bias = (np.array(file[each], np.float32) for each in layer["weights"][:, 0])
            # MATLAB counts from the first axis, HDF5 from the last.
            kernels.append((np.ascontiguousarray(kernel.swapaxes(2, 3)), bias.ravel()))
    return kernels


def split(maps: Array) -> Array:
    """Return four half-size maps of each map (C, H, W): by channel, column and row offset."""
    count, height, width = maps.shape
    parts = maps.reshape(count, height // 2, 2, width // 2, 2)
    return parts.transpose(0, 4, 2, 1, 3).reshape(4 * count, height // 2, width // 2)


def join(maps: Array) -> Array:
    """Undo `split`."""
    count, height, width = len(maps) // 4, *maps.shape[1:]
    parts = maps.reshape(count, 2, 2, height, width)
    return parts.transpose(0, 3, 2, 4, 1).reshape(count, 2 * height, 2 * width)
