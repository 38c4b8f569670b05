"""Makes the sample pictures of the page, and the principal components it compares a code with.

    python docs/make_samples.py

Writes sample-*.jpg, .png and components.json into src/quietpixel/web/static. The samples are free
photographs with simulated, seeded noise, listed in docs/credits.md; the components are those of the
training images of MNIST, in the folder that QUIETPIXEL_DATA names.
"""

import base64
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data
from sklearn.decomposition import PCA

from quietpixel.data import load_split
from quietpixel.files import Picture, write_picture
from quietpixel.noise.laws import Poisson

FOLDER = Path(__file__).parent.parent / "src/quietpixel/web/static"
SEPIA = np.array([1.0, 0.87, 0.7], np.float32)


def main() -> None:
    rng = np.random.default_rng(0)
    coffee, camera, cell = (
        image.astype(np.float32) / 255 for image in (data.coffee(), data.camera(), data.cell())
    )
    save(high_iso(coffee[:, :, :3], rng), "sample-photo.jpg")
    save(old_print(camera[..., np.newaxis], rng), "sample-print.jpg")
    save(Poisson(peak=20)(0.75 * cell[180:580, 150:550, np.newaxis], rng), "sample-microscope.png")
    (FOLDER / "components.json").write_text(json.dumps(components(16)))


def high_iso(clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a photograph with noise as after demosaicing: coarse, stronger in colour."""
    own = gaussian_filter(rng.normal(0, 1, clean.shape), (0.8, 0.8, 0))
    shared = gaussian_filter(rng.normal(0, 1, clean.shape[:2]), 0.6)[..., np.newaxis]
    noise = 0.14 * own + 0.11 * shared
    return np.asarray(clean + noise * np.sqrt(0.25 + 0.75 * clean), np.float32)


def old_print(clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a faded, toned print with the grain of its film."""
    grain = gaussian_filter(rng.normal(0, 1, clean.shape[:2]), 0.6)[..., np.newaxis]
    faded = 0.12 + 0.75 * clean + 0.1 * grain
    return np.asarray(faded * SEPIA, np.float32)


def components(count: int) -> dict[str, object]:
    """Return mean and principal components of MNIST, row after row, in 16 bits."""
    found = PCA(count, random_state=0).fit(
        load_split("mnist", "train").as_float().reshape(-1, 28 * 28)
    )
    values = np.concatenate([found.mean_[np.newaxis], found.components_])
    scale = float(np.abs(values).max()) / 32767
    packed = np.rint(values / scale).astype("<i2").tobytes()
    return {"count": count, "scale": scale, "values": base64.b64encode(packed).decode()}


def save(image: NDArray[np.float32], name: str) -> None:
    pixels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    write_picture(Picture.from_pixels(pixels), FOLDER / name, quality=90, overwrite=True)


if __name__ == "__main__":
    main()
