"""What each choice of the classic denoising autoencoder brings: each is changed alone.

    python benchmarks/classic_choices.py [--epochs N] [--seeds N] [NAME ...]

Trains on the built-in digits with fixed noise, in float32, and prints the test error of each
variant as a row of the table in `docs/how-it-works/classic-project.md`; without names, all.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from quietpixel.data import load_split
from quietpixel.noise.parser import add_noise, parse_noise

Images = NDArray[np.float32]
BATCH = 128
Variant = tuple[str, dict[str, Any]]

VARIANTS: dict[str, Variant] = {
    "classic": ("as it is", {}),
    "linear": ("no ReLU: every layer linear", {"activation": None}),
    "dense": ("dense layers of 256 in place of the convolutions", {"convolutions": False}),
    "no-dropout": ("no dropout", {"dropout": 0.0}),
    "dropout-half": ("dropout of 0.5", {"dropout": 0.5}),
    "code-2": ("a code of 2 numbers", {"code": 2}),
    "code-8": ("a code of 8 numbers", {"code": 8}),
    "code-64": ("a code of 64 numbers", {"code": 64}),
    "sgd": ("SGD with momentum (rate 0.1) in place of Adam", {"optimizer": "sgd"}),
    "absolute": ("mean absolute error", {"loss": "mean_absolute_error"}),
    "cross-entropy": ("binary cross-entropy", {"loss": "binary_crossentropy"}),
    "no-plateau": ("a constant learning rate", {"plateau": False}),
    "clean-input": ("trained to copy clean digits, without noise", {"noisy_input": False}),
    "fresh-noise": ("new noise in each epoch", {"fresh_noise": True}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(VARIANTS))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    words = parser.parse_args()
    for name in words.names:
        title, changes = VARIANTS[name]
        errors = [train(seed, words.epochs, **changes) for seed in range(words.seeds)]
        print(
            f"| {title} | {np.mean(errors):.5f} | {' '.join(f'{e:.5f}' for e in errors)} |",
            flush=True,
        )


def train(
    seed: int,
    epochs: int,
    *,
    optimizer: str = "adam",
    loss: str = "mean_squared_error",
    plateau: bool = True,
    noisy_input: bool = True,
    fresh_noise: bool = False,
    **layout: Any,
) -> float:
    """Return the mean squared error of noisy test digits after training."""
    keras.utils.set_random_seed(seed)
    clean = {
        name: load_split("digits", name).as_float() for name in ("train", "validation", "test")
    }
    noisy = {name: corrupt(images, seed) for name, images in clean.items()}
    model = build(**layout)
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer=sgd if optimizer == "sgd" else "adam", loss=loss)
    source = noisy if noisy_input else clean
    batches = -(-len(clean["train"]) // BATCH)
    training = (
        {"x": draw_batches(clean["train"], seed), "steps_per_epoch": batches}
        if fresh_noise
        else {"x": source["train"], "y": clean["train"], "batch_size": BATCH}
    )
    model.fit(
        **training,
        epochs=epochs,
        validation_data=(source["validation"], clean["validation"]),
        callbacks=[keras.callbacks.ReduceLROnPlateau(patience=3)] if plateau else [],
        verbose=0,
    )
    denoised = model.predict(noisy["test"], verbose=0)
    return float(np.mean(np.square(denoised - clean["test"])))


def draw_batches(clean: Images, seed: int) -> Iterator[tuple[Images, Images]]:
    """Yield batches in random order, with noise that no batch had before."""
    rng = np.random.default_rng(seed)
    while True:
        for chosen in np.array_split(rng.permutation(len(clean)), -(-len(clean) // BATCH)):
            yield corrupt(clean[chosen], int(rng.integers(2**31))), clean[chosen]


def corrupt(images: Images, seed: int) -> Images:
    return add_noise(images, parse_noise("gaussian:0.5"), seed=seed)


def build(
    *,
    activation: str | None = "relu",
    convolutions: bool = True,
    dropout: float = 0.1,
    code: int = 16,
) -> keras.Model:
    """Return the classic autoencoder, or one that differs in a layer."""
    convolve: Callable[..., Any] = layers.Conv2D
    undo: Callable[..., Any] = layers.Conv2DTranspose
    options = {"strides": 2, "padding": "same", "activation": activation}
    first = [convolve(32, 3, **options), convolve(64, 3, **options)]
    last = [
        layers.Dense(7 * 7 * 64),
        layers.Reshape((7, 7, 64)),
        undo(64, 3, **options),
        undo(32, 3, **options),
        convolve(1, 3, padding="same", activation="sigmoid" if activation else None),
    ]
    if not convolutions:
        first = [layers.Flatten(), layers.Dense(256, activation=activation)]
        last = [
            layers.Dense(256, activation=activation),
            layers.Dense(28 * 28, activation="sigmoid"),
            layers.Reshape((28, 28, 1)),
        ]
    middle = [layers.Dropout(dropout), layers.Flatten(), layers.Dense(code)]
    return keras.Sequential([layers.Input((28, 28, 1)), *first, *middle, *last])


if __name__ == "__main__":
    main()
