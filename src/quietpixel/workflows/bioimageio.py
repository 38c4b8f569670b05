"""`export_bioimageio`: a model as a package of the BioImage Model Zoo."""

import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from quietpixel.array_types import Image
from quietpixel.card import METADATA_KEY, UNKNOWN_SIGMA, Card
from quietpixel.errors import ArgumentError, FileError, ImageError, ModelError, naming_missing
from quietpixel.files import Picture, atomic_file, refuse_existing, write_picture
from quietpixel.inference.arrays import read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.engine import open_engine
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import bundled_models, find_model
from quietpixel.inference.options import check_level
from quietpixel.workflows.calibrate import read_images

SAMPLES = Path(__file__).parents[1] / "web" / "static"
BUNDLED_SAMPLES = {1: SAMPLES / "sample-microscope.png", 3: SAMPLES / "sample-photo.jpg"}
"""By channels of the model; `docs/credits.md` names their sources."""
SIDE = 256
"""Height and width of the sample, unless the halo asks for more."""
STRETCH = (0.1, 99.9)
"""Percentiles that a package takes as black and white where the model knows no scale."""
TOLERANCE = 1e-4
METHOD = {
    "text": "P. Vincent et al., Extracting and composing robust features with denoising "
    "autoencoders, ICML 2008",
    "doi": "10.1145/1390156.1390294",
}


def export_bioimageio(
    model: str | Path,
    target: str | Path,
    *,
    sigma: float | str = "auto",
    sample: str | Path | None = None,
    authors: Iterable[str] = (),
    overwrite: bool = False,
) -> float | None:
    """Write a model as a package of the BioImage Model Zoo (format 0.5); return its noise level.

    The package holds the model as ONNX with one input, the image. The program that runs it cuts
    and stitches tiles by the sizes and the halo that the package states. Where the model learned a
    range of noise levels, the program also stretches each image from its 0.1 to its 99.9 percentile
    to [0, 1], and results stay on that scale.

    Parameters
    ----------
    model
        A name, a run folder or an .onnx file.
    target
        Path of the package, ending in ``.zip``.
    sigma
        The noise level that becomes part of a model that takes one, as a share of the stretched
        range; ``"auto"`` estimates that of `sample`. Other models ignore it.
    sample
        An image file like those that the model is for: the example of the package, and the test
        that it is checked with. None takes one that comes with quietpixel.
    authors
        Who trained the model; needed unless it comes with quietpixel.
    overwrite
        Whether an existing file is replaced.

    Returns
    -------
    sigma
        The level in the package; None for a model that takes none.

    Raises
    ------
    ArgumentError
        If `target` does not end in .zip, `sigma` is not a level, or `authors` is missing.
    ImageError
        If `sample` is smaller than the smallest tile.
    ModelError
        If the model with one input computes something else than the model itself.

    Examples
    --------
    >>> export_bioimageio("photo-gray", "photo-gray.zip")  # doctest: +SKIP
    """
    target = Path(target)
    if target.suffix.lower() != ".zip":
        raise ArgumentError(
            f"`target` must end in .zip because a package is a zip archive; got '{target}'. Try "
            "model.zip."
        )
    refuse_existing(target, overwrite=overwrite)  # before the work
    if not target.resolve().parent.is_dir():
        raise FileError(f"The folder '{target.parent}' does not exist; make it first.")
    check_level(sigma)
    if np.ndim(sigma):
        raise ArgumentError(
            "`sigma` must be one number or 'auto' because it becomes part of the model; got a map."
        )
    path = find_model(model)
    names = [name for name in authors if name.strip()]
    if not names:
        if path not in bundled_models().values():
            raise ArgumentError(
                "`authors` must name who trained the model because a package states it; got none."
            )
        names = ["The quietpixel developers"]
    card = read_card(path)
    noisy = read_sample(Path(sample or BUNDLED_SAMPLES[card.channels]), card)
    shown = stretch(noisy) if card.scale_free else noisy
    level = find_fixed_level(path, card, shown, sigma)
    with TemporaryDirectory() as folder:
        single = Path(folder) / "model.onnx"
        opset = fix_level(path, single, level)
        denoised = compare_models(path, single, shown, level)
        with (
            atomic_file(target, overwrite=overwrite) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package,
        ):
            description = describe_package(card, names, opset)
            # JSON is YAML too.
            package.writestr("bioimageio.yaml", json.dumps(description, indent=2))
            package.writestr("README.md", describe_model(card, level))
            package.write(single, "model.onnx")
            for name, image, seen in (("input", noisy, shown), ("output", denoised, denoised)):
                with package.open(f"test_{name}.npy", "w") as array:
                    np.save(array, image[np.newaxis])
                package.writestr(f"sample_{name}.png", _to_png(seen))
    return level if card.takes_level else None


def read_sample(path: Path, card: Card) -> Image:
    """Return the middle of an image, (H, W, C) in [0, 1], as large as a tile of the model."""
    loaded = next(iter(read_images([path], card.channels, lambda text: None)))
    image = read_layout(loaded.pixels, loaded.declared).to_model(loaded.pixels)
    least = smallest_tile(card)
    height, width = card.only_size or (
        max(least, min(side, SIDE) // card.divisor * card.divisor) for side in image.shape[:2]
    )
    if image.shape[0] < height or image.shape[1] < width:
        raise ImageError(
            f"`sample` must have at least {height} x {width} pixels, the smallest tile of the "
            f"model '{card.name}'; got {image.shape[0]} x {image.shape[1]}."
        )
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width], np.float32)


def aligned_halo(card: Card) -> int:
    """Return the halo as a multiple of the divisor, so that tiles begin on one too."""
    # The format knows no halo of 0.
    return -(-max(card.halo or 0, 1) // card.divisor) * card.divisor


def smallest_tile(card: Card) -> int:
    """Return the least height and width of a tile: some pixels are left inside the halo."""
    return 2 * aligned_halo(card) + card.divisor


def stretch(image: Image) -> Image:
    """Return an image as the preprocessing ``scale_range`` of a package makes it."""
    low, high = np.percentile(image, STRETCH)
    return ((image - low) / (high - low + 1e-6)).astype(np.float32)


def find_fixed_level(path: Path, card: Card, image: Image, sigma: float | str) -> float | None:
    """Return what the model's second input becomes; None where it has none."""
    if not card.sigma_input:
        return None
    if card.blind:
        return UNKNOWN_SIGMA
    if isinstance(sigma, str):
        return Denoiser(path).estimate_sigma(image, range=(0.0, 1.0))
    return float(sigma)


def fix_level(source: Path, target: Path, level: float | None) -> int:
    """Write a model with `level`, if it has one, as a constant of its graph; return its opset."""
    with naming_missing("Packages need", "bioimageio"):
        import onnx
    model, card = onnx.load(source), read_card(source)
    graph, make = model.graph, onnx.helper
    if level is not None:
        image, given = sorted(graph.input, key=lambda each: "sigma" in each.name)
        value = make.make_tensor("level", onnx.TensorProto.FLOAT, [1], [level])
        graph.initializer.append(make.make_tensor("one", onnx.TensorProto.INT64, [1], [1]))
        graph.node.insert(0, make.make_node("Shape", [image.name], ["pixels"], end=3))
        graph.node.insert(1, make.make_node("Concat", ["pixels", "one"], ["map"], axis=0))
        graph.node.insert(2, make.make_node("ConstantOfShape", ["map"], [given.name], value=value))
        graph.input.remove(given)
    fixed = replace(card, sigma_input=False, blind=False)
    make.set_model_props(model, {METADATA_KEY: fixed.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, target)
    versions = {each.domain or "ai.onnx": int(each.version) for each in model.opset_import}
    return versions["ai.onnx"]


def compare_models(path: Path, single: Path, image: Image, level: float | None) -> Image:
    """Return what a model makes of an image, if its copy with one input makes the same of it."""
    batch = image[np.newaxis]
    given = None if level is None else np.full((*batch.shape[:3], 1), level, np.float32)
    expected: Image = open_engine(path, precision="f32")(batch, given)[0]
    difference = np.abs(open_engine(single, precision="f32")(batch)[0] - expected).max()
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The model with a fixed noise level differs by up to {difference:.2g} from the model "
            f"'{path}', more than {TOLERANCE:g}; please report this."
        )
    return expected


def describe_package(card: Card, authors: Iterable[str], opset: int) -> dict[str, Any]:
    """Return the description of a package, format 0.5; `opset` is the version of the operators."""
    channels = {"type": "channel", "channel_names": ["gray"] if card.channels == 1 else [*"RGB"]}

    def tensor(name: str, kind: str, sides: Iterable[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": name,
            "axes": [{"type": "batch"}, *sides, channels],
            "test_tensor": {"source": f"test_{kind}.npy"},
            "sample_tensor": {"source": f"sample_{kind}.png"},
            "data": {"type": "float32"},
        }

    free = {"min": smallest_tile(card), "step": card.divisor}
    halo = {} if card.only_size else {"halo": aligned_halo(card)}
    sizes = dict(zip("yx", card.only_size or (free, free), strict=True))
    image = tensor("image", "input", ({"type": "space", "id": k, "size": sizes[k]} for k in "yx"))
    if card.scale_free:
        low, high = STRETCH
        around = {"axes": ["channel", "y", "x"], "min_percentile": low, "max_percentile": high}
        image["preprocessing"] = [{"id": "scale_range", "kwargs": around}]
    same = ({"tensor_id": "image", "axis_id": axis} for axis in "yx")
    denoised = tensor(
        "denoised",
        "output",
        ({"type": "space", "id": size["axis_id"], "size": size, **halo} for size in same),
    )
    return {
        "format_version": "0.5.4",
        "type": "model",
        "name": re.sub(r"[^\w+\-() ]", "-", card.name, flags=re.ASCII),
        "description": "Removes noise from images with a denoising autoencoder.",
        "documentation": {"source": "README.md"},
        "covers": [{"source": "sample_input.png"}, {"source": "sample_output.png"}],
        "authors": [{"name": name} for name in authors],
        "cite": [METHOD],
        "tags": ["denoising", "image-restoration", "2d", "quietpixel"],
        "inputs": [image],
        "outputs": [denoised],
        "weights": {"onnx": {"source": "model.onnx", "opset_version": opset}},
        # A sentence on terms is no SPDX identifier; the README has it in any case.
        **({"license": card.licence} if re.fullmatch(r"[\w.+-]+", card.licence) else {}),
    }


def describe_model(card: Card, level: float | None) -> str:
    """Return the documentation of a package, whose graph has that noise level, as Markdown."""
    scale = (
        f"Each image is stretched from its {STRETCH[0]} to its {STRETCH[1]} percentile to [0, 1]; "
        "results stay on that scale."
        if card.scale_free
        else "Images must be on the scale of the training, black 0 and white 1."
    )
    noise = (
        f" The model expects noise with a standard deviation of {level:.4f} on that scale."
        if card.takes_level
        else ""
    )
    facts = {
        "Noise law of the training": card.noise,
        "Training data": card.data,
        "Licence": card.licence,
        "Not for": card.not_for,
    }
    lines = "".join(f"- {name}: {text}\n" for name, text in facts.items() if text)
    return (
        f"# {card.name}\n\nA denoising autoencoder, exported by quietpixel.\n\n{scale}{noise}\n\n"
        f"{lines}\n## Validation\n\nScores on images that were not used for training; compare "
        f"results with the noisy image before they are measured.\n\n```\n"
        f"{json.dumps(card.scores, indent=2)}\n```\n"
    )


def _to_png(image: Image) -> bytes:
    file = BytesIO()
    pixels = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
    write_picture(Picture.from_pixels(pixels), file)
    return file.getvalue()
