"""Noise laws: frozen, seeded, and written as text such as ``gaussian:0.5,mean=0.5``.

A law is called on a clean image and gives the noisy one. Clipping to [0, 1] is part of the law
(``clip``), done once, after the last step of a sequence.
"""

import math
import re
from dataclasses import fields, replace

import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.errors import ArgumentError, check_known, unknown_name
from quietpixel.noise.camera import Camera
from quietpixel.noise.laws import (
    Gaussian,
    Mixture,
    NoiseLaw,
    Poisson,
    Ranged,
    SaltPepper,
    Sequence,
    Speckle,
    Uniform,
)
from quietpixel.noise.photo import PhotoNoise

FROZEN_EPOCH = 0
"""The epoch of noise that is drawn once, before training."""


def image_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the random generator of one image in one epoch, so that each can be reproduced alone.

    Examples
    --------
    >>> bool(image_rng(0, 3, 7).random() == image_rng(0, 3, 7).random())
    True
    """
    return np.random.default_rng((seed, epoch, index))


def add_noise(clean: FloatArray, law: NoiseLaw, *, seed: int) -> FloatArray:
    """Return images (N, H, W, C) with noise drawn once, each image's own by its place.

    Parameters
    ----------
    clean
        float32 in [0, 1], shape (N, H, W, C).
    law
        The noise.
    seed
        Decides the noise; the first images of a set get the same noise as in the whole set.
    """
    rngs = (image_rng(seed, FROZEN_EPOCH, index) for index in range(len(clean)))
    noisy = [law(image, rng) for image, rng in zip(clean, rngs, strict=True)]
    return np.stack(noisy) if noisy else clean.copy()


NOISE_LAWS: dict[str, type[NoiseLaw]] = {
    law.word: law
    for law in (
        Camera,
        Gaussian,
        PhotoNoise,
        Poisson,
        SaltPepper,
        Speckle,
        Uniform,
    )
}
"""Every noise law by the word that names it."""


def list_levels(law: NoiseLaw) -> list[tuple[str, float]]:
    """Return word and highest level of each part of a law whose level is a share of black to white.

    Examples
    --------
    >>> list_levels(parse_noise("poisson:30+gaussian:0.02|photo:0.01..0.2"))
    [('gaussian', 0.02), ('photo', 0.2)]
    """
    if isinstance(law, Sequence | Mixture):
        return [level for part in law.laws for level in list_levels(part)]
    if isinstance(law, Ranged):
        return list_levels(law.highest)
    shares = isinstance(law, Gaussian | Uniform | PhotoNoise)
    return [(law.word, float(getattr(law, law.main)))] if shares else []


def parse_noise(text: str) -> NoiseLaw:
    """Return the noise law that `text` describes.

    Parameters
    ----------
    text
        ``word:number`` with options after commas, steps of a sequence joined by ``+``; numbers may
        be fractions such as ``25/255``, and two of them a range that each image draws from, such as
        ``gaussian:0..55/255``. Laws between bars are drawn from for each image; one that begins
        with ``3*`` three times as often.

    Raises
    ------
    UnknownNameError
        If a word is not a noise law.
    ArgumentError
        If a number or an option is not one, or breaks its law's rule.

    Examples
    --------
    >>> parse_noise("gaussian:0.5,mean=0.5")
    Gaussian(sigma=0.5, mean=0.5, clip=True)
    >>> parse_noise("gaussian:51/255,clip=no").sigma
    0.2
    """
    if not isinstance(text, str):
        raise ArgumentError(f"A noise law must be text, such as 'gaussian:0.1'; got {text!r}.")
    # First, because each part between bars may be a sequence.
    if "|" in text:
        parts = [re.fullmatch(r"(?:\s*([1-9]\d?)\*)?(.*)", part, re.S) for part in text.split("|")]
        counted = [(int(part[1] or 1), parse_noise(part[2])) for part in parts if part]
        return Mixture(tuple(law for count, law in counted for _ in range(count)))
    # Only before a letter does a plus join two laws: 1e+2 is a number.
    laws = tuple(_parse_law(part.strip()) for part in re.split(r"\+(?=\s*[a-zA-Z])", text))
    if len(laws) == 1:
        return laws[0]
    # What does not count is reset, so that laws that do the same are equal.
    return Sequence((*(_with_clip(law) for law in laws[:-1]), laws[-1]))


def parse_number(text: str) -> float:
    """Return the number that `text` writes as a decimal or as a fraction of two.

    Raises
    ------
    ArgumentError
        If it is not a finite number.

    Examples
    --------
    >>> parse_number("25/255") == 25 / 255
    True
    """
    try:
        above, _, below = text.partition("/")
        number = float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(f"'{text}' is not a number; give one such as 0.1 or 25/255.")
    return number


def _parse_law(text: str) -> NoiseLaw:
    word, colon, rest = text.partition(":")
    law = NOISE_LAWS.get(word)
    if law is None:
        raise unknown_name("noise law", word, NOISE_LAWS)
    number, *options = rest.split(",")
    if not colon or not number:
        raise ArgumentError(
            f"The noise law '{word}' needs a number for its {law.main}, for example "
            f"'{word}:{100 if law.main == 'peak' else 0.1}', but '{text}' gives none."
        )
    settings: dict[str, float | bool] = {}
    switches = {f.name: isinstance(f.default, bool) for f in fields(law) if f.name != law.main}
    for option in options:
        name, _, value = option.strip().partition("=")
        check_known(f"option of the noise law '{law.word}'", name, switches)
        if not switches[name]:
            settings[name] = parse_number(value)
        elif value in {"yes", "no"}:
            settings[name] = value == "yes"
        else:
            raise ArgumentError(f"`{name}` must be yes or no; got '{value}'.")
    ends = [law(**{law.main: parse_number(end)}, **settings) for end in number.split("..", 1)]
    parsed = ends[0] if len(ends) == 1 else Ranged(*ends)
    for _, level in list_levels(parsed):
        # 25 of 255 is meant: such noise would leave nothing of an image. What is not clipped may
        # have any scale, and so may a law that was measured.
        if level > 1 and settings.get("clip", True):
            raise ArgumentError(
                f"The {law.main} of the noise law '{word}' is on a scale from 0, black, to 1, "
                f"white; got {level:g}. Try {word}:{level:g}/255."
            )
    return parsed


def _with_clip(law: NoiseLaw) -> NoiseLaw:
    """Return `law` for use inside a sequence, where its own `clip` does not count."""
    if isinstance(law, Ranged):
        return Ranged(_with_clip(law.lowest), _with_clip(law.highest))
    return replace(law, clip=True) if hasattr(law, "clip") else law  # type: ignore[call-arg]
