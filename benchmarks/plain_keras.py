"""The bottleneck autoencoder as a plain Keras script: fixed noise, float32, Adam.

The baseline of `benchmarks/time_to_quality.py`. It reads MNIST from the folder it is given and
prints one line of JSON for each epoch: epoch, seconds of training so far, test error.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers


def read_images(path: Path) -> np.ndarray:
    with gzip.open(path) as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16)
    return pixels.reshape(-1, 28, 28, 1).astype("float32") / 255


def add_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(0.0, 0.5, images.shape).astype("float32")
    return np.clip(images + noise, 0.0, 1.0)


def build() -> keras.Model:
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(16),
            layers.Dense(7 * 7 * 64),
            layers.Reshape((7, 7, 64)),
            layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )


class Clock(keras.callbacks.Callback):
    """Prints the test error after each epoch; evaluation time does not count."""

    def __init__(self, noisy: np.ndarray, clean: np.ndarray) -> None:
        super().__init__()
        self.noisy, self.clean, self.seconds = noisy, clean, 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds += time.perf_counter() - self.started
        denoised = self.model.predict(self.noisy, batch_size=500, verbose=0)
        error = float(np.mean((denoised - self.clean) ** 2))
        print(
            json.dumps({"epoch": epoch + 1, "seconds": self.seconds, "test_error": error}),
            flush=True,
        )


def main(folder: Path, epochs: int) -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    clean, test = (read_images(folder / f"{p}-images-idx3-ubyte.gz") for p in ("train", "t10k"))
    noisy, noisy_test = add_noise(clean, rng), add_noise(test, rng)
    model = build()
    model.compile(optimizer="adam", loss="mse")
    model.fit(
        noisy,
        clean,
        epochs=epochs,
        batch_size=128,
        validation_split=1 / 12,
        callbacks=[keras.callbacks.ReduceLROnPlateau(patience=3), Clock(noisy_test, test)],
        verbose=0,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40)
