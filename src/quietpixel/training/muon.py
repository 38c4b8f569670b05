"""Muon for convolutions: their kernels are treated as matrices."""

import math
from typing import Any

import keras

NARROW = 8
"""Adam updates kernels with fewer outputs or inputs, which are too narrow to orthogonalise."""


# Model files name this module and this class, so both keep their names.
@keras.saving.register_keras_serializable("quietpixel")
class ConvolutionMuon(keras.optimizers.Muon):  # type: ignore[misc]
    """Muon of Keras, extended from matrices to kernels (H, W, in, out) taken as (H W in, out).

    References
    ----------
    K. Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024.
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) not in (2, 4) or min(variable.shape[-2:]) < NARROW

    def _muon_update_step(
        self, gradient: Any, variable: keras.Variable, lr: Any, m: keras.Variable
    ) -> None:
        self.assign_add(m, gradient + m * (self.momentum - 1))
        moved = gradient + self.momentum * m if self.nesterov else m
        rows = math.prod(variable.shape[:-1])
        matrix = keras.ops.reshape(moved, (rows, variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, keras.ops.reshape(update, variable.shape))
