"""The named recipes."""

from dataclasses import fields, replace
from typing import Any

from quietpixel.errors import check_known
from quietpixel.training.recipe import RENAMED, Recipe

NOISY = Recipe(
    name="noisy",
    noise="",
    target="none",
    method="neighbours",
    model="unet",
    # A large receptive field, since scans have stains and microscopes blur.
    options={"filters": (16, 32, 64, 96), "blocks": (0, 1, 1, 1), "output": "residual"},
    learning_rate=2e-3,
    clip_norm=1.0,
    epochs=100,
    batch=8,
)

PHOTO = Recipe(
    name="photo",
    noise="gaussian:0..55/255,clip=no|camera:0.02",
    model="unet",
    options={
        "filters": (16, 48, 96, 128),
        "blocks": (1, 2, 1, 1),  # 12 epochs on from 0, 1, 1, 1: 0.08 dB above 0, 1, 2, 2
        "output": "residual",
        "sigma": True,
    },
    optimizer="convolution-muon",
    learning_rate=3e-3,  # at 1e-2 it diverged after an epoch and never came back
    loss="mean_absolute_error",
    clip_norm=1.0,
    epochs=400,
    batch=16,
    steps=200,
    clean_fraction=0.1,
    blur_fraction=0.3,
    downscale_fraction=0.3,
    pattern_fraction=0.2,
)

# Fine-tuning after `photo`, so that images with little noise count as much as noisy ones.
POLISH = replace(PHOTO, name="photo-polish", loss="negative_psnr", learning_rate=1.5e-3)

# Last, for the bundled photo model: a level is always given. A model of white noise alone leaves
# most of what the channels share. Without noise of a camera on soft patches the 600D pairs lose
# 0.2 dB; 11 or 13 parts of white noise in place of 12 change little (benchmarks/LOG.md).
LEVEL = replace(
    POLISH,
    name="photo-level",
    # One block more than `photo`, grown from it: 0.84 times the speed, 0.02 dB on white noise.
    options={**PHOTO.options, "blocks": (1, 2, 2, 1)},
    noise="12*gaussian:0..75/255,clip=no|5*photo:0..12/255,camera=yes"
    "|2*photo:2/255..50/255|photo:0..12/255",
    schedule="trapezoid",
    learning_rate=7e-4,  # at 1.5e-3 the steps lose 0.5 dB until the rate falls
    averaging=0.999,
    batch=8,
    patch=96,
    clean_fraction=0.05,
    blur_fraction=0.25,
    pattern_fraction=0.1,
    gray_fraction=0.15,
    contrast_fraction=0.25,
    level_excess=3.0,
)

RECIPES: dict[str, Recipe] = {
    "classic": Recipe(
        name="classic",
        learning_rate=1e-3,
        schedule="plateau",
        fresh_noise=False,
        epochs=40,
        precision="float32",
    ),
    "tuned": Recipe(name="tuned", optimizer="muon", learning_rate=1e-2),
    "wide": Recipe(
        name="wide",
        # Larger kernels: test error 0.0120, with 3 and 3 0.0124 after 22 epochs.
        options={"filters": (32, 256), "kernel_sizes": (7, 5), "dropout": 0.0},
        optimizer="convolution-muon",
        learning_rate=1e-2,
        epochs=12,
        batch=64,
    ),
    "photo": PHOTO,
    "photo-polish": POLISH,
    "photo-level": LEVEL,
    # For gaussian-gray, starting from photo-gray: the noise of published tables, no camera noise.
    "gaussian": replace(
        POLISH,
        name="gaussian",
        noise="gaussian:0..55/255,clip=no|gaussian:15/255..55/255,clip=no",
        batch=8,
        patch=96,
        clean_fraction=0.02,
        blur_fraction=0.0,
    ),
    "pairs": replace(
        NOISY,
        name="pairs",
        target="clean",
        method="pairs",
        optimizer="convolution-muon",
        learning_rate=3e-3,  # as for photo; 300 steps on documents: 31.3 dB, at 1e-2 29.0
    ),
    "noisy": NOISY,
}
"""The recipes by name."""

OF_SETS = ("classic", "tuned", "wide")
"""The recipes for named data sets; the others are for folders of images."""

MODEL_CHANGES: dict[tuple[str, str], dict[str, Any]] = {
    # With new noise in each epoch, dropout before the code only removes information.
    ("tuned", "bottleneck"): {"options": {"dropout": 0.0}},
    # Two epochs of MNIST came to these validation errors: residual output and blocks, Adam at 2e-3
    # 0.0110, Muon on the convolutions 0.0096; sigmoid output 0.0093; ConvNeXt blocks too 0.0087.
    ("tuned", "unet"): {
        "options": {
            "filters": (16, 40, 80),
            "blocks": (0, 2, 2),
            "block": "convnext",
            "output": "sigmoid",
        },
        "optimizer": "convolution-muon",
        "learning_rate": 1e-2,
        "clip_norm": 1.0,
    },
}
"""Fields that a recipe sets differently for a model, by the names of both."""


def named_recipe(name: str, **changes: Any) -> Recipe:
    """Return a named recipe with some of its fields changed.

    Parameters
    ----------
    name
        A name in `RECIPES`.
    changes
        Fields of `Recipe`, also by their names of version 0.1; None keeps the field. Options are
        added to those of the recipe for another model only if `MODEL_CHANGES` has some for it.

    Raises
    ------
    UnknownNameError
        If there is no recipe or no field of that name.
    """
    check_known("recipe", name, RECIPES)
    recipe, known = RECIPES[name], [f.name for f in fields(Recipe)]
    wanted = {RENAMED.get(key, key): value for key, value in changes.items() if value is not None}
    for field in wanted:
        check_known("recipe field", field, known)
    model = wanted.get("model", recipe.model)
    preset = MODEL_CHANGES.get((name, model), {})
    own = recipe.options if model == recipe.model else {}
    options = {**preset.get("options", {}), **wanted.get("options", own)}
    return replace(recipe, **{**preset, **wanted, "options": options})
