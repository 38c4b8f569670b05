"""From the words that a user gives to the recipe of the run, and the model that it begins with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quietpixel.errors import ArgumentError, unknown_name
from quietpixel.training.folder_data import find_channels, find_kind, measure_folder
from quietpixel.training.initial_weights import NOTHING, Start, adopt, default_start, open_start
from quietpixel.training.named_recipes import named_recipe
from quietpixel.training.recipe import CHOICES, Recipe
from quietpixel.training.training_data import is_folder

CODE = 16
"""Numbers in the code of a bottleneck where nothing is said."""
OF_KIND = {"clean": "photo", "pairs": "pairs", "noisy": "noisy"}
"""The recipe for a folder, by how it holds its scenes."""

STRIPES = {True: "h:12", False: "v:12"}
"""What is hidden where rows (or else columns) are lighter or darker as a whole."""
GRAIN = "s:2"
"""What is hidden where neighbours share their noise."""

Words = dict[str, Any]


def choose_recipe(
    name: str | None,
    *,
    data: str,
    model: str | None,
    code: int | None,
    filters: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    start: str | Path | None,
    changes: Mapping[str, Any],
) -> tuple[Recipe, Start | None]:
    """Return the recipe that the user's words make, and the model whose weights it begins with.

    Parameters
    ----------
    name
        Of the recipe; ``None`` takes the one that suits the data.
    data, model, code, filters, blocks, start
        As for `quietpixel.train`.
    changes
        Other fields of the recipe; ``None`` changes nothing.

    Raises
    ------
    QuietpixelError
        If a word is not known or breaks its rule.
    """
    words = {key: value for key, value in {"model": model, **changes}.items() if value is not None}
    begun = None if start is None else open_start(start)
    if is_folder(data):
        name, words = _suit_folder(name, data, words)
        if start is None and filters is None:
            begun = _begin_by_default(words)
    else:
        _refuse_folder_words(data, words)
    recipe = named_recipe(
        name or "tuned", data=data, **{**(adopt(begun) if begun else {}), **words}
    )
    recipe = replace(recipe, options=_with_sizes(recipe, code, filters, blocks))
    return replace(recipe, start=NOTHING if begun is None else begun.name), begun


def reopen_start(recipe: Recipe) -> Start | None:
    """Return the model that a run to go on with began with."""
    return open_start(recipe.start)


def _suit_folder(name: str | None, data: str, words: Words) -> tuple[str, Words]:
    """Return the recipe for a folder, and what follows from how it holds its scenes."""
    target, pairs = words.get("target", "clean"), words.get("pairs", "")
    if target not in CHOICES["target"]:
        raise unknown_name("target", target, CHOICES["target"])
    if words.get("model") == "bottleneck":
        raise ArgumentError(
            "`model` bottleneck takes images of one size only, and those of a folder have any; "
            "leave it out, or take unet."
        )
    kind = find_kind(data, target=target, pairs=pairs)
    if "channels" not in words:
        words = {**words, "channels": find_channels(data, target=target, pairs=pairs)}
    if kind == "pairs":
        _refuse_noise(data, words)
        words |= {"method": "pairs", "noise": ""}
    if words.get("noise") == "auto":
        words = _measure(data, kind, words)
    if kind == "noisy":
        words = {"method": _way_to_learn(words), "noise": "", **words}
    if kind != "noisy" and words.get("structure"):
        raise ArgumentError(
            "`structure` is for noisy images alone because it says what is hidden from the model; "
            "add --target none, or leave it out."
        )
    if kind != "clean":
        words = {"loss": "mean_squared_error", **words}
    return name or OF_KIND[kind], words


def _way_to_learn(words: Words) -> str:
    if words.get("structure"):
        return "hidden"
    return "recorrupted" if words.get("noise") else "neighbours"


def _measure(data: str, kind: str, words: Words) -> Words:
    """Return the words with the measured noise: its law if it is white, its structure if not."""
    if kind != "noisy":
        raise ArgumentError(
            f"`noise` auto measures noisy pictures, and '{data}' is taken as clean ones; measure "
            "noisy ones by 'quietpixel noise', and give the law that it says."
        )
    pairs = words.get("pairs", "")
    measured = measure_folder(data, pairs=pairs, channels=words["channels"])
    if measured.kind == "white":
        return {**words, "noise": str(measured.law)}
    rows = measured.stripes[0] >= measured.stripes[1]
    structure = STRIPES[rows] if measured.kind == "stripes" else GRAIN
    return {"structure": structure, **words, "noise": ""}


def describe_measured(recipe: Recipe) -> str:
    """Say what ``noise="auto"`` found and what follows from it.

    Examples
    --------
    >>> describe_measured(named_recipe("noisy", method="hidden", structure="h:12"))
    'The noise was measured: rows share it, so h:12 is hidden'
    """
    if recipe.noise:
        return f"The noise was measured: {recipe.noise}"
    shared = {"h": "rows share it", "v": "columns share it", "s": "neighbours share it"}
    found = shared[recipe.structure[0]]
    return f"The noise was measured: {found}, so {recipe.structure} is hidden"


def _refuse_noise(data: str, words: Words) -> None:
    if words.get("noise"):
        raise ArgumentError(
            f"`noise` is for clean images because it is added to them, and '{data}' holds pairs; "
            "leave it out, or name the folder of its clean images."
        )


def _refuse_folder_words(data: str, words: Words) -> None:
    for word in ("target", "pairs", "structure", "channels"):
        if words.get(word):
            raise ArgumentError(
                f"`{word}` is for a folder of pictures, and '{data}' is none; leave it out, or "
                "give the path of a folder."
            )


def _begin_by_default(words: Words) -> Start | None:
    """Return the bundled photo model, unless another model or other options are asked for."""
    return None if {"model", "options"} & words.keys() else default_start(words["channels"])


def _with_sizes(
    recipe: Recipe,
    code: int | None,
    filters: Sequence[int] | None,
    blocks: Sequence[int] | None,
) -> Words:
    """Return the options of the recipe's model with the sizes that the user's words say."""
    options = dict(recipe.options)
    if recipe.model == "bottleneck":
        options["code"] = options.get("code", CODE) if code is None else code
        if blocks is not None:
            raise ArgumentError(
                "`blocks` is for the unet because the bottleneck has none; leave it out, or take "
                "the model unet."
            )
    elif code is not None:
        raise ArgumentError(
            f"`code` is for the bottleneck because '{recipe.model}' has none; leave it out, or "
            "take the model bottleneck."
        )
    if filters is not None:
        options["filters"] = tuple(filters)
        if recipe.model == "unet":  # one number of blocks for each level, however many there are
            known = tuple(options.get("blocks", (0, 1)))
            options["blocks"] = (*known, *known[-1:] * len(filters))[: len(filters)]
    if blocks is not None:
        options["blocks"] = tuple(blocks)
    return options
